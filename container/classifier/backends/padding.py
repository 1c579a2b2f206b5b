"""Texts of different lengths as one array."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# What engines round lengths to. For every shape there is oneDNN prepares kernels and keeps them: 130 MB of them for
# batches of up to 16 texts of up to 48 tokens, 20 MB where lengths are multiples of 8.
LENGTH_STEP = 8  # tokens


def padded(rows: Sequence[NDArray[np.int32]], multiple: int, longest: int) -> NDArray[np.int32]:
    """Return texts' token ids as one array, int32[len(rows), length], 0 after a text's end.

    Args:
        rows: The token ids of one text or more.
        multiple: What the length, that of the longest row and 1 or more, is rounded up to a multiple of.
        longest: Tokens of the longest text that the network reads, beyond which nothing is rounded.
    """
    length = max(1, *map(len, rows))
    rounded = min(-(-length // multiple) * multiple, longest)
    token_ids = np.zeros((len(rows), max(length, rounded)), np.int32)
    for target, row in zip(token_ids, rows, strict=True):
        target[: len(row)] = row
    return token_ids
