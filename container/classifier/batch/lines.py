"""The lines of a file, for a reader that holds one row at a time and may turn back within it."""

from collections import deque
from typing import TextIO

from classifier.tabular.files import MARK

LONGEST_ROW = 4 << 20  # characters
LINE_ENDS = ("\n", "\r")


class TooLongError(Exception):
    """A row has more than :data:`LONGEST_ROW` characters, or its quote is not closed within so many."""


class Lines:
    """An iterator over the lines of a text file, row by row.

    Args:
        file: The file, opened so that its line ends stay as they are and its encoding errors don't end it.

    Attributes:
        number: The number of the row's first line, from 1.
        size: The characters of the row so far.
    """

    def __init__(self, file: TextIO) -> None:
        self.number = 1
        self.size = 0
        self._file = file
        self._again: deque[str] = deque()
        self._read_characters = self._again_characters = 0
        self._row: list[str] = []

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        """Return the next line, which is the row's.

        Raises:
            TooLongError: The row gets too long by it.
        """
        line = self._again.popleft() if self._again else self._read()
        if not line:
            raise StopIteration
        self._row.append(line)
        self.size += len(line)
        if self.size > LONGEST_ROW:
            raise TooLongError
        return line

    def begin_row(self) -> None:
        """Make the next line the first of a row."""
        self.number += len(self._row)
        self._row.clear()
        self.size = 0

    def turn_back(self) -> None:
        """Reduce the row to its first line; the next row begins with the second line.

        If more has been reread than read so far, the row keeps all its lines, so that the time for any file, whatever
        its quotes, is linear in its length.
        """
        if self._again_characters > self._read_characters + LONGEST_ROW:
            return
        self._again_characters += self.size
        self._again.extendleft(reversed(self._row[1:]))
        del self._row[1:]

    @property
    def count(self) -> int:
        """The row's lines so far."""
        return len(self._row)

    @property
    def first(self) -> str:
        """The row's first line, without its end."""
        return self._row[0].rstrip("".join(LINE_ENDS)) if self._row else ""

    @property
    def is_utf_8(self) -> bool:
        """Whether the row's lines so far are UTF-8."""
        return all(line.isascii() or _is_utf_8(line) for line in self._row)

    def _read(self) -> str:
        """Read a line; one that is too long is cut just beyond the limit, and the rest of it skipped."""
        line = self._file.readline(LONGEST_ROW + 1)
        self._read_characters += len(line)
        rest = line if len(line) > LONGEST_ROW else ""
        while rest and not rest.endswith(LINE_ENDS):
            rest = self._file.readline(LONGEST_ROW)
        return line.removeprefix(MARK)


def _is_utf_8(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True
