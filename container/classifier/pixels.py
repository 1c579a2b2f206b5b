"""Pictures to pixels: the one piece of code that decodes, turns and scales them, for training and for serving.

Whatever the bytes are, the work is bounded: how large a picture is, is known from its header before any of it is
decoded; of what else is in a file, nothing is read but which way up it is.
"""

import io
import re
import struct
import zlib
from collections.abc import Mapping
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
MOST_PIXELS = 50_000_000
MOST_PIXELS_A_SIDE = 65_535
# A progressive JPEG comes in about ten scans, each of which is a walk over the whole picture, however few its bytes.
MOST_SCANS = 100
# A JPEG can be decoded at an eighth, a quarter or half its size; that is still this many times what is needed.
DRAFT = 2

FORMATS: Mapping[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
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
    rb"RIFF.{4}WEBP": f"a WebP picture; {CONVERT}",
    rb".{4}ftyp(?:hei|hev|mif1|msf1)": f"a HEIC picture, as phones take them; {CONVERT}",
    rb".{4}ftypavi[fs]": f"an AVIF picture; {CONVERT}",
    rb"II\*\x00|MM\x00\*": f"a TIFF picture; {CONVERT}",
    rb"\x00\x00\x00\x0cJXL |\xff\x0a": f"a JPEG XL picture; {CONVERT}",
    rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51": f"a JPEG 2000 picture; {CONVERT}",
    rb"8BPS": f"a Photoshop file; {CONVERT}",
    rb"\x00\x00\x01\x00": f"an icon; {CONVERT}",
    rb".{4}ftyp": f"a film; take pictures of it, and save them as {READ}",
    rb"%PDF-\d": f"a PDF; save its pictures as {READ}",
    rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|.{257}ustar": "an archive; unpack it",
    rb"(\xef\xbb\xbf)?version https://git-lfs": "a Git LFS pointer, not the file; run git lfs pull",
    rb"(\xef\xbb\xbf)?\s*(<\?xml.*)?<svg": f"an SVG drawing; {CONVERT}",
    rb"(\xef\xbb\xbf)?\s*<\?xml.*<Error>": "an error message of S3, not a picture; download the file again",
    rb"(\xef\xbb\xbf)?\s*<(?i:!doctype html|html)": "a web page, not a picture; download the picture itself",
    rb"data:image/|/9j/|iVBORw0KGgo|R0lGOD": "base64 of a picture; give the bytes that it stands for",
}

EXIF = b"Exif\x00\x00"
BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
ORIENTATION_TAG, SHORT = 0x0112, 3
UPRIGHT = 1
# What brings a picture upright, by EXIF's orientation (CIPA DC-008, 4.6.4).
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
MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN, EXIF_SEGMENT = 0xD8, 0xD9, 0xDA, 0xE1
WITHOUT_LENGTH = frozenset({0x01, START_OF_IMAGE})
# APP1 to APP13, APP15 and comments; APP0 (JFIF) and APP14 (Adobe) say how colours are written.
ABOUT_THE_PICTURE = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})


@dataclass(frozen=True)
class Picture:
    """A file of a channel. As a string it is what stands for its content.

    Attributes:
        path: The file.
        sha256: SHA-256 of its content, as hexadecimal.
    """

    path: Path
    sha256: str

    def __str__(self) -> str:
        return self.sha256


class PixelsError(Exception):
    """Bytes that are no picture, or none that is read; the message says what is wrong, and what to do."""


def decode(record: bytes | Picture | Pixels, height: int, width: int) -> Pixels:
    """Return a picture as a model reads it: its first frame, upright, in colours, on white, scaled to a size.

    Args:
        record: What is in a file; the file; or pixels, which are returned as they are where they are of that size.
        height: In pixels.
        width: In pixels; the whole picture is stretched to this size.

    Returns:
        uint8[height, width, 3].

    Raises:
        PixelsError: It is no picture, broken, or too large.
    """
    if isinstance(record, np.ndarray):
        return (
            record if record.shape == (height, width, 3) else _scaled(Image.fromarray(record), UPRIGHT, height, width)
        )
    content = record.path.read_bytes() if isinstance(record, Picture) else record
    return _scaled(*_loaded(content, DRAFT * max(height, width)), height, width)


