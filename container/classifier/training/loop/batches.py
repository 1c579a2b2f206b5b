"""The inputs of a network, in batches of similar lengths."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from classifier.backends.padding import padded
from classifier.encoders import Encoder
from classifier.encoders.images import Images
from classifier.encoders.texts import TokenPreprocessor, encoded
from classifier.training import hardware
from classifier.training.interruption import Interruption

TOKENIZED_AT_ONCE = 1024
SORTED_TOGETHER = 50  # batches at most, and at most a quarter of all, so that an epoch is still well shuffled
PREPARED_AHEAD = 4  # elements
# Tokens of a batch that is scored. On CPUs, of rows of 256 tokens a batch of 2,048 takes two thirds of the time per
# token that one of 32,768 takes, whose arrays don't fit into caches and are new memory for each operation.
MOST_AT_ONCE, MOST_AT_ONCE_ON_GPU = 2048, 64 * 512


@dataclass(frozen=True)
class Inputs:
    """The inputs of a network.

    Attributes:
        rows: The token ids of each text, int32[length]; or one array whose first axis is the records, which of images
            is lazy.
        limit: The length of the longest row that the network can read.
        multiple: The length of a batch is rounded up to a multiple of this, which keeps the number of shapes small.
    """

    rows: list[NDArray[np.int32]] | NDArray[Any] | Images
    limit: int = sys.maxsize
    multiple: int = 1

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def token_ids(self) -> list[NDArray[np.int32]]:
        """The token ids of each text, which these inputs must be."""
        if not isinstance(self.rows, list):
            raise TypeError("these inputs are no token ids")
        return self.rows

    def lengths(self) -> NDArray[np.int64]:
        """Return the length of each row, int64[rows], by which similar rows are batched; 1 for rows of an array."""
        if isinstance(self.rows, list):
            return np.array([len(row) for row in self.rows], np.int64)
        return np.ones(len(self.rows), np.int64)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows with these indices as one array; token ids are padded with zeros."""
        if not isinstance(self.rows, list):
            return np.asarray(self.rows[indices])
        return padded([self.rows[index] for index in indices], self.multiple, self.limit)

    def some(self, indices: NDArray[np.int64]) -> "Inputs":
        """Return the inputs with these indices, int64[rows]; images are not decoded yet."""
        if isinstance(self.rows, list):
            return replace(self, rows=[self.rows[index] for index in indices])
        if isinstance(self.rows, Images):
            return replace(self, rows=self.rows.some(indices))
        return replace(self, rows=self.rows[indices])

    @property
    def signature(self) -> tf.TensorSpec:
        """The shape and dtype of what :meth:`take` returns, for any number of rows."""
        if isinstance(self.rows, list):
            return tf.TensorSpec([None, None], tf.int32)
        kind = tf.string if self.rows.dtype == object else tf.as_dtype(self.rows.dtype)
        return tf.TensorSpec([None, *self.rows.shape[1:]], kind)


@dataclass(frozen=True)
class Rows:
    """Training rows.

    Attributes:
        inputs: The inputs of the network.
        targets: int32[rows], the index of each row's label.
        weights: float32[rows], each row's weight in the loss.
    """

    inputs: Inputs
    targets: NDArray[np.int32]
    weights: NDArray[np.float32]


def tokenize(
    encoder: Encoder, records: Sequence[Any], interruption: Interruption | None = None, *, multiple: int = 1
) -> Inputs:
    """Convert records to the inputs of the encoder's layer.

    Args:
        encoder: The encoder.
        records: The records.
        interruption: Checked between batches, if given.
        multiple: The length of a batch is rounded up to a multiple of this.

    Raises:
        StoppedError: The job was told to stop.
    """
    preprocessor = encoder.preprocessor
    if not isinstance(preprocessor, TokenPreprocessor):
        return Inputs(preprocessor.preprocess(records))
    function = _compiled(preprocessor)
    rows: list[NDArray[np.int32]] = []
    for start in range(0, len(records), TOKENIZED_AT_ONCE):
        if interruption is not None:
            interruption.check()
        batch = function(tf.constant(encoded(records[start : start + TOKENIZED_AT_ONCE]))).numpy()
        rows.extend(row[row != 0] for row in batch)
    return Inputs(rows, preprocessor.max_sequence_length, multiple)


