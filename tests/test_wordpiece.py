"""Tokens are the reference tokenizer's, whatever the text."""

import random
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
import tensorflow as tf
from tokenizers import BertWordPieceTokenizer

import tiny_bert
from classifier.encoders.wordpiece import WordPiece
from classifier.errors import UserError
from jobs import ROOT

ENCODER = ROOT / "container" / "pretrained" / "all-minilm-l6-v2"
HOSTILE = [
    "",
    "   ",
    "\t\n\r",
    "a\x00b",
    "a\x7fb",
    "\x85c\x0b\x0c",
    "\u200b\u200d zero width",
    "\ufeffBOM",
    "\ufffd",
    "日本語 テスト",
    "中文字" * 150,
    "가나다 라마",
    "İstanbul ſ ß",
    "naïve façade É é ñ Å",
    "ﬁ ligature … ½ №",
    "𝔘𝔫𝔦 \U0001f600\U0001f3fd",
    "don't stop; e-mail@x.y (a/b) ^`~$+<=>|",
    "a" * 100,
    "a" * 101,
    "b" * 399,
    "é" * 100,
    "é" * 101,
    "ก" * 60,
    "ก" * 101,
    "x" * 50 + "," + "y" * 120 + " z",
    "\u3000wide\u00a0space\u2028line\u2029",
    "1" * 5000,
    "the " * 3000,
    "מִבְחָן العربية हिन्दी",
]


@pytest.fixture(scope="module")
def wordpiece() -> WordPiece:
    return WordPiece.from_folder(ENCODER, 128)


@pytest.fixture(scope="module")
def reference() -> BertWordPieceTokenizer:
    tokenizer = BertWordPieceTokenizer(str(ENCODER / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(128)
    return tokenizer


def tokens(wordpiece: WordPiece, texts: Sequence[str]) -> list[list[int]]:
    function = tf.function(wordpiece.tokenize, input_signature=[tf.TensorSpec([None], tf.string)])
    result: list[list[int]] = []
    for start in range(0, len(texts), 1000):
        batch = function(tf.constant([text.encode() for text in texts[start : start + 1000]])).numpy()
        result.extend(row[row != 0].tolist() for row in batch)
    return result


def assert_equal(wordpiece: WordPiece, reference: BertWordPieceTokenizer, texts: Sequence[str]) -> None:
    expected = [encoding.ids for encoding in reference.encode_batch(list(texts))]
    different = [
        repr(text[:40]) for text, a, b in zip(texts, tokens(wordpiece, texts), expected, strict=True) if a != b
    ]
    assert different == []


def test_hostile_texts_get_the_references_tokens(wordpiece: WordPiece, reference: BertWordPieceTokenizer) -> None:
    assert_equal(wordpiece, reference, HOSTILE)


def test_random_characters_get_the_references_tokens(wordpiece: WordPiece, reference: BertWordPieceTokenizer) -> None:
    generator = random.Random(1)  # noqa: S311  it makes texts, not secrets
    alphabets = [
        range(0x20, 0x7F),
        range(0xA0, 0x250),
        range(0x370, 0x530),
        range(0x3040, 0x30FF),
        range(0x4E00, 0x4F00),
    ]
    texts = [
        "".join(chr(generator.choice(generator.choice(alphabets))) for _ in range(generator.randrange(60)))
        for _ in range(2000)
    ]
    assert_equal(wordpiece, reference, texts)


def test_characters_younger_than_the_references_tables_are_the_only_ones_read_differently(
    wordpiece: WordPiece, reference: BertWordPieceTokenizer
) -> None:
    characters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]
    texts = [f"a{character}b" for character in characters]
    expected = [encoding.ids for encoding in reference.encode_batch(texts)]
    different = [c for c, a, b in zip(characters, tokens(wordpiece, texts), expected, strict=True) if a != b]
    assert len(different) < 0.003 * len(characters)
    assert min(different) > "\u0600"


def test_fifty_thousand_real_texts_get_the_references_tokens(
    wordpiece: WordPiece, reference: BertWordPieceTokenizer, real_texts: list[str]
) -> None:
    assert len(real_texts) > 40_000
    assert_equal(wordpiece, reference, real_texts)


def test_words_in_the_text_never_become_special_tokens(wordpiece: WordPiece) -> None:
    (ids,) = tokens(wordpiece, ["[CLS] [SEP] [PAD] [MASK]"])
    assert ids[0] == 101
    assert ids[-1] == 102
    assert not {0, 101, 102, 103} & set(ids[1:-1])


def test_a_cased_vocabulary_keeps_its_case(tmp_path: Path) -> None:
    tiny_bert.write(tmp_path)
    lower = WordPiece.from_folder(tmp_path, 16)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    cased = WordPiece.from_folder(tmp_path, 16)
    unknown = lower.vocabulary.index("[UNK]")
    assert unknown not in tokens(lower, ["The FILM"])[0]
    assert tokens(cased, ["The FILM"])[0][1:3] == [unknown, unknown]


def test_no_text_is_longer_than_the_limit_and_every_text_ends(wordpiece: WordPiece) -> None:
    short = WordPiece(wordpiece.vocabulary, lower_case=True, max_sequence_length=3, tokenizer=wordpiece.tokenizer)
    assert [len(row) for row in tokens(short, ["one two three", "", "one"])] == [3, 2, 3]


def test_a_vocabulary_without_berts_tokens_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\nword\n")
    with pytest.raises(UserError, match=r"missing: \[UNK\], \[CLS\], \[SEP\]"):
        WordPiece.from_folder(tmp_path, 16)
