"""Reads the one column of texts that a ``text/csv`` request is, as a stream.

Batch transform cuts a file at line ends without looking at its quotes, so a quote is believed only where it makes
sense: a field is quoted as RFC 4180 says, or its line is the text, commas, quotes and all. A field in quotes that
stands beside a delimiter makes its line a row of several columns, which is no record.
"""

import re
from collections.abc import Collection, Iterator

from classifier.errors import RequestError
from classifier.serving.lines import LineReader, as_text, invalid_body, invalid_record
from classifier.tabular.columns import LABEL_NAMES, TEXT_NAMES
from classifier.tabular.delimiters import DECLARATION
from classifier.tabular.values import are_column_numbers

LOOK_AHEAD = 1 << 20
"""How many bytes a quoted field over several lines may have; a quote that closes later is part of its line's text."""

# Possessive, so that a body of nothing but quotes is read once. That, and that the next quotes which could open a
# field are the ones that end the search for a closing one, makes the whole body cost no more than its length.
_FIELD = rb'"((?:[^"]++|"")*+)"'
# Beside a text, ; and tabs and bars may be punctuation: after a quoted one where a space follows them, before a quoted
# one where much comes before.
_QUOTED = re.compile(_FIELD + rb"(?:(,|[;\t|](?=[^ \r\n]))|\r?\n)")
_QUOTED_LATER = re.compile(
    rb'[^"\r\n]*+(?<=,)' + _FIELD + rb"(?:(,)|\r?\n)"
    rb'|[^"\r\n]{1,100}+(?<=[^;\t|]([;\t|]))' + _FIELD + rb"(?:(\3)|\r?\n)"
)
_REST = {
    mark: re.compile(
        rb'(?:"(?:[^"]++|"")*+"|[^"\r\n%b]*+)(?:%b(?:"(?:[^"]++|"")*+"|[^"\r\n%b]*+))*+\r?\n' % ((escaped,) * 3)
    )
    for mark, escaped in ((mark, re.escape(mark)) for mark in (b",", b";", b"\t", b"|"))
}
_FIRST = re.compile(r"(?P<name>[^,;\t|]++)[,;\t|](?P<beside>.)")
_BEHIND_A_NUMBER = re.compile(r"\d*+[,;\t|](?P<name>[^,;\t|]++)[,;\t|](?P<beside>\D)")
_LAST = re.compile(r".*(?P<beside>.)[,;\t|](?P<name>.+)")
_DECIMAL = re.compile(r"\A\d+[,;|]\d|\d[,;|]\d+\Z")
_FIGURE = re.compile(r"\d+[,;|]\d+")
_MARKS = re.compile(r"[,;\t|]")
_OTHER_NAMES = frozenset({"id", "index", "unnamed: 0", ""})


def read(
    lines: LineReader,
    look_ahead: int = LOOK_AHEAD,
    *,
    may_be_header: bool = True,
    labels: Collection[str] = (),
) -> Iterator[str | RequestError]:
    """Yield the texts of a body, a record each; the last line's end makes no record.

    A record that is not UTF-8, is longer than a line may be, or is of several columns is a RequestError in its place;
    the next record starts on the line after it. So is a first line that is a header.

    Args:
        lines: The body.
        look_ahead: How many bytes a quoted field over several lines may have.
        may_be_header: Whether the first line is looked at for the name of a column.
        labels: What a line without quotes may not have in a column of its own, before the text or behind it.

    Raises:
        RequestError: 400, where the first line names several columns.
    """
    if may_be_header and not lines.at_end():
        yield _first(_record(lines, look_ahead, labels))
    while not lines.at_end():
        yield _record(lines, look_ahead, labels)


def skip_header(lines: LineReader, look_ahead: int = LOOK_AHEAD) -> None:
    """Take the first line, which is the header.

    Raises:
        RequestError: 400, where it names several columns, or nothing comes after it.
    """
    in_quotes = lines.starts_with(b'"')
    header = _record(lines, look_ahead)
    if isinstance(header, RequestError) or (_MARKS.search(header) and not in_quotes):
        raise _several_columns()
    if lines.at_end():
        raise invalid_body("the body is a header and nothing else; send at least one record below it")


