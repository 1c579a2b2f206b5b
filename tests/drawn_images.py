"""Labelled images that a program draws: the same ones at every call, in colours that say nothing of the label.

`python drawn_images.py FOLDER` writes a training channel of forty a label, for those who have none at hand.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

LABELS = ("disc", "dots", "stripes")
KINDS = {".jpg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".gif": "GIF"}


def image(label: str, number: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """Draw one of :data:`LABELS`; each number is another place, colour and measure of it."""
    chance = np.random.default_rng([LABELS.index(label), number])
    drawn = Image.new("RGB", size, _colour(chance, 0, 90))
    {"disc": _disc, "dots": _dots, "stripes": _stripes}[label](ImageDraw.Draw(drawn), size, chance)
    return drawn


def encoded(label: str, number: int, suffix: str = ".png", size: tuple[int, int] = (96, 80)) -> bytes:
    """Return the bytes of the file of such an image, its kind by a suffix of :data:`KINDS`."""
    content = io.BytesIO()
    image(label, number, size).save(content, KINDS[suffix])
    return content.getvalue()


def write(channel: Path, numbers: Sequence[int], suffixes: Sequence[str] = tuple(KINDS)) -> None:
    """Write a folder a label with an image a number, the kinds of file by turns."""
    for label in LABELS:
        folder = channel / label
        folder.mkdir(parents=True)
        for number in numbers:
            suffix = suffixes[number % len(suffixes)]
            (folder / f"{label}_{number}{suffix}").write_bytes(encoded(label, number, suffix))


def _disc(draw: ImageDraw.ImageDraw, size: tuple[int, int], chance: np.random.Generator) -> None:
    radius = min(size) * chance.uniform(0.3, 0.45)
    centre = [length * chance.uniform(0.4, 0.6) for length in size]
    draw.ellipse([*(at - radius for at in centre), *(at + radius for at in centre)], _colour(chance, 150, 255))


def _dots(draw: ImageDraw.ImageDraw, size: tuple[int, int], chance: np.random.Generator) -> None:
    radius = min(size) / 20
    for _ in range(40):
        across, down = (length * chance.random() for length in size)
        corners = [across - radius, down - radius, across + radius, down + radius]
        draw.ellipse(corners, _colour(chance, 150, 255))


def _stripes(draw: ImageDraw.ImageDraw, size: tuple[int, int], chance: np.random.Generator) -> None:
    width, height = size
    step = max(height // int(chance.integers(5, 9)), 2)
    colour = _colour(chance, 150, 255)
    for top in range(int(chance.integers(step)), height, step):
        draw.rectangle([0, top, width, top + step // 2 - 1], colour)


def _colour(chance: np.random.Generator, darkest: int, brightest: int) -> tuple[int, int, int]:
    red, green, blue = chance.integers(darkest, brightest, 3).tolist()
    return red, green, blue


if __name__ == "__main__":
    write(Path(sys.argv[1]), range(40))
