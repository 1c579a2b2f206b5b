"""Encoders of TensorFlow Hub's image API: the real file where it is at hand, tiny ones made here everywhere."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tiny_hub
import tiny_images
from classifier.encoders import hub, hub_image
from classifier.encoders.images import ImageEncoder
from classifier.errors import UserError

REAL = "encoders/mobilenet_v1_025_224_feature_vector_savedmodel"


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_images.write_hub(tmp_path_factory.mktemp("colours"))


def loaded(folder: Path) -> ImageEncoder:
    assert hub_image.recognise(folder)
    return hub_image.load(folder, "model channel")


def test_an_encoder_is_found_loaded_and_trainable(colours: Path) -> None:
    encoder = loaded(colours)
    assert (encoder.name, encoder.preprocessor.reads, encoder.layer.pixel_range) == (
        "colours",
        {"height": 8, "width": 8},
        "0..1",
    )
    assert encoder.range_from == "TensorFlow Hub's image API"
    images = tiny_images.pixels(3, 8)
    weights = encoder.layer.trainable_variables
    assert len(weights) == 1
    np.testing.assert_allclose(encoder.layer(images), (images / 255).mean(axis=(1, 2)) @ weights[0], atol=1e-5)


@pytest.mark.parametrize("form", ["map", "dictionary"])
def test_a_map_becomes_its_mean_and_of_several_outputs_the_one_for_classification_is_taken(
    colours: Path, tmp_path: Path, form: str
) -> None:
    images = tiny_images.pixels(2, 8)
    encoder = loaded(tiny_images.write_hub(tmp_path, form))
    np.testing.assert_allclose(encoder.layer(images), loaded(colours).layer(images), atol=1e-5)


def test_an_encoder_of_images_of_any_size_reads_the_usual_one(tmp_path: Path) -> None:
    assert loaded(tiny_images.write_hub(tmp_path, side=None)).preprocessor.reads == {"height": 224, "width": 224}


def test_a_saved_encoder_loads_and_answers_the_same(colours: Path, tmp_path: Path) -> None:
    encoder = loaded(colours)
    encoder.layer.trainable_variables[0].assign_add(tf.ones([3, 4]))
    encoder.layer.pixel_range = "0..255"
    encoder.save(tmp_path)
    again = loaded(tmp_path)
    assert (again.name, again.preprocessor.reads, again.layer.pixel_range) == (
        "colours",
        encoder.preprocessor.reads,
        "0..255",
    )
    images = tiny_images.pixels(2, 8)
    np.testing.assert_allclose(again.layer(images), encoder.layer(images))
    assert len(again.layer.trainable_variables) == 1


def test_the_real_encoder_tells_what_it_wants_by_what_keras_wrote_beside_it(shared: Callable[[str], Path]) -> None:
    encoder = loaded(shared(REAL))
    assert encoder.name == "model channel"
    assert encoder.preprocessor.reads == {"height": 224, "width": 224}
    assert encoder.layer.pixel_range == "-1..1"
    assert encoder.range_from == "keras_metadata.pb names the network mobilenet"
    assert len(encoder.layer.trainable_variables) == 81


def saved_by_keras(folder: Path, network: str, *first: object) -> Path:
    layers = [tf_keras.Input((4, 4, 3)), *first, tf_keras.layers.GlobalAveragePooling2D()]
    tf_keras.Sequential(layers, name=network).save(folder / "saved")
    return folder


@pytest.mark.parametrize(
    ("network", "wanted"),
    [
        ("MobilenetV3small", "0..255"), ("mobilenetv2_1.00_224", "-1..1"), ("inception_v3", "-1..1"),
        ("resnet50", "0..255, blue first, less the mean colour"), ("resnet50v2", "-1..1"),
        ("efficientnetv2-b0", "0..255"), ("my_network", "0..1"),
    ],
)  # fmt: skip
def test_what_a_network_of_keras_wants_follows_from_its_name(tmp_path: Path, network: str, wanted: str) -> None:
    assert loaded(saved_by_keras(tmp_path, network)).layer.pixel_range == wanted


def test_a_model_that_scales_pixels_itself_gets_them_as_they_are(tmp_path: Path) -> None:
    scaled = saved_by_keras(tmp_path, "mobilenet_1.00_224", tf_keras.layers.Rescaling(1 / 127.5, offset=-1))
    encoder = loaded(scaled)
    assert (encoder.layer.pixel_range, encoder.range_from) == (
        "0..255",
        "keras_metadata.pb names a layer that scales pixels",
    )
    assert float(encoder.layer(np.full((1, 4, 4, 3), 255, np.uint8))[0, 0]) == pytest.approx(1)


def test_a_model_that_subtracts_the_mean_colour_itself_gets_pixels_as_they_are(tmp_path: Path) -> None:
    pixels = tf_keras.Input((4, 4, 3))
    prepared = tf_keras.applications.resnet50.preprocess_input(pixels)
    vectors = tf_keras.layers.GlobalAveragePooling2D()(prepared)
    tf_keras.Model(pixels, vectors, name="resnet50").save(tmp_path / "saved")
    encoder = loaded(tmp_path)
    assert encoder.layer.pixel_range == "0..255"
    blue, *_ = encoder.layer(np.full((1, 4, 4, 3), 255, np.uint8))[0].numpy()
    assert blue == pytest.approx(255 - 103.939, abs=0.01)


@pytest.mark.parametrize("form", ["chances", "logits"])
def test_a_classifier_is_refused(tmp_path: Path, form: str) -> None:
    with pytest.raises(UserError, match=r"colours: is a classifier, which gives (4|1001) labels instead of a vector"):
        loaded(tiny_images.write_hub(tmp_path, form))


def test_what_gives_no_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="colours: its output has 1 dimensions, and one vector per image has 2"):
        loaded(tiny_images.write_hub(tmp_path, "number"))


def test_an_encoder_of_texts_is_refused_for_images_and_the_reverse(colours: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="letters: takes texts, and the training channel holds images"):
        loaded(tiny_hub.write_letters(tmp_path))
    with pytest.raises(UserError, match="takes neither texts nor BERT's input_word_ids"):
        hub.load(colours, "x", 128)


class Numbers(tf.Module):  # type: ignore[misc]
    """No encoder of images: float32[batch, 5] in."""

    @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.float32)])  # type: ignore[untyped-decorator]
    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        return values * 2


def test_a_saved_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    tf.saved_model.save(Numbers(), str(tmp_path))
    with pytest.raises(UserError, match=r"does not take float32\[batch, height, width, 3\]"):
        loaded(tmp_path)


def test_a_saved_model_without_a_call_is_refused(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(UserError, match="without a call of its own"):
        loaded(tmp_path)


def test_a_broken_saved_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"junk")
    with pytest.raises(UserError, match="not a SavedModel that loads"):
        loaded(tmp_path)


def test_two_saved_models_are_one_too_many(colours: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        copytree(colours / "colours", tmp_path / name)
    with pytest.raises(UserError, match="holds 2 SavedModels; put one encoder of images there"):
        loaded(tmp_path)


def test_a_range_that_is_none_is_told(colours: Path, tmp_path: Path) -> None:
    copytree(colours, tmp_path, dirs_exist_ok=True)
    (tmp_path / "hub_image.json").write_text(json.dumps({"image_range": 7}))
    with pytest.raises(UserError, match=r"hub_image\.json: image_range must be one of 0\.\.1, -1\.\.1, 0\.\.255"):
        loaded(tmp_path)


def test_images_that_are_too_large_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="takes images of 5000 by 5000 pixels; a side must be 1024 at most"):
        loaded(tiny_images.write_hub(tmp_path, side=5000))
