"""The transformer encoder that BERT, DistilBERT and ELECTRA share, as tf_keras layers.

Source of the network: the papers that :mod:`classifier.encoders.architectures` names; of mean pooling: Reimers and
Gurevych, "Sentence-BERT" (2019). Weights are float32; the layers compute in the dtype of tf_keras's policy.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from classifier.encoders import packed
from classifier.encoders.architectures import Shape
from classifier.encoders.dropout import Dropout
from classifier.encoders.packed import Pack

HIDDEN = -1e4  # added to the attention's score of a padding token; within float16's range


def gelu(values: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit, exact (Hendrycks and Gimpel, 2016)."""
    # In float32 whatever the policy: not every device has the error function in half precision.
    shares = tf.math.erf(tf.cast(values, tf.float32) * np.float32(np.sqrt(0.5)))
    return 0.5 * values * (1.0 + tf.cast(shares, values.dtype))


def _gelu_tanh(values: tf.Tensor) -> tf.Tensor:
    return tf.nn.gelu(values, approximate=True)


_ACTIVATIONS: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu": gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": tf.nn.relu,
}


def _dense(units: int, name: str) -> Any:
    return tf_keras.layers.Dense(units, name=name)


def _layer_norm(shape: Shape, name: str) -> Any:
    return tf_keras.layers.LayerNormalization(epsilon=shape.epsilon, name=name)


class Embeddings(tf_keras.layers.Layer):  # type: ignore[misc]
    """int32[batch, length] token ids to [batch, length, width]."""

    def __init__(self, shape: Shape, seed: int) -> None:
        super().__init__(name="embeddings")

        def table(rows: int, name: str) -> Any:
            return self.add_weight(name=name, shape=(rows, shape.embedding_width), initializer="zeros")

        self.word = table(shape.vocabulary, "word")
        self.position = table(shape.positions, "position")
        self.segment: Any = table(shape.segments, "token_type") if shape.segments else None
        self.layer_norm = _layer_norm(shape, "layer_norm")
        self.dropout = Dropout(shape.embedding_dropout, seed)
        self.project: Any = _dense(shape.width, "project") if shape.embedding_width != shape.width else None

    def call(self, token_ids: tf.Tensor, positions: tf.Tensor | None = None, training: bool | None = None) -> tf.Tensor:
        """Sum the embeddings of the token, of its position, and of the first segment.

        Args:
            token_ids: int32[batch, length].
            positions: The tokens' positions, int32[batch, length]; None where each row begins at position 0.
            training: Whether to drop values out.
        """
        length = tf.shape(token_ids)[1]
        at_positions = self.position[:length] if positions is None else tf.gather(self.position, positions)
        embedded = tf.gather(self.word, token_ids) + at_positions
        if self.segment is not None:
            embedded += self.segment[0]
        embedded = self.dropout(self.layer_norm(embedded), training=training)
        return embedded if self.project is None else self.project(embedded)


