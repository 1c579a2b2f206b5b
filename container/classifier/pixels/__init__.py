"""Decodes images to pixels, upright and scaled; the same code for training and serving.

The work is bounded for any input: an image's size is read from its header before anything is decoded, and of the
metadata only the orientation is read.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from classifier import image_formats
from classifier.pixels import tiff, webp
from classifier.pixels.limits import (
    CONVERT,
    DAMAGED,
    MOST_BYTES,
    MOST_PARTS,
    MOST_PIXELS,
    MOST_SCANS,
    READ,
    PixelsError,
    check_size,
)

__all__ = [
    "CONVERT",
    "MOST_BYTES",
    "MOST_PARTS",
    "MOST_PIXELS",
    "MOST_SCANS",
    "READ",
    "ImageSource",
    "Pixels",
    "PixelsError",
    "decode",
    "is_image",
    "measure",
    "other_image",
    "read",
    "smoke_images",
    "survey",
    "what_else",
]

Pixels = NDArray[np.uint8]  # [height, width, 3]: red, green, blue

PNG_BEGINS = b"\x89PNG\r\n\x1a\n"

# Images of 16 bits a value, which are grey, are read by as many bits as the values of a whole channel take up. Cameras
# write the greatest value where they measured nothing.
BITS, NOTHING_MEASURED = 16, (1 << 16) - 1
# Of the values of such an image, a thousandth may be faulty points at either end.
FAULTY = 0.001
COUNTED_AT_ONCE = 1 << 22
# The values of another image are looked at in the size that networks read.
LOOKED_AT = 224
# Pillow's modes of 32 bits, of which no range of values is known, and of colours that are not seen on screens.
NOT_8_OR_16_BITS = frozenset({"I", "F", "LAB", "HSV"})
# A JPEG can be decoded at an eighth, a quarter or half its size; that is still this many times what is needed.
DRAFT = 2

FORMATS: Mapping[bytes, type[ImageFile]] = {
    rb"\xff\xd8\xff": JpegImageFile,
    re.escape(PNG_BEGINS): PngImageFile,
    rb"GIF8": GifImageFile,
    rb"BM": BmpImageFile,
    rb"RIFF.{4}WEBP": WebPImageFile,
    rb"II\*\x00|MM\x00\*": TiffImageFile,
}
# What Pillow raises at broken files, seen in its code and when files were broken at random.
BROKEN = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, AssertionError,
    struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip

HEAD_BYTES = 4096
OTHERS: Mapping[bytes, str] = {
    rb".{4}ftyp(?:hei|hev|mif1|msf1)": f"a HEIC image, as phones take them; {CONVERT}",
    rb".{4}ftypavi[fs]": f"an AVIF image; {CONVERT}",
    rb"II\+\x00|MM\x00\+": f"a BigTIFF image; {CONVERT}",
    rb"\x00\x00\x00\x0cJXL |\xff\x0a": f"a JPEG XL image; {CONVERT}",
    rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51": f"a JPEG 2000 image; {CONVERT}",
    rb"8BPS": f"a Photoshop file; {CONVERT}",
    rb"\x00\x00\x01\x00": f"an icon; {CONVERT}",
    rb".{4}ftyp": f"a video; export stills of it, and save them as {READ}",
    rb"%PDF-\d": f"a PDF; save its images as {READ}",
    rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|.{257}ustar": "an archive; unpack it",
    rb"(\xef\xbb\xbf)?version https://git-lfs": "a Git LFS pointer, not the file; run git lfs pull",
    rb"(\xef\xbb\xbf)?\s*(<\?xml.*)?<svg": f"an SVG drawing; {CONVERT}",
    rb"(\xef\xbb\xbf)?\s*<\?xml.*<Error>": "an error message of S3, not an image; download the file again",
    rb"(\xef\xbb\xbf)?\s*<(?i:!doctype html|html)": "a web page, not an image; download the image itself",
    rb"data:image/|/9j/|iVBORw0KGgo|R0lGOD": "base64 of an image; give the bytes that it stands for",
}

IMAGES_NOT_READ = tuple(magic for magic, words in OTHERS.items() if words.endswith(CONVERT))

EXIF = b"Exif\x00\x00"
BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
ORIENTATION_TAG, SHORT = 0x0112, 3
UPRIGHT = 1
# What brings an image upright, by EXIF's orientation (CIPA DC-008, 4.6.4).
TURNS: Mapping[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ON_THEIR_SIDE = frozenset({5, 6, 7, 8})

# A marker of JPEG; FF 00 within a scan is data, and D0 to D7 part data that can be decoded alone.
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN, EXIF_SEGMENT = 0xD8, 0xD9, 0xDA, 0xE1
WITHOUT_LENGTH = frozenset({0x01, START_OF_IMAGE})
# APP1 to APP13, APP15 and comments; APP0 (JFIF) and APP14 (Adobe) say how colours are written.
ABOUT_THE_IMAGE = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
# What of a PNG is the image; the lengths of a chunk's length and kind, and of its checksum.
CHUNKS, EXIF_CHUNK = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}), b"eXIf"
CHUNK_BEGIN, CHUNK_END = 8, 4


@dataclass(frozen=True)
class ImageSource:
    """An image file of a channel; its string is the SHA-256 of its content.

    Attributes:
        path: The file.
        sha256: SHA-256 of its content, as hexadecimal.
        height: In pixels, upright; 0 if not measured.
        width: In pixels, upright; 0 if not measured.
        item: Its path below its label's folder; empty if it was not found in one.
        values: What its pixels' values are; None if not measured.
        bits: How many bits of 16 its values are read by, if it is of 16 bits.
    """

    path: Path
    sha256: str
    height: int = 0
    width: int = 0
    item: str = field(default="", compare=False)
    values: "Values | None" = field(default=None, compare=False)
    bits: int = field(default=BITS, compare=False)

    def __str__(self) -> str:
        return self.sha256


@dataclass(frozen=True)
class Values:
    """The range of an image's pixel values, between which nearly all of them are.

    Attributes:
        least: The lower end for each colour channel, 0 to 255; for a 16-bit image, that of its single channel.
        greatest: The upper end, likewise.
        bits: How many bits the values of a 16-bit image use, without :data:`NOTHING_MEASURED`; 0 for other images.
    """

    least: tuple[float, ...]
    greatest: tuple[float, ...]
    bits: int = 0


@dataclass(frozen=True)
class Survey:
    """What is known of an image that can be read: height and width in pixels, upright, and its values."""

    height: int
    width: int
    values: Values


@dataclass(frozen=True)
class _Frame:
    """An image's first frame as it lies in the file, perhaps smaller; and how it is turned there."""

    image: Image.Image
    orientation: int
    height: int
    width: int

    @property
    def lies(self) -> bool:
        return self.orientation in ON_THEIR_SIDE


