"""The options of ``batch``: one table that is the parser, the environment variables and the documentation."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, cast

from classifier import explanation, gpus, resources
from classifier.backends import GPU_BATCHES, Computing
from classifier.backends.choice import AUTO, ENGINES
from classifier.batch import shards
from classifier.batch.shards import Shard
from classifier.environment import base_folder, variables
from classifier.errors import UserError
from classifier.hyperparameters import SCHEMA
from classifier.kinds import Kind, boolean, choice, integer, number, text
from classifier.tabular.delimiters import NONE
from classifier.tabular.dialect import AUTO as AUTO_DETECTED
from classifier.tabular.dialect import Dialect

CSV, JSON_LINES = "csv", "jsonl"
PROCESSING = "processing"
MOST_SHARDS = 10_000  # what an array job of AWS Batch may have
MOST_REVIEWED = 10_000


def _shard(text: str) -> Shard:
    number, _, count = text.partition("/")
    shard = Shard(int(number), integer(1, MOST_SHARDS).parse(count))
    if not 0 <= shard.number < shard.count:
        raise ValueError
    return shard


def _delimiter(text: str) -> str:
    return NONE if text.lower() == NONE else str(SCHEMA["delimiter"].kind.parse(text))


TEXT = text("a name or a path")
DELIMITER = Kind("one of auto, comma, semicolon, tab, bar, none", _delimiter)
SHARD = Kind("K/N, with K from 0 to N - 1", _shard)


@dataclass(frozen=True)
class Option:
    """A value that the command line or the environment may set.

    Attributes:
        variable: The environment variable that sets it; the command line takes precedence.
        kind: What the value must be.
        meaning: The option's description in the documentation.
        metavar: The value's placeholder in the help; empty for a flag.
        default: The value if neither is given.
        default_in_words: The default in the documentation.
    """

    variable: str
    kind: Kind
    meaning: str
    metavar: str = ""
    default: Any = ""
    default_in_words: str = ""


def option(
    variable: str, kind: Kind, meaning: str, metavar: str = "", default: Any = "", default_in_words: str = ""
) -> Any:
    """Return a dataclass's field that the command line and the environment set."""
    return field(metadata={"option": Option(variable, kind, meaning, metavar, default, default_in_words)})


@dataclass(frozen=True)
class Options:
    """The options of ``batch``; the metadata of a field says what sets it and what it means.

    Attributes:
        shard: The part of each file's rows to predict, :data:`classifier.batch.shards.WHOLE` for all, whether it was
            set by ``shard``, by ``shards`` or by the platform.
    """

    model: str = option(
        "BATCH_MODEL",
        TEXT,
        "The model that training wrote: its folder, `model.tar.gz`, or a folder that contains it; also in S3.",
        "DIR|FILE|s3://...",
        default_in_words="`/opt/ml/processing/model`, else `/opt/ml/model`, if it exists",
    )
    input: str = option(
        "BATCH_INPUT",
        TEXT,
        "The rows or images: a file, all files of a folder at any depth, or the same in S3.",
        "DIR|FILE|s3://...",
        default_in_words="`/opt/ml/processing/input`, if it exists",
    )
    output: str = option(
        "BATCH_OUTPUT",
        TEXT,
        "The folder for the results.",
        "DIR|s3://...",
        default_in_words="`/opt/ml/processing/output`, if `/opt/ml/processing` exists",
    )
    rejects: str = option(
        "BATCH_REJECTS",
        TEXT,
        "The folder for the lists of rows that can't be read.",
        "DIR|s3://...",
        default_in_words="`/opt/ml/processing/rejects`, if it exists; otherwise the folder for the results",
    )
    format: str = option(
        "BATCH_FORMAT",
        choice(CSV, JSON_LINES),
        "The format of the input files, whatever their names; with images, that of the result.",
        "csv|jsonl",
        default_in_words="by each file's name; with images, `csv`",
    )
    text_column: str = option(
        "BATCH_TEXT_COLUMN",
        TEXT,
        "The column with the text: its name in the header, or its number from 1; in JSON Lines, the key.",
        "NAME|N",
        default_in_words="detected by its name or content",
    )
    header: str = option(
        "BATCH_HEADER",
        choice(AUTO_DETECTED, "true", "false"),
        "Whether the first row of CSV is a header; `auto` detects it from the first rows.",
        "auto|true|false",
        AUTO_DETECTED,
        "`auto`",
    )
    delimiter: str = option(
        "BATCH_DELIMITER",
        DELIMITER,
        "The delimiter of CSV; `auto` detects it from the first rows, and `none` reads each line as one text.",
        "auto|comma|semicolon|tab|bar|none",
        AUTO_DETECTED,
        "`auto`; a `.txt` file is one text per line",
    )
    probabilities: bool = option(
        "BATCH_PROBABILITIES",
        boolean(),
        "Write a column for each label's probability as well, `probability_<label>`.",
        default=False,
        default_in_words="off",
    )
    threshold: float | None = option(
        "BATCH_THRESHOLD",
        number(0, 1),
        "What a label's probability must exceed for it to be written; otherwise, `predicted_label` is empty. 0 writes "
        "every label.",
        "X",
        None,
        "what training chose by `target_precision`, else 0",
    )
    explain: bool = option(
        "BATCH_EXPLAIN",
        boolean(),
        "Write the words that made each label as well, in the column `words`: a JSON list, as in "
        f"[http.md](http.md#words). Takes up to {explanation.MOST_WORDS} times as long.",
        default=False,
        default_in_words="off",
    )
    fail_on_rejects: bool = option(
        "BATCH_FAIL_ON_REJECTS",
        boolean(),
        "Check each file completely before predicting it, and predict nothing of a file with bad rows; the exit code "
        "is then 1.",
        default=False,
        default_in_words="off",
    )
    review: int | None = option(
        "BATCH_REVIEW",
        integer(1, MOST_REVIEWED),
        "Instead of predictions, write `review.csv`: the N rows that are most worth labelling, with an empty label.",
        "N",
        None,
        "predictions are written",
    )
    shard: Shard = option(
        "BATCH_SHARD",
        SHARD,
        "Predict only the K-th of N parts of each file's rows; K counts from 0.",
        "K/N",
        None,
        "all rows",
    )
    shards: int | None = option(
        "BATCH_SHARDS",
        integer(1, MOST_SHARDS),
        "The number of parts N, with K from AWS Batch's `AWS_BATCH_JOB_ARRAY_INDEX`.",
        "N",
        None,
        "`AWS_BATCH_JOB_ARRAY_SIZE`, in an array job",
    )
    engine: str = option(
        "SERVING_ENGINE",
        choice(AUTO, *ENGINES),
        "The backend that runs the model, as for `serve`.",
        "NAME",
        AUTO,
        f"`{AUTO}`",
    )

    @property
    def dialect(self) -> Dialect:
        """What the user states about the format of tables."""
        return Dialect(self.header, self.delimiter)

    @property
    def computing(self) -> Computing:
        """What the backend may use: all of the container's share of the machine."""
        at_once = GPU_BATCHES if gpus.usable() else resources.processors()
        return Computing(self.engine, resources.processors(), at_once, bool(gpus.usable()))

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> "Options":
        """Read the command line and the environment.

        Raises:
            UserError: Options are invalid, missing or contradictory; the message lists all such problems.
            SystemExit: The help was requested and printed.
        """
        environ = variables() if environ is None else environ
        given = vars(_parser().parse_args(arguments))
        problems: list[str] = []
        values = {name: _value(name, given[name], environ, problems) for name in OPTIONS}
        _fill_folders(values, base_folder(environ))
        problems += [
            f"--{name} (or {OPTIONS[name].variable}) is missing; give {OPTIONS[name].metavar}"
            for name in ("model", "input", "output")
            if not values[name]
        ]
        values["shard"] = _shard_meant(values, environ, problems)
        if problems:
            raise UserError(problems)
        return cls(**values)


