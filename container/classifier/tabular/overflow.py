"""Detects columns that hold the rest of texts whose delimiters are not in quotes."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from classifier.tabular.columns import Columns
from classifier.tabular.unread import Finding
from classifier.tabular.values import has_letters, plain, reads_like_text

MOST = 0.5
# What people call a column that they don't want, and programs one that has no name.
NAMELESS = ("", "other", "unnamed", "column", "x", "_c")
CURE = (
    "where it is the rest of a text, put the whole text in quotes; where it is a text of its own, write both into one"
)


@dataclass
class Seen:
    """What was seen of a column behind the text's.

    Attributes:
        filled: In how many rows there are words.
        texts: How many of them read like texts.
        first: The first line with words.
        continued: How many of them follow a space, which the other columns of their rows don't.
        sentences: How many of these have several words.
        first_continued: The first line of these.
    """

    filled: int = 0
    texts: int = 0
    first: int = 0
    continued: int = 0
    sentences: int = 0
    first_continued: int = 0

    def add(self, line: int, value: str, *, continued: bool) -> None:
        """Take a row's value, which has letters."""
        self.filled += 1
        self.texts += reads_like_text(value)
        self.first = self.first or line
        if continued:
            self.continued += 1
            self.sentences += len(value.split()) > 1
            self.first_continued = self.first_continued or line


class Overflow:
    """Looks at the columns behind the text's that are not read.

    Args:
        columns: Where the label and the text are.
        names: The columns' names.
    """

    def __init__(self, columns: Columns, names: Sequence[str]) -> None:
        self._columns = columns
        self._rows = 0
        behind = range(columns.text + 1, columns.count)
        self._seen = {number: Seen() for number in behind if number != columns.label}
        self._nameless = [number for number in self._seen if plain(names[number]).rstrip("0123456789: ") in NAMELESS]

    def add(self, line: int, fields: Sequence[str], spaced: Collection[int]) -> None:
        """Take a row.

        Args:
            line: Where it is.
            fields: Its fields.
            spaced: Which of them follow a space.
        """
        self._rows += 1
        continued = is_continued(self._columns, spaced)
        for number, seen in self._seen.items():
            if has_letters(fields[number]):
                seen.add(line, fields[number], continued=continued and number == self._columns.text + 1)

    def findings(self) -> Iterator[Finding]:
        """Return which columns may be the rest of texts."""
        for number, seen in self._seen.items():
            if seen.sentences or seen.continued > MOST * seen.filled:
                yield Finding(
                    seen.first_continued,
                    f"column {number + 1} is not read, and looks like the rest of the text: there are words after a "
                    f"space in rows of it ({seen.continued}); {CURE}",
                    ends=False,
                )
            elif number in self._nameless and (seen.texts > MOST * self._rows or 0 < seen.filled < self._rows):
                yield Finding(
                    seen.first,
                    f"column {number + 1} is not read and has no name of its own, and there are words in rows of it "
                    f"({seen.filled}); {CURE}",
                    ends=False,
                )


def spaced_fields(raw: str, count: int, delimiter: str) -> frozenset[int]:
    """Return which fields of a row follow a space; none of a row with quotes, in which a space may be anything.

    Args:
        raw: The row's last line.
        count: How many fields it has.
        delimiter: What separates them.
    """
    if count <= 2 or f"{delimiter} " not in raw or '"' in raw:
        return frozenset()
    parts = raw.split(delimiter)
    return frozenset(number for number, part in enumerate(parts) if part.startswith(" ") and number)


def is_continued(columns: Columns, spaced: Collection[int]) -> bool:
    """Return whether what is behind the text follows a space, and the columns that are read don't."""
    behind = columns.text + 1
    return behind in spaced and not any(number in spaced for number in (columns.label, columns.text))
