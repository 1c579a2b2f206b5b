"""Which column of a table is the text, and whether its first row is a header: as stated, or as detected."""

from collections import Counter
from collections.abc import Callable, Sequence

from classifier.errors import UserError
from classifier.tabular import columns
from classifier.tabular.unread import Unread
from classifier.tabular.values import (
    FEWEST_TEXTS,
    has_letters,
    is_figure,
    may_be_column_numbers,
    plain,
    reads_like_name,
    reads_like_text,
    stands_above,
)

SAMPLE_ROWS = 100
SHARE = 0.5
LONGEST_NAME = 60
LONGEST_SHOWN = 40
MOST_SHOWN = 50
FEW = 0.1
QUESTIONS = ("?", "？", ":", "：")
MAY_BE_A_HEADER = "the first row may be a header; set --header true if it is, or --header false"
READ_AS_DATA = (
    "the first row is read as data, and may be a header; set --header true if it is, or --header false if it is not"
)
READ_AS_HEADER = (
    "the first row is read as a header, and may be data; set --header false if it is, or --header true if it is not"
)


def has_header(first: Sequence[str], others: Sequence[Sequence[str]], wanted: str) -> bool:
    """Return whether a table's first row is a header.

    It is one if it has the name of the wanted column; or if its fields are distinct names without numbers, and one of
    them is a usual name for a text, or is above a column of numbers. Beside ``text``, there may be any other fields.

    Args:
        first: The row.
        others: Rows after it, without a header that comes again.
        wanted: The name or number of the text's column; empty to detect it.

    Raises:
        UserError: It may be one by this, and may as well be data.
    """
    names = [plain(name) for name in first]
    if wanted and not wanted.isdecimal() and plain(wanted) in names:
        return True
    known = columns.texts(first)
    below = _columns(others, len(names))
    over_figures = any(
        bool(name) and not is_figure(name) and _are_figures(values) for name, values in zip(names, below, strict=True)
    )
    if not _are_short_words(names):
        is_text = columns.TEXT in names
        is_category = any(first[number] in below[number] for number in known)
        if not known or not (is_text or over_figures) or (is_category and not (is_text and over_figures)):
            return False
        if not is_text or not (over_figures or _are_led_by_text(names, below)):
            raise UserError(MAY_BE_A_HEADER)
    if not (known or over_figures):
        return False
    if not _are_names(first, below):
        raise UserError(MAY_BE_A_HEADER)
    return True


def find(names: Sequence[str], rows: Sequence[Sequence[str]], wanted: str, *, numbered: bool) -> int:
    """Return the index of the text's column, from 0.

    Args:
        names: The columns' names; empty strings without a header.
        rows: Some rows, each with a value for each column.
        wanted: The column's name or number; empty to detect it.
        numbered: Whether columns may be given by number.

    Raises:
        UserError: There is no such column, or not exactly one that looks like text; the message lists the columns.
    """
    found, why = _wanted(names, wanted, numbered=numbered) if wanted else _likely(names, rows)
    if len(found) == 1:
        return found[0]
    listed = "; ".join(_shown(number, names, rows) for number in range(min(len(names), MOST_SHOWN)))
    what = "its name or number" if numbered else "its key"
    raise UserError(f"{why}; give --text-column and {what}, of: {listed}")


def longer(names: Sequence[str], rows: Sequence[Sequence[str]], text: int, noun: str) -> list[str]:
    """Name the columns that hold longer texts than the one that is read by its name.

    Args:
        names: What the columns are called; empty texts where they have no names.
        rows: Some rows, each with a value for each column.
        text: The column that is read, from 0.
        noun: What columns are called, ``column`` or ``key``.
    """
    unread = Unread(noun)
    for line, row in enumerate(rows):
        others = [pair for number, pair in enumerate(zip(names, row, strict=True)) if number != text]
        unread.add(line, (names[text], row[text]), others if names[text] else [])
    return [f"{words}; set --text-column to settle it" for words in unread.longer()]


def refuse_prose(rows: Sequence[Sequence[str]], count: int, noun: str) -> None:
    """Refuse columns that may be parts of a sentence: none of them holds figures, or values that come again.

    Args:
        rows: Some rows, each with a value for each column; they have no header.
        count: How many columns there are.
        noun: What separates them.

    Raises:
        UserError: They may be.
    """
    if count > 1 and not any(_are_figures(values) or _come_again(values) for values in _columns(rows, count)):
        raise UserError(
            f"the {noun}s stand as in a sentence, and may be the texts' own; set --delimiter none if each line is a "
            f"text, or --text-column and the number of the column that is"
        )


def refuse_header(rows: Sequence[Sequence[str]], text: int) -> list[str]:
    """Refuse a first row that may be a header, though it names no column that is known; where it hardly is, say so.

    Args:
        rows: Some rows, each with a value for each column; the first is taken for data.
        text: The column that is read, from 0.

    Raises:
        UserError: It may be.
    """
    first, *others = rows
    texts = [row[text] for row in others if row[text].strip()]
    names = [name for name in first if name.strip()]
    numbered = may_be_column_numbers(first) and _share(texts, is_figure) < 1 - SHARE
    named = all(map(reads_like_name, names)) and stands_above(first[text], texts)
    if len(first) > 1 and (numbered or (named and _stands_alone(rows))):
        raise UserError(MAY_BE_A_HEADER)
    if numbered or (named and first[text] not in texts) or _may_name(rows, text):
        return [READ_AS_DATA]
    return []


