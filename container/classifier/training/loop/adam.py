"""Adam and AdamW in one pass over memory.

tf_keras takes a step of Adam as a dozen operations, each of which goes through all of a weight's numbers once; for the
vectors of 30,000 words that costs as much as a small network. TensorFlow has the same step as one operation.
"""

from typing import Any

import tensorflow as tf
import tf_keras


class _OnePass:
    """Takes the same step as the class beside it, in one operation a weight (Kingma and Ba, 2014)."""

    def update_step(self: Any, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Update a weight and what is remembered of its gradients.

        A gradient that names some rows only is filled up with zeros: the others move on by what is remembered of them.
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
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2017)."""
