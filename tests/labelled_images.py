"""Images drawn for tests, good ones and such as nobody should have to decode."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
# A frame of one pixel, and a comment of one character.
GIF_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
GIF_COMMENT = b"!\xfe\x01a\x00"


def corners(height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    """Return an image, red at the top left, green at the top right, blue at the bottom left, white elsewhere."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    return pixels


def noise(number: int, side: int = 40) -> Image.Image:
    """Return an image that is another for another number."""
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **settings: object) -> bytes:
    """Return what a file of an image holds."""
    content = io.BytesIO()
    image.save(content, kind, **settings)
    return content.getvalue()


def drawn(path: Path, number: int) -> Path:
    """Write an image of the kind that the file's name says, and the folders it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(path.suffix[1:].lower(), path.suffix[1:].upper())
    path.write_bytes(encoded(noise(number), kind))
    return path


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_says(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header promises this size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG_BEGINS + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def gif_parts() -> tuple[bytes, bytes, bytes]:
    """Return a GIF of :func:`corners` in parts: its header and colours, its frame, its end."""
    gif = encoded(Image.fromarray(corners()).quantize(4), "GIF")
    begin = 13 + 3 * (2 << (gif[10] & 7))
    return gif[:begin], gif[begin:-1], gif[-1:]


def exif(orientation: int, order: str = "<") -> bytes:
    """Return EXIF data with an orientation, in either order of bytes."""
    begin = {"<": b"II*\x00", ">": b"MM\x00*"}[order]
    return begin + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def exif_segment(content: bytes) -> bytes:
    """Return the segment of a JPEG that holds EXIF data."""
    return b"\xff\xe1" + struct.pack(">H", 8 + len(content)) + b"Exif\x00\x00" + content
