"""Detects the delimiter of a table: comma, semicolon, tab or vertical bar."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from classifier.errors import UserError
from classifier.tabular.columns import HEADERLESS, AmbiguousError, Columns, recognise, texts
from classifier.tabular.dialect import BY_NAME, COMMA, TAB, Dialect
from classifier.tabular.files import LENIENT, MARK, Source, open_text

__all__ = [
    "COMMA",
    "NAMES",
    "NONE",
    "SHOWN",
    "TAB",
    "WHOLE_LINES",
    "Delimiter",
    "find",
    "find_any",
    "is_prose",
    "usual",
]

NAMES = {COMMA: "comma", ";": "semicolon", TAB: "tab", "|": "vertical bar"}
SHOWN = {COMMA: ",", ";": ";", TAB: "<tab>", "|": "|"}
# What `batch` calls rows of a single column, whatever is in them.
NONE = "none"
# Excel reads the delimiter from such a first line, and some programs write one.
DECLARATION = re.compile(rf"{MARK}?\"?sep=([{re.escape(''.join(NAMES))}])\"?{COMMA}*\r?(?:\n|$)", re.IGNORECASE)
SAMPLE_CHARACTERS = 65_536
# Where so many hold less than these rows, which a long text can fill, more are read.
LARGE_SAMPLE = 1 << 20
FEWEST_ROWS = 3
SAMPLE_ROWS = 20
# Whether values of a column come again is to be seen in more rows.
ROWS_TO_COMPARE = 500
MOST = 0.5


class Delimiter(NamedTuple):
    """The delimiter of a table.

    Attributes:
        character: The delimiter; empty if every line is a single column.
        declared: Whether the table's first line is ``sep=`` and the delimiter.
        guessed: Whether it is not the usual one and was inferred from the rows alone: neither that line, nor a header,
            nor the user states it.
        in_prose: Whether most of its occurrences look like punctuation: before a space or in a number. Only set for
            tables of any columns.
    """

    character: str
    declared: bool = False
    guessed: bool = False
    in_prose: bool = False

    @property
    def name(self) -> str:
        """Its name in messages."""
        return NAMES.get(self.character, NONE)


WHOLE_LINES = Delimiter("")


def usual(source: Source) -> str:
    """Return the usual delimiter for the file's suffix."""
    return TAB if source.suffix == ".tsv" else COMMA


def find(source: Source, dialect: Dialect) -> Delimiter:
    """Return the delimiter of a table of labels and texts.

    It is what the user or the table's first line says; else the usual one, or another if the first rows can't be read
    by that one and can by the other.
    """
    with open_text(source) as file:
        sample = file.read(SAMPLE_CHARACTERS)
    return _said(sample, dialect) or _sniffed(sample, usual(source), dialect.header)


def find_any(source: Source, dialect: Dialect) -> Delimiter:
    """Return the delimiter of a table of any columns: the first by which most rows have as many as the first row.

    A ``.txt`` file is one text per line, unless its rows are separated by tabs.

    Raises:
        UserError: A ``.txt`` file looks like a table of another delimiter.
    """
    with open_text(source, LENIENT) as file:
        sample = file.read(SAMPLE_CHARACTERS)
        said = _said(sample, dialect)
        if said:
            return said
        if len(sample) == SAMPLE_CHARACTERS and any(len(_parsed(sample, other)) < FEWEST_ROWS for other in NAMES):
            sample += file.read(LARGE_SAMPLE - SAMPLE_CHARACTERS)
    found = _of_lines(sample) if source.suffix == ".txt" else _even(sample, usual(source))
    return found._replace(in_prose=bool(found.character) and is_prose(sample, found.character))


def is_prose(sample: str, delimiter: str) -> bool:
    """Return whether the first delimiter of most lines looks like punctuation: before a space or in a number."""
    lines = [line for line in sample.splitlines()[:ROWS_TO_COMPARE] if delimiter in line]
    mark = re.escape(delimiter)
    prose = re.compile(rf"[^{mark}]*(?:{mark}\s|(?<=\d){mark}(?=\d))")
    return bool(lines) and sum(prose.match(line) is not None for line in lines) > MOST * len(lines)


