"""Packing: the tokens of many texts one after another in rows, for networks that keep the texts of a row apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import hashing
from classifier.backends import PACK_TOKENS

Tokens = NDArray[np.int32]

# Rows have few lengths, as OpenVINO prepares itself for each shape once, in 7 to 30 ms of a processor (MiniLM) and some
# 2 MB: these; multiples of Packing.step where one row of up to LENGTHS[0] tokens is enough; and multiples of STEP for a
# longer text alone, or one that is longer than all of them.
LENGTHS = (64, 96, 128, 192, 256)
STEP = 32
# In a row of so many tokens, attention, which takes the square of its length, takes as long as everything else.
COSTLY_ROW = 344
# An empty text has two tokens, and an average one 20 to 30: so many slots are enough for nearly all packs.
TOKENS_A_SLOT = 4


@dataclass(frozen=True)
class Packing:
    """How a network reads packed texts.

    Attributes:
        window: The number of tokens that it reads at once: those of the longest sequence.
        long_texts: How longer texts are read, a key of :data:`DIVISIONS`.
        special_tokens: The number of special tokens at each end of a text, which each of its sequences has.
        ngrams_of: The number of token ids of which it reads n-grams; 0 without n-grams.
        step: The step between the lengths of short rows that are alone, in tokens.
    """

    window: int
    long_texts: str = "truncate"
    special_tokens: int = 1
    ngrams_of: int = 0
    step: int = 16

    @cached_property
    def codes(self) -> NDArray[np.int32]:
        """What :func:`classifier.hashing.codes` returns for these token ids."""
        return hashing.codes(self.ngrams_of)

    @property
    def longest_row(self) -> int:
        """The most tokens of a row."""
        return max(LENGTHS[-1], _rounded(self.window, STEP))

    def pack(self, texts: Sequence[Tokens]) -> dict[str, NDArray[Any]]:
        """Return at least one text as the arrays of :class:`classifier.encoders.packed.Pack`, by name.

        Raises:
            ValueError: A text is longer than the network reads.
        """
        divided = [DIVISIONS[self.long_texts](text, self) for text in texts]
        sequences = [sequence for each in divided for sequence in each]
        lengths = np.array([len(sequence) for sequence in sequences])
        rows, length, starts = self._placed(lengths)
        before = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
        token_ids, positions, owners = (np.full(rows * length, value, np.int32) for value in (0, 0, -1))
        token_ids[places] = np.concatenate(sequences)
        positions[places] = places - np.repeat(starts, lengths)
        owners[places] = np.repeat(np.arange(len(sequences)), lengths)
        owners[token_ids == 0] = -1  # of a text that spells [PAD] out: every form of a network ignores it
        # Only a text alone has more tokens than a pack, and few windows.
        slots = max(min(rows * length, PACK_TOKENS) // TOKENS_A_SLOT, _power(len(sequences)))
        found, of_texts = hashing.features(texts, self.codes) if self.ngrams_of else (_NONE, _NONE)
        features = max(2 * rows * length, _power(len(found)))
        windows = np.array([len(each) for each in divided])
        sizes = np.maximum(lengths - 2 * self.special_tokens, 1).astype(np.float32)
        of_sequences = np.repeat(np.arange(len(texts)), windows)
        shares = sizes / np.bincount(of_sequences, sizes)[of_sequences].astype(np.float32)
        return {
            "token_ids": token_ids.reshape(rows, length),
            "positions": positions.reshape(rows, length),
            "sequences": owners.reshape(rows, length),
            "starts": _filled(starts, slots, 0),
            "texts": _filled(of_sequences, slots, -1),
            "shares": _filled(shares, slots, 0),
            "buckets": _filled(found, features, hashing.BUCKETS),
            "bucket_texts": _filled(of_texts, features, -1),
        }

    def _placed(self, lengths: NDArray[np.int64]) -> tuple[int, int, NDArray[np.int64]]:
        """Return rows, the length of a row, and the place of each sequence's first token in all rows together."""
        total, longest = int(lengths.sum()), int(lengths.max())
        if longest > self.longest_row:
            raise ValueError(f"a sequence of {longest} tokens; the network reads {self.window}")
        if total <= LENGTHS[0] or len(lengths) == 1:
            return _in_rows(lengths, _rounded(total, self.step if total <= LENGTHS[0] else STEP))
        fitting = [length for length in LENGTHS if length >= longest] or [_rounded(longest, STEP)]
        found = (_in_rows(lengths, length) for length in fitting)
        return min(found, key=lambda each: each[0] * each[1] * (1 + each[1] / COSTLY_ROW))


_NONE: NDArray[np.int32] = np.zeros(0, np.int32)


def _whole(text: Tokens, _: Packing) -> list[Tokens]:
    return [text]


def _head_tail(text: Tokens, packing: Packing) -> list[Tokens]:
    """Return the first and the last tokens of a long text, as many of either, as one sequence."""
    if len(text) <= packing.window:
        return [text]
    tail = packing.window // 2
    return [np.concatenate([text[: packing.window - tail], text[len(text) - tail :]])]


def _windows(text: Tokens, packing: Packing) -> list[Tokens]:
    """Return as few windows of a text as possible, of equal size, each with the text's special tokens around it."""
    special_tokens = packing.special_tokens
    tokens = len(text) - 2 * special_tokens
    count = -(-tokens // (packing.window - 2 * special_tokens))
    if count <= 1:
        return [text]
    size = -(-tokens // count)
    first, last = text[:special_tokens], text[len(text) - special_tokens :]
    inside = text[special_tokens : len(text) - special_tokens]
    return [np.concatenate([first, inside[number * size :][:size], last]) for number in range(count)]


DIVISIONS: Mapping[str, Callable[[Tokens, Packing], list[Tokens]]] = {
    "truncate": _whole,
    "head_tail": _head_tail,
    "windows": _windows,
}
"""Texts to the sequences that a network reads, by the way in which long ones are read."""


def _in_rows(lengths: NDArray[np.int64], length: int) -> tuple[int, int, NDArray[np.int64]]:
    """Put sequences into rows of a length, the longest first.

    Returns:
        The number of rows, the length, and the place of each sequence's first token in all rows together.
    """
    starts = np.zeros(len(lengths), np.int64)
    used: list[int] = []
    for index in np.argsort(-lengths, kind="stable").tolist():
        size = int(lengths[index])
        row = next((row for row, there in enumerate(used) if there + size <= length), len(used))
        if row == len(used):
            used.append(0)
        starts[index] = row * length + used[row]
        used[row] += size
    return _few(len(used)), length, starts


def _few(rows: int) -> int:
    """Return a number of rows, rounded up so that there are few: 1, 2, 3, ... 8, 10, 12, 14, 16, 20, 24, ..."""
    return _rounded(rows, 1 << max(0, (rows - 1).bit_length() - 3))


def _rounded(number: int, step: int) -> int:
    return -(-number // step) * step


def _power(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()


def _filled(values: NDArray[Any], size: int, filling: int) -> NDArray[Any]:
    """Return values in an array of a size, with a filling after them, of 32 bits."""
    array = np.full(size, filling, np.float32 if values.dtype.kind == "f" else np.int32)
    array[: len(values)] = values
    return array
