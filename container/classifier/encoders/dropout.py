"""Random numbers that follow from a seed and a count, and dropout: an interrupted run goes on as if it never was."""

import tensorflow as tf
import tf_keras

CHANCES = 1 << 16  # a random number of 16 bits decides over a value, whatever numbers the network computes with


class Drawing(tf_keras.layers.Layer):  # type: ignore[misc]
    """A layer that draws random numbers while training.

    The count of draws is a weight of the layer: whoever saves and restores the weights continues the random numbers.

    Args:
        name: The layer's name.
        seed: What the random numbers follow from; TensorFlow's global seed is not looked at.
        dtype: What to compute with, where it is not the usual.
    """

    def __init__(self, name: str, seed: int, dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.seed = seed
        self.calls = self.add_weight(
            name="calls",
            shape=(),
            dtype=tf.int64,  # an int32 variable never is on a GPU
            initializer="zeros",
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,  # each replica counts for itself: no communication
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def next_seed(self) -> tf.Tensor:
        """Count one draw, and return its seed, int32[2]."""
        seed = tf.stack([tf.cast(self.calls, tf.int32), self.seed, _replica()])
        seed = tf.random.experimental.stateless_fold_in(seed[:2], seed[2])
        self.calls.assign_add(1)
        return seed


class Dropout(Drawing):
    """Sets a share of the values to 0 while training, and scales the others up (Srivastava et al., 2014).

    Args:
        rate: The share of the values, from 0 to 1.
        seed: What the random numbers follow from.
        dtype: What to compute with, where it is not the usual.
    """

    def __init__(self, rate: float, seed: int, dtype: str | None = None) -> None:
        super().__init__("dropout", seed, dtype)
        self.rate = rate

    def call(self, values: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return values of the same shape."""
        if not training or not self.rate:
            return values
        if self.rate == 1:
            return tf.zeros_like(values)
        seed = self.next_seed()
        dropped = min(round(self.rate * CHANCES), CHANCES - 1)
        kept = _random(tf.shape(values), seed) >= tf.constant(dropped - CHANCES // 2, tf.int16)
        return values * (tf.cast(kept, values.dtype) * tf.constant(CHANCES / (CHANCES - dropped), values.dtype))


def _random(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return random numbers, int16, each as likely as any other.

    TensorFlow's own dropout makes a random number of 32 bits a value, and in bfloat16 one that knows 128 chances only;
    on a CPU it takes up to 2.4 times as long.
    """
    count = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform([(count + 3) // 4], seed, minval=None, maxval=None, dtype=tf.uint64)
    return tf.reshape(tf.reshape(tf.bitcast(words, tf.int16), [-1])[:count], shape)


def _replica() -> int | tf.Tensor:
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group
