"""The trained network and how it learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from classifier.encoders import bert
from classifier.hyperparameters import Hyperparameters
from classifier.training import model
from classifier.training.warm_start import TopLayerWeights

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


def test_a_kept_head_has_its_old_columns_and_new_ones_beside_them() -> None:
    kept = TopLayerWeights(np.ones((8, 2), np.float32), np.array([1.0, 2.0], np.float32))
    kernel, bias = model.build_head(3, DEFAULTS, kept).layers[-1].get_weights()
    np.testing.assert_array_equal(kernel[:, :2], kept.kernel)
    assert np.abs(kernel[:, 2]).max() > 0
    assert bias.tolist() == [1.0, 2.0, 0.0]


def test_deeper_layers_learn_at_a_smaller_share_of_the_rate(tiny_encoder: Path) -> None:
    layer = bert.load(tiny_encoder, "tiny", 16).layer
    shares = {variable.ref(): share for variable, share in model.learning_rate_multipliers(layer, 0.5)}
    assert len(shares) == len(layer.trainable_variables)
    assert shares[layer.blocks[1].query.kernel.ref()] == 0.5
    assert shares[layer.blocks[0].query.kernel.ref()] == 0.25
    assert shares[layer.embeddings.word.ref()] == 0.125


def test_softmax_bears_large_logits() -> None:
    probabilities = model.softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]], np.float32))
    np.testing.assert_allclose(probabilities, [[1.0, 0.0], [0.5, 0.5]])
