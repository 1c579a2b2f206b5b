"""Rows of tables of text: columns separated by commas, semicolons, tabs or bars, quoted as RFC 4180 says."""

import csv
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TextIO

from classifier.tabular import delimiters
from classifier.tabular.dialect import Dialect
from classifier.tabular.files import MARK, Source, open_text, reading
from classifier.tabular.row_parser import RowParser
from classifier.tabular.rows import ReadResult

if TYPE_CHECKING:
    from _csv import Reader as CsvReader
    from _csv import Writer as CsvWriter


def read(source: Source, dialect: Dialect, result: ReadResult) -> None:
    """Add a table's rows, and everything that is wrong with it.

    Args:
        source: The file.
        dialect: What the user says of it.
        result: What is added to.
    """
    with reading(source, result), open_text(source) as file:
        delimiter = delimiters.find(source, dialect)
        if delimiter.declared:
            next(file)
        _note(source, delimiter, result)
        lines = _Lines(file)
        parser = RowParser(source.name, delimiter, result)
        try:
            _fill(parser, _records(lines, parser, 2 if delimiter.declared else 1), dialect.header)
        finally:
            parser.finish()


def reader(lines: Iterable[str], delimiter: str) -> "CsvReader":
    """Return a strict CSV reader of lines."""
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)


def writer(file: TextIO, delimiter: str = delimiters.COMMA) -> "CsvWriter":
    """Return a CSV writer of rows that end in a line feed, and are read back as they were written.

    Before Python 3.13, a carriage return in a field is quoted only where rows end in one, too.
    """
    return csv.writer(_EndingInLineFeeds(file), delimiter=delimiter, lineterminator=_RETURN_AND_LINE_FEED)


_RETURN_AND_LINE_FEED = "\r\n"


@dataclass(frozen=True)
class _EndingInLineFeeds:
    """A file that writes rows with another end."""

    file: TextIO

    def write(self, row: str) -> int:
        return self.file.write(row.removesuffix(_RETURN_AND_LINE_FEED) + "\n")


@dataclass
class _Lines:
    """The lines of a file, the last of which is known."""

    file: Iterator[str]
    last: str = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        # Files that were joined have a byte order mark where each began.
        self.last = next(self.file).removeprefix(MARK)
        return self.last


class _Record(NamedTuple):
    """A row: its first line, its fields, and how its last line is written."""

    line: int
    fields: list[str]
    raw: str


def _note(source: Source, delimiter: delimiters.Delimiter, result: ReadResult) -> None:
    name = f"{delimiter.name}s"
    if delimiter.declared:
        result.note(source.name, f"is separated by {name}, as its first line says, which is not a row")
    elif delimiter.character != delimiters.usual(source) and not delimiter.guessed:
        result.note(source.name, f"is separated by {name}")


def _fill(parser: RowParser, records: Iterator[_Record], header: str) -> None:
    filled = (record for record in records if parser.is_filled(record.fields))
    first = next(filled, None)
    if first is None or not parser.begin(*first, header):
        return
    for record in filled:
        parser.add(*record)


def _records(lines: _Lines, parser: RowParser, line: int) -> Iterator[_Record]:
    while line:
        line = yield from _until_broken(lines, parser, line)


def _until_broken(lines: _Lines, parser: RowParser, first: int) -> Generator[_Record, None, int]:
    """Yield rows up to a malformed one; return the number of the line after it, or 0 at the end of the file."""
    fields_of = reader(lines, parser.delimiter)
    line = first
    try:
        for fields in fields_of:
            yield _Record(line, fields, lines.last)
            line = first + fields_of.line_num
    except csv.Error as error:
        parser.wrong_quotes(line, error)
        return first + fields_of.line_num
    return 0
