"""Arrays as the engines of models that read them compute with them: the pixels of an image, for one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.backends import Encoded

# An image of 224 by 224 pixels costs about as much as a text of 128 tokens does, in time and in memory.
VALUES_OF_A_TOKEN = 1176


class Arrays:
    """Collates decoded records, arrays of one shape, into the batch that a network reads."""

    def encode(self, records: Sequence[NDArray[Any]]) -> list[Encoded]:
        """Return each array, and what it costs in a batch."""
        return [Encoded(record, max(1, record.size // VALUES_OF_A_TOKEN), counted=False) for record in records]

    def collate(self, batch: Sequence[Encoded]) -> NDArray[Any]:
        """Return the arrays as one, [len(batch), ...]."""
        return np.stack([record.content for record in batch])