class Block(tf_keras.layers.Layer):  # type: ignore[misc]
    """One transformer block: self-attention, then two dense layers, each with its residual and norm."""

    def __init__(self, shape: Shape, index: int, seed: int) -> None:
        super().__init__(name=f"block_{index}")
        self.heads = shape.heads
        self.head_size = shape.width // shape.heads
        self.query = _dense(shape.width, "query")
        self.key = _dense(shape.width, "key")
        self.value = _dense(shape.width, "value")
        self.attention_output = _dense(shape.width, "attention_output")
        self.attention_norm = _layer_norm(shape, "attention_norm")
        self.intermediate = _dense(shape.inner, "intermediate")
        self.output_dense = _dense(shape.width, "output_dense")
        self.output_norm = _layer_norm(shape, "output_norm")
        self.activation = _ACTIVATIONS[shape.activation]
        self.attention_dropout, self.attended_dropout, self.output_dropout = (
            Dropout(rate, seed + place)
            for place, rate in enumerate((shape.attention_dropout, shape.attended_dropout, shape.output_dropout))
        )

    def call(self, hidden: tf.Tensor, bias: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Map [batch, length, width] to the same shape.

        Args:
            hidden: The tokens' vectors.
            bias: What hides tokens, [batch, 1, 1, length], or from each token others, [batch, 1, length, length].
            training: Whether to drop values out.
        """
        attended = self.attention_output(self.attend(hidden, bias, training))
        hidden = self.attention_norm(hidden + self.attended_dropout(attended, training=training))
        expanded = self.activation(self.intermediate(hidden))
        return self.output_norm(hidden + self.output_dropout(self.output_dense(expanded), training=training))

    def attend(self, hidden: tf.Tensor, bias: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Scaled dot-product attention of every head; [batch, length, width] in and out."""
        batch, length = tf.shape(hidden)[0], tf.shape(hidden)[1]

        def split(values: tf.Tensor) -> tf.Tensor:  # [batch, heads, length, head_size]
            return tf.transpose(tf.reshape(values, [batch, length, self.heads, self.head_size]), [0, 2, 1, 3])

        query = split(self.query(hidden)) * (self.head_size**-0.5)
        scores = tf.matmul(query, split(self.key(hidden)), transpose_b=True) + bias
        weights = self.attention_dropout(tf.nn.softmax(scores), training=training)
        mixed = tf.transpose(tf.matmul(weights, split(self.value(hidden))), [0, 2, 1, 3])
        return tf.reshape(mixed, [batch, length, self.heads * self.head_size])


class BertLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    """Token ids int32[batch, length], 0 after a text's end, to one vector per text, float32[batch, width].

    Attributes:
        embeddings: The embedding layer.
        blocks: The transformer blocks, from the bottom to the top.
        pooler: The dense layer on top; None where pooling has no weights.
    """

    packs = True

    def __init__(self, shape: Shape, pooling: str, seed: int = 0) -> None:
        super().__init__(name="bert")
        self.embeddings = Embeddings(shape, seed)
        self.blocks = [Block(shape, index, seed + 1 + 3 * index) for index in range(shape.layers)]
        self.pool = _POOLINGS[pooling]
        self.pooler: Any = _dense(shape.width, "pooler") if pooling == "pooler" else None

    @property
    def stages(self) -> list[Any]:
        """The layers, from the embeddings to the top, for learning-rate multipliers."""
        return [self.embeddings, *self.blocks, *([] if self.pooler is None else [self.pooler])]

    def call(self, token_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode and pool."""
        hidden = self.embeddings(token_ids, training=training)
        mask = tf.cast(tf.not_equal(token_ids, 0), tf.float32)
        bias = tf.cast((1.0 - mask[:, tf.newaxis, tf.newaxis, :]) * HIDDEN, hidden.dtype)
        for block in self.blocks:
            hidden = block(hidden, bias, training=training)
        return tf.cast(self.pool.padded(self, hidden, mask), tf.float32)

    def packed(self, pack: Pack) -> tf.Tensor:
        """Encode packed sequences, each masked from the others, and pool each: float32[slots, width]."""
        hidden = self.embeddings(pack.token_ids, pack.positions)
        same = tf.equal(pack.sequences[:, tf.newaxis, :, tf.newaxis], pack.sequences[:, tf.newaxis, tf.newaxis, :])
        bias = tf.cast(1.0 - tf.cast(same, tf.float32), hidden.dtype) * HIDDEN
        for block in self.blocks:
            hidden = block(hidden, bias)
        return tf.cast(self.pool.packed(self, tf.reshape(hidden, [-1, hidden.shape[-1]]), pack), tf.float32)


class Pooling(NamedTuple):
    """How the vectors of a text's tokens become one.

    Attributes:
        padded: Maps the layer, [batch, length, width] and a mask of the tokens, float32[batch, length], to
            [batch, width].
        packed: Maps the layer, [tokens of all rows, width] and the pack to [slots, width].
    """

    padded: Callable[[BertLayer, tf.Tensor, tf.Tensor], tf.Tensor]
    packed: Callable[[BertLayer, tf.Tensor, Pack], tf.Tensor]


def _mean(_: BertLayer, hidden: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    # In float32 whatever the policy: in half precision a sum of hundreds of values loses the small ones.
    hidden = tf.cast(hidden, tf.float32)
    return tf.reduce_sum(hidden * mask[:, :, tf.newaxis], axis=1) / tf.reduce_sum(mask, axis=1, keepdims=True)


def _packed_mean(_: BertLayer, hidden: tf.Tensor, pack: Pack) -> tf.Tensor:
    owners, slots = tf.reshape(pack.sequences, [-1]), tf.shape(pack.starts)[0]
    counts = tf.reduce_sum(tf.cast(tf.equal(tf.range(slots)[:, tf.newaxis], owners), tf.float32), axis=1, keepdims=True)
    return packed.sums(tf.cast(hidden, tf.float32), owners, slots) / tf.maximum(counts, 1.0)


def _first(_: BertLayer, hidden: tf.Tensor, __: tf.Tensor) -> tf.Tensor:
    return hidden[:, 0]


def _packed_first(_: BertLayer, hidden: tf.Tensor, pack: Pack) -> tf.Tensor:
    return tf.gather(hidden, pack.starts)


def _dense_first(layer: BertLayer, hidden: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    return tf.tanh(layer.pooler(hidden[:, 0]))


def _packed_dense_first(layer: BertLayer, hidden: tf.Tensor, pack: Pack) -> tf.Tensor:
    return tf.tanh(layer.pooler(tf.gather(hidden, pack.starts)))


_POOLINGS: Mapping[str, Pooling] = {
    "mean": Pooling(_mean, _packed_mean),
    "cls": Pooling(_first, _packed_first),
    "pooler": Pooling(_dense_first, _packed_dense_first),
}