def decode(record: bytes | ImageSource | Pixels, height: int, width: int, bits: int = BITS) -> Pixels:
    """Return an image as a model reads it: its first frame, upright, as RGB on white, resized without cropping.

    Args:
        record: The content of an image file; the file; or pixels, which are returned unchanged if they have this size.
        height: In pixels.
        width: In pixels; the aspect ratio is not preserved.
        bits: How many of 16 bits the values of a 16-bit image use; an ``ImageSource`` has its own.

    Returns:
        uint8[height, width, 3].

    Raises:
        PixelsError: It is not a supported image, damaged, or too large; or most values exceed these bits.
    """
    if isinstance(record, np.ndarray):
        return record if record.shape == (height, width, 3) else _scaled(Image.fromarray(record), (width, height))
    if isinstance(record, ImageSource):
        content, bits = read(record.path), record.bits
    else:
        content = record
    frame = _first_frame(content, DRAFT * max(height, width))
    image = _in_8_bits(frame.image, bits)
    if not frame.lies:
        return _turned(_scaled(image, (width, height)), frame.orientation)
    return _turned(_scaled(image, (height, width)), frame.orientation)


def survey(content: bytes) -> Survey:
    """Decode an image at the lowest cost that still detects damage, and return its size and values.

    Raises:
        PixelsError: :func:`decode` can't read it.
    """
    frame = _first_frame(content, 1)
    height, width = (frame.width, frame.height) if frame.lies else (frame.height, frame.width)
    return Survey(height, width, _values(frame.image))


def measure(content: bytes) -> tuple[int, int]:
    """Decode an image at the lowest cost that still detects damage; return its height and width in pixels, upright.

    Raises:
        PixelsError: :func:`decode` can't read it.
    """
    frame = _first_frame(content, 1)
    return (frame.width, frame.height) if frame.lies else (frame.height, frame.width)


def is_image(head: bytes) -> bool:
    """Return whether a file's first bytes are those of an image that is read, and of nothing else."""
    return re.match(image_formats.BEGINS, head, re.DOTALL) is not None


def other_image(head: bytes) -> str:
    """Say which kind of image that is not read a file is by its first bytes, and what to do; else nothing."""
    return what_else(head) if any(re.match(magic, head, re.DOTALL) for magic in IMAGES_NOT_READ) else ""


