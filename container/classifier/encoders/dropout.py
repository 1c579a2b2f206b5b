"""Layers whose random numbers are determined by a seed and a saved count, so that a resumed run repeats them."""

import tensorflow as tf
import tf_keras

CHANCES = 1 << 16  # of a 16-bit random number, whatever the dtype of the network


class RandomLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    """A layer that draws random numbers in training.

    The count of draws is a weight of the layer, so that saving and restoring the weights continues the sequence.

    Args:
        name: The layer's name.
        seed: The seed; TensorFlow's global seed has no effect.
        dtype: The dtype to compute in; None for the policy's.
    """

    def __init__(self, name: str, seed: int, dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.seed = seed % (1 << 31)  # int32, whatever was added to the job's
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


class Dropout(RandomLayer):
    """Sets a fraction of the values to 0 in training, and scales the others up (Srivastava et al., 2014).

    Args:
        rate: The fraction, from 0 to 1.
        seed: The seed.
        dtype: The dtype to compute in; None for the policy's.
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
    """Return uniform random numbers, int16.

    TensorFlow's own dropout draws 32 bits per value, and in bfloat16 only 128 different values; on a CPU it takes up to
    2.4 times as long.
    """
    count = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform([(count + 3) // 4], seed, minval=None, maxval=None, dtype=tf.uint64)
    return tf.reshape(tf.reshape(tf.bitcast(words, tf.int16), [-1])[:count], shape)


def _replica() -> int | tf.Tensor:
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group
