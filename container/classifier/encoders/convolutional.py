"""A convolutional network over words that is trained from scratch: ``model_id=cnn``.

After Kim, "Convolutional Neural Networks for Sentence Classification" (2014), with windows of one width: word vectors,
dropout, one convolution, and max pooling of each filter over the text.
"""

from dataclasses import dataclass

import tensorflow as tf
import tf_keras

from classifier.encoders.word_network import Family, Shape, WordEmbedding, mask


@dataclass(frozen=True)
class CnnShape(Shape):
    """The shape of a convolutional network; ``hidden_size`` is the number of its filters."""

    kernel_size: int


class CnnLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    """Word ids int32[batch, length], 0 after a text's end, to one vector per text, float32[batch, hidden_size]."""

    def __init__(self, words: int, shape: CnnShape, seed: int) -> None:
        super().__init__(name="cnn")
        self.words = WordEmbedding(words, shape, seed)
        self.convolution = tf_keras.layers.Conv1D(
            shape.hidden_size,
            shape.kernel_size,
            padding="same",  # zeros, as are the vectors after a text's end: a text may be shorter than the window
            activation="relu",
            kernel_initializer=tf_keras.initializers.GlorotUniform(seed=seed + 1),
            name="convolution",
        )

    def call(self, word_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode; the activations are at least 0, so that the zeros after a text's end never are its maximum."""
        answers = self.convolution(self.words(word_ids, training=training))
        strongest = tf.reduce_max(answers * mask(word_ids, answers.dtype), axis=1)
        return tf.cast(strongest, tf.float32)

    def named(self) -> dict[str, tf.Variable]:
        """Return the weights by the names they have in a file."""
        return {
            "words.weight": self.words.table,
            "convolution.kernel": self.convolution.kernel,
            "convolution.bias": self.convolution.bias,
        }


_FAMILY = Family("convolutional", "cnn", CnnShape, CnnLayer)
recognise, load, build = _FAMILY.recognise, _FAMILY.load, _FAMILY.build
