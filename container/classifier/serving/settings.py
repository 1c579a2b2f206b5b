"""The environment variables of ``serve``: one table that is the parser and the documentation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.environment import base_folder, variables
from classifier.errors import UserError
from classifier.serving import media_types, processors


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError
        return number

    parse.__doc__ = f"a whole number from {low} to {high}"
    return parse


def _yes_or_no(text: str) -> bool:
    """`true` or `false`."""
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _answer_name(text: str) -> str:
    media_types.named_answer(text)
    return text


_answer_name.__doc__ = f"one of {', '.join(f'`{name}`' for name in media_types.ANSWER_NAMES)}"


@dataclass(frozen=True)
class Setting:
    """One value that the environment may set.

    Attributes:
        names: The variables that set it; the first that is there and not empty wins.
        parse: Text to value; raises ValueError or KeyError, and its docstring says what it takes.
        default: The value, or a function of the settings before it.
        meaning: A sentence for the documentation.
        default_in_words: How the documentation shows a computed default.
    """

    names: tuple[str, ...]
    parse: Callable[[str], Any]
    default: Any
    meaning: str
    default_in_words: str = ""

    @property
    def takes(self) -> str:
        """What the value may be, in words."""
        return str(self.parse.__doc__).rstrip(".")


SETTINGS: Mapping[str, Setting] = {
    "port": Setting(
        ("SAGEMAKER_BIND_TO_PORT",),
        _whole_number(1, 65535),
        8080,
        "The port to listen on.",
    ),
    "workers": Setting(
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "MODEL_SERVER_WORKERS", "SAGEMAKER_GUNICORN_WORKERS"),
        _whole_number(1, 64),
        1,
        "Processes, each with a copy of the model; one process already uses all processors.",
    ),
    "predictions_at_once": Setting(
        ("SAGEMAKER_GUNICORN_THREADS",),
        _whole_number(1, 256),
        lambda _: processors.available(),
        "Requests a process computes at the same time.",
        "one a processor",
    ),
    "queue_length": Setting(
        ("SERVING_QUEUE_LENGTH",),
        _whole_number(0, 1024),
        64,
        "Requests a process lets wait for their turn; one more is answered 503 with Retry-After.",
    ),
    "tensorflow_threads": Setting(
        ("OMP_NUM_THREADS",),
        _whole_number(1, 1024),
        lambda settings: max(1, processors.available() // settings["workers"]),
        "Threads TensorFlow computes with, in each process.",
        "processors ÷ processes",
    ),
    "timeout_seconds": Setting(
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "MODEL_SERVER_TIMEOUT", "SAGEMAKER_GUNICORN_TIMEOUT_SECONDS"),
        _whole_number(1, 86400),
        3600,
        "How long a process may stop answering before it is replaced.",
    ),
    "proxy_timeout_seconds": Setting(
        ("SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS",),
        _whole_number(1, 86400),
        lambda settings: settings["timeout_seconds"] + 5,
        "How long nginx waits for an answer before it says 504.",
        "the setting above + 5",
    ),
    "max_payload_megabytes": Setting(
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB",),
        _whole_number(0, 1024),
        100,
        "The largest request body; a larger one is answered 413. 0 is no limit.",
    ),
    "max_records": Setting(
        ("SERVING_MAX_RECORDS",),
        _whole_number(1, 100_000_000),
        1_000_000,
        "The most records a request may hold; one with more is answered 413.",
    ),
    "default_accept": Setting(
        ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",),
        _answer_name,
        "",
        "The answer's type where a request names none or `*/*`.",
        "see the answer table",
    ),
    "batch": Setting(
        ("SAGEMAKER_BATCH",),
        _yes_or_no,
        False,
        "Set by batch transform: a request without a Content-Type is then refused, not taken for a text.",
    ),
    "log_level": Setting(
        ("SAGEMAKER_CONTAINER_LOG_LEVEL",),
        _whole_number(0, 50),
        20,
        "10 debug, 20 info, 30 warning, 40 error.",
    ),
}


@dataclass(frozen=True)
class ServingSettings:
    """What ``serve`` was told; :data:`SETTINGS` says what each value means."""

    model_folder: Path
    port: int
    workers: int
    predictions_at_once: int
    queue_length: int
    tensorflow_threads: int
    timeout_seconds: int
    proxy_timeout_seconds: int
    max_payload_megabytes: int
    max_records: int
    default_accept: str
    batch: bool
    log_level: int

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> "ServingSettings":
        """Read the settings.

        Raises:
            UserError: A variable's value can't be read; the message lists every such variable.
        """
        environ = variables() if environ is None else environ
        values: dict[str, Any] = {}
        problems: list[str] = []
        for field, setting in SETTINGS.items():
            values[field] = setting.default(values) if callable(setting.default) else setting.default
            name = next((name for name in setting.names if environ.get(name, "").strip()), None)
            if name is None:
                continue
            try:
                values[field] = setting.parse(environ[name].strip())
            except (ValueError, KeyError):
                problems.append(f"environment variable {name}: must be {setting.takes}")
        if problems:
            raise UserError(problems)
        return cls(model_folder=base_folder(environ) / "model", **values)


def table() -> str:
    """Return the documentation of :data:`SETTINGS`, a Markdown table."""
    rows = [
        f"| {'<br>'.join(f'`{name}`' for name in setting.names)} | {_default(setting)} | {setting.takes} | "
        f"{setting.meaning} |"
        for setting in SETTINGS.values()
    ]
    return "\n".join(["| variable | default | value | meaning |", "|---|---|---|---|", *rows])


def _default(setting: Setting) -> str:
    value = setting.default_in_words or setting.default
    return str(value).lower() if isinstance(value, bool) else str(value)
