"""Without TensorFlow a text is cut into the very tokens it is cut into with it."""

import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer, Tokenizer, models

import tiny_bert
from classifier.backends import Encoded, tokenization
from classifier.backends.saved_model import TokensBackend
from classifier.backends.tokenization import Tokenization
from classifier.encoders import words
from classifier.encoders.wordpiece import WordPiece
from classifier.encoders.words import Words
from classifier.errors import UserError
from jobs import ROOT

ENCODER = ROOT / "container" / "pretrained" / "all-minilm-l6-v2"
LENGTH = 128  # tokens
PROSE = "The quick brown fox isn't lazy, and naïve café owners don't mind. "
LONG_WORDS = [
    "a" * 100 + " " + "a" * 101 + "," + "b" * 100,
    *("か" * length for length in (100, 101, 133, 134)),
    "a" * 60 + "か" * 60,
    "ก" * 101,
    "É" * 51,
    "가" * 34,
    "\U00010400" * 101,
    "བོད་ཡིག་" * 40,
    "ሰላም፡" * 40,
    "كلمة،" * 40,
]
HOSTILE = [
    "",
    " ",
    " \t\n\r\x0b\x0c\x1c\x85\u2028\u2029",
    *(f"a{character}b" for character in "\0\x01\x1b\x7f\x80\x85\x9f\xad"),
    "\ud800 lone \udfff halves \ud83d\ude00",
    "\ud800",
    "[CLS] [SEP] [PAD] [MASK] [UNK] [unused1] ##ing [CLS][SEP]",
    "İstanbul ISPARTA ıŞIK i̇ I\u0307",
    "ΟΔΥΣΣΕΥΣ Σ σς Σ. ΑΣΑ",
    "Straße STRASSE ẞ ﬁne ﬃ ſtop",
    "ＡＢＣ　１２３ ﾊﾟﾊﾞ ﾞ",
    "漢字かな交じり文 カタカナ 中文字 㐀𠀀𫠠𬺰 豈",
    "ที่นี่ ภาษาไทย ភាសាខ្មែរ မြန်မာ ພາສາລາວ",
    "각각 \u1100\u1161\u11a8 한국어 \uac00\u11a8 \u3131\u3164",
    "\ue000 \U000f0000 \U0010fffd private",
    "\u0378 \uffff \U000e0080 \U0003ffff unassigned",
    "\u200b\u200c\u200d\u2060\ufeff zero\u200bwidth a\u200d\u0301b",
    "e\u0301 a\u0323\u0307 a\u0307\u0323 \u0301 a\u034f\u0301 q\u0303's",
    "\u037a\u0301 \u0345\u0301 \u1fb3\u0301 ᾳ ᾼ \u0344",
    "❤️ 👩‍💻 👨‍👩‍👧‍👦 🇩🇪 1️⃣ \U0001f44b\U0001f3fd",
    "ﷺ … ½ № ™ ㋿ ℂ 𝐀𝚺𝛓 ⑳ ㍿",
    "l'eau o'clock 'quoted' don't DON’T dn't's n'tn't a'll've a's_b n'té it's漢 'S 's",
    "مرحبا، שלום नमस्ते। ሰላም፡ዓለም བོད་ཡིག",
    "\u1680 \u180e \u2003 \u202f \u205f \u00a0 spaces",
    "\u06dd \u08e2 \U000110bd formats \U000e0001\U000e0041",
    "𐐀𐐨 Ꭰꭰ Ⴀⴀ \u1c90 \u10d0 Ⱥⱥ",
    "'" * 300,
    "!" * 300,
    "é" * 100_000,
    "x'" * 50_000,
    *LONG_WORDS,
    PROSE * 1500,
    "漢字" * 50_000,
    "a " + "x" * 100_000,
    " " * 100_000,
    "ﷺ" * 20_000,
]
# Characters that an uncased vocabulary of word pieces would have to hold for it to matter that one side does not know
# what is made of them. Small letters: TensorFlow's tables are Unicode 13's, the others Unicode 16's and later.
CAPITALS = (
    "1C89 2C2F A7C0 A7CB-A7CC A7CE A7D0 A7D2 A7D4 A7D6 A7D8 A7DA A7DC 10570-1057A 1057C-1058A 1058C-10592 10594-10595 "
    "10D50-10D65 16EA0-16EB8"
)
# Letters they are made of: the tables of the tokenizers library are Unicode 9's, TensorFlow Text's Unicode 16's.
COMPOSED = "105C9 105E4 11383 11385 1138E 11391 113C5 113C7-113C8 11938 16121-16128 16D68-16D6A"
# Signs, which RE2's tables, Unicode 15's, do not have. FastBertTokenizer parts them afterwards.
SIGNS = "1B4E-1B4F 1B7F 10D6E 113D4-113D5 113D7-113D8 11BE1 16D6D-16D6F 1E5FF"
# Letters of Unicode 15 and 16 that Python's tables, Unicode 14's, do not fold: for vocabularies of words.
UNFOLDED = "1C89 A7CB-A7CC A7DA A7DC 10D50-10D65 1CCD6-1CCF9 1E030-1E06D"


