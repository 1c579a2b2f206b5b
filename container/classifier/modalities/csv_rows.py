"""Rows of tables of text: columns separated by commas, semicolons or tabs, quoted as RFC 4180 says."""

import csv
import io
import sys
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import TextIO

from classifier.modalities.columns import HEADERLESS, AmbiguousError, Columns, recognise
from classifier.modalities.files import Source, open_text, reading
from classifier.modalities.rows import Harvest, Row, as_label, label_problem

NAMES_OF_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
SHOWN_DELIMITERS = {",": ",", ";": ";", "\t": "<tab>"}
SAMPLE_CHARACTERS = 65_536
SAMPLE_ROWS = 20


def read(source: Source, header: str, harvest: Harvest) -> None:
    """Add a table's rows, and everything that is wrong with it.

    Args:
        source: The file.
        header: ``true``: the first row is a header; ``false``: it is data; ``auto``: it is a header where it names
            the columns of label and text.
        harvest: What is added to.
    """
    csv.field_size_limit(sys.maxsize)
    with reading(source, harvest), open_text(source) as file:
        delimiter = _delimiter(source, header)
        if delimiter != _usual(source):
            harvest.note(source.name, f"is separated by {NAMES_OF_DELIMITERS[delimiter]}s")
        sheet = _Sheet(source.name, delimiter, harvest)
        records = ((line, fields) for line, fields in _records(file, sheet) if fields)
        for line, fields in records:
            if not sheet.begin(line, fields, header):
                return
            break
        for line, fields in records:
            sheet.add(line, fields)


class _Sheet:
    """One table: where its columns are, and how its rows are judged."""

    def __init__(self, name: str, delimiter: str, harvest: Harvest) -> None:
        self.name = name
        self.delimiter = delimiter
        self.harvest = harvest
        self._columns = HEADERLESS
        self._header: Sequence[str] | None = None
        self._header_line = 0
        self._doubtful = False

    def begin(self, line: int, fields: Sequence[str], header: str) -> bool:
        """Take the first row, header or not; return whether the columns are known."""
        try:
            columns = recognise(fields) if header != "false" else None
        except AmbiguousError as error:
            self.harvest.problem(self.name, line, f"the header: {error}")
            return False
        if columns is None and header == "true":
            if len(fields) != HEADERLESS.count:
                self.harvest.problem(
                    self.name, line, f"a header of {_columns(len(fields))}; call those to read label and text"
                )
                return False
            columns = HEADERLESS
        if columns is None:
            self.add(line, fields, first=header == "auto")
            return True
        self._columns, self._header, self._header_line = columns, fields, line
        self._doubtful = header == "auto" and columns.count == HEADERLESS.count
        more = f"; {_columns(columns.count - 2)} not read" if columns.count > 2 else ""
        self.harvest.note(
            f"{self.name}:{line}",
            f"is a header: label in column {columns.label + 1}, text in column {columns.text + 1}{more}",
        )
        return True

    def add(self, line: int, fields: Sequence[str], *, first: bool = False) -> None:
        """Take a row of data."""
        if self._header is not None and self._is_like_the_header(line, fields):
            return
        if len(fields) != self._columns.count:
            naming = "; or name the columns to read in a header: label, text" if first and len(fields) > 2 else ""
            self.harvest.problem(self.name, line, self._wrong_count(len(fields)) + naming)
            return
        label, text = fields[self._columns.label].strip(), fields[self._columns.text]
        wrong = label_problem(label)
        if wrong:
            self.harvest.problem(self.name, line, wrong)
            return
        self.harvest.rows.append(Row(self.name, line, as_label(label), text, first))

    def _is_like_the_header(self, line: int, fields: Sequence[str]) -> bool:
        """Refuse a header that comes again, and a first row that may be data after all."""
        if list(fields) == list(self._header or ()):
            self.harvest.problem(self.name, line, f"the header of line {self._header_line} again; take this line out")
            return True
        if self._doubtful and self._header is not None and fields[0] == self._header[0]:
            self._doubtful = False
            self.harvest.problem(
                self.name,
                self._header_line,
                f"a header by its words, but line {line} begins alike; set header to true, or to false if it is data",
            )
        return False

    def wrong_quotes(self, line: int, error: csv.Error) -> None:
        """Take a row that is no CSV."""
        example = f'1{SHOWN_DELIMITERS[self.delimiter]}"say ""hello"""'
        self.harvest.problem(
            self.name,
            line,
            f"a quote is not closed or not doubled ({error}); "
            f"write the text in quotes and each quote in it twice: {example}",
        )

    def _wrong_count(self, count: int) -> str:
        shown, noun = SHOWN_DELIMITERS[self.delimiter], NAMES_OF_DELIMITERS[self.delimiter]
        if count == 1:
            return f"1 column; a row is a label, a {noun}, and a text"
        where = f" where the header has {self._columns.count}" if self._header is not None else ""
        space = "" if self.delimiter == "\t" else " "
        return f'{count} columns{where}; put a text that has {noun}s in quotes: 1{shown}"one{shown}{space}two"'


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"


def _records(file: TextIO, sheet: _Sheet) -> Iterator[tuple[int, list[str]]]:
    line = 1
    while line:
        line = yield from _until_broken(file, sheet, line)


def _until_broken(file: TextIO, sheet: _Sheet, first: int) -> Generator[tuple[int, list[str]], None, int]:
    """Yield rows up to one that is no CSV; return the number of the line after it, 0 at the file's end."""
    reader = csv.reader(file, delimiter=sheet.delimiter, strict=True, skipinitialspace=True)
    line = first
    try:
        for fields in reader:
            yield line, fields
            line = first + reader.line_num
    except csv.Error as error:
        sheet.wrong_quotes(line, error)
        return first + reader.line_num
    return 0


def _usual(source: Source) -> str:
    return "\t" if source.suffix == ".tsv" else ","


def _delimiter(source: Source, header: str) -> str:
    """Return the usual delimiter, or another if the first rows can't be read by that one and can by the other."""
    usual = _usual(source)
    with open_text(source) as file:
        sample = file.read(SAMPLE_CHARACTERS)
    rows = _parsed(sample, usual)
    if _share_that_fits(rows, header) == 1 and not all("\t" in fields[0] for fields in rows):
        return usual
    unseparated = all(len(fields) == 1 for fields in rows)
    for other in NAMES_OF_DELIMITERS:
        fits = _share_that_fits(_parsed(sample, other), header, usual) if other != usual else 0.0
        if fits == 1 or (unseparated and fits > 0.5):
            return other
    return usual


def _parsed(sample: str, delimiter: str) -> list[list[str]]:
    """Return the sample's first rows, without one that may be cut off."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows = list(islice((fields for fields in reader if fields), SAMPLE_ROWS))
    return rows[:-1] if len(sample) == SAMPLE_CHARACTERS and len(rows) < SAMPLE_ROWS else rows


def _share_that_fits(rows: Sequence[Sequence[str]], header: str, not_in_label: str | None = None) -> float:
    """Return the share of rows with as many columns as there should be, and none of these characters in the label."""
    if not rows:
        return 0.0
    columns = _columns_of(rows[0], header)
    good = [
        len(fields) == columns.count and not (not_in_label and not_in_label in fields[columns.label]) for fields in rows
    ]
    return sum(good) / len(good)


def _columns_of(fields: Sequence[str], header: str) -> Columns:
    try:
        return (recognise(fields) if header != "false" else None) or HEADERLESS
    except AmbiguousError:
        return Columns(0, 1, len(fields))
