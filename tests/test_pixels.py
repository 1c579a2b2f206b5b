"""Images to pixels: every format and every way of writing colours, and files that were made to do harm."""

import hashlib
import random
import re
import struct
import tracemalloc
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from classifier import pixels
from classifier.pixels import MOST_PARTS, MOST_PIXELS, MOST_SCANS, ImageSource, PixelsError, decode, measure, read
from labelled_images import (
    BLUE,
    GIF_COMMENT,
    GIF_FRAME,
    GREEN,
    PNG_BEGINS,
    RED,
    WHITE,
    chunk,
    corners,
    encoded,
    exif,
    exif_segment,
    gif_parts,
    noise,
    png_that_says,
)

CORNERS = Image.fromarray(corners())
# JPEG keeps colours only nearly.
NEARLY = 12
TO_THE_BYTE = 1


def inspect(content: bytes | Path) -> str:
    """Return what is wrong with an image; empty if it can be read."""
    try:
        measure(read(content) if isinstance(content, Path) else content)
    except PixelsError as error:
        return str(error)
    return ""


def means(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean colour of each quarter: top left, top right, bottom left, bottom right; float[4, 3]."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    quarters = [image[y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
    # The middle of each, away from where colours meet.
    return np.array([quarter[2:-2, 2:-2].mean(axis=(0, 1)) for quarter in quarters])


def with_palette_and_hole() -> bytes:
    """The white corner is another colour in the palette, and transparent."""
    image = CORNERS.quantize(4)
    hole = int(np.asarray(image)[30, 40])
    palette = list(image.getpalette() or [])
    palette[3 * hole : 3 * hole + 3] = (9, 99, 0)
    image.putpalette(palette)
    return encoded(image, "PNG", transparency=hole)


def with_alpha(kind: str) -> bytes:
    """The white corner is black, and transparent."""
    image = CORNERS.convert("RGBA")
    image.paste((0, 0, 0, 0), (24, 16, 48, 32))
    return encoded(image, kind)


def rgb_in_16_bits() -> bytes:
    header = struct.pack(">IIBBBBB", 48, 32, 16, 2, 0, 0, 0)
    wide = (corners().astype(">u2") * 257).reshape(32, -1)
    rows = b"".join(b"\x00" + row.tobytes() for row in wide)
    return PNG_BEGINS + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def gif_with_hole() -> bytes:
    image = CORNERS.quantize(4)
    return encoded(image, "GIF", transparency=int(np.asarray(image)[30, 40]))


def png_with_text() -> bytes:
    png = encoded(CORNERS, "PNG")
    return png[:33] + chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(1 << 24))) + png[33:]


def tiff_with(tag: int, value: int) -> bytes:
    """Return a TIFF with a tag of one number, in the place of a tag that it has."""
    tiff = encoded(CORNERS, "TIFF")
    (offset,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, offset)
    places = {struct.unpack_from("<H", tiff, offset + 2 + 12 * number)[0]: number for number in range(count)}
    place = offset + 2 + 12 * places.get(tag, 0)
    return tiff[:place] + struct.pack("<HHIHH", tag, 3, 1, value, 0) + tiff[place + 12 :]


def tiff_of_motorola() -> bytes:
    """A TIFF with the greatest byte first, which Pillow does not write."""
    rows = corners().tobytes()
    bits = 8 + len(rows)
    entries = [(256, 3, 1, 48), (257, 3, 1, 32), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 8)]
    entries += [(277, 3, 1, 3), (278, 3, 1, 32), (279, 4, 1, len(rows))]
    packed = [
        struct.pack(">HHI", *entry[:3])
        + (struct.pack(">HH", entry[3], 0) if entry[1:3] == (3, 1) else struct.pack(">I", entry[3]))
        for entry in entries
    ]
    directory = struct.pack(">H", len(packed)) + b"".join(packed) + bytes(4)
    return b"MM\x00*" + struct.pack(">I", bits + 6) + rows + struct.pack(">HHH", 8, 8, 8) + directory


