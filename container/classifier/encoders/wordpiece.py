"""BERT's tokenizer as TensorFlow operations, so that it is part of the exported model.

The text is normalized with regular expressions, then tokenized by tensorflow_text's FastBertTokenizer (Song et al.,
"Fast WordPiece Tokenization", 2021). The tokenizer's own normalization differs from BERT's in control characters, words
of over 100 characters and compatibility characters such as ``…``; after the one here its tokens are the reference's.

The same tokenizer without TensorFlow is :mod:`classifier.encoders.pieces`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import tensorflow as tf
import tensorflow_text

from classifier.encoders import PortableTokenizer
from classifier.encoders.pieces import ACCENT, CONTROL, FIRST, LAST, LONGEST_WORD, SIGNS, SPACE, UNKNOWN, Pieces, read
from classifier.encoders.texts import TokenPreprocessor

_UNKNOWN_WORD = "\U0010fffd"  # in no vocabulary
_LONG_WORD = rf"[^ ]{{{LONGEST_WORD + 1},}}"


@dataclass(frozen=True, eq=False)
class WordPiece(TokenPreprocessor):
    """BERT's tokenizer over one vocabulary.

    Attributes:
        vocabulary: The tokens, in the order of their ids.
        lower_case: Whether letters are lower-cased and lose their accents first.
    """

    special_tokens: ClassVar[int] = 1
    vocabulary: tuple[str, ...]
    lower_case: bool
    max_sequence_length: int
    tokenizer: Any

    @classmethod
    def from_folder(cls, folder: Path, max_sequence_length: int) -> "WordPiece":
        """Read ``vocab.txt`` and, where it is there, ``tokenizer_config.json``.

        Raises:
            UserError: The vocabulary lacks a token that BERT needs.
        """
        pieces = read(folder)
        tokenizer = tensorflow_text.FastBertTokenizer(
            vocab=list(pieces.vocabulary),
            token_out_type=tf.int32,
            max_bytes_per_word=4 * LONGEST_WORD,
            lower_case_nfd_strip_accents=False,
        )
        return cls(pieces.vocabulary, pieces.lower_case, max_sequence_length, tokenizer)

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
        texts = tf.strings.regex_replace(texts, SPACE, " ")
        texts = tf.strings.regex_replace(texts, CONTROL, "")
        if self.lower_case:
            texts = tf.strings.regex_replace(tensorflow_text.normalize_utf8(texts, "NFD"), ACCENT, "")
            texts = tf.strings.regex_replace(texts, "Σ", "σ")  # lower() would write ς at a word's end, BERT does not
            texts = tf.strings.lower(texts, encoding="utf-8")
        texts = tf.strings.regex_replace(texts, f"[{SIGNS}]", r" \0 ")
        return tf.strings.regex_replace(texts, _LONG_WORD, _UNKNOWN_WORD)

    def portable(self) -> PortableTokenizer | None:
        """Return the same tokenizer without TensorFlow; None where a token is in the vocabulary twice."""
        return Pieces(self.vocabulary, self.lower_case).portable(self.max_sequence_length)
