"""Reads the one column of texts that a ``text/csv`` request is, as a stream.

Batch transform cuts a file at line ends without looking at its quotes, so a quote is believed only where it makes
sense: a field is quoted as RFC 4180 says, or its line is the text, commas, quotes and all.
"""

import re
from collections.abc import Iterator

from classifier.errors import RequestError
from classifier.serving.lines import LineReader, as_text, invalid_record

LOOK_AHEAD = 1 << 20
"""How many bytes a quoted field over several lines may have; a quote that closes later is part of its line's text."""

# Possessive, so that a body of nothing but quotes is read once. That, and that the next quotes which could open a
# field are the ones that end the search for a closing one, makes the whole body cost no more than its length.
_QUOTED = re.compile(rb'"((?:[^"]++|"")*+)"(,|\r?\n)')


def read(lines: LineReader, look_ahead: int = LOOK_AHEAD) -> Iterator[str | RequestError]:
    """Yield the texts of a body, a record each; the last line's end makes no record.

    A record that is not UTF-8, is longer than a line may be, or is followed by a second column is a RequestError in
    its place; the next record starts on the line after it.
    """
    while not lines.at_end():
        yield _quoted(lines, look_ahead) if lines.starts_with(b'"') else lines.line()


def _quoted(lines: LineReader, look_ahead: int) -> str | RequestError:
    """Take a field that starts with a quote, or the line where the quote turns out to be part of the text."""
    number = lines.number
    field = lines.take(_QUOTED, look_ahead)
    if field is None:
        return lines.line()
    text, end = field
    if end != b",":
        return as_text(text.replace(b'""', b'"'), number)
    lines.skip_line()
    return invalid_record(
        f"CSV line {number} has a second column after its quoted text; send one column, the text, without a header"
    )