FORMATS: Mapping[str, tuple[bytes, int]] = {
    "JPEG": (encoded(CORNERS, "JPEG", quality=95), NEARLY),
    "progressive JPEG": (encoded(CORNERS, "JPEG", quality=95, progressive=True), NEARLY),
    "CMYK JPEG": (encoded(CORNERS.convert("CMYK"), "JPEG", quality=95), NEARLY),
    "PNG": (encoded(CORNERS, "PNG"), TO_THE_BYTE),
    "PNG with a palette and a hole": (with_palette_and_hole(), TO_THE_BYTE),
    "PNG with transparency": (with_alpha("PNG"), TO_THE_BYTE),
    "PNG with one transparent colour": (encoded(CORNERS, "PNG", transparency=(255, 255, 255)), TO_THE_BYTE),
    "PNG in 16 bits": (rgb_in_16_bits(), TO_THE_BYTE),
    "PNG with megabytes of text": (png_with_text(), TO_THE_BYTE),
    "BMP": (encoded(CORNERS, "BMP"), TO_THE_BYTE),
    "BMP with a palette": (encoded(CORNERS.quantize(4), "BMP"), TO_THE_BYTE),
    "GIF": (encoded(CORNERS.quantize(4), "GIF"), TO_THE_BYTE),
    "WebP": (encoded(CORNERS, "WEBP", quality=95), NEARLY),
    "WebP without loss": (encoded(CORNERS, "WEBP", lossless=True), TO_THE_BYTE),
    "WebP with transparency": (with_alpha("WEBP"), NEARLY),
    "WebP of three frames": (
        encoded(CORNERS, "WEBP", save_all=True, append_images=[noise(1).resize((48, 32))] * 2, lossless=True),
        TO_THE_BYTE,
    ),
    "WebP with metadata": (encoded(CORNERS, "WEBP", lossless=True, icc_profile=b"x" * 99, xmp=b"y"), TO_THE_BYTE),
    "TIFF": (encoded(CORNERS, "TIFF"), TO_THE_BYTE),
    "TIFF with the greatest byte first": (tiff_of_motorola(), TO_THE_BYTE),
    "TIFF with LZW": (encoded(CORNERS, "TIFF", compression="tiff_lzw"), TO_THE_BYTE),
    "TIFF with Deflate": (encoded(CORNERS, "TIFF", compression="tiff_adobe_deflate"), TO_THE_BYTE),
    "TIFF with JPEG": (encoded(CORNERS, "TIFF", compression="jpeg", quality=95), NEARLY),
    "TIFF with a palette": (encoded(CORNERS.quantize(4), "TIFF"), TO_THE_BYTE),
    "TIFF with transparency": (with_alpha("TIFF"), TO_THE_BYTE),
    "TIFF in CMYK": (encoded(CORNERS.convert("CMYK"), "TIFF"), TO_THE_BYTE),
    "GIF with a hole": (gif_with_hole(), TO_THE_BYTE),
    "GIF of three frames": (
        encoded(CORNERS.quantize(4), "GIF", save_all=True, append_images=[noise(1, 48).quantize(4)] * 2),
        TO_THE_BYTE,
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_colours_that_were_drawn(name: str) -> None:
    content, tolerance = FORMATS[name]
    assert inspect(content) == ""
    image = decode(content, 20, 24)
    assert image.shape == (20, 24, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(means(image), [RED, GREEN, BLUE, WHITE], atol=tolerance)
    np.testing.assert_array_equal(image, decode(content, 20, 24))


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(corners()[..., 0]),
        Image.fromarray(corners()[..., 0]).convert("1"),
        Image.fromarray(corners()[..., 0]).convert("LA"),
        Image.fromarray(corners()[..., 0].astype(np.uint16) * 257),
    ],
    ids=["8 bits", "1 bit", "with transparency", "16 bits"],
)
def test_grey_becomes_three_colours_alike(image: Image.Image) -> None:
    expected = np.repeat([[255], [0], [0], [255]], 3, axis=1)
    kinds = ("PNG",) if image.mode == "LA" else ("PNG", "TIFF")
    for kind in kinds:
        np.testing.assert_allclose(means(decode(encoded(image, kind), 20, 24)), expected, atol=TO_THE_BYTE)


def test_what_is_half_transparent_is_mixed_with_white_and_not_with_what_it_hides() -> None:
    half = Image.new("RGBA", (64, 64), (255, 0, 0, 128))
    assert decode(encoded(half, "PNG"), 8, 8)[4, 4].tolist() == [255, 127, 127]
    hidden = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    hidden.paste((255, 0, 0, 255), (0, 0, 32, 64))
    scaled = decode(encoded(hidden, "PNG"), 7, 7)
    assert (scaled[..., 0] == 255).all()  # no black runs into the red


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright_as_exif_says(orientation: int, order: str) -> None:
    turned = {
        1: CORNERS,
        2: CORNERS.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: CORNERS.transpose(Image.Transpose.ROTATE_180),
        4: CORNERS.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: CORNERS.transpose(Image.Transpose.TRANSPOSE),
        6: CORNERS.transpose(Image.Transpose.ROTATE_90),
        7: CORNERS.transpose(Image.Transpose.TRANSVERSE),
        8: CORNERS.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    jpeg, png = encoded(turned, "JPEG", quality=95), encoded(turned, "PNG")
    contents = {
        "JPEG": jpeg[:2] + exif_segment(exif(orientation, order)) + jpeg[2:],
        "PNG": png[:33] + chunk(b"eXIf", exif(orientation, order)) + png[33:],
        "WebP": encoded(turned, "WEBP", quality=95, exif=exif(orientation, order)),
        "TIFF": encoded(turned, "TIFF", tiffinfo={274: orientation}),
        "PNG that says it at its end": png[:-12] + chunk(b"eXIf", exif(orientation, order)) + png[-12:],
    }
    for name, content in contents.items():
        image = decode(content, 20, 24)
        np.testing.assert_allclose(means(image), [RED, GREEN, BLUE, WHITE], atol=NEARLY, err_msg=name)
        assert pixels.measure(content) == (32, 48)


@pytest.mark.parametrize(
    "content",
    [
        exif(0), exif(9), exif(65535), exif(6)[:9], exif(6)[:12], b"", b"II*\x00", b"MM\x00*\xff\xff\xff\xff\xff\xff",
        exif(6)[:4] + b"\xff\xff\xff\x7f" + exif(6)[8:],
    ],
)  # fmt: skip
def test_exif_that_is_broken_turns_nothing(content: bytes) -> None:
    jpeg = encoded(CORNERS, "JPEG", quality=95)
    image = decode(jpeg[:2] + exif_segment(content) + jpeg[2:], 20, 24)
    np.testing.assert_allclose(means(image), [RED, GREEN, BLUE, WHITE], atol=NEARLY)


def test_a_large_photograph_comes_out_as_its_small_self() -> None:
    large = Image.fromarray(corners(2400, 3200))
    np.testing.assert_allclose(
        decode(encoded(large, "JPEG", quality=95), 64, 64).astype(int),
        decode(encoded(large, "PNG"), 64, 64).astype(int),
        atol=40,  # where colours meet
    )


def test_pixels_of_the_right_size_are_returned_as_they_are() -> None:
    image = corners(20, 24)
    assert decode(image, 20, 24) is image
    assert decode(image, 10, 12).shape == (10, 12, 3)


def test_a_file_is_decoded_as_its_content_is(tmp_path: Path) -> None:
    content = encoded(noise(3), "PNG")
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    image = ImageSource(path, hashlib.sha256(content).hexdigest())
    assert str(image) == image.sha256
    np.testing.assert_array_equal(decode(image, 16, 16), decode(content, 16, 16))
    assert inspect(path) == ""


def test_probes_are_images_of_different_kinds_and_always_the_same() -> None:
    first, again = pixels.smoke_images(), pixels.smoke_images()
    decoded = [decode(content, 32, 32) for content in first]
    for one, other in zip(decoded, again, strict=True):
        np.testing.assert_array_equal(one, decode(other, 32, 32))
    assert len({image.tobytes() for image in decoded}) == len(first) >= 4
    assert all(np.ptp(image) > 100 for image in decoded)


def test_threads_get_the_pixels_that_one_alone_gets() -> None:
    contents = [content for content, _ in FORMATS.values()] * 8
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda content: decode(content, 20, 24).tobytes(), contents))
    assert together == [decode(content, 20, 24).tobytes() for content in contents]


