"""BERT checkpoints: a folder with ``config.json``, ``vocab.txt`` and ``model.safetensors``.

The network is that of Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding" (2018), its weights named as in the Hugging Face format; mean pooling is that of Reimers and Gurevych,
"Sentence-BERT" (2019).
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from classifier.encoders import files
from classifier.encoders.wordpiece import WordPiece
from classifier.errors import UserError, at_most

FILES = ("config.json", "vocab.txt", "model.safetensors")
SMALL_FILES = ("config.json", "vocab.txt", "tokenizer_config.json", "1_Pooling/config.json")

Array = NDArray[Any]


@dataclass(frozen=True)
class BertConfig:
    """The shape of a BERT network; names and defaults are those of ``config.json``."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12

    @classmethod
    def from_file(cls, path: Path) -> "BertConfig":
        """Read ``config.json``.

        Raises:
            UserError: It is not JSON, or describes another kind of network.
        """
        content = files.settings(path)
        given = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        wrong = [name for name, value in given.items() if not isinstance(value, _KINDS[type(getattr(cls, name))])]
        if wrong:
            raise UserError([f"{path.name}: {name} must be {_words(getattr(cls, name))}" for name in wrong])
        config = cls(**given)
        problems = []
        if content.get("model_type", "bert") != "bert":
            problems.append(f"{path.name}: model_type {content['model_type']!r} is not supported; only 'bert' is")
        if content.get("position_embedding_type", "absolute") != "absolute":
            problems.append(f"{path.name}: only absolute position embeddings are supported")
        if config.hidden_act not in _ACTIVATIONS:
            problems.append(f"{path.name}: hidden_act must be one of {', '.join(_ACTIVATIONS)}")
        if config.num_attention_heads < 1 or config.hidden_size % config.num_attention_heads:
            problems.append(f"{path.name}: hidden_size must be a multiple of num_attention_heads")
        if problems:
            raise UserError(problems)
        return config


# What a field of BertConfig may be given as, by the type of its default.
_KINDS: Mapping[type, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}


def _words(default: object) -> str:
    return "text" if isinstance(default, str) else "a number"


