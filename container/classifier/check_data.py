"""Check data as training would: ``python -m classifier.check_data check FILE...``."""

import argparse
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from classifier import MODALITY_NAMES, modalities
from classifier.encoders import resolve
from classifier.environment import shown
from classifier.errors import UserError, at_most
from classifier.hyperparameters import SCHEMA, Hyperparameters
from classifier.modalities import Modality
from classifier.tabular import files, layouts
from classifier.tabular.dialect import AUTO, Dialect
from classifier.tabular.files import Source
from classifier.tabular.rows import BadDataError, Problem, ReadResult
from classifier.training import data, reading, warm_start
from classifier.training.reading import Reader

GOOD, BAD = 0, 1
GROUPS_SHOWN = 20
LINES_SHOWN = 8
PREFIX = "event=data "
DEFAULTS = Hyperparameters.parse({})


def main(arguments: Sequence[str] | None = None) -> int:
    """Check files.

    Returns:
        0 if the files can be trained on, 1 if they can't; wrong usage ends the program with 2.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        modality = _modality(given)
    except UserError as error:
        parser.error(str(error))
    named = {"training": given.file, "validation": given.validation, "test": given.test}
    held_back = _HeldBack()
    logging.basicConfig(level=logging.INFO, handlers=[held_back], force=True)
    found = {role: ReadResult(role=role) for role, paths in named.items() if paths}
    sources = {
        role: [source for path in named[role] for source in _sources(path, result, modality)]
        for role, result in found.items()
    }
    for role, result in found.items():
        wrong = layouts.several_splits(path.name for path in named[role] if path.is_file())
        if wrong:
            result.problem(f"channel {role}", 0, wrong)
    if any(_repeats(named[role], read) for role, read in sources.items()):
        parser.error("a file is given twice")
    problems = _problems(sources, found, modality, given)
    # Problems are printed before the log lines on the same files.
    for line in [*at_most(_grouped(problems), GROUPS_SHOWN), *held_back.lines]:
        print(line)  # noqa: T201  the program's output
    print(f"problems: {len(problems)}")  # noqa: T201
    return BAD if problems else GOOD


def _problems(
    sources: Mapping[str, Sequence[Source]],
    found: Mapping[str, ReadResult],
    modality: Modality,
    given: argparse.Namespace,
) -> Sequence[Problem | str]:
    """Read and check files as a job would before training, and return the problems that would end it."""
    try:
        tables = data.read_sources(sources, Dialect(given.header, given.delimiter), found, modality)
        labels = data.labels_of(tables)
        reader = "" if modality.is_array else _reader(given)
        data.prepare(
            tables,
            labels,
            DEFAULTS.validation_split_ratio,
            DEFAULTS.seed,
            max_sequence_length=None if isinstance(reader, Reader) else given.max_sequence_length,
        )
        if reader:
            reading.check(tables, reader, given.max_sequence_length, DEFAULTS.long_texts)
    except BadDataError as error:
        return error.found
    except UserError as error:
        return error.problems
    return ()


def _reader(given: argparse.Namespace) -> Reader | str:
    """Return the tokenizer of the encoder that a job would use, or the reason why it can't be checked."""
    with tempfile.TemporaryDirectory() as scratch:
        channel = given.model and resolve.opened(given.model, Path(scratch))
        return reading.of_job(channel, warm_start.read(channel) if channel else None, given.model_id)


def _grouped(problems: Sequence[Problem | str]) -> list[str]:
    """Return one line for all equal problems of a file, with the numbers of their lines."""
    groups: dict[tuple[str, str], list[Problem | str]] = {}
    for problem in problems:
        key = (problem.file, problem.words) if isinstance(problem, Problem) else ("", problem)
        groups.setdefault(key, []).append(problem)
    lines = []
    for first, *others in groups.values():
        places = [str(problem.line) for problem in others if isinstance(problem, Problem)]
        more = ", ".join([*places[:LINES_SHOWN], *(["..."] if len(places) > LINES_SHOWN else [])])
        lines.append(f"{first} (and {len(others)} more lines: {more})" if others else str(first))
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m classifier.check_data", description="Check data before training.")
    command = parser.add_subparsers(required=True, metavar="check").add_parser(
        "check", help="list every problem, and report statistics of the data"
    )
    command.add_argument("file", type=_existing, nargs="+", metavar="FILE", help="a file, or a channel's folder")
    command.add_argument(
        "--validation",
        type=_existing,
        action="append",
        metavar="FILE",
        help="a file or folder of the channel validation",
    )
    command.add_argument(
        "--test", type=_existing, action="append", metavar="FILE", help="a file or folder of the channel test"
    )
    command.add_argument(
        "--header", choices=("auto", "true", "false"), default="auto", help="whether a table's first row is a header"
    )
    command.add_argument(
        "--delimiter", type=_delimiter, default=AUTO, metavar="NAME", help="what separates a table's columns"
    )
    command.add_argument(
        "--modality",
        choices=(modalities.AUTO, *MODALITY_NAMES),
        default=modalities.AUTO,
        help="whether the files are tables of text, or folders of images",
    )
    command.add_argument(
        "--model-id",
        default=DEFAULTS.model_id,
        metavar="ID",
        help="the encoder: a value of the hyperparameter model_id",
    )
    command.add_argument(
        "--model", type=_folder, metavar="FOLDER", help="the folder of the channel model, with the encoder's files"
    )
    command.add_argument("--max-sequence-length", type=_tokens, default=DEFAULTS.max_sequence_length, metavar="N")
    return parser


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"no such file or folder: {name}")
    return path


def _folder(name: str) -> Path:
    if not Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {name}; put an archive into a folder of its own")
    return Path(name)


def _modality(given: argparse.Namespace) -> Modality:
    """Return the modality of the training files; a file that is given by itself is a table.

    Raises:
        UserError: A folder holds both tables and images.
    """
    folders = [path for path in given.file if path.is_dir()]
    channels = {modalities.TRAINING[0]: folders[0]} if folders else {}
    return modalities.choose(given.modality, channels)[0]


def _sources(path: Path, result: ReadResult, modality: Modality) -> list[Source]:
    if path.is_dir():
        return modality.channel.find(path, shown(path), result)
    wrong = files.not_read(path) if modality.in_tables else "a file; give the folder that the labels' folders are in"
    if wrong:
        result.problem(shown(path), 0, wrong)
        return []
    return [Source(path, shown(path))]


def _repeats(given: Sequence[Path], read: Sequence[Source]) -> bool:
    """Return whether a file is given twice, by its own name or in a folder."""
    names = [path.resolve() for path in given]
    found = [source.path.resolve() for source in read]
    return len(set(names)) < len(names) or len(set(found)) < len(found)


def _tokens(text: str) -> int:
    kind = SCHEMA["max_sequence_length"].kind
    try:
        return int(kind.parse(text))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{kind.words} is needed") from None


def _delimiter(text: str) -> str:
    kind = SCHEMA["delimiter"].kind
    try:
        return str(kind.parse(text))
    except KeyError:
        raise argparse.ArgumentTypeError(f"{kind.words} is needed") from None


class _HeldBack(logging.Handler):
    """Keeps the log's lines, formatted for the console, until the problems are known."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage().removeprefix(PREFIX)
        self.lines.append(f"warning: {message}" if record.levelno == logging.WARNING else message)


if __name__ == "__main__":
    sys.exit(main())
