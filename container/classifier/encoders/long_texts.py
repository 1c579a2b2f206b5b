"""Encoders that read texts of more than ``max_sequence_length`` tokens, made of encoders that read token ids.

A text of up to ``max_sequence_length`` tokens has the same vector as without them. Sources: of windows whose vectors
are averaged, and of the head and the tail of a text, Sun et al., "How to Fine-Tune BERT for Text Classification?"
(2019).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from classifier.encoders import Encoder, PortableTokenizer, packed
from classifier.encoders.dropout import RandomLayer
from classifier.encoders.packed import Pack
from classifier.encoders.texts import TokenPreprocessor
from classifier.hyperparameters import HEAD_TAIL, WINDOWS, Hyperparameters

# Windows of a text; what is beyond them is truncated. At the default max_sequence_length, these are 8,130 tokens, some
# 35,000 characters of English. A text is encoded at once, so they bound the memory.
MOST_WINDOWS = 32
# Windows of a text in a training step, chosen at random; with more, a step takes more memory than without windows.
MOST_IN_TRAINING = 1
WIDTH_STEP = 8  # tokens; the width of windows is rounded up, so that there are few different shapes


def longest(window: int, special_tokens: int) -> int:
    """Return the number of tokens of a text that are read in windows, special tokens included.

    Args:
        window: The number of tokens that the encoder reads at once.
        special_tokens: The number of special tokens at each end of a text.
    """
    return MOST_WINDOWS * (window - 2 * special_tokens) + 2 * special_tokens


@dataclass(frozen=True, eq=False)
class LongTextPreprocessor(TokenPreprocessor):
    """A tokenizer of long texts.

    Attributes:
        inner: The encoder's own preprocessor, with a higher limit.
        window: The number of tokens that the encoder reads at once.
        long_texts: How long texts are read: ``head_tail`` or ``windows``.
    """

    inner: TokenPreprocessor
    window: int
    long_texts: str
    max_sequence_length: int
    tokenizer: Any

    @property
    def special_tokens(self) -> int:
        """The number of special tokens at each end of a text."""
        return self.inner.special_tokens

    @property
    def unknown_id(self) -> int | None:
        """The id of the encoder's unknown token."""
        return self.inner.unknown_id

    @property
    def vocabulary_size(self) -> int | None:
        """The number of token ids."""
        return self.inner.vocabulary_size

    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        """Turn string[batch] into int32[batch, length], as the encoder's own preprocessor does."""
        return self.inner.tokenize(texts)

    def portable(self) -> PortableTokenizer | None:
        """Return an equal tokenizer that works without TensorFlow; None where there is none."""
        return self.inner.portable()

    @property
    def reads(self) -> Mapping[str, int | str]:
        """How much of a text is read, for the manifest."""
        return {
            "max_sequence_length": self.window,
            "long_texts": self.long_texts,
            "longest_text": self.max_sequence_length,
        }


@dataclass(frozen=True, eq=False)
class LongTextEncoder:
    """An encoder that reads long texts; the other attributes are those of :class:`classifier.encoders.Encoder`.

    Attributes:
        encoder: The encoder that reads ``max_sequence_length`` tokens.
    """

    encoder: Encoder
    preprocessor: LongTextPreprocessor
    layer: Any

    @property
    def family(self) -> str:
        """The encoder's family."""
        return self.encoder.family

    @property
    def name(self) -> str:
        """The encoder's name."""
        return self.encoder.name

    @property
    def pooling(self) -> str:
        """How the vectors of a window's tokens become one."""
        return self.encoder.pooling

    def save(self, folder: Path) -> None:
        """Write the encoder; how it reads long texts is in the manifest."""
        self.encoder.save(folder)


def reading(encoder: Encoder, long_texts: str, window: int, settings: Hyperparameters) -> LongTextEncoder:
    """Return an encoder that reads long texts, with the weights of one that reads token ids.

    Args:
        encoder: The encoder; its preprocessor is a dataclass.
        long_texts: How long texts are read: ``head_tail`` or ``windows``.
        window: The number of tokens that it reads at once.
        settings: The job's hyperparameters: the seed by which windows are chosen in training, and whether XLA compiles
            the step.
    """
    preprocessor = cast("TokenPreprocessor", encoder.preprocessor)
    special_tokens = preprocessor.special_tokens
    limit = longest(window, special_tokens)
    inner: TokenPreprocessor = replace(cast("Any", preprocessor), max_sequence_length=limit)
    layer = _LAYERS[long_texts](encoder.layer, window, special_tokens, settings)
    layer(tf.zeros([1, 3], tf.int32))
    tokenizer = LongTextPreprocessor(inner, window, long_texts, limit, preprocessor.tokenizer)
    return LongTextEncoder(encoder, tokenizer, layer)