@dataclass(frozen=True)
class Pair:
    """One tokenizer in both forms."""

    tensorflow: TokensBackend
    portable: Tokenization
    source: Any

    def different(self, texts: Iterable[str]) -> list[str]:
        """Return what begins the texts that are not prepared alike."""
        found = []
        remaining = iter(texts)
        while some := list(itertools.islice(remaining, 512)):
            encoded = zip(some, self.tensorflow.encode(some), self.portable.encode(some), strict=True)
            found += [ascii(text[:60]) for text, first, second in encoded if comparable(first) != comparable(second)]
        return found


def comparable(text: Encoded) -> tuple[Any, ...]:
    return text.content.tolist(), text.content.dtype, text.tokens, text.unknown, text.counted


def pair(source: WordPiece | Words, unknown_id: int, folder: Path) -> Pair:
    """Prepare texts as an exported model does, and as its portable tokenizer does."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])  # type: ignore[untyped-decorator]
    def tokenize(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = source.tokenize(texts)
        return {"token_ids": ids, "unknown_tokens": tf.reduce_sum(tf.cast(ids == unknown_id, tf.int32), axis=1)}

    portable = source.portable()
    assert portable is not None
    path = folder / "tokenizer.json"
    path.write_text(portable.definition, encoding="utf-8")
    loaded = tokenization.load(path, folds_case=portable.folds_case)
    return Pair(TokensBackend(source, tokenize, tokenize), loaded, source)


@pytest.fixture(scope="module")
def uncased(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    source = WordPiece.from_folder(ENCODER, LENGTH)
    return pair(source, source.unknown_id, tmp_path_factory.mktemp("uncased"))


@pytest.fixture(scope="module")
def cased(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    source = replace(WordPiece.from_folder(ENCODER, LENGTH), lower_case=False)
    return pair(source, source.unknown_id, tmp_path_factory.mktemp("cased"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    source = WordPiece.from_folder(tiny_bert.write(tmp_path_factory.mktemp("tiny-checkpoint")), 16)
    return pair(source, source.unknown_id, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    source = Words.from_texts([*HOSTILE[:40], PROSE] * 2, 10_000, LENGTH)
    return pair(source, words.UNKNOWN, tmp_path_factory.mktemp("words"))


@pytest.fixture
def pairs(uncased: Pair, cased: Pair, tiny: Pair, of_words: Pair) -> list[Pair]:
    return [uncased, cased, tiny, of_words]


def test_hostile_texts_get_the_same_tokens(pairs: Sequence[Pair]) -> None:
    assert [each.different(HOSTILE) for each in pairs] == [[]] * len(pairs)


def test_ten_thousand_real_texts_get_the_same_tokens(
    uncased: Pair, cased: Pair, real_texts: list[str], tmp_path: Path
) -> None:
    some = real_texts[::5]
    assert len(some) > 10_000
    learned = pair(Words.from_texts(some, 20_000, LENGTH), words.UNKNOWN, tmp_path)
    assert [each.different(some) for each in (uncased, cased, learned)] == [[]] * 3


# Characters of no category are left to the test of single ones: those that Python does not know yet.
CHARACTERS = st.characters(exclude_categories=["Cn"])
TROUBLE = (
    "n'ts ’aéE_1.-!漢カคİıßΣς½…가\0\x85\xa0\xad\ufffd\ud800\u0301\u0323\u034f\u0345\u037a\u1100\u1161\u200d\u2028\ufe0f"
)
PIECES = st.one_of(st.sampled_from([*TROUBLE, "n't", "'s", "a" * 50, "か" * 51, "##", "[CLS]"]), CHARACTERS)


@given(st.one_of(st.text(CHARACTERS, max_size=60), st.lists(PIECES, max_size=40).map("".join)))
@settings(deadline=None, max_examples=250)  # a busy machine is no fault
def test_any_text_gets_the_same_tokens(uncased: Pair, cased: Pair, tiny: Pair, of_words: Pair, text: str) -> None:
    assert [each.different([text]) for each in (uncased, cased, tiny, of_words)] == [[]] * 4


def every_character() -> list[str]:
    """Return Unicode's characters, and a few of the planes that nothing but private characters will be in for long."""
    planes = [range(0xD800), range(0xE000, 0x40000), range(0x40000, 0xE0000, 97), range(0xE0000, 0xF0000)]
    return [chr(code) for code in itertools.chain(*planes, range(0xF0000, sys.maxunicode + 1, 97))]


