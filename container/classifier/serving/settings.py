"""The environment variables of ``serve``: one table that is the parser and the documentation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier import resources
from classifier.engines import GPU_BATCHES, Computing
from classifier.engines.choice import AUTO, ENGINES
from classifier.environment import base_folder, variables
from classifier.errors import UserError
from classifier.serving import media_types
from classifier.serving.requests import parse_hosts

# Measured on two processors, texts of 25 tokens: 32 texts at once are computed as fast as any more of them.
BATCH_TOKENS = 1024
GPU_BATCH_TOKENS = 16384
# Measured with two processors, against a batch on each: 0.7 of the time until a lone text is answered, 1.1 times the
# texts a second of 8 connections, 0.9 to 1.3 times those of 32, and 30 MB less. Not measured with more.
PROCESSORS_A_BATCH = 2
MODELS_PERCENT = 90
# Of the memory, the part that bodies which are read whole may take once they are texts.
WHOLE_SHARE = 8


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError
        return number

    parse.__doc__ = f"a whole number from {low} to {high}"
    return parse


def _thread_count(text: str) -> int:
    """a whole number from 1 to 1024, or such numbers parted by commas, of which the first counts."""  # noqa: D403
    return _whole_number(1, 1024)(text.partition(",")[0])


def _engine(text: str) -> str:
    return {name: name for name in (AUTO, *ENGINES)}[text.lower()]


_engine.__doc__ = f"one of {', '.join(f'`{name}`' for name in (AUTO, *ENGINES))}"


def _yes_or_no(text: str) -> bool:
    """`true` or `false`."""
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _answer_name(text: str) -> str:
    media_types.named_answer(text)
    return text


_answer_name.__doc__ = f"one of {', '.join(f'`{name}`' for name in media_types.ANSWER_NAMES)}"


def _bad_records(text: str) -> str:
    """`answer` or `refuse`."""
    return {"answer": "answer", "refuse": "refuse"}[text.lower()]


def _processors(settings: Mapping[str, Any]) -> int:
    """Return the processors of each process."""
    return max(1, resources.processors() // int(settings["workers"]))


def _strategy(text: str) -> str:
    """`MULTI_RECORD` or `SINGLE_RECORD`."""
    return {"multirecord": "MULTI_RECORD", "singlerecord": "SINGLE_RECORD"}[text.lower().replace("_", "")]


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

    @property
    def words(self) -> str:
        """What the default is, in words."""
        value = self.default_in_words or self.default
        return str(value).lower() if isinstance(value, bool) else str(value)


SETTINGS: Mapping[str, Setting] = {
    "port": Setting(
        ("SAGEMAKER_BIND_TO_PORT",),
        _whole_number(1, 65535),
        8080,
        "The port to listen on.",
    ),
    "multi_model": Setting(
        ("SAGEMAKER_MULTI_MODEL",),
        _yes_or_no,
        False,
        "Set by multi-model endpoints: models come and go by way of `/models`.",
    ),
    "workers": Setting(
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "MODEL_SERVER_WORKERS", "SAGEMAKER_GUNICORN_WORKERS"),
        _whole_number(1, 64),
        1,
        "Processes, each with a copy of the model; one process already uses all processors. A multi-model endpoint has "
        "one, whatever is set.",
    ),
    "predictions_at_once": Setting(
        ("SAGEMAKER_GUNICORN_THREADS",),
        _whole_number(1, 256),
        lambda settings: GPU_BATCHES if resources.has_gpu() else max(1, _processors(settings) // PROCESSORS_A_BATCH),
        "Batches a process computes at the same time.",
        f"one for {PROCESSORS_A_BATCH} of its processors; {GPU_BATCHES} with a GPU",
    ),
    "batch_tokens": Setting(
        ("SERVING_BATCH_TOKENS",),
        _whole_number(1, 1_000_000),
        lambda _: GPU_BATCH_TOKENS if resources.has_gpu() else BATCH_TOKENS,
        "What a batch may cost: tokens of its longest text, times its texts. A larger one makes the engine more busy, "
        "and small requests beside large ones wait longer.",
        f"{BATCH_TOKENS}; {GPU_BATCH_TOKENS} with a GPU",
    ),
    "queue_length": Setting(
        ("SERVING_QUEUE_LENGTH",),
        _whole_number(0, 1024),
        64,
        "Requests a process takes on beside as many as it computes batches; one more is answered 503 with Retry-After.",
    ),
    "engine_threads": Setting(
        ("OMP_NUM_THREADS",),
        _thread_count,
        _processors,
        "Threads the engine computes with, in each process.",
        "processors ÷ processes",
    ),
    "engine": Setting(
        ("SERVING_ENGINE",),
        _engine,
        AUTO,
        "What runs the model. `auto` takes, of those that training found to keep the labels, the fastest on this "
        "processor; with a GPU, TensorFlow.",
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
        1024,
        "The largest request body; a larger one is answered 413. 0 is no limit.",
    ),
    "max_whole_megabytes": Setting(
        ("SERVING_MAX_WHOLE_MB",),
        _whole_number(1, 1024),
        100,
        "The largest body of one record or of `application/json`, which is read whole, into memory; a larger one is "
        "answered 413. JSON Lines and CSV are read as a stream.",
    ),
    "max_records": Setting(
        ("SERVING_MAX_RECORDS",),
        _whole_number(1, 100_000_000),
        1_000_000,
        "The most records an `application/json` body may hold; one with more is answered 413.",
    ),
    "max_lines": Setting(
        ("SERVING_MAX_LINES",),
        _whole_number(0, 1_000_000_000),
        0,
        "The most records a JSON Lines or CSV body may hold; one with more is answered 413. 0 is no limit.",
    ),
    "max_tokens": Setting(
        ("SERVING_MAX_TOKENS",),
        _whole_number(0, 1_000_000_000),
        0,
        "The most tokens a request may hold; one with more is answered 413. 0 is no limit.",
    ),
    "bad_records": Setting(
        ("SERVING_BAD_RECORDS",),
        _bad_records,
        "",
        "What becomes of a record that can't be read: an error in its place, or 400 for the whole request.",
        "`answer` in JSON Lines and CSV, else `refuse`",
    ),
    "allowed_hosts": Setting(
        ("ALLOW_IMAGE_URLS",),
        parse_hosts,
        frozenset(),
        "Hosts that images may be fetched from, whose URLs are then sent as `text/plain`.",
        "none: URLs are refused",
    ),
    "inference_output": Setting(
        ("SAGEMAKER_INFERENCE_OUTPUT",),
        media_types.parse_columns,
        (),
        "What JSON Lines and CSV answer of a record, in this order.",
        "see the answer table",
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
    "batch_strategy": Setting(
        ("SAGEMAKER_BATCH_STRATEGY",),
        _strategy,
        "MULTI_RECORD",
        "Set by batch transform; `/execution-parameters` gives it back.",
    ),
    "models_memory_megabytes": Setting(
        ("SERVING_MODELS_MEMORY_MB",),
        _whole_number(1, 100_000_000),
        lambda _: resources.memory() * MODELS_PERCENT // 100 >> 20,
        "Memory the process of a multi-model endpoint may take; a model that would not fit is answered 507.",
        f"{MODELS_PERCENT} % of the container's",
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
    """What ``serve`` was told; :data:`SETTINGS` says what each value means.

    Attributes:
        model_folder: Where the model is.
        models_folder: Where those of a multi-model endpoint are.
        set_by: The variable that set a value, of those that aren't the default.
    """

    model_folder: Path
    models_folder: Path
    set_by: Mapping[str, str]
    port: int
    multi_model: bool
    workers: int
    predictions_at_once: int
    batch_tokens: int
    queue_length: int
    engine_threads: int
    engine: str
    timeout_seconds: int
    proxy_timeout_seconds: int
    max_payload_megabytes: int
    max_whole_megabytes: int
    max_records: int
    max_lines: int
    max_tokens: int
    bad_records: str
    allowed_hosts: frozenset[str]
    inference_output: tuple[str, ...]
    default_accept: str
    batch: bool
    batch_strategy: str
    models_memory_megabytes: int
    log_level: int

    @property
    def places(self) -> int:
        """Requests that a process takes on at once."""
        return self.predictions_at_once + self.queue_length

    @property
    def computing(self) -> Computing:
        """What an engine may use."""
        return Computing(self.engine, self.engine_threads, self.predictions_at_once, resources.has_gpu())

    @property
    def body_bytes(self) -> int:
        """Bytes of large bodies, read whole, that a process holds at the same time."""
        return resources.memory() // (WHOLE_SHARE * self.workers)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> "ServingSettings":
        """Read the settings.

        Raises:
            UserError: A variable's value can't be read; the message lists every such variable.
        """
        environ = variables() if environ is None else environ
        values: dict[str, Any] = {}
        set_by: dict[str, str] = {}
        problems: list[str] = []
        for field, setting in SETTINGS.items():
            values[field] = setting.default(values) if callable(setting.default) else setting.default
            name = next((name for name in setting.names if environ.get(name, "").strip()), None)
            if field == "workers" and values["multi_model"]:
                continue  # one process knows which models there are
            if name is None:
                continue
            try:
                values[field] = setting.parse(environ[name].strip())
                set_by[field] = name
            except (ValueError, KeyError):
                problems.append(f"environment variable {name}: must be {setting.takes}")
        if problems:
            raise UserError(problems)
        base = base_folder(environ)
        return cls(model_folder=base / "model", models_folder=base / "models", set_by=set_by, **values)


def table() -> str:
    """Return the documentation of :data:`SETTINGS`, a Markdown table."""
    rows = [
        f"| {'<br>'.join(f'`{name}`' for name in setting.names)} | {setting.words} | {setting.takes} | "
        f"{setting.meaning} |"
        for setting in SETTINGS.values()
    ]
    return "\n".join(["| variable | default | value | meaning |", "|---|---|---|---|", *rows])
