"""A small convolutional network over pixels that is trained from scratch: ``model_id=cnn`` in jobs on images.

After LeCun et al., "Gradient-Based Learning Applied to Document Recognition" (1998), with ReLU, a norm after every
convolution, and global average pooling. The norm is over groups of an image's own channels (Wu and He, "Group
Normalization", 2018), so that an image's vector does not depend on the other images of its batch, nor, as with batch
norm, on how long the network was trained.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from safetensors.numpy import save_file

from classifier.encoders import files
from classifier.encoders.files import CONFIG_FILE
from classifier.encoders.images import ImageEncoder, ImageLayer, ImagePreprocessor, saved_range
from classifier.errors import UserError, at_most
from classifier.hyperparameters import Hyperparameters

WEIGHTS_FILE = "model.safetensors"
MODEL_TYPE = "image_cnn"
SIDE = 128  # pixels
FILTERS = (32, 64, 128, 256)  # of each block, after which height and width are halved
GROUP = 8  # channels that are normed together
RANGE = "-1..1"


class Block(tf_keras.layers.Layer):  # type: ignore[misc]
    """A convolution, its norm, ReLU, and max pooling over two by two pixels."""

    def __init__(self, filters: int, number: int, seed: int) -> None:
        super().__init__(name=f"block_{number}")
        self.convolution = tf_keras.layers.Conv2D(
            filters,
            3,
            strides=2 if number == 0 else 1,  # the first one computes on most pixels
            padding="same",
            use_bias=False,
            kernel_initializer=tf_keras.initializers.HeNormal(seed=seed + number),
            name="convolution",
        )
        self.norm = tf_keras.layers.GroupNormalization(filters // GROUP, name="norm")
        self.strongest = tf_keras.layers.MaxPooling2D(padding="same")

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """Return a map of half the height and width."""
        return self.strongest(tf.nn.relu(self.norm(self.convolution(values))))


class ImageNetwork(tf_keras.layers.Layer):  # type: ignore[misc]
    """float32[batch, height, width, 3] to one vector per image, the mean of the last map."""

    def __init__(self, seed: int) -> None:
        super().__init__(name="cnn")
        self.blocks = [Block(filters, number, seed) for number, filters in enumerate(FILTERS)]

    def call(self, values: tf.Tensor, training: bool | None = None) -> tf.Tensor:  # noqa: ARG002  Keras asks for it
        """Encode."""
        for block in self.blocks:
            values = block(values)
        return tf.reduce_mean(values, axis=[1, 2])

    def named(self) -> dict[str, tf.Variable]:
        """Return the weights by the names they have in a file."""
        return {
            f"{block.name}.{name}": variable
            for block in self.blocks
            for name, variable in (
                ("convolution.kernel", block.convolution.kernel),
                ("norm.scale", block.norm.gamma),
                ("norm.shift", block.norm.beta),
            )
        }


def recognise(folder: Path) -> bool:
    """Return whether a folder holds a network of this family."""
    return files.is_of(folder, MODEL_TYPE, WEIGHTS_FILE)


def build(records: Sequence[Any], settings: Hyperparameters, vectors: Path | None) -> ImageEncoder:  # noqa: ARG001
    """Build a network with untrained weights.

    Args:
        records: Not used; the network needs nothing of the training images.
        settings: The job's hyperparameters.
        vectors: Not used; images have no words.

    Example:
        >>> encoder = build([], Hyperparameters.parse({}), None)
        >>> pixels = encoder.preprocessor.preprocess([np.zeros([40, 30, 3], np.uint8)])[[0]]
        >>> encoder.layer(pixels).shape
        TensorShape([1, 256])
    """
    return _made("cnn", settings.seed, RANGE)


def load(folder: Path, name: str, max_sequence_length: int = 0, seed: int = 0) -> ImageEncoder:  # noqa: ARG001
    """Load a network that was saved.

    Args:
        folder: Its files.
        name: Its name in the log and the manifest.
        max_sequence_length: Not used; images have no tokens.
        seed: Without effect, as the weights are replaced.

    Raises:
        UserError: A file is broken, or the weights are not this network's.

    Example:
        >>> build([], Hyperparameters.parse({}), None).save(folder)
        >>> load(folder, "my-network").preprocessor.reads
        {'height': 128, 'width': 128}
    """
    weights = files.tensors(folder / WEIGHTS_FILE)
    encoder = _made(name, seed, saved_range(files.settings(folder / CONFIG_FILE), RANGE, CONFIG_FILE))
    _assign(encoder.layer.network.named(), weights)
    return encoder


def _made(name: str, seed: int, pixel_range: str) -> ImageEncoder:
    layer = ImageLayer(ImageNetwork(seed), pixel_range)
    layer(tf.zeros([1, SIDE, SIDE, 3], tf.uint8))
    return ImageEncoder("image_network", name, layer, ImagePreprocessor(SIDE, SIDE), "how it is made", _write)


def _assign(variables: dict[str, tf.Variable], weights: dict[str, NDArray[Any]]) -> None:
    problems = [
        f"{WEIGHTS_FILE}: weight {name} is missing or of another shape; copy the model again"
        for name, variable in variables.items()
        if name not in weights or weights[name].shape != tuple(variable.shape)
    ]
    if problems:
        raise UserError(at_most(problems))
    for name, variable in variables.items():
        variable.assign(weights[name].astype(np.float32))


def _write(encoder: ImageEncoder, folder: Path) -> None:
    content = {"model_type": MODEL_TYPE, **encoder.preprocessor.reads, "image_range": encoder.layer.pixel_range}
    (folder / CONFIG_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    save_file({name: weight.numpy() for name, weight in encoder.layer.network.named().items()}, folder / WEIGHTS_FILE)
