"""Opens files as tables: detects their formats, and errors of whole files."""

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
from classifier.tabular.sniffing import NAMED_OTHERWISE

KINDS = {CSV: ".csv", JSON_LINES: ".jsonl"}
SET_THE_FORMAT = "or set --format"
SET_JSON_LINES = f"JSON Lines; set --format {JSON_LINES}, or leave it out where the file's name ends in .jsonl"


class BrokenFileError(UserError):
    """A file that can't be predicted because of its content."""


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
        raise BrokenFileError(f"{wrong}, {SET_THE_FORMAT}")
    return Source(path, name, kind)


def read(source: Source, options: Options, added: Added) -> Table:
    """Determine a file's format and columns from its first rows.

    Args:
        source: The file.
        options: The user's options.
        added: The columns that the result adds.

    Raises:
        BrokenFileError: It is not a table, or its text column can't be determined.
    """
    with reading(source):
        found = ReadResult()
        if not files.is_text(source, found):
            words = found.problems[0].words
            raise UserError(SET_JSON_LINES if options.format and words == NAMED_OTHERWISE else words)
        if source.suffix in files.JSON_LINES:
            return json_table.read(source, options.text_column, added)
        return csv_table.read(source, options.text_column, options.dialect, added)


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """Turn errors of a whole file, while it is read, into a BrokenFileError.

    Raises:
        BrokenFileError: Its compression is broken, or it raises another UserError.
    """
    found = ReadResult()
    try:
        with files.reading(source, found):
            yield
    except UserError as error:
        raise BrokenFileError(error.problems) from None
    if found.problems:
        raise BrokenFileError([problem.words for problem in found.problems])
