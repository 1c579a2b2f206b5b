"""Networks of Keras's applications, with weights from files in every form that Keras writes."""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copy
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

import tiny_images
from classifier.encoders import hub_image, keras_image
from classifier.encoders.images import ImageEncoder
from classifier.encoders.keras_image import APPLICATIONS
from classifier.errors import UserError

REAL = "encoders/mobilenet_2_5_224_tf_no_top.h5"
SIDE = 96
LEGACY = "ignore:You are saving your model as an HDF5 file"
SMALLEST = "mobilenet_v1_025"


def built(name: str = SMALLEST, *, top: bool = False, side: int = SIDE) -> Any:
    """Return a network with weights at random, as a user's library of Keras builds it."""
    application = APPLICATIONS[name]
    how: dict[str, Any] = {"include_top": True, "classes": 7} if top else {"include_top": False, "pooling": "avg"}
    network = application.build(weights=None, input_shape=(side, side, 3), **how, **application.arguments)
    return tiny_images.with_random_weights(network)


def expected(network: Any, images: NDArray[np.uint8], *, top: bool = False) -> NDArray[np.float32]:
    """Return the vectors that Keras's own preparation and network give."""
    encoded = tf_keras.applications.mobilenet.preprocess_input(images.astype(np.float32))
    body = tf_keras.Model(network.inputs, network.get_layer("conv_pw_13_relu").output) if top else network
    vectors = body(encoded).numpy()
    result: NDArray[np.float32] = vectors.mean(axis=(1, 2)) if top else vectors
    return result


def loaded(folder: Path) -> ImageEncoder:
    assert keras_image.recognise(folder)
    return keras_image.load(folder, "model channel")