OPTIONS: Mapping[str, Option] = {each.name: each.metadata["option"] for each in fields(Options)}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; `batch --help` lists the options")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="batch",
        description="Add predictions to files of rows. Options may also be given as environment variables.",
        allow_abbrev=False,
    )
    for name, each in OPTIONS.items():
        help_text = f"{each.meaning} [{each.variable}; default: {each.default_in_words}]".replace("%", "%%")
        taking = {"metavar": each.metavar} if each.metavar else {"action": "store_const", "const": "true"}
        parser.add_argument(_flag(name), dest=name, help=help_text, **taking)  # type: ignore[arg-type]  # of two kinds
    return parser


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _value(name: str, given: str | None, environ: Mapping[str, str], problems: list[str]) -> Any:
    each = OPTIONS[name]
    text = (environ.get(each.variable, "") if given is None else given).strip()
    if not text:
        return each.default
    try:
        return each.kind.parse(text)
    except (ValueError, KeyError, OverflowError):
        problems.append(f"{_flag(name)} (or {each.variable}): must be {each.kind.words}")
        return each.default


def _fill_folders(values: dict[str, Any], base: Path) -> None:
    """Set the folders that the user did not name to those that SageMaker mounts."""
    processing = base / PROCESSING
    usual = {
        "model": (processing / "model", base / "model"),
        "input": (processing / "input",),
        "rejects": (processing / "rejects",),
    }
    for name, folders in usual.items():
        there = next((str(folder) for folder in folders if folder.is_dir()), "")
        values[name] = values[name] or there
    if processing.is_dir():
        values["output"] = values["output"] or str(processing / "output")
    values["rejects"] = values["rejects"] or values["output"]


def _shard_meant(values: Mapping[str, Any], environ: Mapping[str, str], problems: list[str]) -> Shard:
    """Return the part to predict, from the options or from what the platform says."""
    if values["shard"] is not None:
        if values["shards"] is not None:
            problems.append("--shard and --shards are both given; give one")
        return cast("Shard", values["shard"])
    try:
        meant = shards.of_array_job(values["shards"], environ)
        return meant or shards.of_processing_job(base_folder(environ), values["input"]) or shards.WHOLE
    except UserError as error:
        problems += error.problems
    return shards.WHOLE


def table() -> str:
    """Return the documentation of :data:`OPTIONS`, a Markdown table."""
    rows = []
    for name, each in OPTIONS.items():
        shown = f"{_flag(name)} {each.metavar}".strip().replace("|", r"\|")
        rows.append(f"| `{shown}` | `{each.variable}` | {each.default_in_words} | {each.meaning} |")
    return "\n".join(["| option | variable | default | meaning |", "|---|---|---|---|", *rows])
