"""BERT's tokenizer as TensorFlow operations, so that it is part of the exported model.

The text is prepared with regular expressions, then cut by tensorflow_text's FastBertTokenizer (Song et al., "Fast
WordPiece Tokenization", 2021). That tokenizer's own preparation differs from BERT's in control characters, words over
100 characters and compatibility characters as ``…``; prepared here first, it gives the reference's tokens.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text

from classifier.encoders import files
from classifier.errors import UserError

LONGEST_WORD = 100  # characters; a longer word is one unknown token
# Letters and digits up to where the scripts begin whose every character is a word; a class of few ranges, because
# every repetition is a copy of it to the matcher.
_LONG_WORD = rf"[0-9A-Za-z\x{{80}}-\x{{1FFF}}]{{{LONGEST_WORD + 1},}}"
_UNKNOWN_WORD = "\U0010fffd"  # in no vocabulary
_UNKNOWN = "[UNK]"
_SPACE = r"[\t\n\r\p{Zs}\x{2028}\x{2029}]"
_CONTROL = r"[\x{0}\x{fffd}\p{Cc}\p{Cf}\p{Co}]"


@dataclass(frozen=True)
class WordPiece:
    """A vocabulary and how texts are cut by it.

    Attributes:
        vocabulary: The tokens; a token's id is its place.
        lower_case: Whether letters are made small and lose their accents first.
        max_sequence_length: Tokens a text has at most, its first ([CLS]) and last ([SEP]) among them.
    """

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
        vocabulary = files.lines(folder / "vocab.txt")
        missing = [token for token in ("[PAD]", _UNKNOWN, "[CLS]", "[SEP]") if token not in vocabulary]
        if missing or vocabulary[0] != "[PAD]":
            raise UserError(f"vocab.txt: must begin with [PAD]; missing: {', '.join(missing) or 'none'}")
        settings = files.settings(folder / "tokenizer_config.json")
        if settings.get("strip_accents") not in (None, settings.get("do_lower_case", True)):
            raise UserError("tokenizer_config.json: strip_accents must be as do_lower_case is, or left out")
        if settings.get("tokenize_chinese_chars", True) is not True:
            raise UserError("tokenizer_config.json: tokenize_chinese_chars must be true")
        tokenizer = tensorflow_text.FastBertTokenizer(
            vocab=list(vocabulary),
            token_out_type=tf.int32,
            max_bytes_per_word=4 * LONGEST_WORD,
            lower_case_nfd_strip_accents=False,
        )
        return cls(vocabulary, settings.get("do_lower_case", True), max_sequence_length, tokenizer)

    @property
    def unknown_id(self) -> int:
        """The token of a word that can't be put together from the vocabulary."""
        return self.vocabulary.index(_UNKNOWN)

    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        """Turn string[batch] into int32[batch, length]: [CLS], the text's tokens, [SEP], then 0."""
        pieces = self.tokenizer.tokenize(self.prepare(texts))[:, : self.max_sequence_length - 2]
        ends = tf.ones_like(texts, tf.int32)[:, tf.newaxis]
        first, last = self.vocabulary.index("[CLS]"), self.vocabulary.index("[SEP]")
        return tf.concat([ends * first, pieces, ends * last], axis=1).to_tensor()

    def prepare(self, texts: tf.Tensor) -> tf.Tensor:
        """Drop control characters, make every space a space, and fold letters where the vocabulary is lower case."""
        texts = tf.strings.regex_replace(texts, _SPACE, " ")
        texts = tf.strings.regex_replace(texts, _CONTROL, "")
        if self.lower_case:
            texts = tf.strings.regex_replace(tensorflow_text.normalize_utf8(texts, "NFD"), r"\p{Mn}", "")
            texts = tf.strings.regex_replace(texts, "Σ", "σ")  # lower() would write ς at a word's end, BERT does not
            texts = tf.strings.lower(texts, encoding="utf-8")
        return tf.strings.regex_replace(texts, _LONG_WORD, _UNKNOWN_WORD)
