"""EfficientNet-Lite0: the encoder of images in the container image, trained on ImageNet; or such a network, saved.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), table 1, with what the
Lite variants change (github.com/tensorflow/tpu, ``models/official/efficientnet/lite``): no squeeze-and-excitation, and
ReLU6 in the place of swish, both of which are slow on CPUs; the stem and the head have the same width in all variants.

The file of weights has PyTorch's names and orders of axes, in which the weights were published.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from safetensors.numpy import save_file

from classifier.encoders import files
from classifier.encoders.files import CONFIG_FILE
from classifier.encoders.images import (
    LITE,
    ImageEncoder,
    ImageLayer,
    ImagePreprocessor,
    same_on_all_replicas,
    saved_range,
)
from classifier.errors import UserError, at_most

WEIGHTS_FILE = "model.safetensors"
MODEL_TYPE = "efficientnet-lite0"
# In pixels. Its authors scored the network on the middle 224 pixels of images of 256; here the whole image is read, at
# that scale (Touvron et al., "Fixing the train-test resolution discrepancy", 2019).
SIDE = 256
STEM, HEAD = 32, 1280  # channels
EPSILON = 1e-3  # of the batch norms
# Orders of a kernel's axes in TensorFlow, by PyTorch's: of a convolution, and of a depthwise one.
KERNEL, DEPTHWISE = (2, 3, 1, 0), (2, 3, 0, 1)


@dataclass(frozen=True)
class Stage:
    """A row of the paper's table: blocks of one kind, the first of which has the stride.

    Attributes:
        blocks: How many there are.
        kernel: The height and width of the depthwise convolution.
        stride: Of the first block's depthwise convolution.
        expansion: How many times as many channels a block has inside as at its input.
        channels: At a block's output.
    """

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class Convolution(tf_keras.layers.Layer):  # type: ignore[misc]
    """A convolution without bias, its batch norm, and ReLU6.

    Args:
        name: The convolution's name in the file of weights.
        norm: That of its norm.
        kernel: Height and width of the kernel.
        stride: The distance between its places.
        channels: Of the output; None for a depthwise convolution, which keeps their number.
        activated: Whether there is a ReLU6.
    """

    def __init__(
        self, name: str, norm: str, kernel: int, stride: int, channels: int | None, *, activated: bool = True
    ) -> None:
        super().__init__(name=name.replace(".", "_").lstrip("_"))
        how: dict[str, Any] = {"strides": stride, "padding": "same", "use_bias": False}
        if channels is None:
            self.convolution = tf_keras.layers.DepthwiseConv2D(kernel, depthwise_initializer="zeros", **how)
        else:
            self.convolution = tf_keras.layers.Conv2D(channels, kernel, kernel_initializer="zeros", **how)
        self.norm = tf_keras.layers.BatchNormalization(epsilon=EPSILON)
        self.names = (name, norm)
        self.axes = DEPTHWISE if channels is None else KERNEL
        self.activated = activated

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """Convolve; the norm always uses its stored means and variances."""
        values = self.norm(self.convolution(values), training=False)
        return tf.nn.relu6(values) if self.activated else values

    def named(self) -> Iterator[tuple[str, tf.Variable, tuple[int, ...]]]:
        """Yield each weight's name in the file, its variable, and where the file has the variable's axes."""
        convolution, norm = self.names
        (kernel,) = self.convolution.weights
        yield f"{convolution}.weight", kernel, self.axes
        yield f"{norm}.weight", self.norm.gamma, (0,)
        yield f"{norm}.bias", self.norm.beta, (0,)
        yield f"{norm}.running_mean", self.norm.moving_mean, (0,)
        yield f"{norm}.running_var", self.norm.moving_variance, (0,)


class Block(tf_keras.layers.Layer):  # type: ignore[misc]
    """Inverted residual: more channels, a depthwise convolution, fewer channels, and the input added where it fits.

    Args:
        number: The block's number in the network.
        stage: Its stage.
        inside: The channels of its input.
        stride: Of its depthwise convolution.
    """

    def __init__(self, number: int, stage: Stage, inside: int, stride: int) -> None:
        super().__init__(name=f"block_{number}")
        name = f"_blocks.{number}"
        channels = inside * stage.expansion
        expand = [Convolution(f"{name}._expand_conv", f"{name}._bn0", 1, 1, channels)] if stage.expansion > 1 else []
        self.convolutions = [
            *expand,
            Convolution(f"{name}._depthwise_conv", f"{name}._bn1", stage.kernel, stride, None),
            Convolution(f"{name}._project_conv", f"{name}._bn2", 1, 1, stage.channels, activated=False),
        ]
        self.residual = stride == 1 and inside == stage.channels

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """Return the block's map."""
        found = values
        for convolution in self.convolutions:
            found = convolution(found)
        return found + values if self.residual else found


