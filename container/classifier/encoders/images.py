"""What the encoders of images share: the preprocessor, the ranges of pixel values, and the layer.

An image is uint8[height, width, 3], red, green and blue, of the size that the encoder reads.
"""

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from classifier import resources
from classifier.encoders.augmentation import augmentation
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.pixels import ImageSource, Pixels, decode

log = logging.getLogger(__name__)

LARGEST_IN_MEMORY = 1 << 30  # bytes; 7,000 images of 224 by 224
SHARE_OF_MEMORY = 8  # an eighth at most, for each of the images to train on, to validate with and to test with
# Mean blue, green and red of ImageNet's images, which the networks of the library Caffe were trained without.
IMAGENET_MEAN = (103.939, 116.779, 123.68)
BLUE_FIRST = "0..255, blue first, less the mean colour"
# What the Lite variants of EfficientNet were trained with, as their code says (``lite/efficientnet_lite_builder.py``).
LITE = "-1..1, (value - 127) / 128"
AUTO = "auto"

# The ranges of pixel values that networks expect, each with its conversion from 0 to 255.
RANGES: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "0..1": lambda values: values / 255.0,
    "-1..1": lambda values: values / 127.5 - 1.0,
    "0..255": lambda values: values,
    BLUE_FIRST: lambda values: values[..., ::-1] - tf.constant(IMAGENET_MEAN),
    LITE: lambda values: (values - 127.0) / 128.0,
}

Record = bytes | ImageSource | Pixels


def saved_range(saved: Mapping[str, Any], usual: str, file: str) -> str:
    """Return the range of pixel values that a saved encoder's network expects, a name of :data:`RANGES`.

    Args:
        saved: The content of the file that was saved with it.
        usual: The range where the file has none.
        file: The file's name.

    Raises:
        UserError: The file has an unknown range.
    """
    pixel_range = saved.get("image_range", usual)
    if not isinstance(pixel_range, str) or pixel_range not in RANGES:
        raise UserError(f"{file}: image_range must be one of {', '.join(RANGES)}; copy the model again")
    return pixel_range


def same_on_all_replicas() -> AbstractContextManager[None]:
    """Mirror the variables of networks that are loaded in this context, instead of aggregating them on each read.

    By default the statistics of batch norms are averaged over the replicas on each read, for which all hosts must read
    them together. They are frozen here, and hosts read them alone, to write a checkpoint.
    """

    def create(following: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
        return following(**{**arguments, "synchronization": tf.VariableSynchronization.AUTO})

    scope: AbstractContextManager[None] = tf.variable_creator_scope(create)
    return scope


class Images:
    """A lazy array of pixels, uint8[records, height, width, 3], which decodes images when it is indexed.

    Decoded images are cached if all of them fit into a share of the memory.

    Args:
        records: Encoded images, files, or pixels.
        height: Of an image, in pixels.
        width: Of an image, in pixels.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, records: Sequence[Record], height: int, width: int) -> None:
        self.records = records
        self.shape = (len(records), height, width, 3)
        self._chosen: NDArray[np.int64] = np.arange(len(records))
        small = int(np.prod(self.shape)) <= min(LARGEST_IN_MEMORY, resources.memory() // SHARE_OF_MEMORY)
        self._kept: dict[int, Pixels] | None = {} if small else None

    def __len__(self) -> int:
        return len(self._chosen)

    def some(self, indices: NDArray[np.int64]) -> "Images":
        """Return some images as a lazy array, which shares this one's records and cache."""
        images = copy.copy(self)
        images._chosen = self._chosen[indices]  # noqa: SLF001  of the same class
        images.shape = (len(indices), *self.shape[1:])
        return images

    def __getitem__(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return some images, uint8[indices, height, width, 3].

        Raises:
            PixelsError: One of them is no image.
        """
        some = np.empty((len(indices), *self.shape[1:]), np.uint8)

        def put(place: int) -> None:
            some[place] = self._image(int(self._chosen[indices[place]]))

        with ThreadPoolExecutor(resources.processors()) as threads:
            for _ in threads.map(put, range(len(indices))):
                pass
        return some

    def _image(self, index: int) -> Pixels:
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        image = decode(self.records[index], self.shape[1], self.shape[2])
        if self._kept is not None:
            self._kept[index] = image
        return image


class ImageLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    """uint8[batch, height, width, 3] to one vector per image, float32[batch, width of the vector].

    Args:
        network: A layer from float32[batch, height, width, 3] to the vectors.
        pixel_range: The range of pixel values that the network expects, a name of :data:`RANGES`.
    """

    def __init__(self, network: Any, pixel_range: str) -> None:
        super().__init__(name="images")
        self.network = network
        self.pixel_range = pixel_range
        self.augmentation: Any = None

    def call(self, pixels: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode.

        Batch norms use their moving statistics in training, too: the mean and variance of small batches of images that
        differ from ImageNet's would undo the pre-training (see Keras's guide "Transfer learning and fine-tuning").
        """
        values = tf.cast(pixels, tf.float32)
        if self.augmentation is not None:
            values = self.augmentation(values, training=training)
        return tf.cast(self.network(RANGES[self.pixel_range](values), training=False), tf.float32)


@dataclass(frozen=True)
class ImagePreprocessor:
    """Decodes images to the size that an encoder reads.

    Attributes:
        height: In pixels.
        width: In pixels.
    """

    height: int
    width: int

    @property
    def signature(self) -> tf.TensorSpec:
        """The shape and dtype of the layer's input."""
        return tf.TensorSpec([None, self.height, self.width, 3], tf.uint8, name="pixels")

    @property
    def reads(self) -> dict[str, int]:
        """The size of an image, for the manifest."""
        return {"height": self.height, "width": self.width}

    def preprocess(self, records: Sequence[Record]) -> Images:
        """Return all images as one array, uint8[records, height, width, 3]."""
        return Images(records, self.height, self.width)


@dataclass(frozen=True, eq=False)
class ImageEncoder:
    """An encoder of images; the other attributes are those of :class:`classifier.encoders.Encoder`.

    Attributes:
        range_from: How the range of pixel values is known, for the log.
        write: Writes the files that the family's ``load`` reads into a folder.
    """

    family: str
    name: str
    layer: ImageLayer
    preprocessor: ImagePreprocessor
    range_from: str
    write: Callable[["ImageEncoder", Path], None]
    pooling: str = "mean"

    @property
    def augments(self) -> bool:
        """Whether the layer augments images in training."""
        return self.layer.augmentation is not None

    def configure(self, settings: Hyperparameters) -> None:
        """Apply the job's pixel range and augmentation, and log them."""
        reason = self.range_from
        if settings.image_range != AUTO:
            self.layer.pixel_range, reason = settings.image_range, "hyperparameter image_range"
        self.layer.augmentation = augmentation(settings)
        log.info(
            "event=images height=%d width=%d range=%r range_from=%r augmentation=%r",
            self.preprocessor.height, self.preprocessor.width, self.layer.pixel_range, reason,
            "none" if self.layer.augmentation is None else str(self.layer.augmentation.changes),
        )  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write the encoder with its current weights, as the family's ``load`` reads it."""
        self.write(self, folder)
