"""Reads a ``text/csv`` request, a single column of texts, as a stream.

Batch transform splits a file at line breaks without regard to quotes, so quotes count only where they are well-formed:
either a field is quoted as RFC 4180 says, or the line as it stands is the text, with its commas and quotes. A quoted
field next to a delimiter means that the line has several columns; it is a bad record. A quote that nobody meant to open
a field may still be well-formed with one that ends a later line; where every line must be a record, nothing is looked
for beyond it.
"""

import re
from collections.abc import Collection, Iterator

from classifier.errors import RequestError
from classifier.serving.lines import LineReader, as_text, invalid_body, invalid_record
from classifier.tabular.columns import LABEL_NAMES, TEXT_NAMES
from classifier.tabular.delimiters import DECLARATION
from classifier.tabular.values import are_column_numbers

LOOK_AHEAD = 1 << 20
"""The most bytes in a quoted field over several lines; a quote that is closed later is part of its line's text."""
NO_LOOK_AHEAD = 0
"""Every line is a record: no field extends over several of them."""

# Possessive, so that a body of nothing but quotes is scanned once. The quote that could open the next field also ends
# the search for a closing one, so the time for a whole body is linear in its length.
_FIELD = rb'"((?:[^"]++|"")*+)"'
# Next to a text, semicolons, tabs and bars may be punctuation: after a quoted text if a space follows them, before a
# quoted text if a long passage precedes them.
_QUOTED = re.compile(_FIELD + rb"(?:(,|[;\t|](?=[^ \r\n]))|\r?\n)")
_QUOTED_LATER = re.compile(
    rb'[^"\r\n]*+(?<=,)' + _FIELD + rb"(?:(,)|\r?\n)"
    rb'|[^"\r\n]{1,100}+(?<=[^;\t|\r\n]([;\t|]))' + _FIELD + rb"(?:(\3)|\r?\n)"
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
    """Yield the texts of a body, one per record; the line break of the last line does not start another record.

    A record that is not UTF-8, is too long, or has several columns is replaced by a RequestError, and the next record
    starts on the line after it. A first line that is a header is replaced by a RequestError, too.

    Args:
        lines: The body.
        look_ahead: The most bytes in a quoted field over several lines; with :data:`NO_LOOK_AHEAD` there is none.
        may_be_header: Whether the first line may be a header, and is checked for that.
        labels: The model's labels; an unquoted line must not have one in a column before or after its text.

    Raises:
        RequestError: 400, if the first line is a header with several columns.
    """
    if may_be_header and not lines.at_end():
        yield _first(_record(lines, look_ahead, labels))
    while not lines.at_end():
        yield _record(lines, look_ahead, labels)


def skip_header(lines: LineReader, look_ahead: int = LOOK_AHEAD) -> None:
    """Skip the first line, which is the header.

    Raises:
        RequestError: 400, if it names several columns, or no line follows it.
    """
    in_quotes = lines.starts_with(b'"')
    header = _record(lines, look_ahead)
    if isinstance(header, RequestError) or (_MARKS.search(header) and not in_quotes):
        raise _several_columns()
    if lines.at_end():
        raise invalid_body("the body has only a header; send at least one record below it")


def _record(lines: LineReader, look_ahead: int, labels: Collection[str] = ()) -> str | RequestError:
    number = lines.number
    if lines.starts_with(b'"'):
        record = _quoted(lines, look_ahead)
    else:
        record = _quoted_later(lines, look_ahead) if lines.has(b'"') else _line(lines)
        record = _unlabelled(record, number, labels) if labels else record
    lines.joined += lines.number - number > 1
    return record


def _quoted(lines: LineReader, look_ahead: int) -> str | RequestError:
    """Consume a field that starts with a quote, or the whole line if the quote is part of the text."""
    number = lines.number
    field = lines.take(_QUOTED, look_ahead)
    if field is None:
        return _line(lines)
    text, mark = field
    return _rest(lines, mark, number, look_ahead) if mark else as_text(text.replace(b'""', b'"'), number)


def _quoted_later(lines: LineReader, look_ahead: int) -> str | RequestError:
    """Consume a line with a quote in it, with the lines over which a field opened in it continues."""
    number = lines.number
    fields = lines.take(_QUOTED_LATER, look_ahead)
    if fields is None:
        return _line(lines)
    return _rest(lines, fields[1] or fields[4], number, look_ahead)


def _rest(lines: LineReader, mark: bytes | None, number: int, look_ahead: int) -> RequestError:
    """Skip the rest of a row after a delimiter, and return the error that it has several columns."""
    if mark and lines.take(_REST[mark], look_ahead) is None:
        lines.skip_line()
    return invalid_record(
        f"CSV line {number} has a second column: a quoted field is next to a delimiter; send only the text column, or "
        "put the whole line in quotes and double its own quotes"
    )


def _line(lines: LineReader) -> str | RequestError:
    number = lines.number
    line = lines.line()
    if isinstance(line, str) and "\r" in line:
        return invalid_record(
            rf"CSV line {number} contains a carriage return (\r); end lines with a line feed, and put a text that has "
            "line breaks in quotes"
        )
    return line


def _unlabelled(record: str | RequestError, number: int, labels: Collection[str]) -> str | RequestError:
    """Return a record, or an error if it has a label in a column next to the text.

    A delimiter followed by a space, or within a number, is taken as part of the text.
    """
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
        f"CSV line {number} has a label in a column next to its text; send only the text, or, if the whole line is the "
        "text, put it in quotes"
    )


def _first(record: str | RequestError) -> str | RequestError:
    """Return the first record, or an error if it is a header."""
    if isinstance(record, RequestError):
        return record
    if DECLARATION.match(record):
        return invalid_record(
            "CSV line 1 declares a delimiter, as Excel's files do; send only the text column, without this line"
        )
    if record.strip().lower() in TEXT_NAMES:
        return invalid_record(
            "CSV line 1 is a column name; send text/csv; header=present, or leave the line out; if this word is a "
            "text, send text/csv; header=absent"
        )
    names = [name.strip().strip('"').lower() for name in _MARKS.split(record)] if len(record) < 1000 else []
    known = TEXT_NAMES & {*names} and {*names} <= TEXT_NAMES | LABEL_NAMES | _OTHER_NAMES
    # So pandas writes columns without names, and a Series with its index.
    if len(names) > 1 and (known or are_column_numbers(names) or names == ["", "0"]):
        raise _several_columns()
    return record


def _several_columns() -> RequestError:
    return invalid_body("the header names several columns; send only the text column, without labels and ids")
