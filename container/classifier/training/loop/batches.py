"""What the network reads, cut into batches of like lengths."""

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
from classifier.encoders.texts import TokenPreprocessor, encoded
from classifier.training.interruption import Interruption

TOKENIZED_AT_ONCE = 1024
SORTED_TOGETHER = 50  # batches at most, and a quarter of all: an epoch is still well mixed
PREPARED_AHEAD = 4  # elements


@dataclass(frozen=True)
class Inputs:
    """The rows a network reads.

    Attributes:
        rows: A list of int32[length], one a text; or an array whose first axis is the texts.
        limit: The longest row that the network can read.
        multiple: Batches are as long as a multiple of it, so that there are few shapes where each is dear.
    """

    rows: list[NDArray[np.int32]] | NDArray[Any]
    limit: int = sys.maxsize
    multiple: int = 1

    def __len__(self) -> int:
        return len(self.rows)

    def lengths(self) -> NDArray[np.int64]:
        """Return int64[texts], what each text costs to compute relative to the others."""
        if isinstance(self.rows, list):
            return np.array([len(row) for row in self.rows], np.int64)
        return np.ones(len(self.rows), np.int64)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[Any]:
        """Return some rows as one array, token ids with zeros after each row's end."""
        if not isinstance(self.rows, list):
            return np.asarray(self.rows[indices])
        return padded([self.rows[index] for index in indices], self.multiple, self.limit)

    def some(self, indices: NDArray[np.int64]) -> "Inputs":
        """Return some of the rows."""
        if isinstance(self.rows, list):
            return replace(self, rows=[self.rows[index] for index in indices])
        return replace(self, rows=self.rows[indices])

    @property
    def signature(self) -> tf.TensorSpec:
        """What :meth:`take` gives, of any number of rows."""
        if isinstance(self.rows, list):
            return tf.TensorSpec([None, None], tf.int32)
        kind = tf.string if self.rows.dtype == object else tf.as_dtype(self.rows.dtype)
        return tf.TensorSpec([None, *self.rows.shape[1:]], kind)


@dataclass(frozen=True)
class Rows:
    """Inputs, the index of each one's label, int32[rows], and how much each counts, float32[rows]."""

    inputs: Inputs
    targets: NDArray[np.int32]
    weights: NDArray[np.float32]


def tokenize(
    encoder: Encoder, texts: Sequence[Any], interruption: Interruption | None = None, *, multiple: int = 1
) -> Inputs:
    """Turn all records into what the encoder's layer reads.

    Args:
        encoder: The encoder.
        texts: The records.
        interruption: What may tell the job to stop meanwhile.
        multiple: What the lengths of batches are multiples of.

    Raises:
        StoppedError: The job was told to stop meanwhile.
    """
    preprocessor = encoder.preprocessor
    if not isinstance(preprocessor, TokenPreprocessor):
        return Inputs(preprocessor.preprocess(texts))
    function = _compiled(preprocessor)
    rows: list[NDArray[np.int32]] = []
    for start in range(0, len(texts), TOKENIZED_AT_ONCE):
        if interruption is not None:
            interruption.check()
        batch = function(tf.constant(encoded(texts[start : start + TOKENIZED_AT_ONCE]))).numpy()
        rows.extend(row[row != 0] for row in batch)
    return Inputs(rows, preprocessor.max_sequence_length, multiple)


@functools.lru_cache(maxsize=1)
def _compiled(preprocessor: TokenPreprocessor) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compile a tokenizer to a TensorFlow function, once per encoder."""
    function: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        preprocessor.tokenize, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    return function


def in_order_of_length(inputs: Inputs, batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of all rows, batch by batch, the longest last."""
    order = np.argsort(inputs.lengths(), kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def shuffled(inputs: Inputs, batch_size: int, seed: Sequence[int]) -> list[NDArray[np.int64]]:
    """Cut all rows into batches: at random, but like lengths together, so that little is padding.

    The rows are drawn in an order, like lengths are put together within windows of that order, and the batches are
    drawn in an order again; windows as large as those of the library transformers, ``LengthGroupedSampler``.
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

    A replica for which there is no row gets one of weight 0, so that all replicas take the same steps.
    """
    for indices in dealt(batch, replicas):
        if len(indices):
            yield rows.inputs.take(indices), rows.targets[indices], rows.weights[indices]
        else:
            yield rows.inputs.take([0]), rows.targets[:1], np.zeros(1, np.float32)


def dealt(batch: NDArray[np.int64], parts: int) -> list[NDArray[np.int64]]:
    """Deal a batch out: like numbers of rows, and, as a batch is sorted by it, like lengths."""
    return [batch[part::parts] for part in range(parts)]


def signature(rows: Rows) -> tuple[tf.TensorSpec, tf.TensorSpec, tf.TensorSpec]:
    """Return what :func:`elements` are: inputs, targets, weights."""
    return rows.inputs.signature, tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)


def endless(rows: Rows, batches: Iterator[NDArray[np.int64]], replicas: int) -> tf.data.Dataset:
    """Return a dataset of :func:`elements`, prepared ahead of the training step.

    Args:
        rows: What the batches' numbers stand for.
        batches: The batches, without end.
        replicas: How many replicas of this host take an element each in a step.
    """

    def generate() -> Iterator[Element]:
        for batch in batches:
            yield from elements(rows, batch, replicas)

    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature(rows))
    without_end = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return dataset.apply(without_end).prefetch(PREPARED_AHEAD)


def one_by_one(rows: Rows, batches: Iterator[NDArray[np.int64]]) -> Iterator[tuple[tf.Tensor, ...]]:
    """Yield the :func:`elements` of one replica as tensors, each made when it is asked for.

    That takes a twentieth of a millisecond, and to hand an element over from another thread ten times as much.
    """
    for batch in batches:
        for element in elements(rows, batch, 1):
            yield tuple(tf.constant(array) for array in element)
