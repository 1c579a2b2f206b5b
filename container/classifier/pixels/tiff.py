"""TIFF files, reduced to their only page and the tags that say how it is decoded (TIFF, revision 6.0, 1992)."""

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from classifier.pixels.limits import CONVERT, DAMAGED, MOST_SCANS, PixelsError, check_size

ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
HEADER, ENTRY_BYTES = 8, 12
TYPE_BYTES: Mapping[int, int] = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
SHORT, LONG = 3, 4
SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 259, 262
STRIPS, TILE_WIDTH, TILE_HEIGHT, TILES, DNG_VERSION = 273, 322, 323, 324, 50706
# What of a page is the image: how it is compressed, what its values mean, where they are, and how it is turned.
TAGS = frozenset(
    {
        WIDTH, HEIGHT, 258, COMPRESSION, PHOTOMETRIC, 266, STRIPS, 274, 277, 278, 279, 284, 292, 293, 317, 320,
        TILE_WIDTH, TILE_HEIGHT, TILES, 325, 332, 334, 338, 339, 347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531,
        532,
    }
)  # fmt: skip
# Those of a single value.
SINGLE = frozenset(
    {WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC, 266, 274, 277, 278, 284, 292, 293, 317, TILE_WIDTH, TILE_HEIGHT, 332, 334}
)
REDUCED, MASK = 1, 4  # bits of SUBFILE: a preview, a mask
OLD_REDUCED = 2
RAW = frozenset({32803, 34892})  # of PHOTOMETRIC: the values of a sensor
JPEGS = frozenset({6, 7})  # of COMPRESSION
MOST_PAGES_LOOKED_AT = 100


class Entry(NamedTuple):
    """A tag of a page: the type and number of its values, and they themselves or where they are."""

    tag: int
    kind: int
    length: int
    value: bytes


class Page(NamedTuple):
    """A directory of tags: where it is, its tags, and where the next one is; 0 after the last one."""

    offset: int
    entries: Mapping[int, Entry]
    following: int


def bare(content: bytes) -> bytes:
    """Return a TIFF of one page without what is about the image.

    Raises:
        PixelsError: It is damaged, too large by its header, has several pages, or is a camera's raw file.
    """
    order = ORDERS[content[:4]]
    try:
        first, *others = _pages(content, order)
        _check(content, first, others, order)
    except (struct.error, ValueError) as error:
        raise PixelsError(DAMAGED) from error
    kept = [entry for tag, entry in sorted(first.entries.items()) if tag in TAGS]
    is_whole = all(_is_whole(entry, len(content), order) for entry in kept)
    if first.offset < HEADER or not is_whole or sum(map(_size, kept)) > len(content):
        raise PixelsError(DAMAGED)
    written = [struct.pack(f"{order}HHI", *entry[:3]) + entry.value for entry in kept]
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(written) + bytes(4)
    return content[: first.offset] + directory + content[first.offset + len(directory) :]


def _pages(content: bytes, order: str) -> Iterator[Page]:
    (offset,) = struct.unpack_from(f"{order}I", content, 4)
    seen: set[int] = set()
    while (offset or not seen) and offset not in seen and len(seen) < MOST_PAGES_LOOKED_AT:
        seen.add(offset)
        (count,) = struct.unpack_from(f"{order}H", content, offset)
        begin, end = offset + 2, offset + 2 + ENTRY_BYTES * count
        (following,) = struct.unpack_from(f"{order}I", content, end)
        entries = map(Entry._make, struct.iter_unpack(f"{order}HHI4s", content[begin:end]))
        yield Page(offset, {entry.tag: entry for entry in entries}, following)
        offset = following


def _check(content: bytes, first: Page, others: list[Page], order: str) -> None:
    values = {tag: _number(entry, order) for tag, entry in first.entries.items()}
    is_preview = values.get(SUBFILE, 0) & REDUCED or values.get(OLD_SUBFILE) == OLD_REDUCED
    if content[8:10] == b"CR" or is_preview or DNG_VERSION in values or values.get(PHOTOMETRIC) in RAW:
        raise PixelsError("a camera's raw file; export it as JPEG")
    if any(_is_page(page, order) for page in others):
        raise PixelsError("a TIFF image of several pages; save each page as a file of its own")
    check_size(values.get(WIDTH, 0), values.get(HEIGHT, 0))
    if TILE_WIDTH in values:
        check_size(values[TILE_WIDTH], values.get(TILE_HEIGHT, 0))
    pieces = first.entries.get(TILES) or first.entries.get(STRIPS)
    scans = content.count(b"\xff\xda") if values.get(COMPRESSION) in JPEGS else 0
    if scans > MOST_SCANS + (pieces.length if pieces else 0):
        raise PixelsError(f"a TIFF image of JPEGs of more than {MOST_SCANS} scans; {CONVERT} again")


def _is_page(page: Page, order: str) -> bool:
    """Return whether a directory is a page, and not a preview of one or a mask."""
    values = {tag: _number(page.entries[tag], order) for tag in (SUBFILE, OLD_SUBFILE) if tag in page.entries}
    return not (values.get(SUBFILE, 0) & (REDUCED | MASK)) and values.get(OLD_SUBFILE) != OLD_REDUCED


def _is_whole(entry: Entry, length: int, order: str) -> bool:
    """Return whether a tag's values are in a file of so many bytes, of which no tag needs more than there are."""
    if entry.kind not in TYPE_BYTES or not entry.length or (entry.tag in SINGLE and entry.length > 1):
        return False
    (offset,) = struct.unpack(f"{order}I", entry.value)
    return not _size(entry) or bool(HEADER <= offset <= length - _size(entry))


def _size(entry: Entry) -> int:
    """Return how many bytes outside of the directory a tag's values have."""
    size = TYPE_BYTES[entry.kind] * entry.length
    return size if size > len(entry.value) else 0


def _number(entry: Entry, order: str) -> int:
    """Return a tag's value, if it is a single whole number; otherwise 0."""
    if entry.kind not in (SHORT, LONG) or entry.length != 1:
        return 0
    return int(struct.unpack_from(order + ("H" if entry.kind == SHORT else "I"), entry.value)[0])
