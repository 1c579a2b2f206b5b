"""CSV tables with any columns, one of which is the text; the dialect is the same as for training data."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TextIO

from classifier.batch import rows_in_texts, text_column
from classifier.batch.lines import Lines, TooLongError
from classifier.batch.records import NO_TEXT, NOT_UTF_8, TOO_LONG, Added, Answer, Record, Reject, Row
from classifier.batch.rows_in_texts import RowsInTexts
from classifier.batch.text_column import SAMPLE_ROWS
from classifier.errors import UserError
from classifier.explanation import Word
from classifier.tabular import csv_rows, delimiters
from classifier.tabular.delimiters import COMMA, Delimiter
from classifier.tabular.dialect import AUTO, Dialect
from classifier.tabular.files import LENIENT, MARK, Source, is_marked, open_text
from classifier.tabular.values import are_again, is_rule, plain

QUOTES = "a quote is not closed or not doubled; write the text in quotes and each quote in it twice"
ROWS_IN_A_TEXT = (
    "lines of this text look like rows; close the quote before them, or double it if it is the text's; if they are "
    "text after all, begin each with a space"
)
# If each line is one text, whatever it holds, quotes around all of it are taken off.
QUOTED = re.compile(r'\s*"((?:[^"]++|"")*+)"\s*')
QUOTED_AND_MORE = re.compile(r'"(?:[^"]|"")*"[,;|\t](?!\s)')
MORE = "something follows the quoted text; each line is read as one text: set --delimiter if there are columns"
ACROSS_LINES = (
    "a quote that opens in one line closes in another, and each line is read as one text; if a text has several lines, "
    "set --delimiter comma"
)
GUESS = "is read as separated by {0}s, with {1} columns in most rows, a guess from its rows; set --delimiter to be sure"
A_RULE = "a line of dashes below the header, as sqlcmd and Markdown write it"
HEADER_AGAIN = "the header is repeated; remove this line"
IN_ANOTHER_ORDER = "the header is repeated in another order; move this line and those below it to a file of their own"
BELOW_ANOTHER_ORDER = "below the header of line {0}, whose columns are in another order; move it to a file of its own"


class _Fields(NamedTuple):
    line: int
    size: int
    values: list[str]  # none of a blank line

    @property
    def is_filled(self) -> bool:
        """Whether it is more than a single empty text."""
        return len(self.values) > 1 or any(value.strip() for value in self.values)


@dataclass(frozen=True)
class CsvTable:
    """A table whose columns are known.

    Attributes:
        delimiter: Its delimiter.
        marked: Whether it begins with a byte order mark, as its result then does too.
        header: Its header; empty if it has none.
        text: The index of the text's column, from 0.
        count: How many columns every row must have.
        added: The columns that the result adds.
        rows_in_texts: What its rows look like, where an unclosed quote made them part of a text.
        doubts: Warnings about how the table is read.
    """

    delimiter: Delimiter
    marked: bool
    header: Sequence[str]
    text: int
    count: int
    added: Added
    rows_in_texts: RowsInTexts
    doubts: Sequence[str] = ()

    @property
    def start(self) -> str:
        """The byte order mark, the line that names the delimiter, and the header, as far as the table has them."""
        declaration = f"sep={self.delimiter.character}\n" if self.delimiter.declared else ""
        names = _written([[*self.header, *self.added.names]], self.delimiter) if self.header else ""
        return (MARK if self.marked else "") + declaration + names

    def records(self, file: TextIO) -> Iterator[Record]:
        """Yield the rows and the rejects."""
        found = _without_blank_lines(_read(file, self.delimiter, self._has_rows_in_it), are_texts=self.count == 1)
        if not self.header:
            yield from (row if isinstance(row, Reject) else self._judged(row) for row in found)
            return
        for first in found:  # skip the first well-formed row
            if isinstance(first, _Fields) and first.is_filled:
                break
            yield first if isinstance(first, Reject) else Reject(first.line, NO_TEXT)
        yield from self._below_header(found)

    def lines(self, answers: Iterable[Answer]) -> str:
        """Return rows of the result."""
        rows = (
            [*row.content, label, *(f"{number:.8f}" for number in numbers), *_listed(words)]
            for row, label, numbers, words in answers
        )
        return _written(rows, self.delimiter)

    def __str__(self) -> str:
        is_data = text_column.READ_AS_HEADER in self.doubts  # perhaps, and then a part of it is not shown
        name = "" if is_data or not self.header else f" name={self.header[self.text]!r}"
        header = f"header={'yes' if self.header else 'no'}{name}"
        return (
            f"delimiter={self.delimiter.name.replace(' ', '_')} columns={self.count} {header} "
            f"text_column={self.text + 1}"
        )

    def _has_rows_in_it(self, values: Sequence[str]) -> bool:
        return values != self.header and self.rows_in_texts.are_in(values)

    def _below_header(self, found: Iterable[_Fields | Reject]) -> Iterator[Record]:
        names = list(map(plain, self.header))
        other_order = 0  # the line of a header in another order
        for number, row in enumerate(found):
            if isinstance(row, Reject):
                yield row
            elif number == 0 and is_rule(row.values):
                yield Reject(row.line, A_RULE)
            elif are_again(row.values, names):
                other_order = row.line if list(map(plain, row.values)) != names else 0
                yield Reject(row.line, IN_ANOTHER_ORDER if other_order else HEADER_AGAIN)
            else:
                yield Reject(row.line, BELOW_ANOTHER_ORDER.format(other_order)) if other_order else self._judged(row)

    def _judged(self, row: _Fields) -> Record:
        if len(row.values) != self.count:
            wrong = f"{len(row.values)} column{'' if len(row.values) == 1 else 's'} where there should be {self.count}"
            return Reject(row.line, f"{wrong}; put a text that has {self.delimiter.name}s in quotes")
        text = row.values[self.text]
        return Row(row.line, row.size, text, row.values) if text.strip() else Reject(row.line, NO_TEXT)


def read(source: Source, wanted: str, dialect: Dialect, added: Added) -> CsvTable:
    """Determine a table's columns from its first rows.

    Args:
        source: The file.
        wanted: The text's column, by name or number; empty to detect it.
        dialect: What the user states about the table's format.
        added: The columns that the result adds.

    Raises:
        UserError: The table has no rows, its text column or header can't be determined, or it already has a column of
            the result.
    """
    delimiter = delimiters.find_any(source, dialect)
    with open_text(source, LENIENT) as file:
        found = (row.values for row in _read(file, delimiter) if isinstance(row, _Fields) and row.is_filled)
        sample = list(islice(found, SAMPLE_ROWS))
    if not sample:
        raise UserError(f"has no row that can be read; {_first_reason(source, delimiter)}")
    first, *others = sample
    below = list(_below(first, others))
    headed = dialect.header == "true" or (dialect.header == AUTO and text_column.has_header(first, below, wanted))
    count = len(first) if headed else Counter(map(len, sample)).most_common(1)[0][0]
    rows = [row for row in (below if headed else sample) if len(row) == count]
    if below and not rows:
        raise UserError(_unlike_header(count, below, delimiter.name))
    names = first if headed else [""] * count
    repeated = [name for name in added.names if name in names]
    if repeated:
        raise UserError(f"there is already a column {repeated[0]}; remove or rename it")
    if not (headed or wanted) and delimiter.in_prose:
        text_column.refuse_prose(rows, count, delimiter.name)
    text = text_column.find(names, rows, wanted, numbered=True)
    doubts = [] if wanted else text_column.longer(names, rows, text, "column")
    if dialect.header == AUTO:
        doubts += (
            text_column.doubt_header(first, rows, text, wanted) if headed else text_column.refuse_header(rows, text)
        )
    if not headed and delimiter.guessed:
        doubts.append(GUESS.format(delimiter.name, count))
    if not delimiter.character and _are_quoted_across_lines([row[0] for row in rows]):
        doubts.append(ACROSS_LINES)
    like = rows_in_texts.of(rows, text, delimiter.character)
    return CsvTable(delimiter, is_marked(source), first if headed else (), text, count, added, like, doubts)


def _below(first: Sequence[str], others: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Yield the rows below a header, without its repetitions, up to one in another order."""
    names = list(map(plain, first))
    for row in others:
        if not are_again(row, names):
            yield row
        elif list(map(plain, row)) != names:
            return


