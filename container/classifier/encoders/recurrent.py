"""A recurrent network over words that is trained from scratch: ``model_id=lstm``.

Long short-term memory (Hochreiter and Schmidhuber, 1997) in one direction or both, max-pooled over the text as in
Conneau et al., "Supervised Learning of Universal Sentence Representations" (2017).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras

from classifier.encoders.word_network import Family, Shape, WordEmbedding, mask


@dataclass(frozen=True)
class LstmShape(Shape):
    """The shape of a recurrent network; ``hidden_size`` is the width of one layer in one direction."""

    n_layers: int
    bidirectional: bool


class LstmLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    """Word ids int32[batch, length], 0 after a text's end, to one vector per text.

    The vector is float32[batch, hidden_size], or twice as wide where the text is read in both directions.
    """

    def __init__(self, words: int, shape: LstmShape, seed: int) -> None:
        super().__init__(name="lstm")
        self.words = WordEmbedding(words, shape, seed)
        directions = ("forward", "backward") if shape.bidirectional else ("forward",)
        seeds = iter(range(seed + 1, seed + 1 + 2 * shape.n_layers * len(directions)))
        self.levels = [
            {direction: _lstm(shape.hidden_size, direction, seeds) for direction in directions}
            for _ in range(shape.n_layers)
        ]

    def call(self, word_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode; each LSTM layer reads the output of the one below it."""
        vectors = self.words(word_ids, training=training)
        there = mask(word_ids, tf.bool)
        for level in self.levels:
            vectors = tf.concat([_read(lstm, vectors, there[:, :, 0]) for lstm in level.values()], axis=2)
        strongest = tf.reduce_max(tf.where(there, vectors, vectors.dtype.min), axis=1)
        return tf.cast(strongest, tf.float32)

    def named(self) -> dict[str, tf.Variable]:
        """Return the weights by the names they have in a file."""
        weights = {"words.weight": self.words.table}
        for index, level in enumerate(self.levels):
            for direction, lstm in level.items():
                weights[f"level.{index}.{direction}.kernel"] = lstm.cell.kernel
                weights[f"level.{index}.{direction}.recurrent_kernel"] = lstm.cell.recurrent_kernel
                weights[f"level.{index}.{direction}.bias"] = lstm.cell.bias
        return weights


def _lstm(width: int, direction: str, seeds: Iterator[int]) -> Any:
    return tf_keras.layers.LSTM(
        width,
        return_sequences=True,
        go_backwards=direction == "backward",
        dtype="float32",  # cuDNN casts bfloat16 to float32 anyway, and a sum over hundreds of words needs float32
        kernel_initializer=tf_keras.initializers.GlorotUniform(seed=next(seeds)),
        recurrent_initializer=tf_keras.initializers.Orthogonal(seed=next(seeds)),
        name=direction,
    )


def _read(lstm: Any, vectors: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
    """Return a layer's output for each word, [batch, length, width], in the order of the text."""
    answers = lstm(vectors, mask=there)
    return tf.reverse(answers, [1]) if lstm.go_backwards else answers


_FAMILY = Family("recurrent", "lstm", LstmShape, LstmLayer)
recognise, load, build = _FAMILY.recognise, _FAMILY.load, _FAMILY.build
