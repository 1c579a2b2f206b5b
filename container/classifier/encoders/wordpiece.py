"""BERT's tokenizer as TensorFlow operations, so that it is part of the exported model.

The text is prepared with regular expressions, then cut by tensorflow_text's FastBertTokenizer (Song et al., "Fast
WordPiece Tokenization", 2021). That tokenizer's own preparation differs from BERT's in control characters, words over
100 characters and compatibility characters as ``…``; prepared here first, it gives the reference's tokens.

The same steps are :meth:`WordPiece.portable`, for what serves without TensorFlow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from classifier.encoders import PortableTokenizer, files
from classifier.encoders.patterns import oniguruma
from classifier.errors import UserError

LONGEST_WORD = 100  # characters; a longer word is one unknown token
_UNKNOWN_WORD = "\U0010fffd"  # in no vocabulary
_UNKNOWN, _FIRST, _LAST = "[UNK]", "[CLS]", "[SEP]"
_SPACE = r"[\t\n\r\p{Zs}\x{2028}\x{2029}]"
_CONTROL = r"[\x{0}\x{fffd}\p{Cc}\p{Cf}\p{Co}]"
_ACCENT = r"\p{Mn}"
# Characters that are words of their own: signs, and ideographs of the blocks that BERT's code names.
_SIGNS = (
    r"!-/:-@\[-`{-~\p{P}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2CEAF}"
    r"\x{2F800}-\x{2FA1F}"
)
_LONG_WORD = rf"[^ ]{{{LONGEST_WORD + 1},}}"


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
        missing = [token for token in ("[PAD]", _UNKNOWN, _FIRST, _LAST) if token not in vocabulary]
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
        first, last = self.vocabulary.index(_FIRST), self.vocabulary.index(_LAST)
        return tf.concat([ends * first, pieces, ends * last], axis=1).to_tensor()

    def prepare(self, texts: tf.Tensor) -> tf.Tensor:
        """Drop control characters, part words by spaces, and fold letters where the vocabulary is lower case."""
        texts = tf.strings.regex_replace(texts, _SPACE, " ")
        texts = tf.strings.regex_replace(texts, _CONTROL, "")
        if self.lower_case:
            texts = tf.strings.regex_replace(tensorflow_text.normalize_utf8(texts, "NFD"), _ACCENT, "")
            texts = tf.strings.regex_replace(texts, "Σ", "σ")  # lower() would write ς at a word's end, BERT does not
            texts = tf.strings.lower(texts, encoding="utf-8")
        texts = tf.strings.regex_replace(texts, f"[{_SIGNS}]", r" \0 ")
        return tf.strings.regex_replace(texts, _LONG_WORD, _UNKNOWN_WORD)

    def portable(self) -> PortableTokenizer | None:
        """Return the same tokenizer without TensorFlow; None where a token is in the vocabulary twice."""
        ids = {token: place for place, token in enumerate(self.vocabulary)}
        if len(ids) < len(self.vocabulary):
            return None
        tokenizer = Tokenizer(models.WordPiece(ids, unk_token=_UNKNOWN, max_input_chars_per_word=LONGEST_WORD))
        tokenizer.normalizer = normalizers.Sequence(list(self._normalizers()))
        # FastBertTokenizer knows the younger signs, as this does, and parts words there too.
        word = Regex(f"[{_SIGNS}]|[^ {_SIGNS}]+")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(word, "removed", invert=True)
        ends = [(token, ids[token]) for token in (_FIRST, _LAST)]
        # Not added to the vocabulary as special tokens, which would be found in texts that spell them out.
        tokenizer.post_processor = processors.TemplateProcessing(f"{_FIRST} $A {_LAST}", special_tokens=ends)
        tokenizer.enable_truncation(self.max_sequence_length)
        return PortableTokenizer(tokenizer.to_str(), folds_case=False)

    def _normalizers(self) -> Iterator[normalizers.Normalizer]:
        """Yield the steps of :meth:`prepare` up to lower case."""
        yield normalizers.Replace(Regex(oniguruma(_SPACE)), " ")
        yield normalizers.Replace(Regex(oniguruma(_CONTROL)), "")
        if self.lower_case:
            yield normalizers.NFD()
            yield normalizers.Replace(Regex(oniguruma(_ACCENT)), "")
            yield normalizers.Lowercase()  # letter by letter, so that no ς is written