def _unlike_header(count: int, others: Sequence[Sequence[str]], noun: str) -> str:
    """Say that no row has as many columns as the header, and what to do."""
    most = Counter(map(len, others)).most_common(1)[0][0]
    surplus = [field for row in others if len(row) == most for field in row[count:]]
    if most > count and not any(field.strip() for field in surplus):
        ends = f"a {noun}" if most == count + 1 else f"{most - count} {noun}s"
        cure = f"most lines end in {ends}: take that off, or name every column in the header"
    else:
        cure = f"write as many in both, and put a text that has {noun}s in quotes"
        cure += "; or set --delimiter none if each line is a text" if count == 1 else ""
    columns = f"{count} column{'' if count == 1 else 's'}"
    return f"the header has {columns}, and no row of the first {len(others)} has as many; {cure}"


def _listed(words: Sequence[Word] | None) -> list[str]:
    """Return the field of the words that made a label; nothing if they are not requested."""
    return [] if words is None else [json.dumps([vars(word) for word in words], ensure_ascii=False)]


def _first_reason(source: Source, delimiter: Delimiter) -> str:
    """Say why the first row of a file of rejects can't be read, or that there is none."""
    with open_text(source, LENIENT) as file:
        reasons = (row.reason for row in _read(file, delimiter) if isinstance(row, Reject))
        return next(reasons, "write one row per line")


