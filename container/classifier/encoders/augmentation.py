"""Augmentation of images: random flips, rotations and zooms in training, as in AWS's built-in algorithm for images.

The ranges mean what they mean in Keras's ``RandomFlip``, ``RandomRotation`` and ``RandomZoom``, to which the built-in
algorithm refers; as there, the area outside of an image is filled by reflection. The three are combined into one affine
transform, so that an image is interpolated once.
"""

import math
from dataclasses import dataclass

import tensorflow as tf

from classifier.encoders.dropout import RandomLayer
from classifier.hyperparameters import Hyperparameters

HORIZONTAL, VERTICAL = "horizontal", "vertical"


@dataclass(frozen=True)
class Changes:
    """The largest changes that are made to an image.

    Attributes:
        flip: ``horizontal``, ``vertical``, ``horizontal_and_vertical`` or ``None``.
        rotation: The largest angle in either direction, as a fraction of a full turn.
        zoom: The largest fraction by which the content shrinks or grows.
    """

    flip: str
    rotation: float
    zoom: float

    def __str__(self) -> str:
        return f"flip {self.flip}, rotation {self.rotation:g}, zoom {self.zoom:g}"


class Augmentation(RandomLayer):
    """float32[batch, height, width, 3] to the same shape, each image augmented on its own."""

    def __init__(self, changes: Changes, seed: int) -> None:
        super().__init__("augmentation", seed, dtype="float32")
        self.changes = changes

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Augment the images in training; otherwise return them."""
        if not training:
            return images
        shape = tf.shape(images)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=_about_the_centre(self._maps(shape[0]), tf.cast(shape[1:3] - 1, tf.float32) / 2),
            output_shape=shape[1:3],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="REFLECT",
        )

    def _maps(self, batch: tf.Tensor) -> tf.Tensor:
        """Return the transforms, float32[batch, 2, 2], from (x, y) in the output to (x, y) in the input."""
        horizontal, vertical, turn, zoom = tf.unstack(
            tf.random.stateless_uniform([4, batch], self.next_seed(), minval=-1.0, maxval=1.0)
        )
        angle = turn * (2 * math.pi * self.changes.rotation)
        scale = 1 + zoom * self.changes.zoom
        x = scale * (tf.sign(horizontal) if HORIZONTAL in self.changes.flip else 1.0)
        y = scale * (tf.sign(vertical) if VERTICAL in self.changes.flip else 1.0)
        rows = [[x * tf.cos(angle), -x * tf.sin(angle)], [y * tf.sin(angle), y * tf.cos(angle)]]
        return tf.transpose(tf.stack([tf.stack(row) for row in rows]), [2, 0, 1])


def _about_the_centre(maps: tf.Tensor, centre: tf.Tensor) -> tf.Tensor:
    """Return TensorFlow's projective transforms, float32[batch, 8], of linear maps about the centre.

    Args:
        maps: float32[batch, 2, 2].
        centre: Its y and x, float32[2].
    """
    middle = centre[::-1]
    shifts = middle - tf.linalg.matvec(maps, middle)
    rows = tf.concat([maps, shifts[:, :, tf.newaxis]], axis=2)
    return tf.pad(tf.reshape(rows, [-1, 6]), [[0, 0], [0, 2]])


def augmentation(settings: Hyperparameters) -> Augmentation | None:
    """Return the augmentation that the hyperparameters ask for; None without one."""
    if not settings.augmentation:
        return None
    changes = Changes(
        settings.augmentation_random_flip,
        abs(settings.augmentation_random_rotation),
        abs(settings.augmentation_random_zoom),
    )
    return Augmentation(changes, settings.seed)
