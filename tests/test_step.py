"""One training step: what counts how much, and what it reports."""

from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from classifier.training.cluster import Cluster
from classifier.training.loop import resumption, step
from classifier.training.loop.step import LOSS, RIGHT, ROWS, STOP, WEIGHT, Loss

SPEC = (tf.TensorSpec([None, 2]), tf.TensorSpec([None], tf.int32), tf.TensorSpec([None]))


def taken(
    inputs: Sequence[Sequence[float]], targets: Sequence[int], weights: Sequence[float]
) -> tuple[float, list[float]]:
    """Take one step of gradient descent from zero weights; return how far the first weight moved, and the sums."""
    model = tf_keras.Sequential([tf_keras.layers.Dense(2, kernel_initializer="zeros", kernel_regularizer="l2")])
    model.build([None, 2])
    optimizer = tf_keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    function = step.build_step(
        model, optimizer, Loss(0.0), Cluster(tf.distribute.get_strategy()), SPEC, jit_compile=False
    )
    element = (tf.constant(inputs), tf.constant(targets), tf.constant(weights))
    sums = function(element, tf.constant(0.0))
    return float(model.trainable_variables[0][0, 0]), sums.numpy().tolist()


def test_a_step_reports_sums_over_its_rows() -> None:
    _, sums = taken([[1.0, 0.0], [0.0, 1.0]], [0, 1], [1.0, 3.0])
    assert sums[LOSS] == pytest.approx(4 * np.log(2), rel=1e-5)
    assert (sums[WEIGHT], sums[ROWS], sums[STOP]) == (4.0, 2.0, 0.0)
    assert sums[RIGHT] == 1.0  # of equal logits the first is the answer


def test_a_row_of_half_the_weight_moves_the_network_half_as_far_whatever_else_is_in_the_batch() -> None:
    whole, _ = taken([[1.0, 0.0]], [0], [1.0])
    half, _ = taken([[1.0, 0.0]], [0], [0.5])
    assert half == pytest.approx(whole / 2)


def test_a_row_that_only_fills_a_batch_up_counts_nothing() -> None:
    alone, sums = taken([[1.0, 0.0]], [0], [1.0])
    filled, filled_sums = taken([[1.0, 0.0], [1.0, 0.0]], [0, 1], [1.0, 0.0])
    assert filled == pytest.approx(alone)
    assert filled_sums == pytest.approx(sums)


def test_label_smoothing_spreads_a_share_of_the_target_over_all_labels() -> None:
    logits = tf.constant([[2.0, 0.0, -1.0]])
    target = np.array([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])
    expected = -float((target * np.log(tf.nn.softmax(logits)[0])).sum())
    assert float(Loss(0.1)(tf.constant([0]), logits)[0]) == pytest.approx(expected, rel=1e-5)
    assert float(Loss(0.0)(tf.constant([0]), logits)[0]) < expected


def test_what_an_optimizer_remembers_has_the_scale_of_the_loss() -> None:
    plain = tf_keras.optimizers.Adam()
    plain.build([tf.Variable([1.0])])
    scaled = tf_keras.mixed_precision.LossScaleOptimizer(tf_keras.optimizers.Adam(), initial_scale=64.0)
    scaled.build([tf.Variable([1.0])])
    values = [float(np.max(variable.numpy())) for variable in resumption.variables(scaled)]
    assert len(values) == len(resumption.variables(plain)) + 2
    assert 64.0 in values