def gelu(values: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit, exact (Hendrycks and Gimpel, 2016)."""
    return 0.5 * values * (1.0 + tf.math.erf(values * tf.cast(np.sqrt(0.5), values.dtype)))


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


def _layer_norm(config: BertConfig, name: str) -> Any:
    return tf_keras.layers.LayerNormalization(epsilon=config.layer_norm_eps, name=name)


class Embeddings(tf_keras.layers.Layer):  # type: ignore[misc]
    """int32[batch, length] token ids to float32[batch, length, hidden]."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(name="embeddings")

        def table(rows: int, name: str) -> Any:
            return self.add_weight(name=name, shape=(rows, config.hidden_size), initializer="zeros")

        self.word = table(config.vocab_size, "word")
        self.position = table(config.max_position_embeddings, "position")
        self.token_type = table(config.type_vocab_size, "token_type")
        self.layer_norm = _layer_norm(config, "layer_norm")
        self.dropout = tf_keras.layers.Dropout(config.hidden_dropout_prob)

    def call(self, token_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Sum the embeddings of the word, of the place, and of the first segment."""
        length = tf.shape(token_ids)[1]
        embedded = tf.gather(self.word, token_ids) + self.position[tf.newaxis, :length] + self.token_type[0]
        return self.dropout(self.layer_norm(embedded), training=training)


class Block(tf_keras.layers.Layer):  # type: ignore[misc]
    """One transformer block: self-attention, then two dense layers, each with its residual and norm."""

    def __init__(self, config: BertConfig, name: str) -> None:
        super().__init__(name=name)
        self.heads = config.num_attention_heads
        self.head_size = config.hidden_size // config.num_attention_heads
        self.query = _dense(config.hidden_size, "query")
        self.key = _dense(config.hidden_size, "key")
        self.value = _dense(config.hidden_size, "value")
        self.attention_output = _dense(config.hidden_size, "attention_output")
        self.attention_norm = _layer_norm(config, "attention_norm")
        self.intermediate = _dense(config.intermediate_size, "intermediate")
        self.output_dense = _dense(config.hidden_size, "output_dense")
        self.output_norm = _layer_norm(config, "output_norm")
        self.activation = _ACTIVATIONS[config.hidden_act]
        self.attention_dropout = tf_keras.layers.Dropout(config.attention_probs_dropout_prob)
        self.dropout = tf_keras.layers.Dropout(config.hidden_dropout_prob)

    def call(self, hidden: tf.Tensor, bias: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Map [batch, length, hidden] to the same shape; ``bias`` [batch, 1, 1, length] hides padding."""
        attended = self.attention_output(self.attend(hidden, bias, training))
        hidden = self.attention_norm(hidden + self.dropout(attended, training=training))
        expanded = self.activation(self.intermediate(hidden))
        return self.output_norm(hidden + self.dropout(self.output_dense(expanded), training=training))

    def attend(self, hidden: tf.Tensor, bias: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Scaled dot-product attention of every head; [batch, length, hidden] in and out."""
        batch, length = tf.shape(hidden)[0], tf.shape(hidden)[1]

        def split(values: tf.Tensor) -> tf.Tensor:  # [batch, heads, length, head_size]
            return tf.transpose(tf.reshape(values, [batch, length, self.heads, self.head_size]), [0, 2, 1, 3])

        query = split(self.query(hidden)) * (self.head_size**-0.5)
        scores = tf.matmul(query, split(self.key(hidden)), transpose_b=True) + bias
        weights = self.attention_dropout(tf.nn.softmax(scores), training=training)
        mixed = tf.transpose(tf.matmul(weights, split(self.value(hidden))), [0, 2, 1, 3])
        return tf.reshape(mixed, [batch, length, self.heads * self.head_size])


class BertLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    """Token ids int32[batch, length], 0 after a text's end, to one vector a text, float32[batch, hidden]."""

    def __init__(self, config: BertConfig, pooling: str) -> None:
        super().__init__(name="bert")
        self.embeddings = Embeddings(config)
        self.blocks = [Block(config, f"block_{index}") for index in range(config.num_hidden_layers)]
        self.pool = _POOLINGS[pooling]
        self.pooler: Any = _dense(config.hidden_size, "pooler") if pooling == "pooler" else None

    def call(self, token_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode and pool."""
        hidden = self.embeddings(token_ids, training=training)
        mask = tf.cast(tf.not_equal(token_ids, 0), hidden.dtype)
        bias = (1.0 - mask[:, tf.newaxis, tf.newaxis, :]) * -1e4
        for block in self.blocks:
            hidden = block(hidden, bias, training=training)
        return self.pool(self, hidden, mask)


def _pool_mean(_: BertLayer, hidden: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(hidden * mask[:, :, tf.newaxis], axis=1) / tf.reduce_sum(mask, axis=1, keepdims=True)


def _pool_first(_: BertLayer, hidden: tf.Tensor, __: tf.Tensor) -> tf.Tensor:
    return hidden[:, 0]


def _pool_dense(layer: BertLayer, hidden: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    return tf.tanh(layer.pooler(hidden[:, 0]))


_SENTENCE_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_POOLINGS = {"mean": _pool_mean, "cls": _pool_first, "pooler": _pool_dense}


@dataclass(frozen=True)
class BertEncoder:
    """A loaded checkpoint; the attributes are those of :class:`classifier.encoders.Encoder`."""

    name: str
    pooling: str
    wordpiece: WordPiece
    layer: BertLayer
    folder: Path
    family: str = "bert"
    tokens: bool = True

    @property
    def tokenizer(self) -> Any:
        """What TensorFlow must keep track of for :meth:`tokenize` to be exported."""
        return self.wordpiece.tokenizer

    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        """Turn string[batch] into int32[batch, length]."""
        return self.wordpiece.tokenize(texts)

    def save(self, folder: Path) -> None:
        """Write a checkpoint that :func:`load` and other programs for BERT read."""
        for name in SMALL_FILES:
            if (self.folder / name).is_file():
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(self.folder / name, folder / name)
        save_file(checkpoint(self.layer), folder / "model.safetensors")


def recognise(folder: Path) -> bool:
    """Say whether a folder holds a checkpoint of this family."""
    return all((folder / name).is_file() for name in FILES)


def load(folder: Path, name: str, max_sequence_length: int) -> BertEncoder:
    """Build the network and give it the checkpoint's weights.

    Raises:
        UserError: A file is broken, of another architecture, or lacks weights.
    """
    config = BertConfig.from_file(folder / "config.json")
    try:
        tensors = load_file(folder / "model.safetensors")
    except SafetensorError as error:
        raise UserError(f"model.safetensors: not a safetensors file ({error}); copy it again") from None
    tensors = {_plain_name(key): value for key, value in tensors.items()}
    pooling = _pooling_of(folder, tensors)
    wordpiece = WordPiece.from_folder(folder, min(max_sequence_length, config.max_position_embeddings))
    if len(wordpiece.vocabulary) > config.vocab_size:
        raise UserError(
            f"vocab.txt has {len(wordpiece.vocabulary)} lines and config.json says vocab_size {config.vocab_size}; "
            "the two files are not of the same checkpoint"
        )
    layer = BertLayer(config, pooling)
    layer(tf.zeros([1, 3], tf.int32))
    _assign(layer, tensors)
    return BertEncoder(name, pooling, wordpiece, layer, folder)


def _plain_name(key: str) -> str:
    key = key.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
    return key.replace("LayerNorm.beta", "LayerNorm.bias")


def _pooling_of(folder: Path, tensors: Mapping[str, Array]) -> str:
    """Mean where the checkpoint is a sentence encoder, else the trained pooler, else the first token's vector."""
    modes = files.settings(folder / "1_Pooling" / "config.json")
    if modes:
        chosen = [name for name, on in modes.items() if name.startswith("pooling_mode_") and on is True]
        if len(chosen) != 1 or chosen[0] not in _SENTENCE_POOLINGS:
            raise UserError(f"1_Pooling/config.json: must choose one of {', '.join(_SENTENCE_POOLINGS)}, and no other")
        return _SENTENCE_POOLINGS[chosen[0]]
    return "pooler" if "pooler.dense.weight" in tensors else "cls"


def _weights(layer: BertLayer) -> Iterator[tuple[str, tf.Variable, bool]]:
    """Yield each weight's name in the file, its variable, and whether the file holds it transposed."""

    def dense(name: str, target: Any) -> Iterator[tuple[str, tf.Variable, bool]]:
        yield f"{name}.weight", target.kernel, True
        yield f"{name}.bias", target.bias, False

    def norm(name: str, target: Any) -> Iterator[tuple[str, tf.Variable, bool]]:
        yield f"{name}.weight", target.gamma, False
        yield f"{name}.bias", target.beta, False

    yield "embeddings.word_embeddings.weight", layer.embeddings.word, False
    yield "embeddings.position_embeddings.weight", layer.embeddings.position, False
    yield "embeddings.token_type_embeddings.weight", layer.embeddings.token_type, False
    yield from norm("embeddings.LayerNorm", layer.embeddings.layer_norm)
    for index, block in enumerate(layer.blocks):
        prefix = f"encoder.layer.{index}"
        yield from dense(f"{prefix}.attention.self.query", block.query)
        yield from dense(f"{prefix}.attention.self.key", block.key)
        yield from dense(f"{prefix}.attention.self.value", block.value)
        yield from dense(f"{prefix}.attention.output.dense", block.attention_output)
        yield from norm(f"{prefix}.attention.output.LayerNorm", block.attention_norm)
        yield from dense(f"{prefix}.intermediate.dense", block.intermediate)
        yield from dense(f"{prefix}.output.dense", block.output_dense)
        yield from norm(f"{prefix}.output.LayerNorm", block.output_norm)
    if layer.pooler is not None:
        yield from dense("pooler.dense", layer.pooler)


def _assign(layer: BertLayer, tensors: Mapping[str, Array]) -> None:
    problems = []
    for name, variable, transposed in _weights(layer):
        value = tensors.get(name)
        if value is None:
            problems.append(f"model.safetensors: weight {name} is missing")
            continue
        value = value.T if transposed else value
        if value.shape != tuple(variable.shape):
            problems.append(f"model.safetensors: {name} has shape {value.shape}, config.json says {variable.shape}")
            continue
        variable.assign(value.astype(np.float32))
    if problems:
        raise UserError(at_most(problems))


def checkpoint(layer: BertLayer) -> dict[str, Array]:
    """Return the weights under their names in ``model.safetensors``, in the shapes that file has."""
    return {
        name: np.ascontiguousarray(variable.numpy().T if transposed else variable.numpy())
        for name, variable, transposed in _weights(layer)
    }
