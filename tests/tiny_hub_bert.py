"""SavedModels as TensorFlow Hub's BERTs are, tiny: the same names, shapes, calls and assets, written independently."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text

import tiny_bert

WIDTH, HEADS, INNER, LAYERS, POSITIONS = 8, 2, 16, 2, 32
VOCABULARY = tiny_bert.VOCABULARY
Activation = Callable[[tf.Tensor], tf.Tensor]


def gelu_tanh(values: tf.Tensor) -> tf.Tensor:
    return tf.nn.gelu(values, approximate=True)


def gelu_erf(values: tf.Tensor) -> tf.Tensor:
    return tf.nn.gelu(values, approximate=False)


class Garden(tf.__internal__.tracking.AutoTrackable):  # type: ignore[misc]
    """The encoder of the TensorFlow Model Garden.

    Args:
        activation: Of the inner layers.
        words: Values of a word's vector.
        factor: What the vectors are multiplied with at the end; 1 in a BERT.
        prefix: What the variables' names begin with.
        others: Names of further trainable variables.
    """

    def __init__(
        self, activation: Activation, words: int, factor: float, prefix: str = "", others: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self._activation, self._factor = activation, factor
        self._random = np.random.default_rng(5)
        self._prefix = prefix
        self._named: dict[str, tf.Variable] = {}
        self._add("word_embeddings/embeddings", len(VOCABULARY), words)
        self._add("position_embedding/embeddings", POSITIONS, words)
        self._add("type_embeddings/embeddings", 2, words)
        self._add_norm("embeddings/layer_norm", words)
        if words != WIDTH:
            self._add_dense("embedding_projection", (words, WIDTH), (WIDTH,))
        for number in range(LAYERS):
            self._add_block(f"transformer/layer_{number}")
        self._add_dense("pooler_transform", (WIDTH, WIDTH), (WIDTH,))
        for name in others:
            self._add(name, 2)
        self.trainable_variables = list(self._named.values())
        self.variables = [*self.trainable_variables, tf.Variable(True, trainable=False)]  # the real ones' do_lower_case

    def _add(self, name: str, *shape: int, mean: float = 0.0) -> None:
        value = mean + 0.5 * self._random.standard_normal(shape)
        self._named[name] = tf.Variable(value.astype(np.float32), name=self._prefix + name)

    def _add_dense(self, name: str, kernel: tuple[int, ...], bias: tuple[int, ...]) -> None:
        self._add(f"{name}/kernel", *kernel)
        self._add(f"{name}/bias", *bias)

    def _add_norm(self, name: str, width: int) -> None:
        self._add(f"{name}/gamma", width, mean=1.0)
        self._add(f"{name}/beta", width)

    def _add_block(self, name: str) -> None:
        size = WIDTH // HEADS
        for part in ("query", "key", "value"):
            self._add_dense(f"{name}/self_attention/{part}", (WIDTH, HEADS, size), (HEADS, size))
        self._add_dense(f"{name}/self_attention/attention_output", (HEADS, size, WIDTH), (WIDTH,))
        self._add_norm(f"{name}/self_attention_layer_norm", WIDTH)
        self._add_dense(f"{name}/intermediate", (WIDTH, INNER), (INNER,))
        self._add_dense(f"{name}/output", (INNER, WIDTH), (WIDTH,))
        self._add_norm(f"{name}/output_layer_norm", WIDTH)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            {
                name: tf.TensorSpec([None, None], tf.int32, name)
                for name in ("input_word_ids", "input_mask", "input_type_ids")
            }
        ]
    )
    def __call__(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values, length = self._named, tf.shape(inputs["input_word_ids"])[1]
        hidden = tf.gather(values["word_embeddings/embeddings"], inputs["input_word_ids"])
        hidden += values["position_embedding/embeddings"][:length]
        hidden += tf.gather(values["type_embeddings/embeddings"], inputs["input_type_ids"])
        hidden = self._norm("embeddings/layer_norm", hidden)
        if "embedding_projection/kernel" in values:
            hidden = self._dense("embedding_projection", "bli,io->blo", hidden)
        for number in range(LAYERS):
            hidden = self._block(f"transformer/layer_{number}", hidden, inputs["input_mask"])
        pooled = tf.tanh(self._dense("pooler_transform", "bi,io->bo", hidden[:, 0])) * self._factor
        return {"pooled_output": pooled, "default": pooled, "sequence_output": hidden}

    def _block(self, name: str, hidden: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        query, key, value = (
            self._dense(f"{name}/self_attention/{part}", "bli,ihs->blhs", hidden) for part in ("query", "key", "value")
        )
        scores = tf.einsum("bqhs,bkhs->bhqk", query, key) / np.sqrt(WIDTH // HEADS)
        scores += -1e9 * (1.0 - tf.cast(mask, tf.float32))[:, tf.newaxis, tf.newaxis, :]
        mixed = tf.einsum("bhqk,bkhs->bqhs", tf.nn.softmax(scores), value)
        attended = self._dense(f"{name}/self_attention/attention_output", "blhs,hso->blo", mixed)
        hidden = self._norm(f"{name}/self_attention_layer_norm", hidden + attended)
        inner = self._activation(self._dense(f"{name}/intermediate", "bli,io->blo", hidden))
        return self._norm(f"{name}/output_layer_norm", hidden + self._dense(f"{name}/output", "bli,io->blo", inner))

    def _dense(self, name: str, axes: str, values: tf.Tensor) -> tf.Tensor:
        return tf.einsum(axes, values, self._named[f"{name}/kernel"]) + self._named[f"{name}/bias"]

    def _norm(self, name: str, values: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(values, axes=[-1], keepdims=True)
        scaled = (values - mean) * tf.math.rsqrt(variance + 1e-12)
        return scaled * self._named[f"{name}/gamma"] + self._named[f"{name}/beta"]


class WordPieces(tf.__internal__.tracking.AutoTrackable):  # type: ignore[misc]
    """The preprocessor: TensorFlow Text's BertTokenizer, whose vocabulary is an asset."""

    def __init__(self, vocabulary: Path, *, lower_case: bool) -> None:
        super().__init__()
        self.tokenizer: Any = tensorflow_text.BertTokenizer(
            str(vocabulary), lower_case=lower_case, token_out_type=tf.int32
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator]
    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return self.tokenizer.tokenize(self.fold(texts))

    def fold(self, texts: tf.Tensor) -> tf.Tensor:
        """Change what only some preprocessors change."""
        return texts

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[[tf.RaggedTensorSpec([None, None, None], tf.int32)], tf.TensorSpec([], tf.int32, "seq_length")]
    )
    def bert_pack_inputs(self, segments: list[tf.RaggedTensor], seq_length: tf.Tensor) -> dict[str, tf.Tensor]:
        pieces = segments[0].merge_dims(1, 2)[:, : seq_length - 2]
        ends = tf.ones([pieces.nrows(), 1], tf.int32)
        first, last = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")
        ids = tf.concat([ends * first, pieces, ends * last], axis=1)
        return {"input_word_ids": ids.to_tensor()}


class HalfFolded(WordPieces):
    """Folds capital letters, and leaves them their accents."""

    def __init__(self, vocabulary: Path) -> None:
        super().__init__(vocabulary, lower_case=False)

    def fold(self, texts: tf.Tensor) -> tf.Tensor:
        return tf.strings.lower(texts, encoding="utf-8")


def write(
    folder: Path,
    *,
    activation: Activation = gelu_tanh,
    words: int = WIDTH,
    factor: float = 1.0,
    prefix: str = "",
    others: tuple[str, ...] = (),
    lower_case: bool = True,
) -> Path:
    """Write an encoder and its preprocessor, in a folder each."""
    tf.saved_model.save(Garden(activation, words, factor, prefix, others), str(folder / "garden"))
    vocabulary = write_vocabulary(folder.parent)
    tf.saved_model.save(WordPieces(vocabulary, lower_case=lower_case), str(folder / "preprocessor"))
    return folder


def write_vocabulary(folder: Path) -> Path:
    """Write the vocabulary, of which a preprocessor keeps a copy."""
    path = folder / "vocab.txt"
    path.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return path
