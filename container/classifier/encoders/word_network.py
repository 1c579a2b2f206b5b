"""What the networks over words share that are trained from scratch: word embeddings and a file format.

A saved network is a folder with ``config.json`` (the shape), ``vocabulary.txt`` (one word per line) and
``model.safetensors`` (the weights).
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from safetensors.numpy import save_file

from classifier.encoders import files, word_vectors
from classifier.encoders.dropout import Dropout
from classifier.encoders.files import CONFIG_FILE
from classifier.encoders.words import RESERVED, VOCABULARY_FILE, Words
from classifier.errors import UserError, at_most
from classifier.hyperparameters import SCHEMA, Hyperparameters, unquote

WEIGHTS_FILE = "model.safetensors"
WIDEST_FIRST_VALUE = 0.05  # of a word vector before training

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shape:
    """The hyperparameters of a network; subclasses add their own. Every field is named like its hyperparameter."""

    embed_size: int
    hidden_size: int
    dropout_rate: float


class WordEmbedding(tf_keras.layers.Layer):  # type: ignore[misc]
    """Word ids int32[batch, length] to word vectors float[batch, length, width], with zeros after a text's end."""

    def __init__(self, words: int, shape: Shape, seed: int) -> None:
        super().__init__(name="words")
        self.table = self.add_weight(
            name="table",
            shape=(RESERVED + words, shape.embed_size),
            initializer=tf_keras.initializers.RandomUniform(-WIDEST_FIRST_VALUE, WIDEST_FIRST_VALUE, seed=seed),
        )
        self.dropout = Dropout(shape.dropout_rate, seed)

    def call(self, word_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Look the words up."""
        vectors = self.dropout(tf.gather(self.table, word_ids), training=training)
        return vectors * mask(word_ids, vectors.dtype)

    def start_from(self, vectors: NDArray[np.float32]) -> None:
        """Initialize the words with vectors, float32[words, width]."""
        self.table.assign(np.concatenate([self.table.numpy()[:RESERVED], vectors]))


def mask(word_ids: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Return [batch, length, 1]: 1 for a word, 0 after a text's end."""
    return tf.cast(tf.not_equal(word_ids, 0), dtype)[:, :, tf.newaxis]


@dataclass(frozen=True, eq=False)
class WordEncoder:
    """A network over words; the other attributes are those of :class:`classifier.encoders.Encoder`.

    Attributes:
        config: The content of ``config.json``.
    """

    family: str
    name: str
    preprocessor: Words
    layer: Any
    config: Mapping[str, Any]
    pooling: str = "max"

    def save(self, folder: Path) -> None:
        """Write the folder that :meth:`Family.load` reads."""
        (folder / CONFIG_FILE).write_text(json.dumps(self.config, indent=2) + "\n", encoding="utf-8")
        self.preprocessor.save(folder)
        save_file({name: weight.numpy() for name, weight in self.layer.named().items()}, folder / WEIGHTS_FILE)


@dataclass(frozen=True)
class Family:
    """A family of networks over words, as :class:`classifier.encoders.FromScratchFamily` describes it.

    Attributes:
        module: The name of its module.
        model_id: Its name in jobs and in ``config.json``.
        shape: A subclass of :class:`Shape`.
        layer: Builds the tf_keras layer from the number of words, a shape and a seed. The layer has ``words``, a
            :class:`WordEmbedding`, and ``named()``, its weights by their names in a file.
    """

    module: str
    model_id: str
    shape: type[Shape]
    layer: Callable[[int, Any, int], Any]

    def recognise(self, folder: Path) -> bool:
        """Return whether a folder holds a network of this family."""
        return files.is_of(folder, self.model_id, VOCABULARY_FILE, WEIGHTS_FILE)

    def load(self, folder: Path, name: str, max_sequence_length: int, seed: int = 0) -> WordEncoder:
        """Load the network that :meth:`WordEncoder.save` wrote.

        Args:
            folder: Its files.
            name: Its name in the log and the manifest.
            max_sequence_length: The most words of a text that are read.
            seed: The seed of the dropout.

        Raises:
            UserError: A file is broken, or the files are not of one network.

        Example:
            >>> from classifier.encoders import convolutional
            >>> settings = Hyperparameters.parse({"model_id": "cnn"})
            >>> convolutional.build(["a good film", "a good car"], settings, None).save(folder)
            >>> convolutional.load(folder, "my-network", 256).preprocessor.vocabulary
            ('a', 'good')
        """
        shape = self._shape_in(files.settings(folder / CONFIG_FILE))
        words = Words.from_folder(folder, max_sequence_length)
        weights = files.tensors(folder / WEIGHTS_FILE)
        encoder = self._made(name, words, shape, seed)
        _assign(encoder.layer.named(), weights)
        return encoder

    def build(self, texts: Sequence[str], settings: Hyperparameters, vectors: Path | None) -> WordEncoder:
        """Build a network with untrained weights.

        Args:
            texts: The training texts, from which the vocabulary is made.
            settings: The job's hyperparameters.
            vectors: A file of word vectors to initialize the embeddings from; None for random ones.

        Raises:
            UserError: The file of word vectors is broken.

        Example:
            >>> from classifier.encoders import recurrent
            >>> settings = Hyperparameters.parse({"model_id": "lstm", "hidden_size": "8", "bidirectional": "False"})
            >>> encoder = recurrent.build(["a good film", "a good car"], settings, None)
            >>> encoder.layer(encoder.preprocessor.tokenize(tf.constant(["Good, a film!"]))).shape
            TensorShape([1, 8])
        """
        words = Words.from_texts(texts, settings.vocab_size, settings.max_sequence_length)
        log.info("event=vocabulary words=%d", len(words.vocabulary))
        given = {field.name: getattr(settings, field.name) for field in fields(self.shape)}
        if vectors is None:
            return self._made(self.model_id, words, self.shape(**given), settings.seed)
        read = word_vectors.read(vectors, words.vocabulary, settings.seed)
        width = read.table.shape[1]
        log.info(
            "event=word_vectors file=%r found=%d of=%d embed_size=%d embed_size_from='the file'",
            vectors.name, read.found, len(words.vocabulary), width,
        )  # fmt: skip
        encoder = self._made(self.model_id, words, self.shape(**given | {"embed_size": width}), settings.seed)
        encoder.layer.words.start_from(read.table)
        return encoder

    def _made(self, name: str, words: Words, shape: Shape, seed: int) -> WordEncoder:
        layer = self.layer(len(words.vocabulary), shape, seed)
        layer(tf.ones([1, 2], tf.int32))
        config = {"model_type": self.model_id, **asdict(shape), "max_sequence_length": words.max_sequence_length}
        return WordEncoder(self.module, name, words, layer, config)

    def _shape_in(self, content: Mapping[str, Any]) -> Shape:
        values: dict[str, Any] = {}
        problems: list[str] = []
        for field in fields(self.shape):
            kind = SCHEMA[field.name].kind
            try:
                values[field.name] = kind.parse(unquote(content[field.name]))
            except (KeyError, ValueError, OverflowError):
                problems.append(f"{CONFIG_FILE}: {field.name} must be {kind.words}; copy the model again")
        if problems:
            raise UserError(problems)
        return self.shape(**values)


def _assign(variables: Mapping[str, tf.Variable], weights: Mapping[str, NDArray[Any]]) -> None:
    problems = []
    for name, variable in variables.items():
        if name not in weights:
            problems.append(f"{WEIGHTS_FILE}: weight {name} is missing")
        elif weights[name].shape != tuple(variable.shape):
            problems.append(
                f"{WEIGHTS_FILE}: {name} has shape {weights[name].shape}, where {CONFIG_FILE} and {VOCABULARY_FILE} "
                f"say {tuple(variable.shape)}"
            )
        else:
            variable.assign(weights[name].astype(np.float32))
    if problems:
        raise UserError(at_most(problems))
