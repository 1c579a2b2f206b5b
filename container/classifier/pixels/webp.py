"""WebP files, reduced to their first frame (RFC 9649, "WebP Image Format", section 2)."""

from collections.abc import Iterator

from classifier.pixels.limits import CONVERT, DAMAGED, MOST_PARTS, PixelsError, check_size

EXTENDED, LOSSY, LOSSLESS, FRAME, EXIF = b"VP8X", b"VP8 ", b"VP8L", b"ANMF", b"EXIF"
# What of a file is the image.
CHUNKS = frozenset({EXTENDED, LOSSY, LOSSLESS, FRAME, b"ALPH", b"ANIM"})
BEGIN, CHUNK_BEGIN = 12, 8
ABOUT_THE_IMAGE = 0x20 | 0x08 | 0x04  # flags: there are a colour profile, EXIF data and XMP data
SHORTEST = 10  # bytes, of a chunk that holds a size


def bare(content: bytes) -> tuple[bytes, bytes]:
    """Return a WebP's first frame without what is about the image, and its EXIF data.

    Raises:
        PixelsError: It is too large by its header, has more parts than any program writes, or no frame.
    """
    kept, exif, frames = [], b"", 0
    for number, (kind, data) in enumerate(_chunks(content)):
        if number == MOST_PARTS:
            raise PixelsError(f"a WebP image of more than {MOST_PARTS:,} parts; {CONVERT} again")
        if kind == EXIF:
            exif = exif or data
        frames += kind == FRAME
        if kind not in CHUNKS or (kind == FRAME and frames > 1):
            continue
        if kind in (EXTENDED, LOSSY, LOSSLESS):
            _check(kind, data)
        flags = bytes([data[0] & ~ABOUT_THE_IMAGE]) if kind == EXTENDED else data[:1]
        kept.append(kind + len(data).to_bytes(4, "little") + flags + data[1:] + b"\0" * (len(data) % 2))
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body, exif


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = BEGIN
    while position + CHUNK_BEGIN <= len(content):
        size = int.from_bytes(content[position + 4 : position + CHUNK_BEGIN], "little")
        begin = position + CHUNK_BEGIN
        yield content[position : position + 4], content[begin : begin + size]
        position = begin + size + size % 2


def _check(kind: bytes, data: bytes) -> None:
    """Refuse an image that is too large by a chunk's header."""
    if len(data) < SHORTEST:
        raise PixelsError(DAMAGED)
    if kind == EXTENDED:
        check_size(1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little"))
    elif kind == LOSSY:
        check_size(*(int.from_bytes(data[begin : begin + 2], "little") & 0x3FFF for begin in (6, 8)))
    else:
        both = int.from_bytes(data[1:5], "little")
        check_size(1 + (both & 0x3FFF), 1 + (both >> 14 & 0x3FFF))