def _said(sample: str, dialect: Dialect) -> Delimiter | None:
    declaration = DECLARATION.match(sample)
    if dialect.delimiter == NONE:
        return WHOLE_LINES
    told = BY_NAME.get(dialect.delimiter) or (declaration and declaration[1])
    return Delimiter(told, declared=declaration is not None) if told else None


def _sniffed(sample: str, expected: str, header: str) -> Delimiter:
    rows = _parsed(sample, expected)
    if _share_that_fits(rows, header) == 1:
        return _hidden(sample, rows, header) if expected == COMMA else Delimiter(expected)
    character = _other(sample, rows, expected, header)
    if character == expected or (header != "false" and _names_columns(sample, character)):
        return Delimiter(character)
    meant = _is_meant(sample, expected) and not _has_quoted_fields(sample, character, MOST)
    return Delimiter(expected) if meant else Delimiter(character, guessed=True)


def _other(sample: str, rows: Sequence[Sequence[str]], expected: str, header: str) -> str:
    """Return another delimiter that can read the first rows, if the usual one fails; otherwise the usual one."""
    unseparated = all(len(fields) == 1 for fields in rows)
    named = [other for other in NAMES if header != "false" and _names_columns(sample, other)]
    for other in dict.fromkeys((*named, *NAMES)):
        # Below a header that names the columns, the usual delimiter may be in labels.
        not_in_label = None if other in named else expected
        fits = _share_that_fits(_parsed(sample, other), header, not_in_label) if other != expected else 0.0
        if fits == 1 or (unseparated and fits > MOST):
            return other
    if unseparated:
        counts = {other: {len(fields) for fields in _parsed(sample, other)} for other in NAMES}
        return next((other for other, found in counts.items() if len(found) == 1 and found != {1}), expected)
    return expected


def _hidden(sample: str, rows: Sequence[Sequence[str]], header: str) -> Delimiter:
    """Return the comma, or another delimiter that every row has, where the comma is only one in each row's text."""
    columns = _columns_of(rows[0], header)
    others = _others_in(columns.label, sample, rows, header, COMMA)
    quoted = _has_quoted_fields(sample, COMMA)
    if not others or quoted or not is_prose(sample, COMMA):
        # A delimiter that every row has once behind the comma may be meant, and the comma be in every label.
        return Delimiter(COMMA, guessed=not quoted and bool(_others_in(columns.text, sample, rows, header)))
    # If the comma looks like punctuation, and yet the values before it repeat, the user should check.
    return Delimiter(COMMA if _repeats(sample, COMMA) else others[0], guessed=True)


def _others_in(
    column: int, sample: str, rows: Sequence[Sequence[str]], header: str, not_in_label: str | None = None
) -> list[str]:
    """Return the delimiters other than the comma that every row has in this column, and that can read all rows."""
    return [
        other
        for other in NAMES
        if other != COMMA
        and all(other in fields[column] for fields in rows)
        and _share_that_fits(_parsed(sample, other), header, not_in_label) == 1
    ]


def _is_meant(sample: str, expected: str) -> bool:
    """Return whether a table is written with this delimiter, although not all rows can be read with it.

    Quoted fields after it, and repeated values before it, are evidence of that.
    """
    return _has_quoted_fields(sample, expected, MOST) or _repeats(sample, expected)


def _has_quoted_fields(sample: str, delimiter: str, least: float = 0.0) -> bool:
    """Return whether more than a share of the lines that have the delimiter have a whole field in quotes after it."""
    lines = [line for line in sample.splitlines()[:ROWS_TO_COMPARE] if delimiter in line]
    mark = re.escape(delimiter)
    quoted = re.compile(rf'[^"]*{mark}"(?:[^"]|"")*"\s*(?:{mark}|$)')
    return sum(quoted.match(line) is not None for line in lines) > least * len(lines)


