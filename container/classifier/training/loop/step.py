"""One training step: the gradient of the loss over a batch, on every replica, and the optimizer's answer to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from classifier.training.cluster import Cluster

# What a step returns, in this order; all are sums over the batch.
LOSS, WEIGHT, RIGHT, ROWS, STOP = range(5)

Step = Callable[[Any, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Loss:
    """How wrong answers are counted.

    Attributes:
        label_smoothing: The share of a target's probability that is spread over all labels (Szegedy et al., 2016).
    """

    label_smoothing: float

    def __call__(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Return the cross-entropy, float32[rows], in nats."""
        logits = tf.cast(logits, tf.float32)
        if not self.label_smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        labels = logits.shape[-1]
        right = tf.one_hot(targets, labels)
        smooth = right * (1.0 - self.label_smoothing) + self.label_smoothing / labels
        return tf.nn.softmax_cross_entropy_with_logits(smooth, logits)


def build_step(model: Any, optimizer: Any, loss: Loss, cluster: Cluster, spec: Any, *, jit_compile: bool) -> Step:
    """Make the function of a step.

    Args:
        model: From inputs to logits.
        optimizer: Its variables are built.
        loss: How wrong answers are counted.
        cluster: What is computed on.
        spec: The element of the distributed dataset.
        jit_compile: Whether XLA compiles it.

    Returns:
        A function of an element and of whether this host was told to stop (float32[], 1 or 0), to float32[5]: sums
        over all replicas, at the places ``LOSS``, ``WEIGHT``, ``RIGHT``, ``ROWS`` and ``STOP``.
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
            # By rows, not by weights: a batch without rare rows must not count as much as one with them.
            objective = tf.reduce_sum(losses * weights) / rows_everywhere
            objective += tf.add_n(model.losses) / cluster.replicas
            objective = optimizer.get_scaled_loss(objective) if scaled else objective
        gradients = tape.gradient(objective, model.trainable_variables)
        gradients = optimizer.get_unscaled_gradients(gradients) if scaled else gradients
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        hits = tf.cast(tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), targets), tf.float32)
        sums = [tf.reduce_sum(losses * weights), tf.reduce_sum(weights), tf.reduce_sum(hits * counted), rows]
        return tf.stack([*sums, stop / cluster.replicas_here])

    compiled = tf.function(on_replica, jit_compile=True) if jit_compile else on_replica

    def step(element: Any, stop: tf.Tensor) -> tf.Tensor:
        results = cluster.strategy.run(compiled, args=(*element, stop))
        return cluster.strategy.reduce(total, results, axis=None)

    function: Step = tf.function(step, input_signature=[spec, tf.TensorSpec([], tf.float32)])
    return function
