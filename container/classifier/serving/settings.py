"""The environment variables of ``serve``: one table that is the parser and the documentation."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from classifier import explanation, gpus, resources
from classifier.backends import GPU_BATCHES, PACK_TOKENS, Computing
from classifier.backends.choice import AUTO, ENGINES
from classifier.environment import base_folder, is_mounted, variables
from classifier.errors import UserError
from classifier.kinds import Kind, boolean, choice, integer
from classifier.serving import media_types
from classifier.serving.requests import parse_hosts

# Measured on two processors with texts of 25 tokens: batches of more than 32 texts have no higher throughput.
BATCH_TOKENS = 1024
GPU_BATCH_TOKENS = 16384
# Measured with two processors, compared with one batch per processor: 0.7 times the latency of a single text, 1.1 times
# the throughput of 8 connections, 0.9 to 1.3 times that of 32, and 30 MB less. Not measured with more processors.
PROCESSORS_A_BATCH = 2
MODELS_PERCENT = 90
# One part in so many of the memory may be used by bodies that are read whole, once they are parsed.
WHOLE_SHARE = 8


def _first_count(text: str) -> int:
    return int(integer(1, 1024).parse(text.partition(",")[0]))


def _answer_name(text: str) -> str:
    media_types.named_answer(text)
    return text


def _strategy(text: str) -> str:
    return str(choice("MULTIRECORD", "SINGLERECORD").parse(text.replace("_", ""))).replace("RECORD", "_RECORD")


THREADS = Kind(
    "a whole number from 1 to 1,024, or a comma-separated list of them, of which the first is used", _first_count
)
ANSWER = Kind(f"one of {', '.join(media_types.ANSWER_NAMES)}", _answer_name)
STRATEGY = Kind("one of MULTI_RECORD, SINGLE_RECORD", _strategy)
HOSTS = Kind("a comma-separated list of host names, with `:PORT` if it is neither 80 nor 443", parse_hosts)
COLUMNS = Kind(
    f"a comma-separated list of names from {', '.join(media_types.INFERENCE_OUTPUTS)}, each once",
    media_types.parse_columns,
)


def _processors(settings: Mapping[str, Any]) -> int:
    """Return the processors of each process."""
    return max(1, resources.processors() // int(settings["workers"]))


@dataclass(frozen=True)
class Setting:
    """How a setting is read from the environment.

    Attributes:
        names: The variables that set it; the first one that is set and not empty is used.
        kind: What the value must be.
        default: The default, or a function that computes it from the settings before it.
        meaning: The setting's description in the documentation.
        default_in_words: A computed default in the documentation.
    """

    names: tuple[str, ...]
    kind: Kind
    default: Any
    meaning: str
    default_in_words: str = ""

    @property
    def words(self) -> str:
        """The default, in words."""
        return self.default_in_words or str(self.default)


def setting(names: tuple[str, ...], kind: Kind, default: Any, meaning: str, default_in_words: str = "") -> Any:
    """Return a dataclass field that is set from the environment."""
    return field(metadata={"setting": Setting(names, kind, default, meaning, default_in_words)})


@dataclass(frozen=True)
class ServingSettings:
    """The server's settings; the metadata of a field says which variables set it and what it means.

    Attributes:
        model_folder: The folder of the model.
        models_folder: The folder with the models of a multi-model endpoint.
        set_by: For each setting that is not the default, the variable that set it.
    """

    model_folder: Path
    models_folder: Path
    set_by: Mapping[str, str]
    port: int = setting(
        ("SAGEMAKER_BIND_TO_PORT",),
        integer(1, 65535),
        8080,
        "The port to listen on.",
    )
    multi_model: bool = setting(
        ("SAGEMAKER_MULTI_MODEL",),
        boolean(),
        False,
        "Set by multi-model endpoints: models are loaded and unloaded through `/models`.",
    )
    workers: int = setting(
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "MODEL_SERVER_WORKERS", "SAGEMAKER_GUNICORN_WORKERS"),
        integer(1, 64),
        lambda settings: 1 if settings["multi_model"] else max(1, min(64, len(gpus.usable()))),
        "Worker processes, each with a copy of the model; a single one already uses all processors. On a machine with "
        "several GPUs, each computes on one of them. A multi-model endpoint always has one.",
        "1; with GPUs, one per GPU",
    )
    predictions_at_once: int = setting(
        ("SAGEMAKER_GUNICORN_THREADS",),
        integer(1, 256),
        lambda settings: GPU_BATCHES if gpus.usable() else max(1, _processors(settings) // PROCESSORS_A_BATCH),
        "Batches that a process computes at the same time.",
        f"one per {PROCESSORS_A_BATCH} of its processors; {GPU_BATCHES} with a GPU",
    )
    batch_tokens: int = setting(
        ("SERVING_BATCH_TOKENS",),
        integer(1, 1_000_000),
        lambda _: GPU_BATCH_TOKENS if gpus.usable() else BATCH_TOKENS,
        "The budget of a batch: the tokens of its longest text times the number of texts, or of packed texts the sum "
        f"of their tokens, at most {PACK_TOKENS}. A larger budget keeps the backend busier, and small requests wait "
        "longer behind large ones.",
        f"{BATCH_TOKENS}; {GPU_BATCH_TOKENS} with a GPU",
    )
    queue_length: int = setting(
        ("SERVING_QUEUE_LENGTH",),
        integer(0, 1024),
        64,
        "Requests that may wait in a process, besides one per batch that it computes; further requests are answered "
        "503 with Retry-After.",
    )
    engine_threads: int = setting(
        ("OMP_NUM_THREADS",),
        THREADS,
        _processors,
        "Threads that the backend computes with, in each process.",
        "processors ÷ processes",
    )
    engine: str = setting(
        ("SERVING_ENGINE",),
        choice(AUTO, *ENGINES),
        AUTO,
        "The backend that runs the model. `auto` selects the fastest one on this processor among those that, as "
        "training found, predict the same labels; with a GPU, TensorFlow.",
    )
    timeout_seconds: int = setting(
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "MODEL_SERVER_TIMEOUT", "SAGEMAKER_GUNICORN_TIMEOUT_SECONDS"),
        integer(1, 86400),
        3600,
        "How many seconds a process may be unresponsive before it is replaced; fewer than 30 count as 30.",
    )
    proxy_timeout_seconds: int = setting(
        ("SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS",),
        integer(1, 86400),
        lambda settings: settings["timeout_seconds"] + 5,
        "How many seconds nginx waits for an answer before it responds with 504.",
        "the setting above + 5",
    )
    max_payload_megabytes: int = setting(
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB",),
        integer(0, 1024),
        1024,
        "The largest request body; a larger one is answered 413. 0 is no limit.",
    )
    max_whole_megabytes: int = setting(
        ("SERVING_MAX_WHOLE_MB",),
        integer(1, 1024),
        100,
        "The largest body of a single record or of `application/json`, which are read whole into memory; a larger one "
        "is answered 413. JSON Lines and CSV are read as a stream.",
    )
    max_records: int = setting(
        ("SERVING_MAX_RECORDS",),
        integer(1, 100_000_000),
        1_000_000,
        "The most records an `application/json` body may hold; one with more is answered 413.",
    )
    max_lines: int = setting(
        ("SERVING_MAX_LINES",),
        integer(0, 1_000_000_000),
        0,
        "The most records a JSON Lines or CSV body may hold; one with more is answered 413. 0 is no limit.",
    )
    max_tokens: int = setting(
        ("SERVING_MAX_TOKENS",),
        integer(0, 1_000_000_000),
        0,
        "The most tokens a request may hold; one with more is answered 413. 0 is no limit.",
    )
    max_explained_tokens: int = setting(
        ("SERVING_MAX_EXPLAINED_TOKENS",),
        integer(0, 1_000_000_000),
        1 << 18,
        "The most tokens that are computed to find the words that made the labels of a request's records: the tokens "
        "of each record, or a 32nd of its characters if that is more, times its words, of which "
        f"{explanation.MOST_WORDS} count at most; a request with more is answered 413. 0 is no limit.",
    )
    page: str = setting(
        ("SERVING_PAGE",),
        choice("auto", "on", "off"),
        "auto",
        "Whether `GET /` is a page on which to try the model. `auto` is `off` where the model lies below `/opt/ml`, as "
        "it always does on SageMaker.",
    )
    bad_records: str = setting(
        ("SERVING_BAD_RECORDS",),
        choice("answer", "refuse"),
        "",
        "How a record that can't be read is handled: an error in its position, or 400 for the whole request.",
        "`answer` for JSON Lines and CSV, otherwise `refuse`",
    )
    csv_line_breaks: bool = setting(
        ("SERVING_CSV_LINE_BREAKS",),
        boolean(),
        True,
        "Whether a CSV text in quotes may contain line breaks. If not, every line is a record, as batch transform "
        "expects with `SplitType=Line`, and a quote that is not closed in its line is part of its text.",
    )
    allowed_hosts: frozenset[str] = setting(
        ("ALLOW_IMAGE_URLS",),
        HOSTS,
        frozenset(),
        "Hosts that images may be fetched from; their URLs are sent as `text/plain`.",
        "none: URLs are refused",
    )
    inference_output: tuple[str, ...] = setting(
        ("SAGEMAKER_INFERENCE_OUTPUT",),
        COLUMNS,
        (),
        "The fields that JSON Lines and CSV answers hold for each record, in this order.",
        "see the answer table",
    )
    default_accept: str = setting(
        ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",),
        ANSWER,
        "",
        "The answer's type if a request's Accept header is missing or `*/*`.",
        "see the answer table",
    )
    batch: bool = setting(
        ("SAGEMAKER_BATCH",),
        boolean(),
        False,
        "Set by batch transform: a request without a Content-Type is then refused instead of being read as a text.",
    )
    batch_strategy: str = setting(
        ("SAGEMAKER_BATCH_STRATEGY",),
        STRATEGY,
        "MULTI_RECORD",
        "Set by batch transform; `/execution-parameters` returns it.",
    )
    models_memory_megabytes: int = setting(
        ("SERVING_MODELS_MEMORY_MB",),
        integer(1, 100_000_000),
        lambda _: resources.memory() * MODELS_PERCENT // 100 >> 20,
        "Memory, in MB, that the process of a multi-model endpoint may use; a model that does not fit is answered 507.",
        f"{MODELS_PERCENT} % of the container's memory",
    )
    log_level: int = setting(
        ("SAGEMAKER_CONTAINER_LOG_LEVEL",),
        integer(0, 50),
        20,
        "10 debug, 20 info, 30 warning, 40 error.",
    )

    @property
    def capacity(self) -> int:
        """The most requests that a process handles at the same time, computed or waiting."""
        return self.predictions_at_once + self.queue_length

    @property
    def has_page(self) -> bool:
        """Whether there is a page on which to try the model."""
        outside = not (self.multi_model or is_mounted(self.model_folder))
        return outside if self.page == "auto" else self.page == "on"

    @property
    def may_join_lines(self) -> bool:
        """Whether CSV records over several lines may be lines of a split file, and nobody has said that they aren't.

        Batch transform does not tell whether it splits files. With SINGLE_RECORD, a request of several lines is a file
        that is not split.
        """
        return self.batch and self.batch_strategy == "MULTI_RECORD" and "csv_line_breaks" not in self.set_by

    @property
    def computing(self) -> Computing:
        """What the backend may use."""
        return Computing(self.engine, self.engine_threads, self.predictions_at_once, bool(gpus.usable()))

    @property
    def body_bytes(self) -> int:
        """The most bytes of large bodies, read whole, that a process holds at the same time."""
        return resources.memory() // (WHOLE_SHARE * self.workers)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> "ServingSettings":
        """Read the settings.

        Raises:
            UserError: A variable has an invalid value; the message lists every such variable.
        """
        environ = variables() if environ is None else environ
        values: dict[str, Any] = {}
        set_by: dict[str, str] = {}
        problems: list[str] = []
        for name, each in SETTINGS.items():
            values[name] = each.default(values) if callable(each.default) else each.default
            variable = next((variable for variable in each.names if environ.get(variable, "").strip()), None)
            if name == "workers" and values["multi_model"]:
                continue  # one process knows which models there are
            if variable is None:
                continue
            try:
                values[name] = each.kind.parse(environ[variable].strip())
                set_by[name] = variable
            except (ValueError, KeyError, OverflowError):
                problems.append(f"environment variable {variable}: must be {each.kind.words}")
        if values["multi_model"] and values["page"] == "on":
            problems.append("environment variable SERVING_PAGE: a multi-model endpoint has no page; leave it out")
        if problems:
            raise UserError(problems)
        base = base_folder(environ)
        return cls(model_folder=base / "model", models_folder=base / "models", set_by=set_by, **values)


SETTINGS: Mapping[str, Setting] = {
    each.name: each.metadata["setting"] for each in fields(ServingSettings) if "setting" in each.metadata
}


def table() -> str:
    """Return the documentation of :data:`SETTINGS`, a Markdown table."""
    rows = [
        f"| {'<br>'.join(f'`{name}`' for name in each.names)} | {each.words} | {each.kind.words} | {each.meaning} |"
        for each in SETTINGS.values()
    ]
    return "\n".join(["| variable | default | value | meaning |", "|---|---|---|---|", *rows])
