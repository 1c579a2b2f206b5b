"""The network over pixels that begins from nothing: it learns, is saved, and answers alike in any batch."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

import tiny_images
from classifier.encoders import image_network
from classifier.encoders.image_network import SIDE
from classifier.encoders.images import ImageEncoder
from classifier.hyperparameters import Hyperparameters


def built(seed: int = 1) -> ImageEncoder:
    return image_network.build([], Hyperparameters.parse({"seed": str(seed)}), None)


def stripes(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return images of stripes on a random background, across or down, and which they are."""
    generator = np.random.default_rng(seed)
    targets = np.arange(count, dtype=np.int32) % 2
    some = tiny_images.pixels(count, SIDE, seed=seed) // 2
    for place, target in enumerate(targets):
        lines = ((np.arange(SIDE) + generator.integers(16)) // 8 % 2 * 120).astype(np.uint8)
        some[place] += (lines[:, np.newaxis] if target else lines[np.newaxis])[..., np.newaxis]
    return some, targets


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return built()


def test_it_says_what_it_is(encoder: ImageEncoder) -> None:
    assert (encoder.family, encoder.name, encoder.preprocessor.reads) == (
        "image_network",
        "cnn",
        {"height": SIDE, "width": SIDE},
    )
    assert encoder.layer(tiny_images.pixels(2, SIDE)).shape == (2, 256)
    assert encoder.layer(tiny_images.pixels(2, SIDE)).dtype == tf.float32


def test_a_seed_gives_the_same_network_and_another_another(encoder: ImageEncoder) -> None:
    some = tiny_images.pixels(2, SIDE)
    np.testing.assert_array_equal(built().layer(some), encoder.layer(some))
    assert not np.allclose(built(2).layer(some), encoder.layer(some))


def test_an_images_vector_does_not_depend_on_the_images_beside_it(encoder: ImageEncoder) -> None:
    some = tiny_images.pixels(5, SIDE)
    np.testing.assert_allclose(encoder.layer(some, training=True)[:1], encoder.layer(some[:1]), atol=1e-5)


def test_one_colour_alone_is_no_trouble(encoder: ImageEncoder) -> None:
    assert np.isfinite(encoder.layer(np.zeros((1, SIDE, SIDE, 3), np.uint8))).all()


def test_it_learns_what_it_never_saw_from_batches_of_few_images() -> None:
    encoder = built()
    model = tf_keras.Sequential([encoder.layer, tf_keras.layers.Dense(2)])
    model.compile(
        tf_keras.optimizers.Adam(1e-3),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(*stripes(48, 1), batch_size=4, epochs=3, shuffle=False, verbose=0)
    assert model.evaluate(*stripes(40, 2), verbose=0)[1] >= 0.95


def test_a_saved_network_loads_and_answers_the_same(encoder: ImageEncoder, tmp_path: Path) -> None:
    assert not image_network.recognise(tmp_path)
    encoder.save(tmp_path)
    assert image_network.recognise(tmp_path)
    again = image_network.load(tmp_path, "again", seed=9)
    assert (again.name, again.layer.pixel_range) == ("again", "-1..1")
    some = tiny_images.pixels(2, SIDE)
    np.testing.assert_array_equal(again.layer(some), encoder.layer(some))


def test_what_is_wrong_with_saved_files_is_told(encoder: ImageEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    wrong = {"block_1.convolution.kernel": np.zeros((3, 3, 1, 1), np.float32)}
    told = ["block_0.norm.scale", "block_1.convolution.kernel"]
    tiny_images.assert_broken_weights_are_told(image_network, tmp_path, "block_0.norm.scale", wrong, told)


def test_a_network_over_words_is_not_taken_for_one(encoder: ImageEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "cnn"}))
    assert not image_network.recognise(tmp_path)


def test_augmentation_is_for_training_only_and_is_not_saved(tmp_path: Path) -> None:
    encoder, some = built(), tiny_images.pixels(2, SIDE)
    plain = encoder.layer(some).numpy()
    encoder.configure(Hyperparameters.parse({"augmentation": "True"}))
    assert encoder.augments
    np.testing.assert_array_equal(encoder.layer(some), plain)
    assert not np.allclose(encoder.layer(some, training=True), plain)
    encoder.save(tmp_path)
    again = image_network.load(tmp_path, "again")
    assert not again.augments
    np.testing.assert_array_equal(again.layer(some, training=True), plain)
