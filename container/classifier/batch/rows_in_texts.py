"""Detects rows that an unclosed quote turned into part of a text above them, in tables of any columns."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from classifier.tabular.columns import Columns
from classifier.tabular.unclosed_quotes import Suspect, suspects

# A number, or a word with digits, as codes have them.
NUMBER = re.compile(r"\w*\d\w*")


@dataclass(frozen=True)
class RowsInTexts:
    """What the rows of a table look like.

    Attributes:
        columns: Where the text is, how many columns there are, and, in place of the label, the column whose values
            differ least: by them a line of a text is known for a row.
        known: The values of that column, with one number in place of every other, and one code.
        delimiter: The delimiter.
    """

    columns: Columns
    known: Collection[str]
    delimiter: str

    def are_in(self, values: Sequence[str]) -> bool:
        """Return whether the lines of a field look like rows, most of them."""
        found = suspects(0, values, self.columns, self.delimiter) if self.known else ()
        return any(
            Suspect(0, [_kind(str(label)) for label in suspect.labels], suspect.lines).rows(self.known)
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
    return RowsInTexts(Columns(key, text, len(kinds) + 1), filled.get(key, ()), delimiter)


def _kind(value: str) -> str:
    return NUMBER.sub(lambda match: "0" if match[0].isdecimal() else "a0", value)