def inspect(content: bytes | Path) -> str:
    """Say what is wrong with a picture, and what to do; nothing where :func:`decode` can read it."""
    try:
        _loaded(content.read_bytes() if isinstance(content, Path) else content, 1)
    except PixelsError as error:
        return str(error)
    return ""


def probes() -> tuple[bytes, ...]:
    """Return small pictures of different kinds, always of the same pixels, to compare one model's forms by."""
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


def _loaded(content: bytes, side: int) -> tuple[Image.Image, int]:
    """Decode a picture's first frame; return it and how it is turned. A JPEG may come smaller, but not below `side`."""
    opener = next((opener for magic, opener in FORMATS.items() if content.startswith(magic)), None)
    if opener is None:
        raise PixelsError(_what_else(content))
    orientation = UPRIGHT
    if opener is JpegImageFile:
        content, orientation = _bare(content)
    try:
        image = opener(io.BytesIO(content))
        _check_size(*image.size)
        image.draft(None, (side, side))
        image.load()
    except BROKEN as error:
        raise PixelsError("a picture that is cut off or damaged; copy it again, or save it anew") from error
    if opener is PngImageFile:
        orientation = _orientation(image.info.get("exif", b""))
    return image, orientation


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS or max(width, height) > MOST_PIXELS_A_SIDE:
        raise PixelsError(
            f"{width:,} by {height:,} pixels; make it smaller: "
            f"{MOST_PIXELS:,} in all are read, and {MOST_PIXELS_A_SIDE:,} a side"
        )


def _what_else(content: bytes) -> str:
    if not content:
        return "empty; a picture was to be here"
    head = content[:HEAD_BYTES]
    known = (words for magic, words in OTHERS.items() if re.match(magic, head, re.DOTALL))
    return next(known, f"no picture that is read; {CONVERT}")


def _bare(content: bytes) -> tuple[bytes, int]:
    """Return a JPEG without what is about the picture, and its orientation.

    Raises:
        PixelsError: It has more scans than any program writes.
    """
    kept, orientation, scans, begun, position = [content[:2]], UPRIGHT, 0, len(content), 2
    while (marker := MARKER.search(content, position)) and marker[1][0] != END_OF_IMAGE:
        kind, begin = marker[1][0], marker.end()
        if kind in WITHOUT_LENGTH:
            position = begin
            continue
        position = begin + max(2, int.from_bytes(content[begin : begin + 2], "big"))
        if kind == START_OF_SCAN:
            scans, begun = scans + 1, min(begun, marker.start())
        elif not scans and kind not in ABOUT_THE_PICTURE:
            kept.append(content[marker.start() : position])
        elif kind == EXIF_SEGMENT and orientation == UPRIGHT:
            orientation = _orientation(content[begin + 2 : position])
        if scans > MOST_SCANS:
            raise PixelsError(f"a JPEG picture of more than {MOST_SCANS} scans; {CONVERT} anew")
    return b"".join([*kept, content[begun:]]), orientation


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


def _scaled(image: Image.Image, orientation: int, height: int, width: int) -> Pixels:
    """Return a picture's colours, scaled and turned; what is transparent is white."""
    size = (height, width) if orientation in ON_THEIR_SIDE else (width, height)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    transparent = "transparency" in image.info or image.mode in {"LA", "PA", "RGBA"}
    if transparent:  # a transparent pixel's own colour must not run into those beside it
        image = image.convert("RGBA").convert("RGBa")
    elif image.mode not in {"L", "RGB", "CMYK"}:
        image = image.convert("RGB")
    image = image.resize(size, Image.Resampling.BILINEAR)
    if orientation in TURNS:
        image = image.transpose(TURNS[orientation])
    if not transparent:
        return np.asarray(image.convert("RGB"))
    coloured = np.asarray(image).astype(np.uint16)
    return np.minimum(coloured[..., :3] + (255 - coloured[..., 3:]), 255).astype(np.uint8)


def _encoded(image: Image.Image, kind: str, **settings: int) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **settings)
    return content.getvalue()
