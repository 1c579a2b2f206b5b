"""The encoder of images in the image: it answers as the reference, is saved and loaded, and says what is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import tiny_images
from classifier import DEFAULT_IMAGE_ENCODER
from classifier.encoders import catalog, efficientnet
from classifier.encoders.images import LITE, ImageEncoder
from classifier.hyperparameters import Hyperparameters
from formula_images import formula_images
from jobs import ROOT

FOLDER = ROOT / "container" / "pretrained" / DEFAULT_IMAGE_ENCODER
REFERENCE: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "image_reference.json").read_text("utf-8"))
SIDE = efficientnet.SIDE


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return efficientnet.load(FOLDER, DEFAULT_IMAGE_ENCODER)


def test_the_default_encoder_of_images_answers_as_the_reference_to_one_in_ten_thousand(encoder: ImageEncoder) -> None:
    vectors = encoder.layer(formula_images()).numpy()
    np.testing.assert_allclose(vectors[:, :: REFERENCE["every"]], REFERENCE["vectors"], atol=1e-4)
    np.testing.assert_allclose(vectors.mean(axis=1), REFERENCE["means"], atol=1e-5)


def test_it_says_what_it_is(encoder: ImageEncoder) -> None:
    assert (encoder.family, encoder.name, encoder.pooling) == ("efficientnet", "efficientnet-lite0", "mean")
    assert encoder.preprocessor.reads == {"height": SIDE, "width": SIDE}
    assert encoder.layer.pixel_range == LITE
    entry = catalog.ENTRIES[DEFAULT_IMAGE_ENCODER]
    assert encoder.layer(tiny_images.pixels(1, SIDE)).shape == (1, entry.width)
    parameters = sum(int(np.prod(each.shape)) for each in encoder.layer.trainable_variables)
    assert entry.parameters == pytest.approx(parameters / 1e6, abs=0.05)


def test_in_training_an_images_vector_does_not_depend_on_the_images_beside_it(encoder: ImageEncoder) -> None:
    some = tiny_images.pixels(3, SIDE)
    np.testing.assert_allclose(encoder.layer(some, training=True)[:1], encoder.layer(some[:1]), atol=1e-4)


def test_means_and_variances_are_no_weights_that_are_trained(encoder: ImageEncoder) -> None:
    some = tiny_images.pixels(1, SIDE)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder.layer(some, training=True))
    gradients = tape.gradient(loss, encoder.layer.trainable_variables)
    assert len(gradients) == 3 * 49, "a kernel, a scale and a shift of each convolution"
    assert all(gradient is not None for gradient in gradients)


def test_a_saved_network_loads_and_answers_the_same(encoder: ImageEncoder, tmp_path: Path) -> None:
    assert not efficientnet.recognise(tmp_path)
    encoder.save(tmp_path)
    assert efficientnet.recognise(tmp_path)
    again = efficientnet.load(tmp_path, "again")
    some = tiny_images.pixels(2, SIDE)
    np.testing.assert_array_equal(again.layer(some), encoder.layer(some))
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path, FOLDER))
    assert {name: each.shape for name, each in ours.items()} == {name: each.shape for name, each in theirs.items()}


def test_a_job_may_set_another_range_which_is_saved(tmp_path: Path) -> None:
    encoder = efficientnet.load(FOLDER, "x")
    encoder.configure(Hyperparameters.parse({"image_range": "0..255"}))
    encoder.save(tmp_path)
    assert efficientnet.load(tmp_path, "x").layer.pixel_range == "0..255"


def test_what_is_wrong_with_saved_files_is_told(encoder: ImageEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    wrong = {"_conv_stem.weight": np.zeros((3, 3), np.float32)}
    told = ["_conv_stem.weight", "_bn0.weight"]
    tiny_images.assert_broken_weights_are_told(efficientnet, tmp_path, "_bn0.weight", wrong, told)


def test_another_network_is_not_taken_for_one(encoder: ImageEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "image_cnn"}))
    assert not efficientnet.recognise(tmp_path)
