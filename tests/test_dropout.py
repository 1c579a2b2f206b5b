"""Dropout: a share of the values, at random, and the same ones again for the same seed and count."""

import numpy as np
import pytest
import tensorflow as tf

from classifier.encoders.dropout import Dropout

VALUES = tf.ones([200, 501])  # no multiple of four, the numbers that are drawn at once


def dropped(layer: Dropout, values: tf.Tensor = VALUES) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    result: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = tf.cast(
        layer(values, training=True), tf.float32
    ).numpy()
    return result


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("rate", [0.002, 0.1, 0.5, 0.999])
def test_as_large_a_share_is_dropped_as_was_asked_for_and_the_mean_stays(rate: float, kind: str) -> None:
    result = dropped(Dropout(rate, 1, dtype=kind), tf.cast(VALUES, kind))
    deviation = (rate * (1 - rate) / result.size) ** 0.5
    assert (result == 0).mean() == pytest.approx(rate, abs=4 * deviation)
    assert result.max() == pytest.approx(1 / (1 - rate), rel=0.01)
    assert len(np.unique(result)) == 2


def test_the_share_is_the_same_in_every_row_and_column() -> None:
    result = dropped(Dropout(0.5, 1)) == 0
    assert np.abs(result.mean(axis=0) - 0.5).max() < 0.2
    assert np.abs(result.mean(axis=1) - 0.5).max() < 0.12
    assert abs(np.corrcoef(result[:-1].ravel(), result[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(result[:, :-1].ravel(), result[:, 1:].ravel())[0, 1]) < 0.02


def test_the_seed_and_the_count_decide_what_is_dropped() -> None:
    layer, again, other = Dropout(0.5, 1), Dropout(0.5, 1), Dropout(0.5, 2)
    first, second = dropped(layer), dropped(layer)
    assert (dropped(again) == first).all()
    assert (dropped(again) == second).all()
    assert (first != second).any()
    assert (dropped(other) != first).any()
    again.set_weights([np.int64(0)])
    assert (dropped(again) == first).all()


def test_a_seed_near_its_maximum_is_used_in_every_layer() -> None:
    assert (dropped(Dropout(0.5, (1 << 31) - 1 + 3)) == dropped(Dropout(0.5, 2))).all()


def test_a_value_that_is_dropped_has_no_gradient_and_another_has_its_scale() -> None:
    values = tf.random.stateless_normal([40, 10], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = Dropout(0.25, 1)(values, training=True)
    gradient = tape.gradient(result, values).numpy()
    np.testing.assert_allclose(gradient, np.where(result.numpy() == 0, 0, 1 / 0.75), rtol=1e-4)


@pytest.mark.parametrize(("rate", "training", "expected"), [(0.5, False, 1.0), (0.0, True, 1.0), (1.0, True, 0.0)])
def test_nothing_or_everything_is_dropped_where_that_is_asked_for(rate: float, training: bool, expected: float) -> None:
    assert (Dropout(rate, 1)(VALUES, training=training).numpy() == expected).all()
