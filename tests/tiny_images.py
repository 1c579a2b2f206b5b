"""Images and encoders of images, small enough to make where they are needed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from classifier.errors import UserError


def pixels(count: int, height: int, width: int | None = None, seed: int = 0) -> NDArray[np.uint8]:
    """Return images that differ in large patches, as photographs do: uint8[count, height, width, 3]."""
    generator = np.random.default_rng(seed)
    patches = generator.integers(0, 256, (count, 4, 4, 3)).astype(np.float32)
    return tf.cast(tf.image.resize(patches, (height, width or height)), tf.uint8).numpy()  # type: ignore[no-any-return]


def assert_broken_weights_are_told(
    family: Any, folder: Path, lacking: str, misshapen: Mapping[str, NDArray[np.float32]], told: Sequence[str]
) -> None:
    """Check what a family says of a saved network that lacks a weight, has others of a wrong shape, or is junk.

    Args:
        family: The module of the family.
        folder: The saved network, whose file of weights is replaced.
        lacking: The weight that is taken out.
        misshapen: The weights that are replaced.
        told: The weights that the problems name, in their order.
    """
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights.pop(lacking)
    save_file({**weights, **misshapen}, path)
    with pytest.raises(UserError) as caught:
        family.load(folder, "x")
    assert [line.split(" is ")[0] for line in caught.value.problems] == [
        f"model.safetensors: weight {name}" for name in told
    ]
    path.write_bytes(b"junk")
    with pytest.raises(UserError, match=r"model\.safetensors: not a safetensors file"):
        family.load(folder, "x")


def with_random_weights(network: Any, seed: int = 0) -> Any:
    """Give a network weights that differ from each other everywhere, also where Keras begins with ones and zeros."""
    generator = np.random.default_rng(seed)
    network.set_weights(
        [
            (array * generator.uniform(0.7, 1.3, array.shape) + generator.uniform(0, 0.05, array.shape)).astype("f4")
            for array in network.get_weights()
        ]
    )
    return network


class Colours(tf.__internal__.tracking.AutoTrackable):  # type: ignore[misc]
    """An encoder of images as small as they come: the mean colour, its three numbers differently weighted.

    Args:
        form: What it gives: a ``vector``, a ``map``, a ``dictionary``, ``chances`` of labels, or ``logits`` of 1001.
    """

    def __init__(self, form: str = "vector") -> None:
        super().__init__()
        self.form = form
        self.weights = tf.Variable(tf.random.stateless_normal([3, 1001 if form == "logits" else 4], seed=[1, 2]))
        self.trainable_variables = [self.weights]
        self.variables = [self.weights]

    @tf.function  # type: ignore[untyped-decorator]
    def __call__(self, values: tf.Tensor) -> Any:
        found = values @ self.weights
        vectors = tf.reduce_mean(found, axis=[1, 2])
        return {
            "vector": vectors,
            "logits": vectors,
            "map": found,
            "dictionary": {"default": vectors, "block": found},
            "chances": tf.nn.softmax(vectors),
            "number": tf.reduce_sum(vectors, axis=1),
        }[self.form]


def write_hub(folder: Path, form: str = "vector", side: int | None = 8) -> Path:
    """Write an encoder of TensorFlow Hub's image API."""
    module = Colours(form)
    module.__call__.get_concrete_function(tf.TensorSpec([None, side, side, 3], tf.float32))
    tf.saved_model.save(module, str(folder / "colours"))
    return folder
