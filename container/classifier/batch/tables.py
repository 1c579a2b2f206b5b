"""Files as tables: which kind each is, and what can be wrong with a whole file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from classifier.batch import csv_table, json_table
from classifier.batch.options import CSV, JSON_LINES, Options
from classifier.batch.records import Added, Table
from classifier.errors import UserError
from classifier.tabular import files
from classifier.tabular.files import Source
from classifier.tabular.rows import ReadResult

KINDS = {CSV: ".csv", JSON_LINES: ".jsonl"}
SAY_THE_FORMAT = "or say --format"


class BrokenFileError(UserError):
    """A file of which nothing is predicted, because of what is in it."""


def source(path: Path, name: str, options: Options) -> Source:
    """Return a file as a source of rows.

    Args:
        path: Where it lies.
        name: What messages call it.
        options: What the user says of it.

    Raises:
        BrokenFileError: It is of a kind that is not read.
    """
    kind = KINDS.get(options.format, "")
    wrong = "" if kind else files.not_read(path)
    if wrong:
        raise BrokenFileError(f"{wrong}, {SAY_THE_FORMAT}")
    return Source(path, name, kind)


def read(source: Source, options: Options, added: Added) -> Table:
    """Look at what a file begins with.

    Args:
        source: The file.
        options: What the user says of it.
        added: The result's other columns.

    Raises:
        BrokenFileError: It is no table, or it can't be told where its texts are.
    """
    with reading(source):
        found = ReadResult()
        if not files.is_text(source, found):
            raise UserError(found.problems[0].words)
        if source.suffix in files.JSON_LINES:
            return json_table.read(source, options.text_column, added)
        return csv_table.read(source, options.text_column, options.dialect, added)


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """Turn what may be wrong with a whole file, while it is read, into an error.

    Raises:
        BrokenFileError: Its compression is broken, or there is another user's mistake in it.
    """
    found = ReadResult()
    try:
        with files.reading(source, found):
            yield
    except UserError as error:
        raise BrokenFileError(error.problems) from None
    if found.problems:
        raise BrokenFileError([problem.words for problem in found.problems])
