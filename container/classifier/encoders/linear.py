"""A linear model of n-grams without a network: ``model_id=linear``.

Its tokenizer is BERT's, over a vocabulary of word pieces that is learnt from the training texts, so that its n-grams
are those of words and of parts of words. Its layer has no vectors of use: the top layer's n-grams do everything
(:mod:`classifier.encoders.ngrams`). A saved one is a folder with ``config.json`` and ``vocab.txt``.
"""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras

from classifier.encoders import NO_VECTORS, files, learned_pieces, pieces, wordpiece
from classifier.encoders.files import CONFIG_FILE
from classifier.encoders.pieces import Pieces
from classifier.encoders.wordpiece import UNKNOWN_WORD, WordPiece
from classifier.hyperparameters import LINEAR, Hyperparameters

log = logging.getLogger(__name__)

VOCABULARY_FILE = "vocab.txt"
LONG_WORDS_WARNED_OF = 0.01  # of all words


class NoVectors(tf_keras.layers.Layer):  # type: ignore[misc]
    """Token ids, int32[batch, length], to zeros, float32[batch, 1]."""

    def call(self, token_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return zeros."""
        del training
        return tf.zeros([tf.shape(token_ids)[0], 1], tf.float32)


@dataclass(frozen=True, eq=False)
class LinearEncoder:
    """A tokenizer without a network; the attributes are those of :class:`classifier.encoders.Encoder`."""

    name: str
    preprocessor: WordPiece
    layer: Any
    family: str = "linear"
    pooling: str = NO_VECTORS

    def save(self, folder: Path) -> None:
        """Write the folder that :func:`load` reads."""
        config = {"model_type": LINEAR, "max_sequence_length": self.preprocessor.max_sequence_length}
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        lines = "".join(f"{piece}\n" for piece in self.preprocessor.vocabulary)
        (folder / VOCABULARY_FILE).write_text(lines, encoding="utf-8")


def recognise(folder: Path) -> bool:
    """Return whether a folder holds an encoder of this family."""
    return files.is_of(folder, LINEAR, VOCABULARY_FILE)


def load(folder: Path, name: str, max_sequence_length: int, seed: int = 0) -> LinearEncoder:
    """Load what :meth:`LinearEncoder.save` wrote.

    Args:
        folder: Its files.
        name: Its name in the log and the manifest.
        max_sequence_length: The most tokens of a text that are read.
        seed: Not used.

    Raises:
        UserError: The vocabulary is broken.

    Example:
        >>> settings = Hyperparameters.parse({"model_id": "linear"})
        >>> build(["a good film", "a good car"], settings, None).save(folder)
        >>> encoder = load(folder, "my-model", 256)
        >>> encoder.preprocessor.vocabulary[-1]
        'good'
    """
    del seed
    return _made(name, pieces.read(folder), max_sequence_length)


def build(texts: Sequence[str], settings: Hyperparameters, vectors: Path | None) -> LinearEncoder:
    """Learn a vocabulary.

    Args:
        texts: The training texts.
        settings: The job's hyperparameters.
        vectors: None, as there are no word vectors.
    """
    del vectors
    counts = wordpiece.count(texts, settings.max_sequence_length)
    _warn_of_long_words(counts)
    vocabulary = learned_pieces.learned(counts, settings.vocab_size)
    log.info("event=vocabulary pieces=%d", len(vocabulary))
    return _made(LINEAR, Pieces(vocabulary, lower_case=True), settings.max_sequence_length)


def _made(name: str, found: Pieces, max_sequence_length: int) -> LinearEncoder:
    return LinearEncoder(name, WordPiece.of(found, max_sequence_length), NoVectors(name="linear"))


def _warn_of_long_words(counts: Counter[str]) -> None:
    total = counts.total()
    share = counts.pop(UNKNOWN_WORD, 0) / max(total, 1)
    if share >= LONG_WORDS_WARNED_OF:
        words = (
            f"{share:.1%} of the words have more than {pieces.LONGEST_WORD} characters and are not read; put spaces "
            "between words, or set model_id=cnn, which reads scripts without spaces letter by letter"
        )
        log.warning("event=vocabulary note=%r", words)
