"""Check data as training would: ``python -m classifier.check_data check FILE...``."""

import argparse
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from classifier import MODALITY_NAMES, artifact, environment, modalities
from classifier.backends import VARIABLES
from classifier.encoders import catalog, resolve
from classifier.environment import is_hidden, shown
from classifier.errors import UserError, at_most
from classifier.hyperparameters import AUTO_MODEL, SCHEMA, Hyperparameters
from classifier.modalities import Modality
from classifier.tabular import files, layouts
from classifier.tabular.channel import HIDDEN
from classifier.tabular.dialect import AUTO, Dialect
from classifier.tabular.files import Source
from classifier.tabular.rows import BadDataError, Problem, ReadResult
from classifier.training import data, reading, warm_start
from classifier.training.data import Data, Tables
from classifier.training.reading import Reader
from classifier.training.warm_start import Previous

GOOD, BAD = 0, 1
GROUPS_SHOWN = 20
LINES_SHOWN = 8
PREFIX = "event=data "
OF_THE_JOB = ("model_id", "max_sequence_length")  # arguments that are hyperparameters of the job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """What a job would make of the arguments.

    Attributes:
        channel: The folder with the ``model`` channel's files, unpacked; None without that channel.
        previous: The model of this image that the channel holds; None without one.
        hyperparameters: The job's hyperparameters.
    """

    channel: Path | None
    previous: Previous | None
    hyperparameters: Hyperparameters


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
    if given.suspects and not given.deep:
        parser.error("--suspects needs --deep, which searches for suspect labels")
    with tempfile.TemporaryDirectory() as scratch:
        problems = _problems(sources, found, modality, given, Path(scratch))
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
    scratch: Path,
) -> Sequence[Problem | str]:
    """Check files as a job would before training, and search them if that is asked for.

    Returns:
        The problems that would end the job.
    """
    try:
        tables = data.read_sources(sources, Dialect(given.header, given.delimiter), found, modality)
        job = _job(given, modality, scratch)
        rows = _prepared(tables, job)
        if given.deep:
            _search(rows, job, given.suspects, scratch)
    except BadDataError as error:
        return error.found
    except UserError as error:
        return error.problems
    return ()


def _job(given: argparse.Namespace, modality: Modality, scratch: Path) -> _Job:
    """Read the model channel and choose the hyperparameters as a job does.

    Raises:
        UserError: The channel holds a model that can't be trained further.
    """
    channel = resolve.opened(given.model, scratch / "channel") if given.model else None
    previous = warm_start.read(channel, modality) if channel else None
    defaults = previous.defaults if previous else catalog.defaults_of(modality, brought=channel is not None)
    asked = {name: value for name in OF_THE_JOB if (value := getattr(given, name)) is not None}
    return _Job(channel, previous, Hyperparameters.from_values({**asked, "modality": modality.name}, defaults))


def _prepared(tables: Tables, job: _Job) -> Data:
    """Return the rows of a job that gets so far, and log what it would log of them.

    Raises:
        UserError: The job would end before training.
    """
    hyperparameters, previous = job.hyperparameters, job.previous
    is_array = tables.modality.is_array
    reader = None if is_array else reading.of_job(job.channel, previous, hyperparameters.model_id)
    kept = warm_start.kept_labels(previous, hyperparameters.reinitialize_top_layer)
    rows = data.prepare(
        warm_start.read_as_before(previous, tables),
        data.labels_of(tables, kept),
        hyperparameters.validation_split_ratio,
        hyperparameters.seed,
        max_sequence_length=None if isinstance(reader, Reader) else hyperparameters.max_sequence_length,
    )
    data.check_validation(len(rows.validation.records), hyperparameters)
    if reader is not None:
        reading.check(tables, reader, hyperparameters.max_sequence_length, hyperparameters.long_texts)
    warm_start.report_labels(kept, rows)
    warm_start.warn_of_known_rows(previous, rows)
    return rows


def _search(rows: Data, job: _Job, file: Path | None, scratch: Path) -> None:
    """Search the training and validation rows for suspect labels, and log and write them.

    Suspects are no problems: whether a label is wrong is for a person to decide.

    Raises:
        UserError: The encoder can't be loaded.
    """
    environment.set_defaults({**VARIABLES, "TF_CPP_MIN_LOG_LEVEL": "2", "TF_USE_LEGACY_KERAS": "1"})
    from classifier.training import label_check  # noqa: PLC0415  imports TensorFlow, which takes seconds

    hyperparameters = job.hyperparameters
    if hyperparameters.model_id == AUTO_MODEL:  # the candidates with an encoder know most of the texts
        hyperparameters = replace(hyperparameters, model_id=rows.modality.default_model_id)
    suspects = label_check.in_files(rows, hyperparameters, job.channel, job.previous, scratch)
    if suspects is None:
        return
    table = suspects.table(rows.training, rows.validation, rows.labels)
    lines = [
        f"{place}: label {label}, which may be {suggested} (score {score:.2f})"
        for place, label, suggested, score in table.itertuples(index=False)
    ]
    for line in at_most(lines, GROUPS_SHOWN):
        log.info("%s", line)
    if file:
        artifact.write_whole(file, table.to_csv(index=False))


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
    command.add_argument("--model-id", metavar="ID", help="the encoder: a value of the hyperparameter model_id")
    command.add_argument(
        "--model", type=_folder, metavar="FOLDER", help="the folder of the channel model, with the encoder's files"
    )
    command.add_argument(
        "--deep",
        action="store_true",
        help="also search for labels that are probably wrong; it runs the encoder, which takes as long as a job with "
        "train_only_top_layer",
    )
    command.add_argument(
        "--suspects", type=_new_file, metavar="FILE", help="with --deep: where to write all of them, as CSV"
    )
    command.add_argument("--max-sequence-length", type=_tokens, metavar="N")
    return parser


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"no such file or folder: {name}")
    return path


def _new_file(name: str) -> Path:
    path = Path(name)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"not a file in a folder that exists: {name}")
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
    wrong = HIDDEN if is_hidden(PurePath(path.name)) else wrong
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
