"""A toy encoder family of texts: the mean of a vector for each character."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras
from safetensors.numpy import load_file, save_file

from classifier.encoders.texts import TokenPreprocessor
from classifier.hyperparameters import Hyperparameters

WEIGHTS = "letters.safetensors"
CHARACTERS = 256


@dataclass(frozen=True, eq=False)
class Letters(TokenPreprocessor):
    max_sequence_length: int
    tokenizer: None = None

    @property
    def unknown_id(self) -> None:
        return None

    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        letters = tf.strings.unicode_decode(texts, "UTF-8")[:, : self.max_sequence_length]
        return (letters % (CHARACTERS - 1) + 1).to_tensor()

    def portable(self) -> None:
        return None


class LetterLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    def __init__(self, seed: int) -> None:
        super().__init__(name="letters")
        initializer = tf_keras.initializers.RandomUniform(seed=seed)
        self.table = self.add_weight(name="table", shape=(CHARACTERS, 16), initializer=initializer)

    def call(self, token_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:  # noqa: ARG002
        there = tf.cast(tf.not_equal(token_ids, 0), tf.float32)[:, :, tf.newaxis]
        total = tf.reduce_sum(tf.gather(self.table, token_ids) * there, axis=1)
        return total / tf.maximum(tf.reduce_sum(there, axis=1), 1)


@dataclass(frozen=True, eq=False)
class LetterEncoder:
    name: str
    layer: Any
    preprocessor: Letters
    family: str = "letter_network"
    pooling: str = "mean"

    def save(self, folder: Path) -> None:
        save_file({"table": self.layer.table.numpy()}, folder / WEIGHTS)


def recognise(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file()


def load(folder: Path, name: str, max_sequence_length: int = 256, seed: int = 0) -> LetterEncoder:
    encoder = LetterEncoder(name, LetterLayer(seed), Letters(max_sequence_length))
    encoder.layer.table.assign(load_file(folder / WEIGHTS)["table"])
    return encoder


def build(_: Sequence[Any], settings: Hyperparameters, __: Path | None) -> LetterEncoder:
    return LetterEncoder("letters", LetterLayer(settings.seed), Letters(settings.max_sequence_length))
