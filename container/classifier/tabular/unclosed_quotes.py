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
    """

    line: int
    labels: Sequence[Label]
    lines: int

    def rows(self, known: Collection[Label]) -> int:
        """Return how many of the lines are rows, given the labels there are; 0 where they may as well be text."""
        count = sum(label in known for label in self.labels)
        return count if count >= LEAST_SHARE * self.lines else 0


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
        if labels:
            yield Suspect(line, labels, len(rows))


def _fields(line: str, delimiter: str) -> list[str]:
    """Return what a line would be as a row; empty if it reads like prose: ``no, thanks``, ``1,500 km``."""
    prose = line.startswith(" ") or f"{delimiter} " in line or (delimiter == "," and FIGURE.fullmatch(line))
    if prose or delimiter not in line:
        return []
    return next(csv.reader([line], delimiter=delimiter), [])
