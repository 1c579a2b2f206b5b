"""Reads a stream of bytes line by line, in bounded memory, however long the stream or a line is."""

import re
from typing import Protocol

from classifier.errors import RequestError

LONGEST_LINE = 4 << 20
PIECE_BYTES = 1 << 18


class Stream(Protocol):
    """The stream of a request's body."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; empty only at the end."""
        ...


class LineReader:
    r"""The lines of a stream, which end with ``\n``, ``\r\n`` or the stream's end; consumed lines are dropped.

    Args:
        stream: The rest of the stream.
        start: The bytes that were already read from it.
        longest: The most bytes in a line; a longer line is skipped and returned as an error.
        piece: How many bytes are read at a time.
        shorter: The advice in the error for a line that is too long.

    Attributes:
        number: The number of the next line, from 1.
        joined: How many of the records so far extended over several lines; counted by the reader of records.
    """

    def __init__(
        self,
        stream: Stream,
        start: bytes = b"",
        *,
        longest: int = LONGEST_LINE,
        piece: int = PIECE_BYTES,
        shorter: str = "send shorter texts",
    ) -> None:
        self.number = 1
        self.joined = 0
        self._stream = stream
        self._longest = longest
        self._piece = piece
        self._shorter = shorter
        self._held = bytearray(start)
        self._position = 0
        self._ended = False

    def at_end(self) -> bool:
        """Return whether no line is left."""
        return not self._holds(1)

    def starts_with(self, byte: bytes) -> bool:
        """Return whether the next line starts with a byte."""
        return self._holds(1) and self._held.startswith(byte, self._position)

    def has(self, byte: bytes) -> bool:
        """Return whether the next line contains a byte; False if the line is too long."""
        size = self._line_size()
        return size is not None and self._held.find(byte, self._position, self._position + size) >= 0

    def line(self) -> str | RequestError:
        """Consume the next line; return it without its line break, or its error."""
        number, size = self.number, self._line_size()
        if size is None:
            self.skip_line()
            megabytes = self._longest >> 20
            return invalid_record(f"line {number} is longer than {megabytes} MB; {self._shorter}")
        content = self._held[self._position : self._position + size - 1]
        self._take(size, 1)
        return as_text(content.removesuffix(b"\r"), number)

    def take(self, pattern: re.Pattern[bytes], look_ahead: int) -> tuple[bytes, ...] | None:
        """Consume the match of a pattern at the start of the next line, and return its groups; None without a match.

        Args:
            pattern: The pattern; it always sees a line break at the end of the last line.
            look_ahead: The most bytes in a match that extends beyond the line.
        """
        size = self._line_size()
        if size is None:
            return None
        window = max(size, look_ahead)
        self._holds(window)
        match = pattern.match(self._held, self._position, self._position + window)
        if match is None:
            return None
        groups = match.groups()
        self._take(match.end() - match.start(), self._held.count(b"\n", match.start(), match.end()))
        return groups

    def skip_line(self) -> None:
        """Skip the rest of the line, however long it is."""
        while (end := self._held.find(b"\n", self._position)) < 0 and not self._ended:
            self._position = len(self._held)
            self._read()
        self._position = end + 1 if end >= 0 else len(self._held)
        self.number += 1

    def _line_size(self) -> int | None:
        """Return the length of the next line in bytes, with its line break; None if it is too long."""
        searched = 0
        while (end := self._held.find(b"\n", self._position + searched)) < 0:
            searched = len(self._held) - self._position
            if searched > self._longest or not self._holds(searched + 1):
                return None
        size = end + 1 - self._position
        return size if size - 1 <= self._longest else None

    def _holds(self, size: int) -> bool:
        """Read until ``size`` bytes are in the buffer, or the stream ends; return whether there are that many."""
        while len(self._held) - self._position < size and not self._ended:
            self._read()
        return len(self._held) - self._position >= size

    def _read(self) -> None:
        del self._held[: self._position]
        self._position = 0
        piece = self._stream.read(self._piece)
        self._held += piece
        if not piece:
            self._ended = True
            if self._held and not self._held.endswith(b"\n"):
                self._held += b"\n"  # so that every line ends with a line break

    def _take(self, size: int, lines: int) -> None:
        self._position += size
        self.number += lines


def as_text(content: bytes | bytearray, number: int) -> str | RequestError:
    """Return a record's text, or an error if it is not UTF-8; ``number`` is the line it starts on."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        return invalid_record(f"line {number} is not UTF-8 (at byte {error.start} of its text); send UTF-8")


def invalid_record(message: str) -> RequestError:
    """Return the error of a single record."""
    return RequestError(400, "invalid_record", message)


def invalid_body(message: str) -> RequestError:
    """Return an error that refuses a whole body."""
    return RequestError(400, "invalid_body", message)