class EfficientNetLite(tf_keras.layers.Layer):  # type: ignore[misc]
    """float32[batch, height, width, 3] to one vector per image, the mean of the last map: float32[batch, 1280]."""

    def __init__(self) -> None:
        super().__init__(name="efficientnet_lite0")
        self.stem = Convolution("_conv_stem", "_bn0", 3, 2, STEM)
        self.blocks = list(_blocks())
        self.head = Convolution("_conv_head", "_bn1", 1, 1, HEAD)

    def call(self, values: tf.Tensor, training: bool | None = None) -> tf.Tensor:  # noqa: ARG002  Keras asks for it
        """Encode."""
        values = self.stem(values)
        for block in self.blocks:
            values = block(values)
        return tf.reduce_mean(self.head(values), axis=[1, 2])

    def named(self) -> Iterator[tuple[str, tf.Variable, tuple[int, ...]]]:
        """Yield what :meth:`Convolution.named` does, of all."""
        for convolution in (self.stem, *(each for block in self.blocks for each in block.convolutions), self.head):
            yield from convolution.named()


def _blocks() -> Iterator[Block]:
    number, inside = 0, STEM
    for stage in STAGES:
        for place in range(stage.blocks):
            yield Block(number, stage, inside, stage.stride if place == 0 else 1)
            number, inside = number + 1, stage.channels


def recognise(folder: Path) -> bool:
    """Return whether a folder holds a network of this family."""
    return files.is_of(folder, MODEL_TYPE, WEIGHTS_FILE)


def load(folder: Path, name: str, max_sequence_length: int = 0, seed: int = 0) -> ImageEncoder:  # noqa: ARG001
    """Build the network and load its weights.

    Args:
        folder: Its files.
        name: Its name in the log and the manifest.
        max_sequence_length: Not used; images have no tokens.
        seed: Not used; the network draws no random numbers.

    Raises:
        UserError: A file is broken, or the weights are not this network's.

    Example:
        >>> encoder = load(folder, "efficientnet-lite0")  # config.json and model.safetensors
        >>> encoder.layer(tf.zeros([1, 256, 256, 3], tf.uint8)).shape
        TensorShape([1, 1280])
    """
    weights = files.tensors(folder / WEIGHTS_FILE)
    pixel_range = saved_range(files.settings(folder / CONFIG_FILE), LITE, CONFIG_FILE)
    with same_on_all_replicas():
        layer = ImageLayer(EfficientNetLite(), pixel_range)
        layer(tf.zeros([1, SIDE, SIDE, 3], tf.uint8))
    _assign(layer.network, weights)
    return ImageEncoder("efficientnet", name, layer, ImagePreprocessor(SIDE, SIDE), "how it was trained", _write)


def _assign(network: EfficientNetLite, weights: Mapping[str, NDArray[Any]]) -> None:
    problems, found = [], []
    for name, variable, axes in network.named():
        value = weights.get(name)
        if value is None or value.ndim != len(axes) or value.transpose(axes).shape != tuple(variable.shape):
            problems.append(f"{WEIGHTS_FILE}: weight {name} is missing or of another shape; copy the model again")
        else:
            found.append((variable, value.transpose(axes).astype(np.float32)))
    if problems:
        raise UserError(at_most(problems))
    for variable, value in found:
        variable.assign(value)


def _write(encoder: ImageEncoder, folder: Path) -> None:
    content = {"model_type": MODEL_TYPE, **encoder.preprocessor.reads, "image_range": encoder.layer.pixel_range}
    (folder / CONFIG_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    named = encoder.layer.network.named()
    weights = {name: np.ascontiguousarray(weight.numpy().transpose(np.argsort(axes))) for name, weight, axes in named}
    save_file(weights, folder / WEIGHTS_FILE)
