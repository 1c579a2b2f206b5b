"""Which column of a table is the text, and whether its first row is a header: told, or seen in its first rows."""

import re
from collections.abc import Callable, Sequence

from classifier.errors import UserError
from classifier.tabular import columns

SAMPLE_ROWS = 100
WORD = re.compile(r"[^\W\d_]+")
# Names, dates, places and codes have fewer; of scripts without spaces a whole sentence is one "word".
TEXT_WORDS = 3
TEXT_LETTERS = 20
SHARE = 0.5
LONGEST_NAME = 60
MISSING = frozenset({"n/a", "na", "nan", "null", "none"})
LONGEST_SHOWN = 40
MOST_SHOWN = 50


def has_header(first: Sequence[str], others: Sequence[Sequence[str]], wanted: str) -> bool:
    """Say whether a table's first row is a header.

    It is one where it has the name of the wanted column; or where it has names, each once and none a figure, and one
    of them is of those that people give to a text, or stands over a column of figures.

    Args:
        first: The row.
        others: Rows after it.
        wanted: The name or number of the text's column; empty where that is to be found.
    """
    names = [_plain(name) for name in first]
    if wanted and not wanted.isdecimal() and _plain(wanted) in names:
        return True
    there = [name for name in names if name]
    if len(set(there)) < len(there) or any(len(name) > LONGEST_NAME or _is_figure(name) for name in there):
        return False
    below = _columns([row for row in others if row != first], len(names))
    over_figures = (bool(name) and _are_figures(values) for name, values in zip(names, below, strict=True))
    return bool(columns.texts(first)) or any(over_figures)


def find(names: Sequence[str], rows: Sequence[Sequence[str]], wanted: str, *, numbered: bool) -> int:
    """Return which column is the text, counted from 0.

    Args:
        names: What the columns are called; empty texts where they have no names.
        rows: Some rows, each with a value for each column.
        wanted: The column's name or number; empty where it is to be found.
        numbered: Whether columns may be told by number.

    Raises:
        UserError: There is no such column, or not just one that looks like text; the message lists the columns.
    """
    found, why = _wanted(names, wanted, numbered=numbered) if wanted else _likely(names, rows)
    if len(found) == 1:
        return found[0]
    listed = "; ".join(_shown(number, names, rows) for number in range(min(len(names), MOST_SHOWN)))
    what = "its name or number" if numbered else "its key"
    raise UserError(f"{why}; give --text-column and {what}, of: {listed}")


def _wanted(names: Sequence[str], wanted: str, *, numbered: bool) -> tuple[list[int], str]:
    named = [number for number, name in enumerate(names) if _plain(name) == _plain(wanted)]
    if not named and numbered and wanted.isdecimal() and 0 < int(wanted) <= len(names):
        return [int(wanted) - 1], ""
    return named, f"{'several columns are' if named else 'no column is'} called {wanted!r}"


def _likely(names: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[int], str]:
    """Return the columns that may be the text: by their names, else by what they hold."""
    if len(names) == 1:
        return [0], ""
    named = columns.texts(names)
    if named:
        return named, "several columns have a name for a text"
    held = list(enumerate(_columns(rows, len(names))))
    likely = [number for number, values in held if _share(values, _reads_like_text) >= SHARE]
    likely = likely or [number for number, values in held if _share(values, _has_letters) >= SHARE]
    return likely, "several columns look like text" if likely else "no column looks like text"


def _shown(number: int, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Describe a column by its number, its name, and what it holds, of which nothing is shown."""
    values = _columns(rows, len(names))[number]
    name = names[number].strip()
    called = f" {name!r}" if name.isprintable() and 0 < len(name) <= LONGEST_SHOWN else ""
    kinds = {"text": _reads_like_text, "figures": _is_figure, "words": _has_letters}
    kind = next((kind for kind, fits in kinds.items() if _share(values, fits) >= SHARE), "nothing")
    return f"{number + 1}{called} ({kind})"


def _columns(rows: Sequence[Sequence[str]], count: int) -> list[list[str]]:
    """Return the values of each column that are not empty."""
    return [[row[number] for row in rows if number < len(row) and row[number].strip()] for number in range(count)]


def _share(values: Sequence[str], fits: Callable[[str], bool]) -> float:
    return sum(map(fits, values)) / len(values) if values else 0.0


def _plain(name: str) -> str:
    return name.strip().lower()


def _are_figures(values: Sequence[str]) -> bool:
    return bool(values) and all(map(_is_figure, values))


def _is_figure(value: str) -> bool:
    """Say whether a value is a number, a date or the like, or says that there is none: digits and no letters."""
    return _plain(value) in MISSING or (any(map(str.isdigit, value)) and not _has_letters(value))


def _has_letters(value: str) -> bool:
    return WORD.search(value) is not None


def _reads_like_text(value: str) -> bool:
    words = WORD.findall(value)
    return len(words) >= TEXT_WORDS or sum(map(len, words)) >= TEXT_LETTERS
