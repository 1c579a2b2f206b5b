"""Records that are arrays, such as the pixels of images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.backends import Encoded

# An image of 224 by 224 pixels costs about as much time and memory as a text of 128 tokens.
VALUES_PER_TOKEN = 1176


class Arrays:
    """Encodes and collates records that are arrays of one shape."""

    def encode(self, records: Sequence[NDArray[Any]]) -> list[Encoded]:
        """Return each array with its cost in a batch."""
        return [Encoded(record, max(1, record.size // VALUES_PER_TOKEN), counted=False) for record in records]

    def collate(self, batch: Sequence[Encoded]) -> NDArray[Any]:
        """Return the arrays stacked, [len(batch), ...]."""
        return np.stack([record.content for record in batch])
