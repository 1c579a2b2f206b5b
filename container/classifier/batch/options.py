"""The options of ``batch``: one table that is the parser, the environment variables and the documentation."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, cast

from classifier import resources
from classifier.backends import GPU_BATCHES, Computing
from classifier.backends.choice import AUTO, ENGINES
from classifier.batch import shards
from classifier.batch.shards import Shard
from classifier.environment import base_folder, variables
from classifier.errors import UserError
from classifier.hyperparameters import SCHEMA
from classifier.kinds import Kind, boolean, choice, integer, text
from classifier.tabular.delimiters import NONE
from classifier.tabular.dialect import AUTO as AUTO_DETECTED
from classifier.tabular.dialect import Dialect

CSV, JSON_LINES = "csv", "jsonl"
PROCESSING = "processing"
MOST_SHARDS = 10_000  # what an array job of AWS Batch may have


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
    """One value that the command line or the environment may give.

    Attributes:
        variable: The environment variable for it; the command line wins.
        kind: What the value must be.
        meaning: A sentence or two for the documentation.
        metavar: What its value is called; empty where the option alone says it.
        default: The value where neither is given.
        default_in_words: How the documentation shows it.
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
    """What ``batch`` was told; the metadata of a field says what sets it and what it means.

    Attributes:
        shard: Which part of each file's rows is done, :data:`classifier.batch.shards.WHOLE` for all, whether it was
            given so, by ``shards`` or by the platform.
    """

    model: str = option(
        "BATCH_MODEL",
        TEXT,
        "What training left: its folder, `model.tar.gz`, or a folder with that in it; also in S3.",
        "DIR|FILE|s3://...",
        default_in_words="`/opt/ml/processing/model`, else `/opt/ml/model`, where there is one",
    )
    input: str = option(
        "BATCH_INPUT",
        TEXT,
        "The rows: a file, all files of a folder at any depth, or the same in S3.",
        "DIR|FILE|s3://...",
        default_in_words="`/opt/ml/processing/input`, where there is one",
    )
    output: str = option(
        "BATCH_OUTPUT",
        TEXT,
        "The folder for the results.",
        "DIR|s3://...",
        default_in_words="`/opt/ml/processing/output`, where there is `/opt/ml/processing`",
    )
    rejects: str = option(
        "BATCH_REJECTS",
        TEXT,
        "The folder for the lists of rows that can't be read.",
        "DIR|s3://...",
        default_in_words="`/opt/ml/processing/rejects`, where there is one; else that of the results",
    )
    format: str = option(
        "BATCH_FORMAT",
        choice(CSV, JSON_LINES),
        "What the input is, whatever its files are called.",
        "csv|jsonl",
        default_in_words="by each file's name",
    )
    text_column: str = option(
        "BATCH_TEXT_COLUMN",
        TEXT,
        "The column with the text: its name in the header, or its number from 1; in JSON Lines, the key.",
        "NAME|N",
        default_in_words="the one whose name or content says so",
    )
    header: str = option(
        "BATCH_HEADER",
        choice(AUTO_DETECTED, "true", "false"),
        "Whether the first row of CSV is a header; `auto` looks at the first rows.",
        "auto|true|false",
        AUTO_DETECTED,
        "`auto`",
    )
    delimiter: str = option(
        "BATCH_DELIMITER",
        DELIMITER,
        "What separates the columns of CSV; `auto` looks at the first rows, and `none` is one text per line.",
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
    fail_on_rejects: bool = option(
        "BATCH_FAIL_ON_REJECTS",
        boolean(),
        "Read each file through before anything of it is computed, and predict nothing of one with bad rows: exit "
        "code 1.",
        default=False,
        default_in_words="off",
    )
    shard: Shard = option(
        "BATCH_SHARD",
        SHARD,
        "Do only the K-th of N parts of each file's rows; K counts from 0.",
        "K/N",
        None,
        "all rows",
    )
    shards: int | None = option(
        "BATCH_SHARDS",
        integer(1, MOST_SHARDS),
        "The same, with K from AWS Batch's `AWS_BATCH_JOB_ARRAY_INDEX`.",
        "N",
        None,
        "`AWS_BATCH_JOB_ARRAY_SIZE`, in an array job",
    )
    engine: str = option(
        "SERVING_ENGINE",
        choice(AUTO, *ENGINES),
        "What runs the model, as for `serve`.",
        "NAME",
        AUTO,
        f"`{AUTO}`",
    )

    @property
    def dialect(self) -> Dialect:
        """What the user says of how tables are written."""
        return Dialect(self.header, self.delimiter)

    @property
    def computing(self) -> Computing:
        """What the engine may use: all of the container's share of the machine."""
        at_once = GPU_BATCHES if resources.has_gpu() else resources.processors()
        return Computing(self.engine, resources.processors(), at_once, resources.has_gpu())

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> "Options":
        """Read the command line and the environment.

        Raises:
            UserError: Something can't be read, is missing, or contradicts itself; the message lists all of it.
            SystemExit: Help was asked for, and given.
        """
        environ = variables() if environ is None else environ
        given = vars(_parser().parse_args(arguments))
        problems: list[str] = []
        values = {name: _value(name, given[name], environ, problems) for name in OPTIONS}
        _fill_places(values, base_folder(environ))
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


def _fill_places(values: dict[str, Any], base: Path) -> None:
    """Fill in what SageMaker's places are, where the user named none."""
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
    """Return the part to do, of what was given and what the platform says."""
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
