"""A training step: the gradients of a batch's loss, on every replica, and the optimizer's update."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from classifier.training.cluster import Cluster

# The elements of what a step returns; all are sums over the batch.
LOSS, WEIGHT, RIGHT, ROWS, STOP = range(5)

Step = Callable[[Any, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Loss:
    """The cross-entropy loss.

    Attributes:
        label_smoothing: The share of a target's probability that is spread over all labels (Szegedy et al., 2016).
    """

    label_smoothing: float

    def __call__(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Return the loss of each row, float32[rows], in nats, of label indices and logits."""
        logits = tf.cast(logits, tf.float32)
        if not self.label_smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        labels = logits.shape[-1]
        right = tf.one_hot(targets, labels)
        smooth = right * (1.0 - self.label_smoothing) + self.label_smoothing / labels
        return tf.nn.softmax_cross_entropy_with_logits(smooth, logits)


def build_step(model: Any, optimizer: Any, loss: Loss, cluster: Cluster, spec: Any, *, jit_compile: bool) -> Step:
    """Build the function of a training step.

    Args:
        model: Maps inputs to logits.
        optimizer: The optimizer; its variables are built.
        loss: The loss.
        cluster: The hosts and devices.
        spec: The spec of the elements of the distributed dataset.
        jit_compile: Whether XLA compiles the step.

    Returns:
        A function of an element and of whether this host was told to stop (float32[], 1 or 0). It returns float32[5],
        sums over all replicas, at the indices ``LOSS``, ``WEIGHT``, ``RIGHT``, ``ROWS`` and ``STOP``.
    """
    total = tf.distribute.ReduceOp.SUM
    scaled = hasattr(optimizer, "get_scaled_loss")

    def on_replica(inputs: Any, targets: tf.Tensor, weights: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        counted = tf.cast(weights > 0, tf.float32)
        rows = tf.reduce_sum(counted)
        context = tf.distribute.get_replica_context()
        rows_everywhere = context.all_reduce(total, rows) if cluster.replicas > 1 else rows
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            losses = loss(targets, logits)
            # Divided by the rows, not by the weights: a batch without rare labels counts less than one with them.
            objective = tf.reduce_sum(losses * weights) / rows_everywhere
            objective += tf.add_n(model.losses) / cluster.replicas
            objective = optimizer.get_scaled_loss(objective) if scaled else objective
        gradients = tape.gradient(objective, model.trainable_variables)
        gradients = optimizer.get_unscaled_gradients(gradients) if scaled else gradients
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        hits = tf.cast(tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), targets), tf.float32)
        sums = [tf.reduce_sum(losses * weights), tf.reduce_sum(weights), tf.reduce_sum(hits * counted), rows]
        return tf.stack([*sums, stop / cluster.replicas_here])

    compiled = tf.function(on_replica, jit_compile=True, autograph=False) if jit_compile else on_replica

    def step(element: Any, stop: tf.Tensor) -> tf.Tensor:
        results = cluster.strategy.run(compiled, args=(*element, stop))
        return cluster.strategy.reduce(total, results, axis=None)

    function: Step = tf.function(step, input_signature=[spec, tf.TensorSpec([], tf.float32)], autograph=False)
    return function
