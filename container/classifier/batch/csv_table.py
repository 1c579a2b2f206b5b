"""Tables in CSV with columns of any kind, one of which is the text; the dialect is that of training's data."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TextIO

from classifier.batch import text_column
from classifier.batch.lines import Lines, TooLongError
from classifier.batch.records import NO_TEXT, NOT_UTF_8, TOO_LONG, Added, Answer, Record, Reject, Row
from classifier.batch.text_column import SAMPLE_ROWS
from classifier.errors import UserError
from classifier.tabular import csv_rows, delimiters
from classifier.tabular.delimiters import NAMES, Delimiter
from classifier.tabular.files import LENIENT, MARK, Source, is_marked, open_text

QUOTES = "a quote is not closed or not doubled; write the text in quotes and each quote in it twice"
HEADER_AGAIN = "the header again; take this line out"


class _Fields(NamedTuple):
    line: int
    size: int
    values: list[str]


@dataclass(frozen=True)
class CsvTable:
    """A table whose columns are known.

    Attributes:
        delimiter: What separates its columns.
        marked: Whether it begins with a byte order mark, and its result does too.
        header: Its header; empty where it has none.
        text: The text's column, from 0.
        count: How many columns every row must have.
        added: The result's other columns.
    """

    delimiter: Delimiter
    marked: bool
    header: Sequence[str]
    text: int
    count: int
    added: Added

    @property
    def start(self) -> str:
        """The byte order mark, the line that names the delimiter, and the header, as far as the table has them."""
        declaration = f"sep={self.delimiter.character}\n" if self.delimiter.declared else ""
        names = _written([[*self.header, *self.added.names]], self.delimiter) if self.header else ""
        return (MARK if self.marked else "") + declaration + names

    def records(self, file: TextIO) -> Iterator[Record]:
        """Yield the rows, and what is wrong with others."""
        found = _read(file, self.delimiter)
        if self.header:  # the first row that is whole
            for first in found:
                if isinstance(first, _Fields):
                    break
                yield first
        for row in found:
            yield row if isinstance(row, Reject) else self._judged(row)

    def lines(self, answers: Iterable[Answer]) -> str:
        """Return rows of the result."""
        rows = ([*row.content, label, *(f"{number:.8f}" for number in numbers)] for row, label, numbers in answers)
        return _written(rows, self.delimiter)

    def __str__(self) -> str:
        header = f"header=yes name={self.header[self.text]!r}" if self.header else "header=no"
        return (
            f"delimiter={NAMES[self.delimiter.character].replace(' ', '_')} columns={self.count} {header} "
            f"text_column={self.text + 1}"
        )

    def _judged(self, row: _Fields) -> Record:
        if len(row.values) != self.count:
            wrong = f"{len(row.values)} column{'' if len(row.values) == 1 else 's'} where there should be {self.count}"
            return Reject(row.line, f"{wrong}; put a text that has {NAMES[self.delimiter.character]}s in quotes")
        if row.values == self.header:
            return Reject(row.line, HEADER_AGAIN)
        text = row.values[self.text]
        return Row(row.line, row.size, text, row.values) if text.strip() else Reject(row.line, NO_TEXT)


def read(source: Source, wanted: str, header: str, added: Added) -> CsvTable:
    """Look at a table's first rows.

    Args:
        source: The file.
        wanted: The text's column, by name or number; empty where it is to be found.
        header: Whether the first row is a header: ``true``, ``false``, or ``auto``.
        added: The result's other columns.

    Raises:
        UserError: It holds no rows, or it can't be told which column is the text, or its result's columns are there.
    """
    delimiter = delimiters.find_any(source)
    with open_text(source, LENIENT) as file:
        found = (row.values for row in _read(file, delimiter) if isinstance(row, _Fields))
        sample = list(islice(found, SAMPLE_ROWS))
    if not sample:
        raise UserError("holds no row that can be read; write a row a line")
    first, *others = sample
    headed = header == "true" or (header == "auto" and text_column.has_header(first, others, wanted))
    count = len(first) if headed else Counter(map(len, sample)).most_common(1)[0][0]
    rows = [row for row in (others if headed else sample) if len(row) == count]
    if others and not rows:
        raise UserError(f"the header has {count} columns, and no row of the first {len(others)} has as many")
    names = first if headed else [""] * count
    repeated = [name for name in added.names if name in names]
    if repeated:
        raise UserError(f"there is a column {repeated[0]} already; take it out, or call it otherwise")
    text = text_column.find(names, rows, wanted, numbered=True)
    return CsvTable(delimiter, is_marked(source), first if headed else (), text, count, added)


def _read(file: TextIO, delimiter: Delimiter) -> Iterator[_Fields | Reject]:
    """Yield rows, whatever their columns; one that can't be read is its first line, and the next begins after that."""
    lines = Lines(file)
    if delimiter.declared:
        next(lines)
    fields_of = csv_rows.reader(lines, delimiter.character)
    while True:
        lines.begin_row()
        try:
            values = next(fields_of)
        except StopIteration:
            return
        except TooLongError:
            yield Reject(lines.number, TOO_LONG) if lines.count == 1 else _broken(lines)
        except csv.Error:
            yield _broken(lines)
        else:
            if len(values) > 1 or (values and values[0].strip()):
                yield _Fields(lines.number, lines.size, values) if lines.is_utf_8 else Reject(lines.number, NOT_UTF_8)


def _broken(lines: Lines) -> Reject:
    """Take the first line of a row with a wrong quote for all of it; where that is not to be done, say what is lost."""
    lines.turn_back()
    if not lines.is_utf_8:
        return Reject(lines.number, NOT_UTF_8)
    return Reject(lines.number, QUOTES if lines.count == 1 else f"{QUOTES}; {lines.count} lines are lost by it")


def _written(rows: Iterable[Sequence[object]], delimiter: Delimiter) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter.character, lineterminator="\n").writerows(rows)
    return file.getvalue()
