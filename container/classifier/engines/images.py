"""Pixels as the engines of models of images compute with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.engines import Prepared

# An image of 224 by 224 pixels costs about as much as a text of 128 tokens does, in time and in memory.
PIXELS_OF_A_TOKEN = 392


@dataclass(frozen=True)
class Images:
    """Makes images ready for a network that reads them in one size.

    Attributes:
        height: Pixels from top to bottom.
        width: Pixels from left to right.
    """

    height: int
    width: int

    def prepare(self, records: Sequence[Any]) -> list[Prepared]:
        """Return each image's pixels, uint8[height, width, 3].

        Args:
            records: Whatever :func:`classifier.pixels.decode` takes.

        Raises:
            PixelsError: One is no image.
        """
        from classifier import pixels  # noqa: PLC0415  a server of texts does without Pillow, and its memory

        cost = max(1, self.height * self.width // PIXELS_OF_A_TOKEN)
        return [Prepared(pixels.decode(record, self.height, self.width), cost, counted=False) for record in records]

    def collate(self, batch: Sequence[Prepared]) -> NDArray[np.uint8]:
        """Return images as one array, uint8[len(batch), height, width, 3]."""
        return np.stack([image.content for image in batch])
