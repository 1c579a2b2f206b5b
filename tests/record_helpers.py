"""Streams that bodies come from, and what is found in them."""

import io
from collections.abc import Iterator

from classifier.errors import RequestError
from classifier.serving.records import Body, Bounds, Record, read

BOUNDS = Bounds(whole_bytes=100 << 20, records=1_000_000)


class Trickle(io.BytesIO):
    """A stream that gives fewer bytes than it is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size) if size is not None and size > 0 else size)


class Made:
    """A stream of pieces that are made when they are read: as much as one likes, without holding it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.left = b""

    def read(self, size: int, /) -> bytes:
        piece = self.left or next(self.pieces, b"")
        self.left = piece[size:]
        return piece[:size]


def all_of(body: Body) -> list[Record]:
    return [record for chunk in body.chunks for record in chunk]


def texts(body: str | bytes, kind: str) -> list[Record]:
    return all_of(read(io.BytesIO(body if isinstance(body, bytes) else body.encode()), kind, BOUNDS))


def shown(found: list[Record]) -> list[str | None]:
    """Return the texts, and none for a record that is wrong."""
    for record in found:
        assert isinstance(record, str) or (record.status, record.code) == (400, "invalid_record")
    return [record if isinstance(record, str) else None for record in found]


def problems(found: list[Record]) -> list[str]:
    return [record.message for record in found if isinstance(record, RequestError)]