# --- what is no image ---------------------------------------------------------------------------------------------

JPEG, PNG, GIF, BMP, WEBP, TIFF = (
    encoded(noise(5, 64), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
)
DAMAGED = "an image that is cut off or damaged; copy it or save it again"

NO_IMAGES: Mapping[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "text": (b"label,text\n1,good\n", "not a supported image; save it as JPEG, PNG, BMP, GIF, WebP or TIFF"),
    "zeros": (bytes(5000), "not a supported image"),
    "JPEG cut off in its header": (JPEG[:100], DAMAGED),
    "JPEG cut off in its image": (JPEG[: len(JPEG) // 2], DAMAGED),
    "JPEG of three bytes": (JPEG[:3], DAMAGED),
    "PNG cut off in its header": (PNG[:20], DAMAGED),
    "PNG cut off in its image": (PNG[: len(PNG) // 2], DAMAGED),
    "PNG with a wrong byte": (PNG[:500] + bytes([PNG[500] ^ 255]) + PNG[501:], DAMAGED),
    "PNG of no width": (png_that_says(0, 10), DAMAGED),
    "GIF cut off": (GIF[: len(GIF) // 2], DAMAGED),
    "GIF without a frame": (gif_parts()[0] + b";", DAMAGED),
    "BMP cut off": (BMP[: len(BMP) // 2], DAMAGED),
    "BMP of two bytes": (b"BM", DAMAGED),
    "WebP cut off": (WEBP[: len(WEBP) // 2], DAMAGED),
    "WebP of a header alone": (WEBP[:12], DAMAGED),
    "WebP of a size alone": (WEBP[:12] + b"VP8X\x02\x00\x00\x00ab", DAMAGED),
    "TIFF cut off": (TIFF[: len(TIFF) // 2], DAMAGED),
    "TIFF of a header alone": (TIFF[:8], DAMAGED),
    "TIFF whose directory is nowhere": (b"II*\x00\xff\xff\xff\x7f" + TIFF[8:], DAMAGED),
    "TIFF of two pages": (
        encoded(CORNERS, "TIFF", save_all=True, append_images=[noise(1)]),
        "a TIFF image of several pages; save each",
    ),
    "TIFF of 32 bits": (encoded(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF"), "values of another kind than 8"),
    "BigTIFF": (encoded(CORNERS, "TIFF", big_tiff=True), "a BigTIFF image; save it as"),
    "raw file of a camera": (tiff_with(254, 1), "a camera's raw file; export it as JPEG"),
    "raw file of a sensor": (tiff_with(262, 32803), "a camera's raw file; export it as JPEG"),
    "AVIF": (b"\x00\x00\x00\x1cftypavif" + bytes(20), "an AVIF image; save it as"),
    "HEIC": (b"\x00\x00\x00\x1cftypheic" + bytes(20), "a HEIC image, as phones take them; save it as"),
    "SVG": (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "an SVG drawing; save it as"),
    "PDF": (b"%PDF-1.7\n", "a PDF; save its images as"),
    "ZIP": (b"PK\x03\x04" + bytes(30), "an archive; unpack it"),
    "video": (b"\x00\x00\x00\x1cftypisom" + bytes(20), "a video"),
    "web page": (b"<!DOCTYPE html><p>not found", "a web page, not an image; download the image itself"),
    "error of S3": (b"<?xml version='1.0'?><Error><Code/></Error>", "an error message of S3"),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the file"),
    "base64": (b"/9j/4AAQSkZJRgABAQAAAQABAAD", "base64 of an image; give the bytes that it stands for"),
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_image_is_called_by_what_it_is(name: str) -> None:
    content, words = NO_IMAGES[name]
    assert inspect(content).startswith(words)
    with pytest.raises(PixelsError, match=re.escape(words)):
        decode(content, 16, 16)


def test_whatever_is_broken_at_random_gives_pixels_or_says_so() -> None:
    dice = random.Random(7)  # noqa: S311  no secret
    for good in (JPEG, PNG, GIF, BMP, WEBP, TIFF, *(content for content, _ in FORMATS.values() if len(content) < 9999)):
        for _ in range(40):
            broken = bytearray(good)
            for _ in range(dice.randrange(1, 9)):
                broken[dice.randrange(len(broken))] = dice.randrange(256)
            wrong = inspect(bytes(broken[: dice.randrange(len(broken))] if dice.random() < 0.3 else broken))
            assert wrong == "" or ";" in wrong


# --- what was made to do harm ---------------------------------------------------------------------------------------


def peak_megabytes(content: bytes) -> float:
    """Return what Python took to look at an image; what Pillow's own pixels take is bounded by their number."""
    tracemalloc.start()
    inspect(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


@pytest.mark.parametrize(
    ("width", "height"), [(10_000, 10_000), (2**31 - 1, 2**31 - 1), (65_536, 1), (1, 65_536), (MOST_PIXELS + 1, 1)]
)
def test_an_image_that_says_it_is_huge_is_refused_by_its_header(width: int, height: int) -> None:
    content = png_that_says(width, height)
    assert inspect(content).startswith(f"{width:,} by {height:,} pixels; make it smaller: 50,000,000 in all are read")
    assert peak_megabytes(content) < 1


def test_a_whole_png_of_10_000_by_10_000_is_refused_too() -> None:
    content = encoded(Image.new("1", (10_000, 10_000)), "PNG")
    assert inspect(content).startswith("10,000 by 10,000 pixels")
    assert peak_megabytes(content) < 1


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "BMP", "TIFF"])
def test_other_formats_are_refused_by_their_headers_too(kind: str) -> None:
    side = struct.pack(">H", 65_535)
    content = {
        "JPEG": re.sub(rb"(\xff\xc0\x00\x11\x08).{4}", lambda found: found[1] + side * 2, JPEG, flags=re.DOTALL),
        "GIF": GIF[:6] + side * 2 + GIF[10:],
        "TIFF": re.sub(
            rb"(?:\x00|\x01)\x01(?:\x03|\x04)\x00\x01\x00{3}\x40\x00{3}",
            lambda found: found[0][:2] + struct.pack("<HII", 4, 1, 65_535),
            TIFF,
        ),
        "BMP": BMP[:18] + struct.pack("<ii", 65_535, 65_535) + BMP[26:],
    }[kind]
    assert inspect(content).startswith("65,535 by 65,535 pixels")


def test_a_frame_of_a_gif_can_not_be_larger_than_an_image_may_be() -> None:
    begin, _, end = gif_parts()
    frame = b"," + struct.pack("<HHHHB", 0, 0, 9_000, 9_000, 0) + b"\x02\x02\x44\x01\x00"
    assert inspect(begin + frame + end).startswith("9,000 by 9,000 pixels")
    disposed = b"!\xf9\x04\x08\x00\x00\x00\x00" + b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + frame[10:]
    assert inspect(begin + disposed + end) == DAMAGED


def test_of_a_gif_of_a_million_frames_the_first_alone_is_read() -> None:
    begin, frame, end = gif_parts()
    content = begin + frame + GIF_FRAME * 1_000_000 + end
    np.testing.assert_allclose(means(decode(content, 20, 24)), [RED, GREEN, BLUE, WHITE], atol=TO_THE_BYTE)
    assert peak_megabytes(content) < 1


def test_comments_without_end_do_no_harm() -> None:
    begin, frame, end = gif_parts()
    assert inspect(begin + GIF_COMMENT * 50_000 + frame + end) == ""
    jpeg, png = encoded(CORNERS, "JPEG"), encoded(CORNERS, "PNG")
    assert inspect(jpeg[:2] + exif_segment(b"a") * 50_000 + jpeg[2:]) == ""
    assert inspect(png[:33] + chunk(b"tEXt", b"") * 50_000 + png[33:]) == ""
    assert inspect(b"\xff\xd8" + b"\xff" * 1_000_000) == DAMAGED
    assert inspect(b"\xff\xd8\xff" * 100_000) == DAMAGED


def test_exif_that_asks_for_far_more_than_it_holds_is_not_read() -> None:
    """A directory of 4,000 entries, each of which claims all the rest of it for its own."""
    entries = b"".join(struct.pack("<HHII", tag, 7, 48_000, 8) for tag in range(0x1000, 0x1FA0))
    content = b"II*\x00" + struct.pack("<IH", 8, 4_000) + entries
    jpeg = encoded(CORNERS, "JPEG")
    bomb = jpeg[:2] + exif_segment(content) + jpeg[2:]
    assert inspect(bomb) == ""
    assert peak_megabytes(bomb) < 1


def test_a_webp_that_says_it_is_huge_is_refused_by_its_header() -> None:
    lossless = encoded(CORNERS, "WEBP", lossless=True)
    extended = encoded(CORNERS, "WEBP", exif=exif(1))
    for content in (
        WEBP[:26] + struct.pack("<HH", 16_383, 16_383) + WEBP[30:],
        lossless[:21] + b"\xff\xff\xff\x0f" + lossless[25:],
        extended[:24] + b"\xff" * 6 + extended[30:],
    ):
        assert "pixels; make it smaller" in inspect(content)
        assert peak_megabytes(content) < 1


def test_of_a_webp_of_very_many_frames_the_first_alone_is_read_and_of_very_many_parts_none() -> None:
    moving = encoded(CORNERS, "WEBP", save_all=True, append_images=[noise(1).resize((48, 32))], lossless=True)
    begin = moving.index(b"ANMF", moving.index(b"ANMF") + 4)
    assert inspect(moving[:begin] + moving[begin:] * 500) == ""
    assert "of more than 131,072 parts" in inspect(moving + b"junk\x00\x00\x00\x00" * MOST_PARTS)


def test_a_tiff_whose_tags_ask_for_far_more_than_it_holds_is_refused() -> None:
    for tag in (273, 320, 700, 34675):
        content = tiff_with(tag, 1)
        place = content.index(struct.pack("<HHI", tag, 3, 1))
        greedy = content[:place] + struct.pack("<HHII", tag, 4, 1 << 28, 8) + content[place + 12 :]
        assert inspect(greedy) == DAMAGED
        assert peak_megabytes(greedy) < 1


def test_directories_of_a_tiff_that_lead_in_a_circle_are_left() -> None:
    (offset,) = struct.unpack_from("<I", TIFF, 4)
    (count,) = struct.unpack_from("<H", TIFF, offset)
    end = offset + 2 + 12 * count
    assert inspect(TIFF[:end] + struct.pack("<I", offset) + TIFF[end + 4 :]) == ""


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    jpeg = encoded(CORNERS, "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    assert inspect(jpeg[:-2] + last * 10 + jpeg[-2:]) == ""
    assert f"more than {MOST_SCANS} scans" in inspect(jpeg[:-2] + last * MOST_SCANS + jpeg[-2:])


def test_an_image_of_very_many_parts_is_refused() -> None:
    jpeg, png = encoded(CORNERS, "JPEG"), encoded(CORNERS, "PNG")
    assert "or 131,072 parts" in inspect(jpeg[:2] + b"\xff\xe0\x00\x02" * MOST_PARTS + jpeg[2:])
    assert "or 131,072 parts" in inspect(jpeg[:2] + b"\xff\xd8" * MOST_PARTS + jpeg[2:])
    assert "more than 131,072 parts" in inspect(png[:33] + chunk(b"IDAT", b"") * MOST_PARTS + png[33:])


def test_a_file_of_too_many_bytes_is_not_read_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    with path.open("wb") as file:
        file.write(GIF)
        file.truncate(pixels.MOST_BYTES + 1)
    assert inspect(path).startswith("268,435,457 bytes; make it smaller")
