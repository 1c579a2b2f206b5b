"""Hashed n-grams: the buckets of a text's tokens and of its pairs of tokens.

Training and serving share them. Source of the hashing: Weinberger et al., "Feature Hashing for Large Scale Multitask
Learning" (2009).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 18


def codes(vocabulary_size: int) -> NDArray[np.int32]:
    """Return pseudo-random numbers below :data:`BUCKETS` for each token id, int32[vocabulary_size, 3].

    They are for the token alone, as the first of a pair and as the second, and the same on every machine: the mixing
    function of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    values = np.arange(1, vocabulary_size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values = values ^ (values >> np.uint64(31))
    parts = [(values >> np.uint64(shift)) % np.uint64(BUCKETS) for shift in (0, 20, 40)]
    return np.stack(parts, axis=1).astype(np.int32)


def features(texts: Sequence[NDArray[np.int32]], code_of: NDArray[np.int32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the buckets of all texts' n-grams, each once for a text, and the number of each one's text.

    A token 0, which is padding or stands for it, is in no n-gram.

    Args:
        texts: The token ids of at least one text, int32[length] each.
        code_of: What :func:`codes` returned.
    """
    token_ids = np.concatenate(texts)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    there = token_ids != 0
    pairs = np.flatnonzero(there[:-1] & there[1:] & (owners[:-1] == owners[1:]))
    alone, first, second = code_of[token_ids].T
    of_pairs = (first[pairs] + second[pairs + 1]) % BUCKETS
    keys = np.concatenate([owners[there] * BUCKETS + alone[there], owners[pairs] * BUCKETS + of_pairs])
    of_texts, buckets_of_texts = np.divmod(np.unique(keys), BUCKETS)
    return buckets_of_texts, of_texts
