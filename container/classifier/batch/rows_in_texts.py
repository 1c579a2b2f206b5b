"""Detects rows that an unclosed quote turned into part of a text above them, in tables of any columns."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from classifier.tabular.columns import Columns
from classifier.tabular.unclosed_quotes import Suspect, suspects

# A number, or a word with digits, as codes have them.
NUMBER = re.compile(r"\w*\d\w*")
ADDRESS = re.compile(r"\S+@\S+|\S*//\S+")
WORD = re.compile(r"\S{1,40}")
# Of names that are all different, what must hold for a text's lines to be rows, as no name is known of them.
FEWEST_NAMES = 3
FEWEST_LINES = 2
FEW = 0.1


@dataclass(frozen=True)
class RowsInTexts:
    """What the rows of a table look like.

    Attributes:
        columns: Where the text is, how many columns there are, and, in place of the label, the column whose values
            differ least: by them a line of a text is known for a row.
        known: The values of that column, with one number in place of every other, one code, and one address.
        delimiter: The delimiter.
        are_names: Whether these are words, all different, beside texts of one line: any other may be a row's.
    """

    columns: Columns
    known: Collection[str]
    delimiter: str
    are_names: bool = False

    def are_in(self, values: Sequence[str]) -> bool:
        """Return whether the lines of a field look like rows: most of them, or all where any word may begin a row."""
        found = suspects(0, values, self.columns, self.delimiter) if self.known else ()
        return any(
            Suspect(0, [_kind(str(label)) for label in suspect.labels], suspect.lines).rows(self.known)
            or (self.are_names and _are_all_rows(suspect))
            for suspect in found
        )


def of(rows: Sequence[Sequence[str]], text: int, delimiter: str) -> RowsInTexts:
    """Return what a table's rows look like.

    Args:
        rows: Some rows, each with a value for each column.
        text: The index of the text's column, from 0.
        delimiter: The delimiter.
    """
    kinds = {
        number: {_kind(values[number].strip()) for values in rows if values[number].strip()}
        for number in range(len(rows[0]) if rows else 0)
        if number != text
    }
    filled = {number: found for number, found in kinds.items() if found}
    key = min(filled, key=lambda number: len(filled[number]), default=0)
    known = filled.get(key, ())
    are_names = _are_names([values[key].strip() for values in rows], known) and _are_short(rows)
    return RowsInTexts(Columns(key, text, len(kinds) + 1), known, delimiter, are_names)


def _are_names(values: Sequence[str], known: Collection[str]) -> bool:
    """Return whether values are words, all different."""
    return FEWEST_NAMES <= len(values) == len(known) and all(map(WORD.fullmatch, values))


def _are_short(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether hardly any row has several lines."""
    return sum(any("\n" in value for value in values) for values in rows) <= max(1, FEW * len(rows))


def _are_all_rows(suspect: Suspect) -> bool:
    """Return whether all lines of a text are rows that begin with words, all different."""
    names = {str(label) for label in suspect.labels}
    return FEWEST_LINES <= suspect.lines == len(names) and all(map(WORD.fullmatch, names))


def _kind(value: str) -> str:
    if ADDRESS.fullmatch(value):
        return "@"
    return NUMBER.sub(lambda match: "0" if match[0].isdecimal() else "a0", value)
