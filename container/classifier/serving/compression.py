"""Request bodies with a ``Content-Encoding``: decompressed as a stream, up to a bound."""

import gzip
import zlib
from typing import IO, cast

from classifier.errors import RequestError
from classifier.serving.lines import Stream

GZIP = ("gzip", "x-gzip")
NONE = ("", "identity")
MOST_GROWTH = 1032
"""The highest compression ratio that gzip's format allows."""


def is_compressed(encoding: str) -> bool:
    """Return whether a Content-Encoding header, empty if there is none, announces gzip.

    Raises:
        RequestError: 415, for an unsupported encoding.
    """
    name = encoding.strip().lower()
    if name not in (*GZIP, *NONE):
        raise RequestError(
            415, "unsupported_media_type", "unsupported Content-Encoding; compress the body with gzip or not at all"
        )
    return name in GZIP


class Decompressed:
    """A stream of decompressed bytes.

    Args:
        stream: The compressed bytes.
        most: The most bytes that they may decompress to.
    """

    def __init__(self, stream: Stream, most: int) -> None:
        self._file = gzip.GzipFile(fileobj=cast("IO[bytes]", stream), mode="rb")
        self._most = most
        self._left = most

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; empty only at the end.

        Raises:
            RequestError: 400, if the data is damaged or cut off; 413, if it decompresses to more than the bound.
        """
        try:
            piece = self._file.read(size)
        except EOFError:
            raise _broken("ends in the middle of its gzip data") from None
        except (zlib.error, gzip.BadGzipFile):
            raise _broken("is not valid gzip, although its Content-Encoding is gzip") from None
        self._left -= len(piece)
        if self._left < 0:
            raise RequestError(
                413,
                "payload_too_large",
                f"the decompressed body exceeds {self._most} bytes (SERVING_MAX_WHOLE_MB); send it in parts; "
                "JSON Lines and CSV may be longer if they are sent uncompressed",
            )
        return piece


def _broken(problem: str) -> RequestError:
    return RequestError(400, "invalid_body", f"the body {problem}; compress it again, or send it uncompressed")
