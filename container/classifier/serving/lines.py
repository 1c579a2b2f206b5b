"""Reads a stream of bytes line by line and holds only a small part of it, however long the stream or a line is."""

import re
from typing import Protocol

from classifier.errors import RequestError

LONGEST_LINE = 4 << 20
PIECE_BYTES = 1 << 18


class Stream(Protocol):
    """Where a request's body comes from."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none only at the end."""
        ...


class LineReader:
    r"""The lines of a stream that end with ``\n``, ``\r\n`` or the stream; what is taken is forgotten.

    Args:
        stream: What is still to read.
        start: What was read of it before.
        longest: The most bytes of a line that are held; a longer line is an error, and is dropped.
        piece: How many bytes are read at a time.
        shorter: What to do about a line that is too long, in words.

    Attributes:
        number: The number of the next line, from 1.
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
        """Return whether the next line, unless it is too long, has a byte in it."""
        size = self._line_size()
        return size is not None and self._held.find(byte, self._position, self._position + size) >= 0

    def line(self) -> str | RequestError:
        """Take the next line; return it without its end, or what is wrong with it."""
        number, size = self.number, self._line_size()
        if size is None:
            self.skip_line()
            megabytes = self._longest >> 20
            return invalid_record(f"line {number} is longer than {megabytes} MB; {self._shorter}")
        content = self._held[self._position : self._position + size - 1]
        self._take(size, 1)
        return as_text(content.removesuffix(b"\r"), number)

    def take(self, pattern: re.Pattern[bytes], look_ahead: int) -> tuple[bytes, ...] | None:
        """Take what a pattern matches from the start of the next line on, and return its groups.

        Args:
            pattern: What to match; a last line that lacks its line break has one here.
            look_ahead: How many bytes the match may have at most where it goes beyond the line.
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
        """Drop what is left of the line, however long that is."""
        while (end := self._held.find(b"\n", self._position)) < 0 and not self._ended:
            self._position = len(self._held)
            self._read()
        self._position = end + 1 if end >= 0 else len(self._held)
        self.number += 1

    def _line_size(self) -> int | None:
        """Return how many bytes the next line has, its line break with them; none where it is too long."""
        searched = 0
        while (end := self._held.find(b"\n", self._position + searched)) < 0:
            searched = len(self._held) - self._position
            if searched > self._longest or not self._holds(searched + 1):
                return None
        size = end + 1 - self._position
        return size if size - 1 <= self._longest else None

    def _holds(self, size: int) -> bool:
        """Read on until so many bytes are held, or all that there are; return whether there are so many."""
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
                self._held += b"\n"  # now every line has an end, and none is a special case

    def _take(self, size: int, lines: int) -> None:
        self._position += size
        self.number += lines


def as_text(content: bytes | bytearray, number: int) -> str | RequestError:
    """Return a record's text, or the error that it is not UTF-8; ``number`` is the line it starts on."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        return invalid_record(f"line {number} is not UTF-8 (at byte {error.start} of its text); send UTF-8")


def invalid_record(message: str) -> RequestError:
    """Return the error of one record, which spoils no other."""
    return RequestError(400, "invalid_record", message)


def invalid_body(message: str) -> RequestError:
    """Return the error of a whole body."""
    return RequestError(400, "invalid_body", message)
