"""Bodies that are sent compressed, as ``Content-Encoding`` says: read as a stream, and no further than a bound."""

import gzip
import zlib
from typing import IO, cast

from classifier.errors import RequestError
from classifier.serving.lines import Stream

GZIP = ("gzip", "x-gzip")
NONE = ("", "identity")
MOST_GROWTH = 1032
"""How many times its size gzip's data may become, at the most that its format allows."""


def is_compressed(encoding: str) -> bool:
    """Say whether a Content-Encoding header, empty where there is none, announces gzip.

    Raises:
        RequestError: 415, when it announces what is not read here.
    """
    name = encoding.strip().lower()
    if name not in (*GZIP, *NONE):
        raise RequestError(
            415, "unsupported_media_type", "Content-Encoding is not read here; send the body with gzip, or as it is"
        )
    return name in GZIP


class Decompressed:
    """What a compressed stream holds; nothing of it is kept.

    Args:
        stream: Where the compressed bytes come from.
        most: How many bytes may come out of it.
    """

    def __init__(self, stream: Stream, most: int) -> None:
        self._file = gzip.GzipFile(fileobj=cast("IO[bytes]", stream), mode="rb")
        self._most = most
        self._left = most

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none only at the end.

        Raises:
            RequestError: 400, when it is broken or cut off; 413, when more comes out of it than may.
        """
        try:
            piece = self._file.read(size)
        except EOFError:
            raise _broken("ends in the middle of its gzip data") from None
        except (zlib.error, gzip.BadGzipFile):
            raise _broken("is no gzip, as its Content-Encoding says, or broken gzip") from None
        self._left -= len(piece)
        if self._left < 0:
            raise RequestError(
                413,
                "payload_too_large",
                f"a compressed body may hold {self._most} bytes (SERVING_MAX_WHOLE_MB); send it in parts, or as it is",
            )
        return piece


def _broken(problem: str) -> RequestError:
    return RequestError(400, "invalid_body", f"the body {problem}; compress and send it again, or send it as it is")
