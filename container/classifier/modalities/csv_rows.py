"""Rows of tables of text: columns separated by commas, semicolons, tabs or bars, quoted as RFC 4180 says."""

import csv
import sys
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from classifier.modalities import delimiters
from classifier.modalities.files import MARK, Source, open_text, reading
from classifier.modalities.rows import Harvest
from classifier.modalities.sheet import Sheet

if TYPE_CHECKING:
    from _csv import Reader as CsvReader


def read(source: Source, header: str, harvest: Harvest) -> None:
    """Add a table's rows, and everything that is wrong with it.

    Args:
        source: The file.
        header: ``true``: the first row is a header; ``false``: it is data; ``auto``: it is a header where it names
            the columns of label and text.
        harvest: What is added to.
    """
    with reading(source, harvest), open_text(source) as file:
        delimiter = delimiters.find(source, header)
        if delimiter.declared:
            next(file)
        _note(source, delimiter, harvest)
        # Files that were joined have a byte order mark where each began.
        lines = (line.removeprefix(MARK) for line in file)
        sheet = Sheet(source.name, delimiter.character, harvest)
        try:
            _fill(sheet, _records(lines, sheet, 2 if delimiter.declared else 1), header)
        finally:
            sheet.finish()


def reader(lines: Iterable[str], delimiter: str) -> "CsvReader":
    """Return a reader of lines as tables are written here; its limit of a field's length is lifted."""
    csv.field_size_limit(sys.maxsize)
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)


def _note(source: Source, delimiter: delimiters.Delimiter, harvest: Harvest) -> None:
    name = f"{delimiters.NAMES[delimiter.character]}s"
    if delimiter.declared:
        harvest.note(source.name, f"is separated by {name}, as its first line says, which is no row")
    elif delimiter.character != delimiters.usual(source):
        harvest.note(source.name, f"is separated by {name}")


def _fill(sheet: Sheet, records: Iterator[tuple[int, list[str]]], header: str) -> None:
    filled = (record for record in records if sheet.is_filled(record[1]))
    first = next(filled, None)
    if first is None or not sheet.begin(*first, header):
        return
    for line, fields in filled:
        sheet.add(line, fields)


def _records(lines: Iterable[str], sheet: Sheet, line: int) -> Iterator[tuple[int, list[str]]]:
    rest = iter(lines)
    while line:
        line = yield from _until_broken(rest, sheet, line)


def _until_broken(lines: Iterator[str], sheet: Sheet, first: int) -> Generator[tuple[int, list[str]], None, int]:
    """Yield rows up to one that is no CSV; return the number of the line after it, 0 at the file's end."""
    fields_of = reader(lines, sheet.delimiter)
    line = first
    try:
        for fields in fields_of:
            yield line, fields
            line = first + fields_of.line_num
    except csv.Error as error:
        sheet.wrong_quotes(line, error)
        return first + fields_of.line_num
    return 0
