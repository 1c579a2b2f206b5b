"""A vocabulary of words, and the tokenizer that goes with it, as TensorFlow operations of the exported model.

A text is tokenized in this order:

1. Letters are folded (Unicode's NFKC and case folding: ``É`` is ``é``, ``ß`` is ``ss``, full width is half width).
2. Bytes that are not UTF-8, control characters and every kind of space become a space; invisible characters go.
3. Characters of scripts that are written without spaces (:data:`_UNSPACED`) are words of their own.
4. English contractions are cut as the Penn Treebank, and with it most files of word vectors, cut them: ``do n't``,
   ``it 's``.
5. A word is a run of letters, marks and digits, with apostrophes inside it (``l'eau``); any other character is a word
   of its own.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from classifier.encoders import PortableTokenizer, counting, files
from classifier.encoders.patterns import oniguruma
from classifier.encoders.texts import TokenPreprocessor
from classifier.errors import UserError

VOCABULARY_FILE = "vocabulary.txt"
PADDING, UNKNOWN = 0, 1
RESERVED = 2  # ids before the first word's
FEWEST = 2  # times that a word must occur to be kept: the others teach what an unknown word means
LONGEST_WORD = 100  # characters; a longer one, as of encoded data, is not kept

_SPACE = r"[\p{Cc}\p{Zl}\p{Zp}\x{1680}\x{fffd}]"  # the others are spaces once letters are folded
_INVISIBLE = r"\p{Cf}"
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*"
_CONTRACTION = r"n't\b|'(?:s|re|ve|ll|d|m)\b"
_WORD = r"[\p{L}\p{M}\p{N}]+(?:'[\p{L}\p{M}\p{N}]+)*"
_SYMBOL = r"\S\p{M}*"
_TOKEN = rf"{_CONTRACTION}|{_WORD}|{_SYMBOL}"
# A step is a pattern and what each of its matches becomes.
_CLEANING = (
    (_SPACE, " "),
    (_INVISIBLE, ""),
    (r"[’‘ʼ]", "'"),
)
_CUTTING = (
    (_UNSPACED, r" \0 "),
    (rf"(\p{{L}})({_CONTRACTION})", r"\1 \2"),
    (_TOKEN, r"\0 "),
)
# What stands alone after the first two: behind a contraction the last one cuts in any case.
_ALONE = (_UNSPACED, rf"(?<=\p{{L}})(?:{_CONTRACTION})")
_NO_WORD = "\N{REPLACEMENT CHARACTER}"  # what a text without words is read as; it is in no vocabulary


def split(texts: tf.Tensor, most: int) -> tf.RaggedTensor:
    """Split string[batch] into string[batch, (words)], at most ``most`` words per text.

    A text without words gets one word, which no vocabulary has.
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    texts = tensorflow_text.normalize_utf8(tensorflow_text.case_fold_utf8(texts), "NFKC")
    for pattern, replacement in _CLEANING + _CUTTING:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    texts = tf.strings.strip(texts)
    words = tf.strings.split(tf.where(tf.equal(texts, ""), _NO_WORD, texts), maxsplit=most)
    return words[:, :most]  # without the rest of the text, which is the last piece


@dataclass(frozen=True, eq=False)
class Words(TokenPreprocessor):
    """The tokenizer of a vocabulary of words.

    Attributes:
        vocabulary: The words, the most frequent first; a word's id is its index plus :data:`RESERVED`.
        tokenizer: The TensorFlow lookup table from a word to its id.
    """

    vocabulary: tuple[str, ...] = field(repr=False)  # words of the texts, which TensorFlow would put in its warnings
    max_sequence_length: int
    tokenizer: Any

    @classmethod
    def of(cls, vocabulary: Sequence[str], max_sequence_length: int) -> "Words":
        """Build the lookup table of a vocabulary."""
        keys = tf.constant([_NO_WORD, *vocabulary], tf.string)  # TensorFlow makes no table of nothing
        ids = tf.range(UNKNOWN, UNKNOWN + len(keys), dtype=tf.int32)
        initial = tf.lookup.KeyValueTensorInitializer(keys, ids)
        return cls(tuple(vocabulary), max_sequence_length, tf.lookup.StaticHashTable(initial, UNKNOWN))

    @classmethod
    def from_texts(cls, texts: Sequence[str], size: int, max_sequence_length: int) -> "Words":
        """Make a vocabulary of the most frequent words of texts; ties are ordered by code points.

        Args:
            texts: The training texts.
            size: The most words to keep.
            max_sequence_length: The most words of a text that are read, and counted.
        """
        counts = count(texts, max_sequence_length)
        known = ((word, times) for word, times in counts.items() if times >= FEWEST and len(word) <= LONGEST_WORD)
        ranked = sorted(known, key=lambda item: (-item[1], item[0]))
        return cls.of([word for word, _ in ranked[:size]], max_sequence_length)

    @classmethod
    def from_folder(cls, folder: Path, max_sequence_length: int) -> "Words":
        """Read the vocabulary that :meth:`save` wrote.

        Raises:
            UserError: A word is there twice, or the file is not UTF-8.
        """
        vocabulary = [word for word in files.lines(folder / VOCABULARY_FILE) if word]
        if len(set(vocabulary)) != len(vocabulary):
            raise UserError(f"{VOCABULARY_FILE}: has a word twice; copy the model again")
        return cls.of(vocabulary, max_sequence_length)

    @property
    def unknown_id(self) -> int:
        """The id of a word that the vocabulary lacks, and the one token of a text without words."""
        return UNKNOWN

    @property
    def vocabulary_size(self) -> int:
        """The number of token ids."""
        return RESERVED + len(self.vocabulary)

    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        """Turn string[batch] into int32[batch, length]: each word's id, 1 for an unknown word, 0 after a text's end."""
        words = split(texts, self.max_sequence_length)
        return words.with_flat_values(self.tokenizer.lookup(words.flat_values)).to_tensor()

    def portable(self) -> PortableTokenizer:
        """Return the same tokenizer without TensorFlow."""
        ids = {"": PADDING, _NO_WORD: UNKNOWN} | {word: RESERVED + place for place, word in enumerate(self.vocabulary)}
        tokenizer = Tokenizer(models.WordLevel(ids, unk_token=_NO_WORD))
        cleaning = [normalizers.Replace(Regex(oniguruma(pattern)), becomes) for pattern, becomes in _CLEANING]
        tokenizer.normalizer = normalizers.Sequence(cleaning)
        cutting = [pre_tokenizers.Split(Regex(oniguruma(pattern)), "isolated") for pattern in _ALONE]
        tokens = pre_tokenizers.Split(Regex(oniguruma(_TOKEN)), "removed", invert=True)  # without the spaces
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cutting, tokens])
        tokenizer.enable_truncation(self.max_sequence_length)
        return PortableTokenizer(tokenizer.to_str(), folds_case=True)

    def save(self, folder: Path) -> None:
        """Write the vocabulary, one word per line; no word has a line break in it."""
        (folder / VOCABULARY_FILE).write_text("".join(f"{word}\n" for word in self.vocabulary), encoding="utf-8")


def count(texts: Iterable[str], max_sequence_length: int) -> Counter[str]:
    """Count the words that are read."""
    counts = counting.count(texts, lambda some: split(some, max_sequence_length))
    del counts[_NO_WORD]
    return counts