@functools.lru_cache(maxsize=1)
def _compiled(preprocessor: TokenPreprocessor) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a tokenizer as a TensorFlow function, which is traced once."""
    function: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        preprocessor.tokenize, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    )
    return function


def in_order_of_length(inputs: Inputs, batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of all rows in batches, the longest rows last.

    Batches of long rows are smaller: they hold :data:`MOST_AT_ONCE` tokens at most, or one row.
    """
    most = MOST_AT_ONCE_ON_GPU if hardware.has_gpu() else MOST_AT_ONCE
    lengths = inputs.lengths()
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        batch = order[start : start + batch_size]
        fitting = lengths[batch] * np.arange(1, len(batch) + 1) <= most
        batch = batch[: max(1, int(fitting.sum()))]
        yield batch
        start += len(batch)


def shuffled(inputs: Inputs, batch_size: int, seed: Sequence[int]) -> list[NDArray[np.int64]]:
    """Return the indices of all rows in random batches of similar lengths, which need little padding.

    The rows are shuffled, sorted by length within windows, and cut into batches, which are shuffled again. The windows
    are as large as those of ``LengthGroupedSampler`` of the library transformers.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(inputs))
    lengths = inputs.lengths()
    rows = batch_size * max(1, min(SORTED_TOGETHER, len(order) // (4 * batch_size)))
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), rows):
        window = order[start : start + rows]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches.extend(window[first : first + batch_size] for first in range(0, len(window), batch_size))
    return [batches[index] for index in generator.permutation(len(batches))]


Element = tuple[NDArray[Any], NDArray[np.int32], NDArray[np.float32]]


def elements(rows: Rows, batch: NDArray[np.int64], replicas: int) -> Iterator[Element]:
    """Yield each replica's part of a batch: inputs, targets, weights.

    A replica without a row gets one of weight 0, so that all replicas take the same number of steps.
    """
    for indices in dealt(batch, replicas):
        if len(indices):
            yield rows.inputs.take(indices), rows.targets[indices], rows.weights[indices]
        else:
            yield rows.inputs.take([0]), rows.targets[:1], np.zeros(1, np.float32)


def dealt(batch: NDArray[np.int64], parts: int) -> list[NDArray[np.int64]]:
    """Deal the rows of a batch out into parts of equal size, and, as a batch is sorted by length, similar lengths."""
    return [batch[part::parts] for part in range(parts)]


def signature(rows: Rows) -> tuple[tf.TensorSpec, tf.TensorSpec, tf.TensorSpec]:
    """Return the shapes and dtypes of :func:`elements`: inputs, targets, weights."""
    return rows.inputs.signature, tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)


def endless(rows: Rows, batches: Iterator[NDArray[np.int64]], replicas: int) -> tf.data.Dataset:
    """Return a dataset of :func:`elements`, which is prefetched.

    Args:
        rows: The rows that the batches refer to.
        batches: An infinite iterator over batches, each the indices of rows.
        replicas: The number of replicas on this host, each of which takes one element per step.
    """

    def generate() -> Iterator[Element]:
        for batch in batches:
            yield from elements(rows, batch, replicas)

    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature(rows))
    without_end = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return dataset.apply(without_end).prefetch(PREPARED_AHEAD)


def one_by_one(rows: Rows, batches: Iterator[NDArray[np.int64]]) -> Iterator[tuple[tf.Tensor, ...]]:
    """Yield the :func:`elements` of a single replica as tensors, without prefetching.

    Creating an element takes a twentieth of a millisecond; passing one from another thread takes ten times as long.
    """
    for batch in batches:
        for element in elements(rows, batch, 1):
            yield tuple(tf.constant(array) for array in element)
