"""What the encoders of images share: records as an array, ranges of numbers, and which encoder a channel holds."""

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from PIL import Image

import tiny_hub
import tiny_images
from classifier import DEFAULT_ENCODER, DEFAULT_IMAGE_ENCODER, IMAGE
from classifier.encoders import catalog, image_network, images
from classifier.encoders.images import BLUE_FIRST, ImageEncoder, ImageLayer, ImagePreprocessor, Images
from classifier.encoders.resolve import in_image, recognised
from classifier.environment import PRETRAINED_FOLDER
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters, parsed_values, remarks
from classifier.modalities import MODALITIES
from classifier.pixels import ImageSource, PixelsError


def png(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


class Tint(tf_keras.layers.Layer):  # type: ignore[misc]
    """The first pixel of each image."""

    def call(self, values: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        assert training is False
        return values[:, 0, 0]


def tint(family: str = "hub_image") -> ImageEncoder:
    layer = ImageLayer(Tint(), "0..1")
    return ImageEncoder(family, "tint", layer, ImagePreprocessor(4, 6), "this test", lambda _, __: None)


@pytest.fixture
def records(tmp_path: Path) -> Sequence[images.Record]:
    some = tiny_images.pixels(3, 8, 12)
    (tmp_path / "a.png").write_bytes(png(some[0]))
    return [ImageSource(tmp_path / "a.png", "0"), png(some[1]), tiny_images.pixels(1, 4, 6)[0]]


def test_files_bytes_and_pixels_are_one_array_of_the_size_that_is_read(records: Sequence[images.Record]) -> None:
    encoder = tint()
    array = encoder.preprocessor.preprocess(records)
    assert (array.shape, str(array.dtype), len(array)) == ((3, 4, 6, 3), "uint8", 3)
    some = array[np.array([2, 0])]
    assert (some.shape, str(some.dtype)) == ((2, 4, 6, 3), "uint8")
    np.testing.assert_array_equal(some[0], records[2])
    np.testing.assert_array_equal(some[1], array[[0]][0])
    assert array[[]].shape == (0, 4, 6, 3)
    assert encoder.preprocessor.signature.is_compatible_with(tf.constant(some))


def test_what_was_decoded_is_kept_where_all_is_small(records: Sequence[images.Record], tmp_path: Path) -> None:
    array = Images(records, 4, 6)
    first = array[[0]]
    (tmp_path / "a.png").unlink()
    np.testing.assert_array_equal(array[[0]], first)
    array[[0]][0, 0, 0] = 1 - array[[0]][0, 0, 0]
    np.testing.assert_array_equal(array[[0]], first)


def test_much_is_decoded_anew_each_time(
    records: Sequence[images.Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGEST_IN_MEMORY", 3 * 4 * 6 * 3 - 1)
    array = Images(records, 4, 6)
    before = array[[0]]
    (tmp_path / "a.png").write_bytes(png(255 - tiny_images.pixels(1, 8, 12)[0]))
    assert not np.array_equal(array[[0]], before)


def test_some_images_are_chosen_without_decoding_them_and_share_what_is_kept(
    records: Sequence[images.Record], tmp_path: Path
) -> None:
    array = Images([*records, b"no image"], 4, 6)
    first = array[[0]]
    (tmp_path / "a.png").unlink()
    some = array.some(np.array([3, 2, 0])).some(np.array([1, 2]))
    assert (some.shape, len(some), some.dtype) == ((2, 4, 6, 3), 2, array.dtype)
    np.testing.assert_array_equal(some[np.array([1, 0])], [first[0], records[2]])


def test_a_record_that_is_no_image_is_told() -> None:
    with pytest.raises(PixelsError):
        Images([b"no image"], 4, 6)[[0]]


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        ("0..1", [1, 0, 0.2]), ("-1..1", [1, -1, -0.6]), ("0..255", [255, 0, 51]),
        (BLUE_FIRST, [51 - 103.939, -116.779, 255 - 123.68]),
    ],
)  # fmt: skip
def test_a_pixels_numbers_are_what_the_network_wants(wanted: str, values: list[float]) -> None:
    pixels = np.full((1, 4, 6, 3), [255, 0, 51], np.uint8)
    np.testing.assert_allclose(ImageLayer(Tint(), wanted)(pixels)[0], values, atol=1e-4)


def test_blue_first_is_what_keras_prepares_for_resnet() -> None:
    pixels = tiny_images.pixels(1, 4, 6)
    encoded = tf_keras.applications.resnet50.preprocess_input(pixels.astype(np.float32))
    np.testing.assert_allclose(ImageLayer(Tint(), BLUE_FIRST)(pixels), encoded[:, 0, 0], atol=1e-4)


def test_the_log_says_what_a_network_is_given_and_the_hyperparameter_overrides_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    encoder = tint()
    with caplog.at_level(logging.INFO):
        encoder.configure(Hyperparameters.parse({}))
        encoder.configure(Hyperparameters.parse({"image_range": "0..255"}))
    assert caplog.messages == [
        "event=images height=4 width=6 range='0..1' range_from='this test' augmentation='none'",
        "event=images height=4 width=6 range='0..255' range_from='hyperparameter image_range' augmentation='none'",
    ]
    assert float(encoder.layer(np.full((1, 4, 6, 3), 9, np.uint8))[0, 0]) == 9


def test_each_family_of_images_is_known_by_its_files(tmp_path: Path) -> None:
    for name in MODALITIES["image"].families:
        (tmp_path / name).mkdir()
    image_network.build([], Hyperparameters.parse({}), None).save(tmp_path / "image_network")
    copytree(PRETRAINED_FOLDER / DEFAULT_IMAGE_ENCODER, tmp_path / "efficientnet", dirs_exist_ok=True)
    (tmp_path / "keras_image" / "w.weights.h5").touch()
    tiny_images.write_hub(tmp_path / "hub_image")
    assert [
        recognised(tmp_path / name, "x", MODALITIES["image"]).family for name in MODALITIES["image"].families
    ] == list(MODALITIES["image"].families)


def test_what_is_no_encoder_of_images_is_refused_with_what_is(tmp_path: Path, tiny_encoder: Path) -> None:
    with pytest.raises(
        UserError, match=r"no encoder among its files \(.*vocab\.txt\); it takes one file of weights of Inc"
    ):
        recognised(tiny_encoder, "model channel", MODALITIES["image"])
    (tmp_path / "w.h5").write_bytes(b"x")
    with pytest.raises(UserError, match=r"no encoder among its files \(w\.h5\); it takes a checkpoint of BERT"):
        recognised(tmp_path, "model channel")
    assert (
        recognised(tiny_hub.write_letters(tmp_path / "t"), "x", MODALITIES["image"]).family == "hub_image"
    )  # refused when loaded


def test_an_encoder_of_images_that_is_not_in_the_image_is_refused_with_what_is(tmp_path: Path) -> None:
    for name in (DEFAULT_ENCODER, DEFAULT_IMAGE_ENCODER):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"there is no such encoder; the image holds efficientnet-lite0, docs/im"):
        in_image("mobilenet_v2", tmp_path, MODALITIES["image"])
    with pytest.raises(UserError, match=r"did you mean 'efficientnet-lite0'\?"):
        in_image("efficientnet-lite", tmp_path, MODALITIES["image"])


@pytest.mark.parametrize(
    ("model_id", "modality", "words"),
    [
        (DEFAULT_IMAGE_ENCODER, "text", "is an encoder of images, and the training data are texts; leave model_id out"),
        (DEFAULT_ENCODER, "image", "is an encoder of texts, and the training data are images; leave model_id out"),
        ("bert-base-cased", "image", "is an encoder of texts, and the training data are images; leave model_id out"),
    ],
)
def test_an_encoder_of_the_other_modality_is_refused(tmp_path: Path, model_id: str, modality: str, words: str) -> None:
    (tmp_path / model_id).mkdir()
    with pytest.raises(UserError, match=words):
        in_image(model_id, tmp_path, MODALITIES[modality])


@pytest.mark.parametrize(
    ("brought", "given", "chosen", "rate"),
    [
        (False, {}, DEFAULT_IMAGE_ENCODER, 0.01),
        (False, {"model_id": "cnn"}, "cnn", None),
        (True, {}, "model channel", 0.01),
        (True, {"model_id": "cnn"}, "cnn", None),
        (True, {"model_id": "mine", "learning_rate": "0.1"}, "mine", 0.1),
    ],
)
def test_an_encoder_of_images_has_defaults_of_its_own(
    brought: bool, given: dict[str, str], chosen: str, rate: float | None
) -> None:
    settings = Hyperparameters.from_values(
        parsed_values(given), catalog.defaults_of(MODALITIES[IMAGE], brought=brought)
    )
    assert (settings.model_id, settings.learning_rate) == (chosen, rate)
    assert settings.encoder_learning_rate_decay == (1.0 if chosen == "cnn" else 0.003)
    assert settings.train_only_top_layer is (chosen == DEFAULT_IMAGE_ENCODER)


def test_hyperparameters_of_the_other_modality_are_said_to_do_nothing() -> None:
    given = {"header": "true", "augmentation": "True", "kernel_size": "3"}
    image = Hyperparameters.parse({**given, "modality": "image", "model_id": "cnn"})
    assert remarks(given, image) == [f"{name} has no effect: it is for texts" for name in ("header", "kernel_size")]
    text = Hyperparameters.parse({**given, "modality": "text", "model_id": "cnn"})
    assert remarks(given, text) == ["augmentation has no effect: it is for images"]
