"""Reads the one column of texts that a ``text/csv`` request is.

Batch transform cuts a file at line ends without looking at its quotes, so a quote is believed only where it makes
sense: a field is quoted as RFC 4180 says, or its line is the text, commas, quotes and all.
"""

import re
from collections.abc import Iterator

from classifier.errors import RequestError

# Possessive, so that a body of nothing but quotes is read once.
_QUOTED = re.compile(r'"((?:[^"]++|"")*+)"')
_LINE_END = re.compile(r"\r?(?:\n|\Z)")


def read(content: str) -> list[str]:
    """Return the texts of a body, a record each; the last line's end makes no record.

    Raises:
        RequestError: 400, when a quoted text is followed by a second column.
    """
    return list(_records(content))


def _records(content: str) -> Iterator[str]:
    position = 0
    while position < len(content):
        quoted = _QUOTED.match(content, position)
        after = _LINE_END.match(content, quoted.end()) if quoted else None
        if quoted and content.startswith(",", quoted.end()):
            raise _second_column(content.count("\n", 0, position) + 1)
        if quoted and after:
            yield quoted[1].replace('""', '"')
            position = after.end()
            continue
        end = content.find("\n", position)
        end = len(content) if end < 0 else end
        yield content[position:end].removesuffix("\r")
        position = end + 1


def _second_column(line: int) -> RequestError:
    return RequestError(
        400,
        "invalid_body",
        f"CSV line {line} has a second column after its quoted text; send one column, the text, without a header",
    )