def _record(lines: LineReader, look_ahead: int, labels: Collection[str] = ()) -> str | RequestError:
    if lines.starts_with(b'"'):
        return _quoted(lines, look_ahead)
    number = lines.number
    record = _quoted_later(lines, look_ahead) if lines.has(b'"') else _line(lines)
    return _unlabelled(record, number, labels) if labels else record


def _quoted(lines: LineReader, look_ahead: int) -> str | RequestError:
    """Take a field that starts with a quote, or the line where the quote turns out to be part of the text."""
    number = lines.number
    field = lines.take(_QUOTED, look_ahead)
    if field is None:
        return _line(lines)
    text, mark = field
    return _rest(lines, mark, number, look_ahead) if mark else as_text(text.replace(b'""', b'"'), number)


def _quoted_later(lines: LineReader, look_ahead: int) -> str | RequestError:
    """Take a line with a quote in it, and those that a field which it opens goes on to."""
    number = lines.number
    fields = lines.take(_QUOTED_LATER, look_ahead)
    if fields is None:
        return _line(lines)
    return _rest(lines, fields[1] or fields[4], number, look_ahead)


def _rest(lines: LineReader, mark: bytes | None, number: int, look_ahead: int) -> RequestError:
    """Take what is left of a row after a delimiter, and say that it has several columns."""
    if mark and lines.take(_REST[mark], look_ahead) is None:
        lines.skip_line()
    return invalid_record(
        f"CSV line {number} has a second column: a field in quotes stands beside a delimiter; send one column, the "
        "text, or put all of the line in quotes, its own quotes doubled"
    )


def _line(lines: LineReader) -> str | RequestError:
    number = lines.number
    line = lines.line()
    if isinstance(line, str) and "\r" in line:
        return invalid_record(
            rf"CSV line {number} has a carriage return (\r) in it; end lines with a line feed, and put a text that has "
            "line breaks in quotes"
        )
    return line


def _unlabelled(record: str | RequestError, number: int, labels: Collection[str]) -> str | RequestError:
    """Return a record, or that a label is in a column beside it; a space or, beside a figure, a digit makes it text."""
    if isinstance(record, RequestError):
        return record
    if _MARKS.search(record) is None:
        return record
    matches = (pattern.match(record) for pattern in (_FIRST, _BEHIND_A_NUMBER, _LAST))
    found = [match["name"] for match in matches if match and not match["beside"].isspace()]
    found = [name for name in found if name in labels]
    is_part = len(found) == 1 and found[0].isdigit() and _DECIMAL.search(record)
    if not found or is_part or _FIGURE.fullmatch(record):
        return record
    return invalid_record(
        f"CSV line {number} has a label in a column beside its text; send the text alone, or, where all of the line is "
        "the text, put it in quotes"
    )


def _first(record: str | RequestError) -> str | RequestError:
    """Return the first record, or that it is a header."""
    if isinstance(record, RequestError):
        return record
    if DECLARATION.match(record):
        return invalid_record(
            "CSV line 1 names a delimiter, as Excel's files do; send one column, the text, without it"
        )
    if record.strip().lower() in TEXT_NAMES:
        return invalid_record(
            "CSV line 1 is the name of a column; send text/csv; header=present, or leave the line out; for a text that "
            "is this word send text/csv; header=absent"
        )
    names = [name.strip().strip('"').lower() for name in _MARKS.split(record)] if len(record) < 1000 else []
    known = TEXT_NAMES & {*names} and {*names} <= TEXT_NAMES | LABEL_NAMES | _OTHER_NAMES
    # So pandas writes columns without names, and a Series with its index.
    if len(names) > 1 and (known or are_column_numbers(names) or names == ["", "0"]):
        raise _several_columns()
    return record


def _several_columns() -> RequestError:
    return invalid_body("the header names several columns; send one column, the text, without labels and ids")