def doubt_header(first: Sequence[str], rows: Sequence[Sequence[str]], text: int, wanted: str) -> list[str]:
    """Say so where a row is a header only by a word above figures, and may as well be a text and a missing value.

    Args:
        first: The row.
        rows: Some rows below it, each with a value for each column.
        text: The column that is read, from 0.
        wanted: The name or number of the text's column; empty if it is detected.
    """
    below = _columns(rows, len(first))
    if (wanted and not wanted.isdecimal()) or columns.texts(first) or sum(map(_are_figures, below)) > 1:
        return []
    is_long = _share(below[text], lambda value: len(value.strip()) <= len(first[text].strip())) > SHARE
    return [READ_AS_HEADER] if is_long or reads_like_text(first[text]) else []


def _may_name(rows: Sequence[Sequence[str]], text: int) -> bool:
    """Return whether a first row without figures differs from those below as names, or questions, do from answers."""
    first, *others = rows
    texts = [row[text].strip() for row in others if row[text].strip()]
    name = first[text].strip()
    if not texts or any(map(is_figure, first)) or not _stands_alone(rows):
        return False
    if len(first) == 1 and reads_like_name(name) and _share(texts, _is_one_word) > SHARE:
        return True
    is_question = name.endswith(QUESTIONS) and _share(texts, lambda value: value.endswith(QUESTIONS)) <= FEW
    is_shortest = all(len(value) > len(name) for value in texts)
    beside = [
        values for number, values in enumerate(_columns(others, len(first))) if number != text and first[number].strip()
    ]
    if any(map(_are_figures, beside)):
        return True
    return len(texts) >= FEWEST_TEXTS and (is_question or is_shortest or any(map(_nearly_all_come_again, beside)))


def _is_one_word(value: str) -> bool:
    return len(value.split()) == 1 and has_letters(value) and not reads_like_text(value)


def _nearly_all_come_again(values: Sequence[str]) -> bool:
    """Return whether nearly all values come more than once, and are not one and the same."""
    counts = Counter(values)
    return len(counts) > 1 and sum(count for count in counts.values() if count == 1) <= FEW * counts.total()


def _are_short_words(names: Sequence[str]) -> bool:
    """Return whether those of the names that are not empty are distinct, short, and no figures."""
    there = [name for name in names if name]
    return len(set(there)) == len(there) and not any(len(name) > LONGEST_NAME or is_figure(name) for name in there)


def _are_led_by_text(names: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether names are sure to be such by the ``text`` among them: there are no figures, or it is above texts.

    Without another word, figures may be those of a row whose text is "text".
    """
    others = [name for name in names if name and name != columns.TEXT]
    words = any(not is_figure(name) for name in others) and names[_longest(below)] == columns.TEXT
    return words or not any(map(is_figure, others))


def _are_names(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether a row names columns beyond doubt: none of its words comes again, and most read like names.

    The one above the longest texts must: where the row is data, it is a text. If it is a usual name, the others may be
    anything.

    Args:
        first: The row.
        below: The values below each of its fields.
    """
    words = [name for name in first if name.strip() and not is_figure(name)]
    if any(value in words and value in values for value, values in zip(first, below, strict=True)):
        return False
    longest = _longest(below)
    named = _share(words, reads_like_name) > SHARE
    return reads_like_name(first[longest]) and (named or longest in columns.texts(first))


def _longest(below: Sequence[Sequence[str]]) -> int:
    """Return the column with the longest texts."""
    return max(range(len(below)), key=lambda number: sum(map(len, below[number])))


def _stands_alone(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether no value of the first row comes again in its column."""
    first, *others = rows
    return not any(value and value == row[number] for row in others for number, value in enumerate(first))


def _come_again(values: Sequence[str]) -> bool:
    """Return whether most values come more than once, as labels do, and are not one and the same."""
    counts = Counter(values)
    return len(counts) > 1 and sum(count for count in counts.values() if count > 1) > SHARE * len(values)


def _wanted(names: Sequence[str], wanted: str, *, numbered: bool) -> tuple[list[int], str]:
    exact = [number for number, name in enumerate(names) if name == wanted]
    named = exact or [number for number, name in enumerate(names) if plain(name) == plain(wanted)]
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
    likely = [number for number, values in held if _share(values, reads_like_text) >= SHARE]
    likely = likely or [number for number, values in held if _share(values, has_letters) >= SHARE]
    return likely, "several columns look like text" if likely else "no column looks like text"


def _shown(number: int, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Describe a column by its number, its name, and what it holds, of which nothing is shown."""
    values = _columns(rows, len(names))[number]
    name = names[number].strip()
    called = f" {name!r}" if name.isprintable() and 0 < len(name) <= LONGEST_SHOWN else ""
    kinds = {"text": reads_like_text, "figures": is_figure, "words": has_letters}
    kind = next((kind for kind, fits in kinds.items() if _share(values, fits) >= SHARE), "nothing")
    return f"{number + 1}{called} ({kind})"


def _columns(rows: Sequence[Sequence[str]], count: int) -> list[list[str]]:
    """Return the values of each column that are not empty."""
    return [[row[number] for row in rows if number < len(row) and row[number].strip()] for number in range(count)]


def _share(values: Sequence[str], fits: Callable[[str], bool]) -> float:
    return sum(map(fits, values)) / len(values) if values else 0.0


def _are_figures(values: Sequence[str]) -> bool:
    return bool(values) and all(map(is_figure, values))
