"""Detects rows that an unclosed quote turned into part of the text above them."""

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from classifier.tabular.columns import Columns
from classifier.tabular.rows import Label, as_label

LINE_END = re.compile(r"\r\n|\r|\n")
# Of an honest text's lines hardly any looks like a row; of rows in an unclosed quote nearly all do.
LEAST_SHARE = 0.5
FIGURE = re.compile(r"[^,]*\d,\d[^,]*")


@dataclass(frozen=True)
class Suspect:
    """A field of several lines, some of which have a row's columns.

    Attributes:
        line: Where its row begins.
        labels: What would be the labels of those lines.
        lines: How many lines could be rows.
        perhaps: What would be the labels of lines that may as well be prose, as ``soft, brakes`` of text and label.
    """

    line: int
    labels: Sequence[Label]
    lines: int
    perhaps: Sequence[Label] = ()

    def rows(self, known: Collection[Label]) -> int:
        """Return how many of the lines are rows, given the labels there are; 0 where they may as well be text."""
        count = sum(label in known for label in self.labels)
        return count if count >= LEAST_SHARE * self.lines else 0

    def perhaps_rows(self, known: Collection[Label]) -> int:
        """Return how many of the lines may be rows, given the labels there are."""
        return sum(label in known for label in self.perhaps)


def suspects(line: int, fields: Sequence[str], columns: Columns, delimiter: str) -> Iterator[Suspect]:
    """Find fields of a row that may have other rows in them."""
    for number, field in enumerate(fields):
        if "\n" not in field and "\r" not in field:
            continue
        lines = LINE_END.split(field)
        before, whole = fields[:number], lines[1:] if number == columns.count - 1 else lines[1:-1]
        rows = [_fields(part, delimiter) for part in whole if part.strip()]
        if number < columns.label:  # the row's own end is in the field, and what looks like its end is another's
            rows.append([*before, *_fields(lines[0], delimiter)])
        labels = [as_label(row[columns.label].strip()) for row in rows if len(row) == columns.count]
        perhaps = _perhaps_labels(number, lines, whole, columns, delimiter)
        if labels or perhaps:
            yield Suspect(line, labels, len(rows), perhaps)


def _fields(line: str, delimiter: str) -> list[str]:
    """Return what a line would be as a row; empty if it reads like prose: ``no, thanks``, ``1,500 km``."""
    prose = line.startswith(" ") or f"{delimiter} " in line or (delimiter == "," and FIGURE.fullmatch(line))
    if prose or delimiter not in line:
        return []
    return _split(line, delimiter)


def _perhaps_labels(
    number: int, lines: Sequence[str], whole: Sequence[str], columns: Columns, delimiter: str
) -> list[Label]:
    """Return what would be the labels if a space may follow the delimiter; of labels in front the report says that.

    Args:
        number: The field's column.
        lines: The lines of the field.
        whole: Those of them that would be whole rows.
        columns: The table's columns.
        delimiter: What separates them.
    """
    if columns.label == 0:
        return []
    if number < columns.label:
        behind = columns.count - 1 - number
        ends = [line.rsplit(delimiter, behind) for line in lines[:-1] if not line.startswith(" ")]
        found = [end[columns.label - number] for end in ends if len(end) == behind + 1]
    else:
        rows = [_split(line, delimiter) for line in whole if not line.startswith(" ")]
        found = [row[columns.label] for row in rows if len(row) == columns.count]
    return [as_label(field.strip().strip('"')) for field in found]


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