def what_else(head: bytes) -> str:
    """Return the format of a file that is not a supported image, and what to do; empty if it is unknown."""
    return next((words for magic, words in OTHERS.items() if re.match(magic, head, re.DOTALL)), "")


def read(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        PixelsError: It is too large.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise PixelsError(f"{size:,} bytes; make it smaller: {MOST_BYTES:,} are read")
    return path.read_bytes()


def smoke_images() -> tuple[bytes, ...]:
    """Return small images of different kinds, always of the same pixels, to compare one model's forms by."""
    down, across = np.mgrid[0:48, 0:64]
    colours = np.stack([across * 4, down * 5, (across * down) % 256], axis=-1).astype(np.uint8)
    squares = ((across // 8 + down // 8) % 3 * 80).astype(np.uint8)
    rings = (np.hypot(across - 32, down - 24) * 9).astype(np.uint8)
    paints = Image.fromarray(squares).convert("P")
    return (
        _encoded(Image.fromarray(colours), "PNG"),
        _encoded(Image.fromarray(rings), "PNG"),
        _encoded(paints, "PNG", transparency=0),
        _encoded(Image.fromarray(colours[:, :24]).quantize(16), "GIF"),
    )


def _first_frame(content: bytes, side: int) -> _Frame:
    """Decode an image's first frame; a JPEG may come smaller, but neither side below `side`."""
    opener = next((opener for magic, opener in FORMATS.items() if re.match(magic, content, re.DOTALL)), None)
    if opener is None:
        raise PixelsError(_what_else(content))
    content, orientation = BARE.get(opener, _as_it_is)(content)
    try:
        image = opener(io.BytesIO(content))
        width, height = image.size
        check_size(width, height)
        image.draft(None, (side, side))
        image.load()
    except BROKEN as error:
        raise PixelsError(DAMAGED) from error
    if image.mode in NOT_8_OR_16_BITS:
        raise PixelsError(f"values of another kind than 8 or 16 bits; {CONVERT} with 8 bits a value")
    return _Frame(image, orientation, height, width)


def _what_else(content: bytes) -> str:
    if not content:
        return "empty; an image is expected"
    return what_else(content[:HEAD_BYTES]) or f"not a supported image; {CONVERT}"


def _bare_webp(content: bytes) -> tuple[bytes, int]:
    frame, exif = webp.bare(content)
    return frame, _orientation(exif)


def _bare_tiff(content: bytes) -> tuple[bytes, int]:
    """Return a TIFF without what is about the image; Pillow turns it upright itself."""
    return tiff.bare(content), UPRIGHT


def _as_it_is(content: bytes) -> tuple[bytes, int]:
    return content, UPRIGHT


def _bare_jpeg(content: bytes) -> tuple[bytes, int]:
    """Return a JPEG without what is about the image, and its orientation.

    Raises:
        PixelsError: It has more scans, or parts, than any program writes.
    """
    kept, orientation, scans, begun, position = [content[:2]], UPRIGHT, 0, len(content), 2
    for _ in range(MOST_PARTS):
        marker = MARKER.search(content, position)
        if marker is None or marker[1][0] == END_OF_IMAGE:
            return b"".join([*kept, content[begun:]]), orientation
        kind, begin = marker[1][0], marker.end()
        if kind in WITHOUT_LENGTH:
            position = begin
            continue
        position = begin + max(2, int.from_bytes(content[begin : begin + 2], "big"))
        if kind == START_OF_SCAN:
            scans, begun = scans + 1, min(begun, marker.start())
        elif not scans and kind not in ABOUT_THE_IMAGE:
            kept.append(content[marker.start() : position])
        elif kind == EXIF_SEGMENT and orientation == UPRIGHT:
            orientation = _orientation(content[begin + 2 : position])
        if scans > MOST_SCANS:
            break
    raise PixelsError(f"a JPEG image of more than {MOST_SCANS} scans, or {MOST_PARTS:,} parts; {CONVERT} again")


def _bare_png(content: bytes) -> tuple[bytes, int]:
    """Return a PNG without what is about the image, and its orientation.

    Raises:
        PixelsError: It has more parts than any program writes.
    """
    kept, orientation, position, kind = [PNG_BEGINS], UPRIGHT, len(PNG_BEGINS), b""
    for _ in range(MOST_PARTS):
        if position >= len(content) or kind == b"IEND":
            return b"".join(kept), orientation
        begin = position + CHUNK_BEGIN
        kind, end = content[position + 4 : begin], begin + int.from_bytes(content[position : position + 4], "big")
        if kind in CHUNKS:
            kept.append(content[position : end + CHUNK_END])
        elif kind == EXIF_CHUNK:
            orientation = _orientation(content[begin:end])
        position = end + CHUNK_END
    raise PixelsError(f"a PNG image of more than {MOST_PARTS:,} parts; {CONVERT} again")


BARE: Mapping[type[ImageFile], Callable[[bytes], tuple[bytes, int]]] = {
    JpegImageFile: _bare_jpeg,
    PngImageFile: _bare_png,
    WebPImageFile: _bare_webp,
    TiffImageFile: _bare_tiff,
}


def _orientation(exif: bytes) -> int:
    """Return EXIF's orientation, 1 to 8; 1, upright, where it says none."""
    directory = exif.removeprefix(EXIF)
    order = BYTE_ORDERS.get(directory[:4])
    if order is None or len(directory) < 10:
        return UPRIGHT
    (offset,) = struct.unpack_from(f"{order}I", directory, 4)
    count = int.from_bytes(directory[offset : offset + 2], "little" if order == "<" else "big")
    entries = directory[offset + 2 : offset + 2 + 12 * count]
    for tag, kind, _, value in struct.iter_unpack(f"{order}HHIH2x", entries[: len(entries) // 12 * 12]):
        if (tag, kind) == (ORIENTATION_TAG, SHORT):
            return value if value in TURNS else UPRIGHT
    return UPRIGHT


def _scaled(image: Image.Image, size: tuple[int, int]) -> Pixels:
    """Return an image's colours, scaled to a width and height; what is transparent is white."""
    transparent = "transparency" in image.info or image.mode in {"LA", "PA", "RGBA"}
    if transparent:  # a transparent pixel's own colour must not run into those beside it
        image = (image if image.mode == "RGBA" else image.convert("RGBA")).convert("RGBa")
    elif image.mode not in {"L", "RGB", "CMYK"}:
        image = image.convert("L" if image.mode == "1" else "RGB")
    image = image.resize(size, Image.Resampling.BILINEAR)
    if not transparent:
        return np.asarray(image.convert("RGB"))
    coloured = np.asarray(image).astype(np.uint16)
    on_white: Pixels = np.minimum(coloured[..., :3] + (255 - coloured[..., 3:]), 255).astype(np.uint8)
    return on_white


def _has_16_bits(image: Image.Image) -> bool:
    return image.mode.startswith("I;16")


def _in_8_bits(image: Image.Image, bits: int) -> Image.Image:
    """Return an image of 16 bits as one of 8, of which the greatest value that these bits hold is white.

    Raises:
        PixelsError: Most of its values are greater.
    """
    if not _has_16_bits(image):
        return image
    values, white = np.asarray(image), (1 << bits) - 1
    beyond = np.count_nonzero(values > white) - np.count_nonzero(values == NOTHING_MEASURED)
    if 2 * beyond > values.size:
        raise PixelsError(
            f"most values are over {white:,}, and the images of the training data used {bits} of 16 bits; save it with "
            "the same range of values"
        )
    values = np.minimum(values, white)
    return Image.fromarray((values >> bits - 8 if bits > 8 else values << 8 - bits).astype(np.uint8))


def _values(image: Image.Image) -> Values:
    if not _has_16_bits(image):
        width, height = image.size
        small = _scaled(image, (min(width, LOOKED_AT), min(height, LOOKED_AT))).reshape(-1, 3)
        return Values(tuple(map(float, small.min(axis=0))), tuple(map(float, small.max(axis=0))))
    values = np.asarray(image)
    some = np.array_split(values, -(-values.size // COUNTED_AT_ONCE))  # counted as integers of 64 bits
    counts = np.sum([np.bincount(rows.ravel(), minlength=1 << BITS) for rows in some], axis=0)
    found = np.flatnonzero(counts[:NOTHING_MEASURED])
    if not found.any():  # nothing was measured, or it is a mask of the least value and the greatest
        ends = np.flatnonzero(counts)
        return Values((int(ends[0]),), (int(ends[-1]),))
    measured = counts[:NOTHING_MEASURED].cumsum()
    ends = np.searchsorted(measured, [FAULTY * measured[-1], (1 - FAULTY) * measured[-1]])
    least, greatest = max(int(ends[0]), int(found[0])), min(int(ends[1]), int(found[-1]))
    return Values((least,), (greatest,), int(found[-1]).bit_length())


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """Return pixels upright that lie as EXIF's orientation says."""
    return np.asarray(Image.fromarray(pixels).transpose(TURNS[orientation])) if orientation in TURNS else pixels


def _encoded(image: Image.Image, kind: str, **settings: int) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **settings)
    return content.getvalue()
