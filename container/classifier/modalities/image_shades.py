"""The pixel values of images: how many of 16 bits they use, and whether they have enough contrast for a network."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifier.modalities.report import EXAMPLES, Finding
from classifier.pixels import ImageSource

WHITE = 255
# A twentieth of the images at either end may have exceptional values.
ODD = 0.05
# Of 256 shades; values of 12 bits that are read by 16 make 16, of 13 bits 32.
FEWEST_SHADES = 32
ONE_SHADE = 1  # that the values of an image differ by at the most


def bits_of(tables: Iterable[pd.DataFrame]) -> int:
    """Return how many bits the values of all images of 16 bits take up; 0 where there are none."""
    return max(
        (image.values.bits for table in tables for image in table["record"] if image.values is not None), default=0
    )


def read_by(table: pd.DataFrame, bits: int) -> pd.DataFrame:
    """Return the rows with images that are read by so many bits of 16; as they are where these are 0."""
    images = [replace(image, bits=bits) for image in table["record"]] if bits else table["record"]
    return table.assign(record=pd.Series(images, index=table.index, dtype="object"))


def findings(name: str, table: pd.DataFrame) -> Iterator[Finding]:
    """Warn if all images are nearly one shade, or if some are of one shade and have several labels.

    Args:
        name: The split.
        table: Its rows, whose records are :class:`ImageSource`.
    """
    rows = [row for row, image in enumerate(table["record"]) if image.values is not None]
    images: list[ImageSource] = [table["record"].iloc[row] for row in rows]
    if not images:
        return
    bits = [image.bits for image in images if image.values is not None and image.values.bits]
    if bits:
        yield Finding(
            f"rows={name} note='images of 16 bits: {len(bits)}; their values take up {bits[0]} bits, of which "
            f"{(1 << bits[0]) - 1:,} is white'"
        )
    ends = np.array([_ends(image) for image in images])
    least, greatest = np.quantile(ends[:, 0], ODD, axis=0), np.quantile(ends[:, 1], 1 - ODD, axis=0)
    if (greatest - least < FEWEST_SHADES).all():
        words = _all_alike(name, float(least.min()), float(greatest.max()), float(ends.max()))
        yield Finding(words, logging.WARNING)
    else:
        yield from _some_alike(name, table.iloc[rows], ends)


def _ends(image: ImageSource) -> NDArray[np.float64]:
    """Return the least and the greatest value of each colour as a network reads them, 0 to 255: float[2, 3]."""
    values = image.values
    assert values is not None  # noqa: S101  of such images only
    ends = np.array([values.least, values.greatest], np.float64)
    if len(values.least) == 1:
        ends = np.minimum(np.floor(ends * 256 / (1 << image.bits)), WHITE)
    return np.broadcast_to(ends, (2, 3))


def _all_alike(name: str, least: float, greatest: float, most: float) -> str:
    factor = int((WHITE + 1) // (most + 1)) if most > least else 1
    cure = f"multiply all values by {factor}" if factor > 1 else f"stretch all values alike over 0 to {WHITE}"
    return (
        f"rows={name} note='images of nearly one shade: of 0 to {WHITE}, their values are {least:.0f} to "
        f"{greatest:.0f}, and a network can hardly tell them apart. Save them again with more contrast, and do the "
        f"same for images to classify later: {cure}; transparent pixels are read as white'"
    )


def _some_alike(name: str, table: pd.DataFrame, ends: NDArray[np.float64]) -> Iterator[Finding]:
    """Warn of images that are all over of one shade, where others of the same shade have another label."""
    plain = (ends[:, 1] - ends[:, 0] <= ONE_SHADE).all(axis=1)
    some = table[plain].assign(shade=[str(np.round(end)) for end in ends[plain, 0]])
    several = some[some.groupby("shade")["label"].transform("nunique") > 1] if len(some) else some
    if len(several):
        examples = ", ".join(several["file"].iloc[:EXAMPLES])
        yield Finding(
            f"rows={name} note='images that are of one shade all over, and have several labels: {len(several)}; look "
            f"at them, and take them out' examples={examples!r}",
            logging.WARNING,
        )
