"""Adam and AdamW as one fused operation.

tf_keras implements a step of Adam as a dozen operations, each of which passes over all elements of a variable. For the
vectors of 30,000 words, that costs as much as a small network. TensorFlow has a fused operation for the same step.
"""

from typing import Any

import tensorflow as tf
import tf_keras


class _OnePass:
    """A mixin that replaces the update step of a tf_keras optimizer by a fused one (Kingma and Ba, 2014)."""

    def update_step(self: Any, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Update a variable and its moments.

        A sparse gradient is converted to a dense one, so that rows without a gradient are updated by their moments too.
        """
        kind = variable.dtype
        place = self._index_dict[self._var_key(variable)]
        count = tf.cast(self.iterations + 1, kind)
        beta_1, beta_2 = tf.cast(self.beta_1, kind), tf.cast(self.beta_2, kind)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].handle,
            v=self._velocities[place].handle,
            beta1_power=tf.pow(beta_1, count),
            beta2_power=tf.pow(beta_2, count),
            lr=tf.cast(self.learning_rate, kind),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, kind),
            grad=_of_all_rows(gradient, variable),
        )


def _of_all_rows(gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> tf.Tensor:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, variable.shape[0])
    return gradient


class Adam(_OnePass, tf_keras.optimizers.Adam):  # type: ignore[misc]
    """Adam."""


class AdamW(_OnePass, tf_keras.optimizers.AdamW):  # type: ignore[misc]
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017)."""