def answers(encoder: ImageEncoder, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = encoder.layer(images).numpy()
    return result


@pytest.fixture(scope="module")
def network() -> Any:
    return built()


@pytest.fixture(scope="module")
def with_top() -> Any:
    return built(top=True)


@pytest.fixture
def real(shared: Callable[[str], Path], tmp_path: Path) -> ImageEncoder:
    copy(shared(REAL), tmp_path)
    return loaded(tmp_path)


def test_the_real_weights_are_known_for_what_they_are(real: ImageEncoder) -> None:
    assert (real.name, real.preprocessor.reads) == ("mobilenet_v1_025_224", {"height": 224, "width": 224})
    assert real.layer.pixel_range == "-1..1"
    assert sum(int(np.prod(each.shape)) for each in real.layer.network.weights) == 218_544


def test_the_real_weights_give_the_vectors_of_the_same_network_as_a_saved_model(
    real: ImageEncoder, shared: Callable[[str], Path]
) -> None:
    other = hub_image.load(shared("encoders/mobilenet_v1_025_224_feature_vector_savedmodel"), "x")
    images = tiny_images.pixels(3, 224)
    vectors = answers(real, images)
    assert vectors.shape == (3, 256)
    assert vectors.std() > 0.1
    np.testing.assert_allclose(answers(other, images), vectors, atol=1e-4)


@pytest.mark.parametrize("file", ["w_96.h5", "w_96.hdf5", "W_96.H5", "w_96.weights.h5", "w.keras", "whole.h5"])
@pytest.mark.parametrize("top", [False, True])
@pytest.mark.filterwarnings(LEGACY)
def test_a_file_in_every_form_that_keras_writes_gives_its_networks_vectors(
    tmp_path: Path, network: Any, with_top: Any, file: str, top: bool
) -> None:
    saved = with_top if top else network
    written = tmp_path / file.lower()
    (saved.save if file in ("w.keras", "whole.h5") else saved.save_weights)(written)
    written.rename(tmp_path / file)
    encoder = loaded(tmp_path)
    assert encoder.preprocessor.reads == {"height": SIDE, "width": SIDE}
    images = tiny_images.pixels(2, SIDE)
    np.testing.assert_allclose(answers(encoder, images), expected(saved, images, top=top), atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
@pytest.mark.filterwarnings(LEGACY)
@pytest.mark.parametrize("file", ["w_96.weights.h5", "w.keras", "whole.h5"])
def test_a_file_of_keras_3_gives_its_networks_vectors(tmp_path: Path, network: Any, file: str) -> None:
    keras = pytest.importorskip("keras")
    newer = keras.applications.MobileNet(
        weights=None, alpha=0.25, include_top=False, pooling="avg", input_shape=(SIDE, SIDE, 3)
    )
    newer.set_weights(network.get_weights())
    (newer.save_weights if file.startswith("w_") else newer.save)(tmp_path / file)
    images = tiny_images.pixels(2, SIDE)
    np.testing.assert_allclose(answers(loaded(tmp_path), images), expected(network, images), atol=1e-5)


@pytest.mark.parametrize("file", ["w.h5", "w.keras"])
@pytest.mark.filterwarnings(LEGACY)
def test_a_network_within_a_users_own_model_is_found(tmp_path: Path, network: Any, file: str) -> None:
    body = tf_keras.models.clone_model(network)
    body.set_weights(network.get_weights())
    body.get_layer("conv_dw_3_bn").trainable = False
    heads = [tf_keras.layers.Dense(9, activation="relu"), tf_keras.layers.Dropout(0.1), tf_keras.layers.Dense(2)]
    model = tf_keras.Sequential([tf_keras.Input((SIDE, SIDE, 3)), body, *heads])
    model.compile("adam", "mse")
    model.save(tmp_path / file)
    images = tiny_images.pixels(2, SIDE)
    np.testing.assert_allclose(answers(loaded(tmp_path), images), expected(network, images), atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_v2_035", "efficientnet_v2_b0"])
def test_other_networks_are_known_by_their_weights_too(tmp_path: Path, name: str) -> None:
    network = built(name)
    network.save_weights(tmp_path / "w.weights.h5")
    encoder = loaded(tmp_path)
    application = APPLICATIONS[name]
    assert encoder.name == f"{name}_224"
    assert encoder.layer.pixel_range == application.pixel_range
    for ours, theirs in zip(encoder.layer.network.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_no_two_networks_are_alike_in_what_they_are_known_by() -> None:
    assert len({application.norms for application in APPLICATIONS.values()}) == len(APPLICATIONS) == 13


@pytest.mark.parametrize(
    ("file", "side"), [("mobilenet_2_5_160_tf_no_top.h5", 160), ("my-net-128.h5", 128), ("x1280.h5", 224)]
)
def test_the_size_is_the_files_names_or_else_the_networks_usual(
    tmp_path: Path, network: Any, file: str, side: int
) -> None:
    network.save_weights(tmp_path / file)
    assert loaded(tmp_path).preprocessor.reads == {"height": side, "width": side}


def test_batch_norms_keep_what_they_learned_of_all_images_while_their_scales_are_trained(
    tmp_path: Path, network: Any
) -> None:
    network.save_weights(tmp_path / "w_32.h5")
    encoder = loaded(tmp_path)
    images = tiny_images.pixels(4, 224)
    before = [each.numpy() for each in encoder.layer.network.non_trainable_weights]
    np.testing.assert_allclose(encoder.layer(images, training=True), encoder.layer(images), atol=1e-6)
    for ours, kept in zip(encoder.layer.network.non_trainable_weights, before, strict=True):
        np.testing.assert_array_equal(ours, kept)
    names = {variable.name.rpartition("/")[2] for variable in encoder.layer.trainable_variables}
    assert {"gamma:0", "beta:0"} <= names


@pytest.mark.filterwarnings(LEGACY)
def test_a_saved_encoder_loads_and_answers_the_same(tmp_path: Path, network: Any) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "saved").mkdir()
    network.save(tmp_path / "given" / "w.h5")
    encoder = loaded(tmp_path / "given")
    encoder.layer.trainable_variables[0].assign_add(tf.fill([3, 3, 3, 8], 0.01))
    encoder.layer.pixel_range = "0..1"
    encoder.save(tmp_path / "saved")
    again = loaded(tmp_path / "saved")
    assert (again.name, again.preprocessor.reads, again.layer.pixel_range) == (
        encoder.name,
        encoder.preprocessor.reads,
        "0..1",
    )
    images = tiny_images.pixels(2, SIDE)
    np.testing.assert_array_equal(answers(again, images), answers(encoder, images))
    network.load_weights(tmp_path / "saved" / "weights.h5")  # as any user of Keras can


def foreign(path: Path) -> None:
    """Write HDF5 that is not Keras's."""
    with h5py.File(path, "w") as file:
        file["table"] = np.arange(5)


def other_layers(path: Path) -> None:
    model = tf_keras.Sequential([tf_keras.Input((32, 32, 3)), tf_keras.layers.Conv2D(4, 3), tf_keras.layers.Dense(2)])
    model.save_weights(path)


def another_application(path: Path) -> None:
    tf_keras.applications.MobileNetV2(weights=None, include_top=False, alpha=0.1, input_shape=(32, 32, 3)).save_weights(
        path
    )


def elsewhere(path: Path) -> None:
    """Write a file whose numbers are those of any other file."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["conv1"]
        group = file.create_group("conv1")
        group.attrs["weight_names"] = ["conv1/kernel:0"]
        group.create_dataset("conv1/kernel:0", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def text(path: Path) -> None:
    path.write_text("no weights")


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")


BROKEN: Mapping[str, tuple[str, Callable[[Path], None], str]] = {
    "HDF5 of something else": (
        "w.h5",
        foreign,
        "not the weights of a network that is known here; it must be InceptionV3, ",
    ),
    "a model of other layers": ("w.h5", other_layers, "not the weights of a network that is known here"),
    "an application of another width": ("w.h5", another_application, "not the weights of a network that is known here"),
    "numbers in another file": ("w.h5", elsewhere, r"not a whole file of weights that Keras wrote \(ValueError\)"),
    "text": ("w.h5", text, "not a whole file of weights that Keras wrote"),
    "text in an archive's name": ("w.keras", text, "not a whole file of weights that Keras wrote"),
    "an archive of something else": ("w.keras", archive, r"not a whole file of weights that Keras wrote \(KeyError\)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_networks_is_refused_by_name_with_what_to_give(tmp_path: Path, name: str) -> None:
    file, write, words = BROKEN[name]
    write(tmp_path / file)
    with pytest.raises(UserError, match=words) as caught:
        loaded(tmp_path)
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize("file", ["w.h5", "w.weights.h5", "w.keras"])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, network: Any, file: str) -> None:
    network.save(tmp_path / file) if file == "w.keras" else network.save_weights(tmp_path / file)
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(UserError, match=f"{file}: not a whole file of weights that Keras wrote"):
        loaded(tmp_path)


def test_a_layer_of_another_shape_is_seen(tmp_path: Path, network: Any) -> None:
    network.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as file:
        weights = file["conv_pw_5/conv_pw_5"]
        turned = weights["kernel:0"][()].transpose(0, 1, 3, 2)
        del weights["kernel:0"]
        weights["kernel:0"] = np.concatenate([turned, turned])
    with pytest.raises(UserError, match="not the weights of a network that is known here"):
        loaded(tmp_path)


def test_two_files_of_weights_are_one_too_many(tmp_path: Path, network: Any) -> None:
    for file in ("a.h5", "b.keras"):
        network.save_weights(tmp_path / "w.h5")
        copy(tmp_path / "w.h5", tmp_path / file)
    (tmp_path / "w.h5").unlink()
    with pytest.raises(UserError, match=r"holds 2 files of Keras \(a\.h5, b\.keras\); put one there"):
        loaded(tmp_path)


def test_no_variable_asks_other_hosts_when_it_is_read(tmp_path: Path, network: Any) -> None:
    network.save_weights(tmp_path / "w.h5")
    assert tf.VariableSynchronization.ON_READ in {variable.synchronization for variable in network.variables}
    assert {variable.synchronization for variable in loaded(tmp_path).layer.variables} == {
        tf.VariableSynchronization.AUTO
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"height": 0, "width": "big"}, "is for images of 0 by big pixels; a side must be from 32 to 1024"),
        ({"height": 16, "width": 32}, "is for images of 16 by 32 pixels"),
        ({"height": 32, "width": 100_000}, "is for images of 32 by 100000 pixels"),
        ({"height": 32, "width": 32, "image_range": "-5..5"}, r"image_range must be one of 0\.\.1, -1\.\.1, "),
        ([], "not a JSON object"),
    ],
)
def test_what_is_wrong_beside_saved_weights_is_told(tmp_path: Path, network: Any, content: object, words: str) -> None:
    network.save_weights(tmp_path / "weights.h5")
    (tmp_path / "keras_image.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=words):
        loaded(tmp_path)
