"""Adam in one pass takes the steps that tf_keras's takes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from classifier.training.loop import adam, optimizers

KINDS = {"Adam": (adam.Adam, tf_keras.optimizers.Adam), "AdamW": (adam.AdamW, tf_keras.optimizers.AdamW)}
ROWS, WIDTH, STEPS = 50, 8, 6


def values(seed: int, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def gradients(step: int) -> tuple[tf.IndexedSlices, tf.Tensor]:
    """Return those of a table, of which three rows were looked up and one of them twice, and of a kernel."""
    rows = tf.constant([step, 2 * step + 1, 3, step])
    return tf.IndexedSlices(tf.constant(values(step, 4, WIDTH)), rows, tf.constant([ROWS, WIDTH])), tf.constant(
        values(100 + step, WIDTH, 3)
    )


def after_steps(kind: Any, **settings: Any) -> Sequence[np.ndarray[Any, np.dtype[np.float32]]]:
    """Return the weights, and all that the optimizer remembers."""
    table, kernel = tf.Variable(values(1, ROWS, WIDTH)), tf.Variable(values(2, WIDTH, 3))
    optimizer = kind(optimizers.WarmUpThenLinear(0.05, STEPS, 0.3), jit_compile=False, **settings)
    optimizer.build([table, kernel])

    @tf.function  # type: ignore[untyped-decorator]
    def step(*given: Any) -> None:
        optimizer.apply_gradients(zip(given, [table, kernel], strict=True))

    for number in range(STEPS):
        step(*gradients(number))
    return [variable.numpy() for variable in (table, kernel, *optimizer.variables)]


@pytest.mark.parametrize("settings", [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}, {"global_clipnorm": 0.5}])
@pytest.mark.parametrize("name", KINDS)
def test_steps_and_what_is_remembered_are_tf_kerass(name: str, settings: dict[str, float]) -> None:
    ours, theirs = (after_steps(kind, **settings) for kind in KINDS[name])
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-6)
    assert np.abs(ours[0] - values(1, ROWS, WIDTH)).max() > 0.05


def test_a_row_that_is_not_looked_up_moves_on_by_what_is_remembered_of_it() -> None:
    table = tf.Variable(np.zeros([2, 1], np.float32))
    optimizer = adam.Adam(0.1, jit_compile=False)
    optimizer.build([table])
    for row in (0, 1):
        optimizer.apply_gradients([(tf.IndexedSlices(tf.ones([1, 1]), tf.constant([row])), table)])
    assert table.numpy()[0, 0] < -0.15  # the first step alone goes 0.1 far
