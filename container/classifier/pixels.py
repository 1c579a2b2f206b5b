"""Images to pixels: the one piece of code that decodes, turns and scales them, for training and for serving.

Whatever the bytes are, the work is bounded: how large an image is, is known from its header before any of it is
decoded; of what else is in a file, nothing is read but which way up it is.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

Pixels = NDArray[np.uint8]  # [height, width, 3]: red, green, blue

READ = "JPEG, PNG, BMP or GIF"
MOST_BYTES = 1 << 28
MOST_PIXELS = 50_000_000
MOST_PIXELS_A_SIDE = 65_535
PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
# A progressive JPEG comes in about ten scans, each of which is a walk over the whole image, however few its bytes.
MOST_SCANS = 50
# Segments of a JPEG, chunks of a PNG: of either, a hundred megabytes can hold millions, which take a minute.
MOST_PARTS = 1 << 17
# A JPEG can be decoded at an eighth, a quarter or half its size; that is still this many times what is needed.
DRAFT = 2

FORMATS: Mapping[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    PNG_BEGINS: PngImageFile,
    b"GIF8": GifImageFile,
    b"BM": BmpImageFile,
}
# What Pillow raises at broken files, seen in its code and when files were broken at random.
BROKEN = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, AssertionError,
    struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip

CONVERT = f"save it as {READ}"
HEAD_BYTES = 4096
OTHERS: Mapping[bytes, str] = {
    rb"RIFF.{4}WEBP": f"a WebP image; {CONVERT}",
    rb".{4}ftyp(?:hei|hev|mif1|msf1)": f"a HEIC image, as phones take them; {CONVERT}",
    rb".{4}ftypavi[fs]": f"an AVIF image; {CONVERT}",
    rb"II\*\x00|MM\x00\*": f"a TIFF image; {CONVERT}",
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
    """A file of a channel. As a string it is what stands for its content.

    Attributes:
        path: The file.
        sha256: SHA-256 of its content, as hexadecimal.
        height: In pixels, upright; 0 where it was not measured.
        width: In pixels, upright; 0 where it was not measured.
    """

    path: Path
    sha256: str
    height: int = 0
    width: int = 0

    def __str__(self) -> str:
        return self.sha256


class PixelsError(Exception):
    """Bytes that are no image, or none that is read; the message says what is wrong, and what to do."""


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


def decode(record: bytes | ImageSource | Pixels, height: int, width: int) -> Pixels:
    """Return an image as a model reads it: its first frame, upright, in colours, on white, scaled to a size.

    Args:
        record: What is in a file; the file; or pixels, which are returned as they are where they are of that size.
        height: In pixels.
        width: In pixels; the whole image is stretched to this size.

    Returns:
        uint8[height, width, 3].

    Raises:
        PixelsError: It is no image, broken, or too large.
    """
    if isinstance(record, np.ndarray):
        return record if record.shape == (height, width, 3) else _scaled(Image.fromarray(record), (width, height))
    content = read(record.path) if isinstance(record, ImageSource) else record
    frame = _first_frame(content, DRAFT * max(height, width))
    if not frame.lies:
        return _turned(_scaled(frame.image, (width, height)), frame.orientation)
    return _turned(_scaled(frame.image, (height, width)), frame.orientation)


def measure(content: bytes) -> tuple[int, int]:
    """Decode an image as cheaply as shows every damage, and return its height and width in pixels, upright.

    Raises:
        PixelsError: :func:`decode` can't read it.
    """
    frame = _first_frame(content, 1)
    return (frame.width, frame.height) if frame.lies else (frame.height, frame.width)


def inspect(content: bytes | Path) -> str:
    """Say what is wrong with an image, and what to do; nothing where :func:`decode` can read it."""
    try:
        measure(read(content) if isinstance(content, Path) else content)
    except PixelsError as error:
        return str(error)
    return ""


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
    opener = next((opener for magic, opener in FORMATS.items() if content.startswith(magic)), None)
    if opener is None:
        raise PixelsError(_what_else(content))
    content, orientation = BARE.get(opener, _as_it_is)(content)
    try:
        image = opener(io.BytesIO(content))
        width, height = image.size
        _check_size(width, height)
        image.draft(None, (side, side))
        image.load()
    except BROKEN as error:
        raise PixelsError("an image that is cut off or damaged; copy it again, or save it anew") from error
    return _Frame(image, orientation, height, width)


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS or max(width, height) > MOST_PIXELS_A_SIDE:
        raise PixelsError(
            f"{width:,} by {height:,} pixels; make it smaller: "
            f"{MOST_PIXELS:,} in all are read, and {MOST_PIXELS_A_SIDE:,} a side"
        )


def _what_else(content: bytes) -> str:
    if not content:
        return "empty; an image was to be here"
    head = content[:HEAD_BYTES]
    known = (words for magic, words in OTHERS.items() if re.match(magic, head, re.DOTALL))
    return next(known, f"no image that is read; {CONVERT}")


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
    raise PixelsError(f"a JPEG image of more than {MOST_SCANS} scans, or {MOST_PARTS:,} parts; {CONVERT} anew")


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
    raise PixelsError(f"a PNG image of more than {MOST_PARTS:,} parts; {CONVERT} anew")


BARE: Mapping[type[ImageFile], Callable[[bytes], tuple[bytes, int]]] = {
    JpegImageFile: _bare_jpeg,
    PngImageFile: _bare_png,
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
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
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


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """Return pixels upright that lie as EXIF's orientation says."""
    return np.asarray(Image.fromarray(pixels).transpose(TURNS[orientation])) if orientation in TURNS else pixels


def _encoded(image: Image.Image, kind: str, **settings: int) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **settings)
    return content.getvalue()
