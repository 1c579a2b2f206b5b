"""A toy encoder family: one dense layer over two numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from classifier.hyperparameters import Hyperparameters

WEIGHTS = "weights.safetensors"


class Pairs:
    """The preprocessor."""

    signature = tf.TensorSpec([None, 2], tf.float32, name="numbers")
    reads: Mapping[str, int] = {"numbers": 2}

    def preprocess(self, records: Sequence[Any]) -> NDArray[np.float32]:
        return np.array(records, np.float32).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class NumberEncoder:
    name: str
    layer: Any
    preprocessor: Pairs
    family: str = "number_network"
    pooling: str = "own"

    def save(self, folder: Path) -> None:
        kernel, bias = self.layer.get_weights()
        save_file({"kernel": kernel, "bias": bias}, folder / WEIGHTS)


def recognise(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file()


def load(folder: Path, name: str, max_sequence_length: int = 0, seed: int = 0) -> NumberEncoder:  # noqa: ARG001
    encoder = _made(name, seed)
    weights = load_file(folder / WEIGHTS)
    encoder.layer.set_weights([weights["kernel"], weights["bias"]])
    return encoder


def build(_: Sequence[Any], settings: Hyperparameters, __: Path | None) -> NumberEncoder:
    return _made("perceptron", settings.seed)


def _made(name: str, seed: int) -> NumberEncoder:
    initializer = tf_keras.initializers.GlorotUniform(seed=seed)
    layer = tf_keras.layers.Dense(8, activation="tanh", kernel_initializer=initializer)
    layer.build([None, 2])
    return NumberEncoder(name, layer, Pairs())
