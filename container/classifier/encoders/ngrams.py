"""N-grams of token ids: sparse TF-IDF features of a text's tokens and pairs of tokens, and the layer that scores them.

A feature is a token or a pair of adjacent tokens, hashed into one of a fixed number of buckets; no token is stored.
A text's features are binary: whether a bucket occurs in it, weighted by the bucket's inverse document frequency, and
scaled to Euclidean norm 1. :meth:`Vocabulary.features` returns them for training as a sparse matrix, and
:class:`NgramLayer` computes the same in the exported model, with operations that every backend has: gather, sort,
scatter, sum.

Source of binary features: Wang and Manning, "Baselines and Bigrams" (2012). The hashing is that of
:mod:`classifier.hashing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from classifier import hashing
from classifier.encoders import packed
from classifier.encoders.packed import Pack
from classifier.hashing import BUCKETS

LARGEST_TABLE = 8 << 20  # bytes of an exported model's weights; the rarest features beyond it are left out
# Tokens. OpenVINO's time for sorting grows with the square of the length: 140 ms of a processor for 4,096 tokens. What
# is done with longer texts takes 0.8 ms for as many, and memory for all features, for each text of a batch.
LONGEST_SORTED = 64
PADDING = 0  # the token id after a text's end, and of a text that spells it out
TEXTS_AT_ONCE = 1000  # hashing takes memory for all of their tokens, several times


def most_features(labels: int) -> int:
    """Return how many features fit into :data:`LARGEST_TABLE`."""
    return LARGEST_TABLE // (np.dtype(np.float16).itemsize * (labels + 1))


def bags(texts: Sequence[NDArray[np.int32]], code_of: NDArray[np.int32]) -> scipy.sparse.csr_matrix:
    """Return which buckets occur in each text, as zeros and ones, float32[texts, BUCKETS].

    Args:
        texts: The token ids of each text, int32[length]; :data:`PADDING` is in no n-gram.
        code_of: What :func:`classifier.hashing.codes` returned.
    """
    buckets, counts = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for first in range(0, len(texts), TEXTS_AT_ONCE):
        some = texts[first : first + TEXTS_AT_ONCE]
        found, owners = hashing.features(some, code_of)
        buckets.append(found.astype(np.int32))
        counts.append(np.bincount(owners, minlength=len(some)))
    return bags_of(np.concatenate(buckets), np.concatenate(counts))


def bags_of(buckets: NDArray[np.int32], counts: Sequence[int] | NDArray[np.integer[Any]]) -> scipy.sparse.csr_matrix:
    """Return the same as :func:`bags`, given the buckets.

    Args:
        buckets: The buckets of each text, text after text.
        counts: How many each text has.
    """
    ones, ends = np.ones(len(buckets), np.float32), np.cumsum([0, *counts])
    return scipy.sparse.csr_matrix((ones, buckets, ends), (len(counts), BUCKETS))


@dataclass(frozen=True)
class Vocabulary:
    """The features that are used.

    Attributes:
        buckets: Their buckets, int32[features], in ascending order.
        weights: Their inverse document frequencies, float32[features].
    """

    buckets: NDArray[np.int32]
    weights: NDArray[np.float32]
    name: str = "ngrams"

    @classmethod
    def of(cls, bags_of: scipy.sparse.csr_matrix, most: int) -> "Vocabulary":
        """Return the features of training texts; if there are more than ``most``, those in the most texts.

        Document frequencies are smoothed as if one more text had every feature.
        """
        counts = np.asarray(bags_of.sum(axis=0)).ravel()
        ranked = np.argsort(-counts, kind="stable")[:most]
        chosen = np.sort(ranked[counts[ranked] > 0]).astype(np.int32)
        weights = np.log((1 + bags_of.shape[0]) / (1 + counts[chosen])) + 1
        return cls(chosen, weights.astype(np.float32))

    def extended(self, other: "Vocabulary", most: int) -> "Vocabulary":
        """Return these features, with their weights, and those of another vocabulary: of too many the most frequent."""
        new = ~np.isin(other.buckets, self.buckets)
        buckets = np.concatenate([self.buckets, other.buckets[new]])
        weights = np.concatenate([self.weights, other.weights[new]])
        chosen = np.argsort(weights, kind="stable")[:most]
        chosen = chosen[np.argsort(buckets[chosen])]
        return Vocabulary(buckets[chosen], weights[chosen])

    def features(self, bags_of: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
        """Return the TF-IDF features of texts, float32[texts, features], each text's of norm 1 or 0."""
        weighted = bags_of[:, self.buckets] @ scipy.sparse.diags(self.weights)
        norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
        return (scipy.sparse.diags(scale.astype(np.float32)) @ weighted).tocsr()


class NgramLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    """Token ids, int32[batch, length], padded with 0, to logits, float32[batch, labels].

    Args:
        vocabulary: The features.
        kernel: The weight of each feature for each label, float32[features, labels].
        vocabulary_size: The number of token ids.
    """

    def __init__(self, vocabulary: Vocabulary, kernel: NDArray[np.float32], vocabulary_size: int) -> None:
        super().__init__(name="ngrams", dtype="float32", trainable=False)
        weighted = kernel * vocabulary.weights[:, np.newaxis]
        squares = np.square(vocabulary.weights)[:, np.newaxis]
        # The first row is that of padding and of unknown features.
        table = np.pad(np.concatenate([weighted, squares], axis=1), [(1, 0), (0, 0)]).astype(np.float16)
        rows = np.zeros(BUCKETS + 1, np.int32)
        rows[vocabulary.buckets] = np.arange(1, len(table))
        # Constants of the graph, not variables: they are never trained, and the same on every device.
        self._arrays = table, rows, hashing.codes(vocabulary_size)

    def call(self, token_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Score the features; a text without any has logits of 0, and training changes nothing."""
        del training
        table, row_of, code_of = map(tf.constant, self._arrays)
        rows = tf.gather(row_of, _buckets(tf.gather(code_of, token_ids), token_ids))
        # One way gets all texts and the other none. With tf.cond, OpenVINO's first answer to one token was wrong.
        texts, length = tf.unstack(tf.shape(token_ids))
        sorted_texts = tf.where(length <= LONGEST_SORTED, texts, 0)
        ways = _once_by_sorting(rows[:sorted_texts]), _once_by_place(rows[sorted_texts:], len(self._arrays[0]))
        once = tf.concat(ways, axis=0)
        return _logits(tf.reduce_sum(tf.cast(tf.gather(table, once), tf.float32), axis=1))

    def packed(self, pack: Pack) -> tf.Tensor:
        """Score the features of packed texts, float32[slots, labels]; whoever packs them finds their buckets."""
        table, row_of, _ = map(tf.constant, self._arrays)
        scores = tf.cast(tf.gather(table, tf.gather(row_of, pack.buckets)), tf.float32)
        return _logits(packed.sums(scores, pack.bucket_texts, tf.shape(pack.texts)[0]))


def _logits(sums: tf.Tensor) -> tf.Tensor:
    """Return logits, float32[batch, labels], from sums of the table's rows, float32[batch, labels + 1]."""
    return sums[:, :-1] * tf.math.rsqrt(tf.maximum(sums[:, -1:], 1e-6))


def _once_by_sorting(rows: tf.Tensor) -> tf.Tensor:
    """Return int32[batch, features of a text] with 0 in the place of what occurs again."""
    rows = tf.sort(rows, axis=1)
    before = tf.pad(rows[:, :-1], [[0, 0], [1, 0]])
    return tf.where(tf.equal(rows, before), 0, rows)


def _once_by_place(rows: tf.Tensor, table: int) -> tf.Tensor:
    """Return the same, in another order: of several places of a text that have one row, one stays.

    Args:
        rows: Rows of the table, int32[batch, features of a text].
        table: The number of rows of the table.
    """
    texts, places = tf.shape(rows)[0], tf.shape(rows)[1]
    place = tf.tile(tf.range(places)[tf.newaxis], [texts, 1])
    text = tf.tile(tf.range(texts)[:, tf.newaxis], [1, places])
    cells = tf.stack([text, rows], axis=-1)
    last = tf.tensor_scatter_nd_update(tf.zeros([texts, table], tf.int32), cells, place)
    return tf.where(tf.equal(tf.gather_nd(last, cells), place), rows, 0)


def _buckets(of_tokens: tf.Tensor, token_ids: tf.Tensor) -> tf.Tensor:
    """Return the buckets of tokens and pairs, int32[batch, 2 * length - 1]; :data:`BUCKETS` stands for padding.

    Backends may compute integers in float32, so none exceeds 2**24, and none is divided.

    Args:
        of_tokens: The tokens' codes, int32[batch, length, 3].
        token_ids: The tokens, int32[batch, length].
    """
    sums = of_tokens[:, :-1, 1] + of_tokens[:, 1:, 2]
    pairs = tf.where(sums >= BUCKETS, sums - BUCKETS, sums)
    there = tf.not_equal(token_ids, PADDING)
    valid = tf.concat([there, tf.logical_and(there[:, :-1], there[:, 1:])], axis=1)
    return tf.where(valid, tf.concat([of_tokens[:, :, 0], pairs], axis=1), BUCKETS)