def _repeats(sample: str, delimiter: str, column: int = 0) -> bool:
    """Return whether the values of the first or last column repeat, in most of the rows that have the delimiter.

    Delimiters within a number, as in ``fire;1,5 mm``, or within a field quoted for another delimiter, don't count.
    """
    rows = [fields for fields in _parsed(sample, delimiter, ROWS_TO_COMPARE) if len(fields) > 1]
    counts = Counter(
        fields[column].strip()
        for fields in rows
        if '"' not in fields[column] and not (fields[0][-1:].isdigit() and fields[1][:1].isdigit())
    )
    return sum(count for count in counts.values() if count > 1) > MOST * len(rows)


def _even(sample: str, expected: str) -> Delimiter:
    """Return the delimiter by which most rows have as many columns as the first, and more than one.

    Where no rows have, it is the one by which the first row has a usual name for texts beside others.
    """
    characters = tuple(dict.fromkeys((expected, *NAMES)))
    found = [character for character in characters if _is_even(_parsed(sample, character))]
    found = found or [character for character in characters if _names_text_and_more(sample, character)]
    first, *others = found or [expected]
    if others and is_prose(sample, first) and not (_is_meant(sample, first) or _has_text_name(sample, first)):
        first = others[0]
    return Delimiter(first, guessed=first != expected and not _has_text_name(sample, first))


def _of_lines(sample: str) -> Delimiter:
    """Return what separates the rows of a ``.txt`` file: tabs or nothing.

    Raises:
        UserError: It looks like a table of another delimiter.
    """
    if _is_even(_parsed(sample, TAB)):
        return Delimiter(TAB, guessed=not _has_text_name(sample, TAB))
    for character, name in NAMES.items():
        if _is_even(_parsed(sample, character)) and _looks_like_columns(sample, character):
            raise UserError(
                f"a .txt file is one text per line, and this one looks like a table with {name}s; "
                f"set --delimiter {_option(character)} if it is one, or --delimiter {NONE} if each line is a text"
            )
    return WHOLE_LINES


def _looks_like_columns(sample: str, delimiter: str) -> bool:
    """Return whether a delimiter that every line has separates columns, and is not part of each line's text."""
    numbered = all(fields[0].strip().isdecimal() for fields in _parsed(sample, delimiter)[1:])
    repeats = any(_repeats(sample, delimiter, column) for column in (0, -1)) and not is_prose(sample, delimiter)
    return numbered or repeats or _has_text_name(sample, delimiter) or _has_quoted_fields(sample, delimiter, MOST)


def _option(character: str) -> str:
    return next(name for name, other in BY_NAME.items() if other == character)


def _is_even(rows: Sequence[Sequence[str]]) -> bool:
    first, *others = [len(fields) for fields in rows] or [0]
    return first > 1 and bool(others) and others.count(first) > MOST * len(others)


def _names_text_and_more(sample: str, delimiter: str) -> bool:
    return any(len(fields) > 1 and texts(fields) for fields in _parsed(sample, delimiter)[:1])


def _has_text_name(sample: str, delimiter: str) -> bool:
    return any(texts(fields) for fields in _parsed(sample, delimiter)[:1])


def _names_columns(sample: str, delimiter: str) -> bool:
    """Return whether the first row names the columns of label and text."""
    try:
        return any(recognise(fields) for fields in _parsed(sample, delimiter)[:1])
    except AmbiguousError:
        return True


def _parsed(sample: str, delimiter: str, most: int = SAMPLE_ROWS) -> list[list[str]]:
    """Return the sample's first rows, without one that may be cut off."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows = list(islice((fields for fields in reader if any(fields)), most))
    return rows[:-1] if len(sample) in (SAMPLE_CHARACTERS, LARGE_SAMPLE) and len(rows) < most else rows


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
