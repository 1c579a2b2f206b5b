"""Packed texts: the tokens of many texts one after another in rows, instead of one padded row for each text.

A layer that reads them has ``packs``, which is true, and a method ``packed``; both share its weights.
:mod:`classifier.backends.packing` packs the texts.
"""

from typing import Any, NamedTuple

import tensorflow as tf


class Pack(NamedTuple):
    """Packed texts. A sequence is what a network reads at once: a text, or a window of it.

    There are as many slots as there may be sequences; the last ones may be empty. A text has the number of its slot
    in the network's output.

    Attributes:
        token_ids: int32[rows, length], 0 where there is no token.
        positions: The position of each token in its sequence, int32[rows, length].
        sequences: The slot of each token's sequence, int32[rows, length]; -1 where there is no token.
        starts: The place of each sequence's first token in all rows, one after another, int32[slots].
        texts: The slot of each sequence's text, int32[slots]; -1 where there is no sequence.
        shares: The share of each sequence in its text's vector, float32[slots]; those of a text add up to 1.
        buckets: The buckets of all texts' n-grams, each once for a text, int32[features].
        bucket_texts: The slot of each bucket's text, int32[features]; -1 where there is no bucket.
    """

    token_ids: tf.Tensor
    positions: tf.Tensor
    sequences: tf.Tensor
    starts: tf.Tensor
    texts: tf.Tensor
    shares: tf.Tensor
    buckets: tf.Tensor
    bucket_texts: tf.Tensor


_IN_ROWS = ("token_ids", "positions", "sequences")
SIGNATURE = Pack(
    *(
        tf.TensorSpec(
            [None, None] if name in _IN_ROWS else [None], tf.float32 if name == "shares" else tf.int32, name=name
        )
        for name in Pack._fields
    )
)


def reads_packed(layer: Any) -> bool:
    """Return whether an encoder's layer reads packed texts."""
    return bool(getattr(layer, "packs", False))


SUMS = "sums_of_members"  # in the names of the operations of :func:`sums`


def sums(values: tf.Tensor, owners: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
    """Return the sum of the values of each slot, float32[slots, width], as a product with a matrix of zeros and ones.

    Args:
        values: float32[values, width].
        owners: The slot of each value, int32[values]; -1 for none.
        slots: The number of slots.
    """
    with tf.name_scope(SUMS):
        members = tf.equal(tf.range(slots)[:, tf.newaxis], owners[tf.newaxis])
        return tf.matmul(tf.cast(members, tf.float32), values)
