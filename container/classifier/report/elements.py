"""The parts of a report: sections of sentences, charts and tables, and how values are written in them."""

import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# Control characters, surrogates, private and unassigned characters, which neither XML nor a reader can do with.
NOT_SHOWN = frozenset({"Cc", "Cs", "Co", "Cn"})
LONGEST_SHOWN = 100  # characters of a label
ISOLATE, END_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


class Number(str):
    """A number as it is shown; tables align it to the right."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: What it shows.
        columns: The names of the columns.
        rows: The cells of each row, as they are shown, or whole numbers.
        folded: Whether only the caption is shown until the reader opens the table.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int]]
    folded: bool = False

    @property
    def of_numbers(self) -> set[int]:
        """The indices of the columns of numbers."""
        return {index for index, cell in enumerate(self.rows[0]) if not is_text(cell)} if self.rows else set()


@dataclass(frozen=True)
class Chart:
    """A chart; the same numbers are in a table of its section.

    Attributes:
        name: The name of its file, without ``.svg``.
        caption: What it shows.
        element: The ``svg`` element.
        wide: Whether it keeps its size, and a narrow screen scrolls it.
    """

    name: str
    caption: str
    element: ET.Element
    wide: bool = False


@dataclass(frozen=True)
class Example:
    """A row that the model gets wrong, with what it is.

    Attributes:
        caption: Its place, its label and what was predicted.
        text: The beginning of the text; empty for an image.
        image: A thumbnail as a data URI; empty for a text.
    """

    caption: str
    text: str = ""
    image: str = ""


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes:
        key: Its identifier in the page.
        title: Its heading.
        words: Its paragraphs.
        points: A list below them.
        charts: Its charts.
        tables: Its tables.
        examples: Rows with their texts or images.
    """

    key: str
    title: str
    words: Sequence[str] = ()
    points: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    examples: Sequence[Example] = field(default=())


def is_text(cell: str | int) -> bool:
    """Return whether a cell is text, not a number."""
    return isinstance(cell, str) and not isinstance(cell, Number)


def shown(label: object) -> str:
    r"""Return a label, or another value of the data, as one line without control characters; shortened if it is long.

    >>> shown("a\nb")
    'a\\nb'
    """
    text = "".join(
        character
        if unicodedata.category(character) not in NOT_SHOWN
        else character.encode("unicode_escape").decode("ascii")
        for character in str(label)
    )
    return shortened(text, LONGEST_SHOWN) if text.strip() else repr(text)


def shortened(text: str, longest: int) -> str:
    """Return a text of so many characters at most; of a longer one the beginning and the end, where it may differ.

    >>> shortened("appliances, small, spare parts", 20)
    'appliances, …e parts'
    """
    if len(text) <= longest:
        return text
    end = (longest - 1) * 2 // 5
    return f"{text[: longest - 1 - end]}…{text[-end:]}"


def quoted(label: object) -> str:
    """Return a label for a sentence, whose direction of writing it doesn't affect."""
    return f"“{ISOLATE}{shown(label)}{END_ISOLATE}”"


def percent(share: float, digits: int = 1) -> Number:
    r"""Return a share in percent.

    >>> percent(0.945, 0)
    '94\xa0%'
    """
    return Number(f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%")


def whole_percent(share: float) -> Number:
    """Return a share in percent without digits after the point, for the ticks of an axis."""
    return percent(share, 0)


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    >>> count(1, "row"), count(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def rounded(value: Any, digits: int = 4) -> Number:
    """Return a number with so many digits after the point; a dash where there is none."""
    return Number("–" if value is None or value == "" else f"{float(value):,.{digits}f}")
