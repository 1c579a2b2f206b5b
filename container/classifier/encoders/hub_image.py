"""TensorFlow Hub's image API: any TF2 SavedModel from images to vectors.

Source of the interface: TensorFlow Hub's "Common SavedModel APIs for Image Tasks", "Image Feature Vector": pixel values
are from 0 to 1. A model that Keras saved expects the range of its network instead; ``keras_metadata.pb`` names the
network.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from classifier.encoders import files, hub_models
from classifier.encoders.files import in_channel, saved_models
from classifier.encoders.images import (
    BLUE_FIRST,
    ImageEncoder,
    ImageLayer,
    ImagePreprocessor,
    same_on_all_replicas,
    saved_range,
)
from classifier.errors import UserError

CONFIG_FILE = "hub_image.json"
METADATA = "keras_metadata.pb"
USUAL_SIDE = 224  # pixels, where a model takes images of any size
LARGEST_SIDE = 1024  # pixels
IMAGENET_LABELS = (1000, 1001)
HUBS = "0..1"
# The pixel ranges of Keras's applications, by the prefix of the model's name; the longest prefix that matches counts.
PIXEL_RANGES: Mapping[str, str] = {
    **dict.fromkeys(
        ("mobilenet", "inception", "xception", "nasnet", "resnet50v2", "resnet101v2", "resnet152v2"), "-1..1"
    ),
    **dict.fromkeys(("resnet50", "resnet101", "resnet152", "vgg"), BLUE_FIRST),
    **dict.fromkeys(("efficientnet", "mobilenetv3", "convnext", "regnet"), "0..255"),
}
NETWORK = re.compile(rf'"name": "({"|".join(sorted(PIXEL_RANGES, key=len, reverse=True))})[^"]*"', re.IGNORECASE)
# Layers that bring pixel values from 0..255 to a network's range: by a factor, or by means that are subtracted.
RESCALING = re.compile(r'"class_name": "Rescaling".*?"scale": 0\.0|"function": "(?:math\.truediv|nn\.bias_add)"')


class HubNetwork(tf_keras.layers.Layer):  # type: ignore[misc]
    """float32[batch, height, width, 3] to one vector per image."""

    def __init__(self, loaded: Any) -> None:
        super().__init__(name="hub")
        self.encoder = hub_models.layer_of(loaded)

    def call(self, values: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode; of several outputs the default is used, and a feature map is averaged."""
        outputs = self.encoder(values, training=training)
        if isinstance(outputs, dict):
            outputs = outputs["default"]
        return tf.reduce_mean(outputs, axis=[1, 2]) if len(outputs.shape) == 4 else outputs


@dataclass(frozen=True)
class _Range:
    """The pixel range that a network expects, and how it is known."""

    pixel_range: str
    reason: str


def recognise(folder: Path) -> bool:
    """Return whether a folder holds a SavedModel."""
    return bool(saved_models(folder))


def load(folder: Path, name: str, max_sequence_length: int = 0, seed: int = 0) -> ImageEncoder:  # noqa: ARG001
    """Load the one encoder in a folder.

    Args:
        folder: Its files.
        name: The encoder's name where it has no folder of its own.
        max_sequence_length: Not used; images have no tokens.
        seed: Not used; a SavedModel draws its own random numbers.

    Raises:
        UserError: There are several SavedModels, or one without TensorFlow Hub's image API; or the job trains on
            several devices, which TensorFlow can't do with the graph of such a SavedModel.

    Example:
        >>> encoder = load(folder, "my-encoder")
        >>> pixels = encoder.preprocessor.preprocess([np.zeros([40, 30, 3], np.uint8)])[[0]]
        >>> encoder.layer(pixels).shape[0]
        1
    """
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise UserError(
            "model channel: a SavedModel of images is trained on one host, with one GPU or none; give this job one, or "
            "put weights of Keras on the model channel"
        )
    paths = saved_models(folder)
    if len(paths) != 1:
        raise UserError(f"the model channel holds {len(paths)} SavedModels; put one encoder of images there")
    path = paths[0]
    where = in_channel(path, folder)
    with same_on_all_replicas():
        loaded = hub_models.load(path, where)
    height, width = _size(loaded, where)
    saved = files.settings(folder / CONFIG_FILE)
    known = _range(path / METADATA)
    layer = ImageLayer(HubNetwork(loaded), saved_range(saved, known.pixel_range, CONFIG_FILE))
    _check(layer, (height, width), where)
    reason = "the model that is trained further" if saved else known.reason
    own_name = str(saved.get("name", "")) or (name if path == folder else path.name)
    return ImageEncoder("hub_image", own_name, layer, ImagePreprocessor(height, width), reason, _write)


