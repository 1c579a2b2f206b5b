"""What separates the columns of a table: comma, semicolon, tab or vertical bar."""

import csv
import io
import re
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from classifier.tabular.columns import HEADERLESS, AmbiguousError, Columns, recognise
from classifier.tabular.files import LENIENT, MARK, Source, open_text

COMMA, TAB = ",", "\t"
NAMES = {COMMA: "comma", ";": "semicolon", TAB: "tab", "|": "vertical bar"}
SHOWN = {COMMA: ",", ";": ";", TAB: "<tab>", "|": "|"}
# Excel reads the delimiter from such a first line, and some programs write one.
DECLARATION = re.compile(rf"{MARK}?\"?sep=([{re.escape(''.join(NAMES))}])\"?{COMMA}*\r?(?:\n|$)", re.IGNORECASE)
SAMPLE_CHARACTERS = 65_536
SAMPLE_ROWS = 20


class Delimiter(NamedTuple):
    """What separates a table's columns.

    Attributes:
        character: The delimiter.
        declared: Whether the table's first line is ``sep=`` and the delimiter.
    """

    character: str
    declared: bool = False


def usual(source: Source) -> str:
    """Return what the file's name says."""
    return TAB if source.suffix == ".tsv" else COMMA


def find(source: Source, header: str) -> Delimiter:
    """Return the usual delimiter, or another if the first rows can't be read by that one and can by the other."""
    with open_text(source) as file:
        sample = file.read(SAMPLE_CHARACTERS)
    return _declared(sample) or Delimiter(_sniffed(sample, usual(source), header))


def find_any(source: Source) -> Delimiter:
    """Return the delimiter of a table of any columns: the first by which most rows have as many as the first row."""
    with open_text(source, LENIENT) as file:
        sample = file.read(SAMPLE_CHARACTERS)
    return _declared(sample) or Delimiter(_even(sample, usual(source)))


def _declared(sample: str) -> Delimiter | None:
    declaration = DECLARATION.match(sample)
    return Delimiter(declaration[1], declared=True) if declaration else None


def _even(sample: str, expected: str) -> str:
    for character in (expected, *NAMES):
        first, *others = [len(fields) for fields in _parsed(sample, character)] or [0]
        if first > 1 and others and others.count(first) > len(others) / 2:
            return character
    return expected


def _sniffed(sample: str, expected: str, header: str) -> str:
    rows = _parsed(sample, expected)
    if _share_that_fits(rows, header) == 1:
        return _hidden(sample, rows, header) if expected == COMMA else expected
    unseparated = all(len(fields) == 1 for fields in rows)
    for other in NAMES:
        fits = _share_that_fits(_parsed(sample, other), header, expected) if other != expected else 0.0
        if fits == 1 or (unseparated and fits > 0.5):
            return other
    if unseparated:
        counts = {other: {len(fields) for fields in _parsed(sample, other)} for other in NAMES}
        return next((other for other, found in counts.items() if len(found) == 1 and found != {1}), expected)
    return expected


def _hidden(sample: str, rows: Sequence[Sequence[str]], header: str) -> str:
    """Return the comma, or another delimiter that every row has, where the comma is only one in each row's text."""
    label = _columns_of(rows[0], header).label
    for other in NAMES:
        if other != COMMA and all(other in fields[label] for fields in rows):
            fits = _share_that_fits(_parsed(sample, other), header, COMMA)
            if fits == 1:
                return other
    return COMMA


def _parsed(sample: str, delimiter: str) -> list[list[str]]:
    """Return the sample's first rows, without one that may be cut off."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows = list(islice((fields for fields in reader if any(fields)), SAMPLE_ROWS))
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