def _read(
    file: TextIO, delimiter: Delimiter, has_rows_in_it: Callable[[Sequence[str]], bool] = lambda _: False
) -> Iterator[_Fields | Reject]:
    """Return an iterator over a file's rows and rejects, whatever their columns.

    Args:
        file: The file.
        delimiter: Its delimiter.
        has_rows_in_it: Returns whether an unclosed quote made other rows part of a row of several lines.
    """
    lines = Lines(file)
    if delimiter.declared:
        next(lines)
    return _rows(lines, delimiter.character, has_rows_in_it) if delimiter.character else _texts(lines)


def _rows(lines: Lines, delimiter: str, has_rows_in_it: Callable[[Sequence[str]], bool]) -> Iterator[_Fields | Reject]:
    """Yield rows; a malformed row is rejected by its first line, and the next row begins after it."""
    fields_of = csv_rows.reader(lines, delimiter)
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
            if lines.count > 1 and has_rows_in_it(values):
                yield _broken(lines, ROWS_IN_A_TEXT)
                continue
            is_blank = len(values) <= 1 and not lines.first.strip()
            fields = _Fields(lines.number, lines.size, [] if is_blank else values)
            yield fields if lines.is_utf_8 else Reject(lines.number, NOT_UTF_8)


def _texts(lines: Lines) -> Iterator[_Fields | Reject]:
    """Yield each line as a row of one text."""
    while True:
        lines.begin_row()
        try:
            next(lines)
        except StopIteration:
            return
        except TooLongError:
            yield Reject(lines.number, TOO_LONG)
        else:
            yield _text(lines) if lines.is_utf_8 else Reject(lines.number, NOT_UTF_8)


def _text(lines: Lines) -> _Fields | Reject:
    """Return a line as a row of one text, without quotes that are around all of it."""
    line = lines.first
    quoted = QUOTED.fullmatch(line)
    if not quoted and QUOTED_AND_MORE.match(line):
        return Reject(lines.number, MORE)
    text = quoted[1].replace('""', '"') if quoted else line
    return _Fields(lines.number, lines.size, [text] if line.strip() else [])


def _are_quoted_across_lines(texts: Sequence[str]) -> bool:
    """Return whether a line opens a quote that it doesn't close, and one below it ends in such a quote."""
    odd = [text.strip() for text in texts if text.count('"') % 2]
    opened = next((number for number, text in enumerate(odd) if text.startswith('"')), len(odd))
    return any(text.endswith('"') for text in odd[opened + 1 :])


def _without_blank_lines(rows: Iterable[_Fields | Reject], *, are_texts: bool) -> Iterator[_Fields | Reject]:
    """Leave blank lines out; those between texts, if each line is one, are rejects: the result has fewer lines."""
    first = 0
    for row in rows:
        if isinstance(row, _Fields) and not row.values:
            first = first or row.line
            continue
        if first and are_texts:
            yield from (Reject(line, NO_TEXT) for line in range(first, row.line))
        first = 0
        yield row


def _broken(lines: Lines, reason: str = QUOTES) -> Reject:
    """Reject the first line of a row with malformed quotes; if reading can't turn back, also say how much is lost."""
    lines.turn_back()
    if not lines.is_utf_8:
        return Reject(lines.number, NOT_UTF_8)
    return Reject(lines.number, reason if lines.count == 1 else f"{reason}; {lines.count} lines are lost")


def _written(rows: Iterable[Sequence[object]], delimiter: Delimiter) -> str:
    file = io.StringIO(newline="")
    csv_rows.writer(file, delimiter.character or COMMA).writerows(rows)
    return file.getvalue()