def _size(loaded: Any, where: str) -> tuple[int, int]:
    """Return the height and width of the images that an encoder reads, from its call's signature.

    Raises:
        UserError: It reads no images.
    """
    inputs = hub_models.inputs_of(loaded, where)
    if isinstance(inputs, dict) or (isinstance(inputs, tf.TensorSpec) and inputs.dtype == tf.string):
        raise UserError(
            f"{where}: takes texts, and the training channel holds images; put an encoder of images on the model "
            "channel, or leave the channel out"
        )
    if not isinstance(inputs, tf.TensorSpec) or inputs.dtype != tf.float32 or not _is_image(inputs.shape):
        raise UserError(
            f"{where}: does not take float32[batch, height, width, 3]; use an image feature vector of TensorFlow Hub, "
            "or a model of Keras with that input"
        )
    height, width = (side or USUAL_SIDE for side in inputs.shape[1:3])
    if max(height, width) > LARGEST_SIDE:
        raise UserError(f"{where}: takes images of {height} by {width} pixels; a side must be {LARGEST_SIDE} at most")
    return height, width


def _is_image(shape: tf.TensorShape) -> bool:
    return shape.rank == 4 and shape[0] is None and shape[3] == 3


def _range(metadata: Path) -> _Range:
    """Return the pixel range that a SavedModel expects, from the metadata that Keras wrote beside it."""
    text = metadata.read_bytes().decode("utf-8", "replace") if metadata.is_file() else ""
    if RESCALING.search(text):
        return _Range("0..255", f"{METADATA} names a layer that scales pixels")
    names = NETWORK.findall(text)
    if not names:
        return _Range(HUBS, "TensorFlow Hub's image API")
    return _Range(PIXEL_RANGES[names[0].lower()], f"{METADATA} names the network {names[0]}")


def _check(layer: ImageLayer, size: tuple[int, int], where: str) -> None:
    """Encode two random images, to check what an encoder returns.

    Raises:
        UserError: It returns no vectors, or the probabilities of a classifier.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    try:
        vectors = layer(pixels).numpy()
    except (ValueError, KeyError, TypeError, AttributeError, tf.errors.OpError) as error:
        reason = type(error).__name__
        raise UserError(
            f"{where}: gives no vector per image ({reason}); use an image feature vector of TensorFlow Hub"
        ) from error
    if vectors.ndim != 2:
        raise UserError(
            f"{where}: its output has {vectors.ndim} dimensions, and one vector per image has 2; use another model"
        )
    chances = vectors.min() >= 0 and np.allclose(vectors.sum(axis=1), 1, atol=1e-3)
    if chances or vectors.shape[1] in IMAGENET_LABELS:
        raise UserError(
            f"{where}: is a classifier, which gives {vectors.shape[1]} labels instead of a vector; use the feature "
            "vector of the same network, or save it without its top layer"
        )


def _write(encoder: ImageEncoder, folder: Path) -> None:
    content = {"name": encoder.name, "image_range": encoder.layer.pixel_range}
    (folder / CONFIG_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    tf.saved_model.save(encoder.layer.network.encoder.resolved_object, str(folder / "encoder"))
