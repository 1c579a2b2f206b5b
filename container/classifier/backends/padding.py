"""Padding: token ids of texts of different lengths as one array."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Backends round lengths to a multiple of this. oneDNN caches kernels for every shape: 130 MB for batches of up to 16
# texts of up to 48 tokens, and 20 MB if lengths are multiples of 8.
LENGTH_STEP = 8  # tokens


def padded(rows: Sequence[NDArray[np.int32]], multiple: int, longest: int) -> NDArray[np.int32]:
    """Return token ids as one array, int32[len(rows), length], padded with 0.

    >>> padded([np.array([5, 6, 7], np.int32), np.array([8], np.int32)], multiple=4, longest=16)
    array([[5, 6, 7, 0],
           [8, 0, 0, 0]], dtype=int32)

    Args:
        rows: The token ids of at least one text, int32[tokens] each.
        multiple: The length, at least 1, is rounded up to a multiple of this.
        longest: The number of tokens of the longest text that the network reads, which rounding doesn't exceed.
    """
    length = max(1, *map(len, rows))
    rounded = min(-(-length // multiple) * multiple, longest)
    token_ids = np.zeros((len(rows), max(length, rounded)), np.int32)
    for target, row in zip(token_ids, rows, strict=True):
        target[: len(row)] = row
    return token_ids
