"""BERT's tokenizer as TensorFlow operations, so that it is part of the exported model.

The text is normalized with regular expressions, then tokenized by tensorflow_text's FastBertTokenizer (Song et al.,
"Fast WordPiece Tokenization", 2021). The tokenizer's own normalization differs from BERT's in control characters, words
of over 100 characters and compatibility characters such as ``…``; after the one here its tokens are the reference's.

The same tokenizer without TensorFlow is :mod:`classifier.encoders.pieces`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text

from classifier.encoders import PortableTokenizer, counting
from classifier.encoders.pieces import ACCENT, CONTROL, FIRST, LAST, LONGEST_WORD, SIGNS, SPACE, UNKNOWN, Pieces, read
from classifier.encoders.texts import TokenPreprocessor

UNKNOWN_WORD = "\U0010fffd"  # what a word that is too long is read as; it is in no vocabulary
_LONG_WORD = rf"[^ ]{{{LONGEST_WORD + 1},}}"


@dataclass(frozen=True, eq=False)
class WordPiece(TokenPreprocessor):
    """BERT's tokenizer over one vocabulary.

    Attributes:
        vocabulary: The tokens, in the order of their ids.
        lower_case: Whether letters are lower-cased and lose their accents first.
    """

    vocabulary: tuple[str, ...] = field(repr=False)  # may be words of texts, which TensorFlow would put in warnings
    lower_case: bool
    max_sequence_length: int
    tokenizer: Any

    @classmethod
    def from_folder(cls, folder: Path, max_sequence_length: int) -> "WordPiece":
        """Read ``vocab.txt``, or else ``tokenizer.json``, and, where it is there, ``tokenizer_config.json``.

        Raises:
            UserError: The vocabulary lacks a token that BERT needs, or texts are split in another way than BERT's.
        """
        return cls.of(read(folder), max_sequence_length)

    @classmethod
    def of(cls, pieces: Pieces, max_sequence_length: int) -> "WordPiece":
        """Build the tokenizer of a vocabulary."""
        tokenizer = tensorflow_text.FastBertTokenizer(
            vocab=list(pieces.vocabulary),
            token_out_type=tf.int32,
            max_bytes_per_word=4 * LONGEST_WORD,
            lower_case_nfd_strip_accents=False,
        )
        return cls(pieces.vocabulary, pieces.lower_case, max_sequence_length, tokenizer)

    @property
    def special_tokens(self) -> int:
        """The number of special tokens, such as [CLS], at each end of a text."""
        return 1

    @property
    def unknown_id(self) -> int:
        """The token of a word that can't be put together from the vocabulary."""
        return self.vocabulary.index(UNKNOWN)

    @property
    def vocabulary_size(self) -> int:
        """The number of token ids."""
        return len(self.vocabulary)

    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        """Turn string[batch] into int32[batch, length]: [CLS], the text's tokens, [SEP], then 0."""
        pieces = self.tokenizer.tokenize(self.prepare(texts))[:, : self.max_sequence_length - 2]
        ends = tf.ones_like(texts, tf.int32)[:, tf.newaxis]
        first, last = self.vocabulary.index(FIRST), self.vocabulary.index(LAST)
        return tf.concat([ends * first, pieces, ends * last], axis=1).to_tensor()

    def prepare(self, texts: tf.Tensor) -> tf.Tensor:
        """Drop control characters, separate words by spaces, and lower-case letters if the vocabulary is lower case."""
        return prepared(texts, lower_case=self.lower_case)

    def portable(self) -> PortableTokenizer | None:
        """Return the same tokenizer without TensorFlow; None where a token is in the vocabulary twice."""
        return Pieces(self.vocabulary, self.lower_case).portable(self.max_sequence_length)


def prepared(texts: tf.Tensor, *, lower_case: bool) -> tf.Tensor:
    """Return string[batch] without control characters, words and signs separated by spaces.

    Args:
        texts: string[batch], UTF-8.
        lower_case: Whether letters are lower-cased and lose their accents.
    """
    texts = tf.strings.regex_replace(texts, SPACE, " ")
    texts = tf.strings.regex_replace(texts, CONTROL, "")
    if lower_case:
        texts = tf.strings.regex_replace(tensorflow_text.normalize_utf8(texts, "NFD"), ACCENT, "")
        texts = tf.strings.regex_replace(texts, "Σ", "σ")  # lower() would write ς at a word's end, BERT does not
        texts = tf.strings.lower(texts, encoding="utf-8")
    texts = tf.strings.regex_replace(texts, f"[{SIGNS}]", r" \0 ")
    return tf.strings.regex_replace(texts, _LONG_WORD, UNKNOWN_WORD)


def count(texts: Iterable[str], most: int) -> Counter[str]:
    """Count the words of texts, in lower case, at most ``most`` words per text; :data:`UNKNOWN_WORD` is a long one."""

    def split(some: tf.Tensor) -> tf.RaggedTensor:
        return tf.strings.split(prepared(some, lower_case=True))[:, :most]

    return counting.count(texts, split)