def windows(layer: Any, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return into how many windows texts are divided, int64[texts]; one each, if the layer doesn't divide them.

    Args:
        layer: An encoder's layer.
        lengths: The texts' numbers of tokens, special tokens included, int64[texts].
    """
    if not isinstance(layer, Windows):
        return np.ones(len(lengths), np.int64)
    around = 2 * layer.special_tokens
    return np.maximum(-(-(lengths - around) // (layer.window - around)), 1)


class HeadTail(tf_keras.layers.Layer):  # type: ignore[misc]
    """Token ids int32[batch, length], 0 after a text's end, to one vector per text, float32[batch, width].

    Of a text that is longer than the encoder reads, the first and the last tokens are encoded, as many of either.
    """

    def __init__(self, encoder: Any, window: int, special_tokens: int, settings: Hyperparameters) -> None:  # noqa: ARG002
        super().__init__(name=HEAD_TAIL, dtype="float32")
        self.encoder = encoder
        self.window = window

    @property
    def stages(self) -> list[Any]:
        """The encoder's layers, from the input upwards."""
        return _stages(self.encoder)

    def call(self, token_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Leave out each long text's middle, and encode."""
        width = tf.minimum(tf.shape(token_ids)[1], self.window)
        left_out = tf.maximum(_lengths(token_ids) - self.window, 0)[:, tf.newaxis]
        places = tf.range(width)[tf.newaxis]
        places += tf.where(places < (self.window + 1) // 2, 0, left_out)
        return self.encoder(tf.gather(token_ids, places, batch_dims=1), training=training)

    @property
    def packs(self) -> bool:
        """Whether the encoder reads packed texts."""
        return packed.reads_packed(self.encoder)

    def packed(self, pack: Pack) -> tf.Tensor:
        """Encode packed texts, whose middle is left out already: float32[slots, width]."""
        return self.encoder.packed(pack)


class Divided(NamedTuple):
    """Texts in windows of equal size, each with the special tokens of its text around it.

    Attributes:
        token_ids: int32[batch, windows, width], 0 after a window's end.
        tokens: int32[batch, windows], the number of tokens in each window, special tokens left out.
        present: bool[batch, windows], whether a text has such a window; every text has a first one.
    """

    token_ids: tf.Tensor
    tokens: tf.Tensor
    present: tf.Tensor


class Windows(RandomLayer):
    """Token ids int32[batch, length], 0 after a text's end, to one vector per text, float32[batch, width].

    A text that is longer than the encoder reads is divided into as few windows as possible, of equal size, and the
    vectors of its windows are averaged, weighted by their numbers of tokens. In training, only
    :data:`MOST_IN_TRAINING` of them are read, chosen at random.
    """

    def __init__(self, encoder: Any, window: int, special_tokens: int, settings: Hyperparameters) -> None:
        super().__init__(WINDOWS, settings.seed, dtype="float32")
        self.encoder = encoder
        self.compiled_step = settings.jit_compile == "true"
        self.window = window
        self.special_tokens = special_tokens

    @property
    def stages(self) -> list[Any]:
        """The encoder's layers, from the input upwards."""
        return _stages(self.encoder)

    def call(self, token_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Divide the texts, encode the windows that are there, and average their vectors."""
        windows = self.divide(token_ids, training=training)
        batch, most, width = tf.unstack(tf.shape(windows.token_ids))
        # XLA compiles no shapes that depend on values, so a step that it compiles encodes windows that aren't there.
        every = tf.range(batch * most)
        places = every if training and self.compiled_step else tf.boolean_mask(every, tf.reshape(windows.present, [-1]))
        token_ids = tf.gather(tf.reshape(windows.token_ids, [batch * most, width]), places)
        vectors = self.encoder(token_ids, training=training)
        size = vectors.shape[-1] or tf.shape(vectors)[-1]
        scattered = tf.scatter_nd(places[:, tf.newaxis], vectors, [batch * most, size])
        # The shares are divided first, so that that of a single window is 1 exactly.
        weights = tf.cast(tf.maximum(windows.tokens, 1), tf.float32) * tf.cast(windows.present, tf.float32)
        shares = weights / tf.reduce_sum(weights, axis=1, keepdims=True)
        return tf.reduce_sum(tf.reshape(scattered, [batch, most, size]) * shares[:, :, tf.newaxis], axis=1)

    @property
    def packs(self) -> bool:
        """Whether the encoder reads packed texts."""
        return packed.reads_packed(self.encoder)

    def packed(self, pack: Pack) -> tf.Tensor:
        """Encode packed windows, and average their vectors by text: float32[slots, width]."""
        vectors = self.encoder.packed(pack) * pack.shares[:, tf.newaxis]
        return packed.sums(vectors, pack.texts, tf.shape(pack.texts)[0])

    def divide(self, token_ids: tf.Tensor, training: bool | None = None) -> Divided:
        """Divide texts into windows; in training, only the windows that are used are returned."""
        lengths = _lengths(token_ids)[:, tf.newaxis]
        tokens = tf.maximum(lengths - 2 * self.special_tokens, 0)
        counts = tf.maximum(_quotient(tokens, self.window - 2 * self.special_tokens), 1)
        sizes = tf.maximum(_quotient(tokens, counts), 1)
        numbers = tf.range(tf.reduce_max(counts))[tf.newaxis] + tf.zeros_like(counts)
        if training:
            numbers = self._chosen(numbers, counts)
        present = numbers < counts
        inside = tf.clip_by_value(tokens - numbers * sizes, 0, sizes)
        rounded = WIDTH_STEP * _quotient(tf.reduce_max(sizes) + 2 * self.special_tokens, WIDTH_STEP)
        width = tf.minimum(rounded, tf.minimum(self.window, tf.shape(token_ids)[1]))
        return Divided(self._gathered(token_ids, lengths, numbers * sizes, inside, width), inside, present)

    def _chosen(self, numbers: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        """Return the numbers of the windows to train on, int32[batch, windows], chosen at random."""
        draws = tf.random.stateless_uniform(tf.shape(numbers), self.next_seed())
        draws = tf.where(numbers < counts, draws, -1.0)
        return tf.math.top_k(draws, tf.minimum(tf.shape(numbers)[1], MOST_IN_TRAINING)).indices

    def _gathered(
        self, token_ids: tf.Tensor, lengths: tf.Tensor, starts: tf.Tensor, inside: tf.Tensor, width: tf.Tensor
    ) -> tf.Tensor:
        """Return the token ids of windows, int32[batch, windows, width], by where they start in their texts."""
        places = tf.range(width)[tf.newaxis, tf.newaxis]
        ends = inside[:, :, tf.newaxis] + 2 * self.special_tokens
        sources = starts[:, :, tf.newaxis] + places
        if self.special_tokens:
            last = lengths[:, :, tf.newaxis] - ends  # from a window's place to the same one counted from the text's end
            sources = tf.where(places < self.special_tokens, places, sources)
            sources = tf.where(places >= ends - self.special_tokens, places + last, sources)
        there = places < ends
        sources = tf.where(there, sources, 0)
        found = tf.gather(token_ids, tf.clip_by_value(sources, 0, tf.shape(token_ids)[1] - 1), batch_dims=1)
        return tf.where(there, found, 0)


_LAYERS: Mapping[str, Any] = {HEAD_TAIL: HeadTail, WINDOWS: Windows}


def _stages(encoder: Any) -> list[Any]:
    return list(getattr(encoder, "stages", [encoder]))


def _lengths(token_ids: tf.Tensor) -> tf.Tensor:
    """Return the length of each text, int32[batch]; a 0 before its end is a [PAD] that the text spells out."""
    places = tf.range(1, tf.shape(token_ids)[1] + 1)[tf.newaxis]
    return tf.reduce_max(tf.where(tf.not_equal(token_ids, 0), places, 0), axis=1)


def _quotient(dividend: tf.Tensor, divisor: tf.Tensor | int) -> tf.Tensor:
    """Return the quotient of numbers that are not negative, rounded up."""
    return (dividend + divisor - 1) // divisor