def unlike(cut: Sequence[Callable[[list[str]], list[Any]]], together: int = 40) -> str:
    """Return the characters that two ways of cutting treat differently, in a word and alone, as ranges."""
    characters = every_character()
    groups = [characters[start : start + together] for start in range(0, len(characters), together)]
    texts = [" ".join(f"a{character}b {character}" for character in group) for group in groups]
    suspects = "".join(
        "".join(group)
        for group, first, second in zip(groups, *(way(texts) for way in cut), strict=True)
        if first != second
    )
    alone = [f"a{character}b {character}" for character in suspects]
    found = zip(suspects, *(way(alone) for way in cut), strict=True) if alone else ()
    return ranges([ord(character) for character, first, second in found if first != second])


def ranges(codes: Iterable[int]) -> str:
    pieces = []
    for _, group in itertools.groupby(enumerate(sorted(codes)), lambda item: item[1] - item[0]):
        first, *rest = (f"{code:X}" for _, code in group)
        pieces.append(f"{first}-{rest[-1]}" if rest else first)
    return " ".join(pieces)


def codes(*texts: str) -> list[int]:
    pieces = [piece.partition("-") for text in texts for piece in text.split()]
    return [code for first, _, last in pieces for code in range(int(first, 16), int(last or first, 16) + 1)]


@pytest.mark.parametrize("kind", ["uncased", "cased"])
def test_every_character_of_unicode_gets_the_same_word_pieces(kind: str, request: pytest.FixtureRequest) -> None:
    both: Pair = request.getfixturevalue(kind)

    def ids(prepare: Callable[[list[str]], list[Encoded]]) -> Callable[[list[str]], list[Any]]:
        return lambda texts: [
            text.content.tolist() for start in range(0, len(texts), 512) for text in prepare(texts[start : start + 512])
        ]

    # Four tokens a character, so that none is behind the longest sequence.
    assert unlike([ids(both.tensorflow.encode), ids(both.portable.encode)], together=(LENGTH - 2) // 5) == ""


def portable_words(both: Pair) -> Callable[[list[str]], list[list[str]]]:
    """Return what cuts texts into the words that the portable form looks up."""
    normalizer, pre_tokenizer = both.portable.tokenizer.normalizer, both.portable.tokenizer.pre_tokenizer
    assert normalizer is not None
    assert pre_tokenizer is not None
    cleaned = tokenization.folded if both.portable.folds_case else str
    return lambda texts: [
        [word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(cleaned(text)))] for text in texts
    ]


@pytest.mark.parametrize(("kind", "expected"), [("uncased", (CAPITALS, COMPOSED, SIGNS)), ("cased", (SIGNS,))])
def test_other_vocabularies_get_other_word_pieces_for_the_youngest_letters_only(
    kind: str, expected: Sequence[str], request: pytest.FixtureRequest
) -> None:
    both: Pair = request.getfixturevalue(kind)

    def tensorflow_words(texts: list[str]) -> list[list[str]]:
        encoded = both.source.prepare(tf.constant([text.encode() for text in texts])).numpy()
        return [text.decode().split() for text in encoded]

    assert unlike([tensorflow_words, portable_words(both)]) == ranges(codes(*expected))


def test_every_character_of_unicode_but_the_youngest_gets_the_same_words(of_words: Pair) -> None:
    def tensorflow_words(texts: list[str]) -> list[list[str]]:
        cut = words.split(tf.constant([text.encode() for text in texts]), 10_000).to_list()
        return [[word.decode() for word in text] for text in cut]

    assert unlike([tensorflow_words, portable_words(of_words)]) == UNFOLDED


def test_long_words_and_signs_inside_them_get_the_references_tokens(uncased: Pair) -> None:
    reference = BertWordPieceTokenizer(str(ENCODER / "vocab.txt"), lowercase=True)
    reference.enable_truncation(LENGTH)
    encoded = uncased.portable.encode(LONG_WORDS)
    assert [text.content.tolist() for text in encoded] == [text.ids for text in reference.encode_batch(LONG_WORDS)]


def test_a_token_spelled_out_in_a_text_is_no_special_token(uncased: Pair) -> None:
    (text,) = uncased.portable.encode(["[CLS] [SEP] [PAD] [MASK]"])
    assert text.content[[0, -1]].tolist() == [101, 102]
    assert not {0, 101, 102, 103} & set(text.content[1:-1].tolist())


