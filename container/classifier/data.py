"""Say of files what training would: `python -m classifier.data check FILE...`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.modalities import files
from classifier.modalities.files import Source
from classifier.modalities.rows import BadDataError, Harvest
from classifier.training import data

log = logging.getLogger(__name__)

GOOD, BAD = 0, 1
PREFIX = "event=data "
DEFAULTS = Hyperparameters.parse({})


def main(arguments: Sequence[str] | None = None) -> int:
    """Check files.

    Returns:
        0 where they can be trained on, 1 where they can't; wrong usage ends the program with 2.
    """
    given = _parser().parse_args(arguments)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Plain())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    named = {"training": given.file, "validation": given.validation, "test": given.test}
    found = {role: Harvest() for role, paths in named.items() if paths}
    sources = {
        role: [source for path in named[role] for source in _sources(path, harvest)] for role, harvest in found.items()
    }
    try:
        tables = data.read_sources(sources, given.header, found)
        labels = data.labels_of(tables)
        data.prepare(
            tables,
            labels,
            DEFAULTS.validation_split_ratio,
            DEFAULTS.seed,
            max_sequence_length=given.max_sequence_length,
        )
    except BadDataError as error:
        log.error("%s", "\n".join(error.found))  # noqa: TRY400  the user's mistake has no traceback
        log.error("problems: %d", len(error.found))  # noqa: TRY400
        return BAD
    except UserError as error:
        log.error("%s\nproblems: %d", error, len(error.problems))  # noqa: TRY400
        return BAD
    log.info("problems: 0")
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m classifier.data", description="Look at data before training.")
    command = parser.add_subparsers(required=True, metavar="check").add_parser(
        "check", help="name every problem, and report what the data are like"
    )
    command.add_argument("file", type=_existing, nargs="+", metavar="FILE", help="a file, or a channel's folder")
    command.add_argument(
        "--validation", type=_existing, action="append", metavar="FILE", help="what would be the channel validation"
    )
    command.add_argument(
        "--test", type=_existing, action="append", metavar="FILE", help="what would be the channel test"
    )
    command.add_argument(
        "--header", choices=("auto", "true", "false"), default="auto", help="whether a table's first row is a header"
    )
    command.add_argument("--max-sequence-length", type=int, default=DEFAULTS.max_sequence_length, metavar="N")
    return parser


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"no such file or folder: {name}")
    return path


def _sources(path: Path, harvest: Harvest) -> list[Source]:
    return files.find(path, str(path), harvest) if path.is_dir() else [Source(path, str(path))]


class _Plain(logging.Formatter):
    """The log's lines as a person reads them."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().removeprefix(PREFIX)
        return f"warning: {message}" if record.levelno == logging.WARNING else message


if __name__ == "__main__":
    sys.exit(main())
