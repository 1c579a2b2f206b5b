"""The trained network and how it learns."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from classifier.hyperparameters import Hyperparameters
from classifier.training import model

DEFAULTS = Hyperparameters.parse({})


def test_the_head_is_dropout_and_a_dense_layer_with_an_l2_penalty() -> None:
    head = model.build_head(3, replace(DEFAULTS, dropout_rate=0.5, regularizers_l2=0.1))
    vectors = tf.ones([64, 8])
    logits = head(vectors)
    assert logits.shape == (64, 3)
    (penalty,) = head.losses
    assert float(penalty) == pytest.approx(0.1 * float(tf.reduce_sum(head.layers[-1].kernel ** 2)))
    np.testing.assert_array_equal(head(vectors, training=False)[0], head(vectors, training=False)[1])
    assert np.abs(head(vectors, training=True)[0] - head(vectors, training=True)[1]).max() > 0


def test_the_same_seed_makes_the_same_head() -> None:
    first, second, other = (model.build_head(3, replace(DEFAULTS, seed=seed)) for seed in (1, 1, 2))
    for head in (first, second, other):
        head.build((None, 8))
    np.testing.assert_array_equal(first.layers[-1].kernel, second.layers[-1].kernel)
    assert np.abs(first.layers[-1].kernel - other.layers[-1].kernel).max() > 0


@pytest.mark.parametrize(
    ("given", "transformer", "peak", "scheduled"),
    [
        ({}, True, 3e-5, True),
        ({}, False, 1e-3, False),
        ({"learning_rate": "0.01"}, True, 0.01, False),
        ({"learning_rate": "0.01", "optimizer": "adamw"}, True, 0.01, True),
        ({"optimizer": "adamw"}, False, 1e-3, True),
    ],
)
def test_the_default_learning_rate_depends_on_what_is_trained(
    given: dict[str, str], transformer: bool, peak: float, scheduled: bool
) -> None:
    rate = model.choose_learning_rate(Hyperparameters.parse(given), transformer=transformer)
    assert (rate.peak, rate.scheduled) == (peak, scheduled)


def test_the_schedule_rises_over_a_tenth_and_falls_to_nothing() -> None:
    schedule = model.WarmUpThenLinear(1.0, 100)
    rates = [float(schedule(tf.constant(step))) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (9, 10)
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
    assert rates[100] == 0.0
    assert min(rates) >= 0.0


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("scheduled", [True, False])
def test_every_optimizer_lowers_a_loss(name: str, scheduled: bool) -> None:
    optimizer = model.build_optimizer(name, model.LearningRate(0.1, scheduled, ""), 50)
    weight = tf.Variable([3.0], name="kernel")
    for _ in range(50):
        optimizer.apply_gradients([(2 * weight, weight)])
    assert abs(float(weight[0])) < 2.0


def test_softmax_bears_large_logits() -> None:
    probabilities = model.softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]], np.float32))
    np.testing.assert_allclose(probabilities, [[1.0, 0.0], [0.5, 0.5]])