def test_no_text_gets_more_tokens_than_the_longest_sequence(tiny: Pair, tmp_path: Path) -> None:
    for length in (3, 4):
        short = pair(replace(tiny.source, max_sequence_length=length), tiny.source.unknown_id, tmp_path)
        texts = ["", "the", "the film", "the film was", PROSE]
        assert short.different(texts) == []
        assert [text.tokens for text in short.portable.encode(texts)] == [2, *[3] * 1, *[min(length, 4)] * 3]


def test_a_text_whose_beginning_has_too_few_words_is_read_to_its_end(pairs: Sequence[Pair]) -> None:
    texts = [
        "the " * 3 + "y" * 2000 + " film " * 3,
        " " * 5000 + "the film",
        "漢" + "\u0301" * 3000 + "the film",
        "ﷺ" * 3 + "y" * 3000 + " the",
    ]
    assert [each.different(texts) for each in pairs] == [[]] * len(pairs)


def test_where_a_beginning_ends_no_word_is_cut(pairs: Sequence[Pair]) -> None:
    generator = random.Random(1)  # noqa: S311  it makes texts, not secrets
    # Of such words the longest sequence's last ones lie where a beginning ends.
    texts = [" ".join(generator.choices(["there", "people", "漢字漢"], [9, 3, 1], k=200)) for _ in range(200)]
    texts += [" ".join(generator.choices(["the's", "film", "words", "漢"], k=40)) for _ in range(200)]
    assert [each.different(texts) for each in pairs] == [[]] * len(pairs)


@pytest.mark.parametrize("marks", ["\u0301\u0323", "\u0f73", "\uff9e\u0301", "\u0345\u0301", "\u0344\u0323\u1fb3"])
def test_endless_combining_marks_are_read_in_no_time(pairs: Sequence[Pair], marks: str) -> None:
    some = "a" + marks * (3000 // len(marks))
    assert [each.different([some]) for each in pairs] == [[]] * len(pairs)
    begun = time.process_time()
    for each in pairs:
        each.portable.encode(["a" + marks * (131_072 // len(marks))])
    assert time.process_time() - begun < 8  # seconds; sorted the plain way, more than a minute


def test_threads_get_the_tokens_of_their_own_texts(uncased: Pair) -> None:
    texts = [f"request {number} of {'many ' * (number % 7)}" for number in range(400)]
    expected = [text.content.tolist() for text in uncased.portable.encode(texts)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: uncased.portable.encode([text])[0].content.tolist(), texts))
    assert found == expected


def test_no_texts_are_no_tokens(pairs: Sequence[Pair]) -> None:
    assert [each.portable.encode([]) for each in pairs] == [[]] * len(pairs)


def test_a_text_without_words_is_one_unknown_word(of_words: Pair) -> None:
    (text,) = of_words.portable.encode(["\0 \u200b"])
    assert text.content.dtype == np.int32
    assert comparable(text) == ([words.UNKNOWN], np.int32, 1, 1, True)


def test_a_vocabulary_that_has_a_token_twice_has_no_portable_form(uncased: Pair) -> None:
    twice = replace(uncased.source, vocabulary=(*uncased.source.vocabulary, "the"))
    assert twice.portable() is None


def test_the_library_starts_no_threads_of_its_own_unless_the_user_says_so(
    uncased: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizer.json").write_text(uncased.portable.tokenizer.to_str(), encoding="utf-8")
    for before, after in ((None, "false"), ("true", "true")):
        monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
        if before is not None:
            monkeypatch.setenv("TOKENIZERS_PARALLELISM", before)
        tokenization.load(tmp_path / "tokenizer.json", folds_case=False)
        assert os.environ["TOKENIZERS_PARALLELISM"] == after


def test_tensorflow_is_not_imported() -> None:
    program = "import sys; from classifier.backends import tokenization; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    path = {"PYTHONPATH": str(ROOT / "container")}
    imported = subprocess.run(command, env=path, capture_output=True, text=True, check=True).stdout.split()
    assert "tokenizers" in imported
    assert not [name for name in imported if name.partition(".")[0] in ("tensorflow", "tensorflow_text", "tf_keras")]


@pytest.mark.parametrize("content", ["", "{}", "[1]", b"\xff", Tokenizer(models.BPE()).to_str()])
def test_a_file_that_is_no_tokenizer_is_refused_by_name(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r"tokenizer\.json: not a tokenizer of this image "):
        tokenization.load(path, folds_case=False)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json: not a tokenizer"):
        tokenization.load(tmp_path / "tokenizer.json", folds_case=False)
