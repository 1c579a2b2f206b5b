"""Words: how texts are cut, which are kept, and where their first vectors come from."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from classifier.encoders import counting, word_vectors, words
from classifier.encoders.words import Words
from classifier.errors import UserError


def cut(text: str | bytes, most: int = 50) -> list[str]:
    texts = tf.constant([text if isinstance(text, bytes) else text.encode()])
    return [word.decode() for word in words.split(texts, most)[0].numpy()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The CAR stopped.", ["the", "car", "stopped", "."]),
        ("It isn't John’s, don't you'd", ["it", "is", "n't", "john", "'s", ",", "do", "n't", "you", "'d"]),
        ("does n't , it 's", ["does", "n't", ",", "it", "'s"]),
        ("l'eau o'clock 'quoted'", ["l'eau", "o'clock", "'", "quoted", "'"]),
        ("snake_case re-do 3.5%", ["snake", "_", "case", "re", "-", "do", "3", ".", "5", "%"]),
        ("École Straße ﬁne", ["école", "strasse", "fine"]),
        ("e\N{COMBINING ACUTE ACCENT}t", ["ét"]),
        ("ＡＢＣ　ﾊﾟ", ["abc", "パ"]),
        ("漢字かなabc", ["漢", "字", "か", "な", "abc"]),
        ("한국어 русский", ["한국어", "русский"]),
        ("ที่นี่ हिन्दी में", ["ที่", "นี่", "हिन्दी", "में"]),
        ("❤️👩\N{ZERO WIDTH JOINER}💻!!", ["❤", "👩", "💻", "!", "!"]),
        ("a\0b\tc\r\nd\N{NO-BREAK SPACE}e\N{LINE SEPARATOR}f\x85g", list("abcdefg")),
        ("in\N{ZERO WIDTH SPACE}visible", ["invisible"]),
        (b"good\xff\xfe bad \xed\xa0\x80", ["good", "bad"]),
    ],
)
def test_a_text_is_cut_into_words_and_signs(text: str | bytes, expected: list[str]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize("text", ["", " \t\n", "\0\x1f", "\N{ZERO WIDTH SPACE}", b"\xff\xfe\xed\xa0\x80"])
def test_a_text_without_words_is_one_unknown_word(text: str | bytes) -> None:
    texts = tf.constant([text if isinstance(text, bytes) else text.encode(), b"car"])
    assert Words.of(["car"], 8).tokenize(texts).numpy().tolist() == [[1], [2]]


def test_ids_are_places_in_the_vocabulary_and_a_text_ends_in_padding() -> None:
    tokenizer = Words.of(["the", "car", "."], 4)
    ids = tokenizer.tokenize(tf.constant(["The car .", "a car", "the the the the the"]))
    assert ids.dtype == tf.int32
    assert ids.numpy().tolist() == [[2, 3, 4, 0], [1, 3, 0, 0], [2, 2, 2, 2]]


def test_no_text_is_longer_than_the_longest_sequence() -> None:
    tokenizer = Words.of(["a"], 3)
    assert tokenizer.tokenize(tf.constant(["a " * 100_000, "x" * 1_000_000, "!" * 1000])).shape == (3, 3)


def test_an_empty_batch_and_an_empty_vocabulary_have_ids_too() -> None:
    tokenizer = Words.from_texts([], 10, 5)
    assert tokenizer.vocabulary == ()
    assert tokenizer.tokenize(tf.constant([], tf.string)).shape == (0, 0)
    assert tokenizer.tokenize(tf.constant(["anything at all"])).numpy().tolist() == [[1, 1, 1]]


def test_the_commonest_words_are_kept_and_equals_in_the_order_of_their_characters() -> None:
    texts = ["b b b a a", "d c d c", "é é once"]
    assert Words.from_texts(texts, 10, 50).vocabulary == ("b", "a", "c", "d", "é")
    assert Words.from_texts(list(reversed(texts)), 3, 50).vocabulary == ("b", "a", "c")


def test_a_word_that_occurs_once_is_unknown_and_one_too_long_is_not_kept() -> None:
    blob = "x" * (words.LONGEST_WORD + 1)
    assert Words.from_texts([f"{blob} {blob} name was was"], 10, 50).vocabulary == ("was",)


def test_words_behind_the_longest_sequence_are_not_counted() -> None:
    assert Words.from_texts(["a a b b c c"], 10, 4).vocabulary == ("a", "b")


def test_counting_in_batches_counts_every_text(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"car {index % 3}" for index in range(100)]
    whole = words.count(texts, 8)
    monkeypatch.setattr(counting, "COUNTED_AT_ONCE", 7)
    assert words.count(iter(texts), 8) == whole == {"car": 100, "0": 34, "1": 33, "2": 33}


def test_a_saved_vocabulary_is_read_as_it_was(tmp_path: Path) -> None:
    texts = ["'s n't É 漢 \N{LINE SEPARATOR} \x85 ❤ \u200b ! #"] * 2
    kept = Words.from_texts(texts, 100, 50)
    kept.save(tmp_path)
    again = Words.from_folder(tmp_path, 50)
    assert again.vocabulary == kept.vocabulary
    assert again.tokenize(tf.constant(texts)).numpy().tolist() == kept.tokenize(tf.constant(texts)).numpy().tolist()
    assert words.UNKNOWN not in again.tokenize(tf.constant(texts)).numpy()


@pytest.mark.parametrize(("content", "message"), [(b"a\nb\na\n", "a word twice"), (b"\xff\n", "not UTF-8")])
def test_a_broken_vocabulary_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "vocabulary.txt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        Words.from_folder(tmp_path, 8)


def vectors(folder: Path, content: str | bytes, name: str = "vectors.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("header", ["", "3 2\n"])
def test_vectors_of_the_vocabulary_are_read_with_and_without_a_first_line(tmp_path: Path, header: str) -> None:
    read = word_vectors.read(vectors(tmp_path, f"{header}car 1 2\nthe -0.5 1e-3\nother 7 7\n"), ["the", "x", "car"], 0)
    assert read.found == 2
    assert read.table.dtype == np.float32
    np.testing.assert_array_equal(read.table[[0, 2]], np.array([[-0.5, 1e-3], [1, 2]], np.float32))


def test_missing_words_get_random_vectors_that_follow_from_the_seed(tmp_path: Path) -> None:
    path = vectors(tmp_path, "car 1 2\nthe 3 4\n")
    first, again, other = (word_vectors.read(path, ["car", "the", "x"], seed).table for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[2], other[2])
    assert np.isfinite(first).all()


def test_compressed_files_windows_lines_tabs_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    content = "\N{BYTE ORDER MARK}2 2\r\ncar\t1 2 \r\n\r\nthe 3 4\r\n".encode()
    read = word_vectors.read(vectors(tmp_path, gzip.compress(content), "v.vec.gz"), ["car", "the"], 0)
    np.testing.assert_array_equal(read.table, [[1, 2], [3, 4]])


def test_words_with_spaces_in_them_are_skipped_not_misread(tmp_path: Path) -> None:
    content = b"car 1 2\nto name@domain.com 8 8\n. . . 9 9\na\xc2\xa0b 5 5\n\xff\xfe 6 6\n"
    read = word_vectors.read(vectors(tmp_path, content), ["car", ".", "to"], 0)
    assert read.found == 1


def test_a_word_spelled_as_in_the_vocabulary_goes_before_its_other_spellings(tmp_path: Path) -> None:
    path = vectors(tmp_path, "CAR 1\nCar 2\ncar 3\ncar 4\nStraße 5\nSTRASSE 6\n")
    assert word_vectors.read(path, ["car", "strasse"], 0).table.tolist() == [[3], [5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("car 1 2\nthe 3\n", r"vectors.txt:2: 1 numbers after the word, where 2 are needed"),
        ("car 1 2\nthe 3 4 5\n", r"vectors.txt:2: more than 2 numbers"),
        ("car 1 2\nthe 3 x\n", r"vectors.txt:2: one of the 2 columns after the word is not a number"),
        ("car 1 2\nthe 3 nan\n", r"vectors.txt:2: one of the 2 columns"),
        ("car 1 2\nthe 3 1e99\n", r"vectors.txt:2: one of the 2 columns"),
        ("3 2\ncar 1 2\nthe 3 4\n", r"vectors.txt:1: says 3 words and 2 follow"),
        ("3 0\ncar 1 2\n", r"vectors.txt:1: vectors of 0 numbers; they may have 1 to 4096"),
        ("3 9999\ncar 1 2\n", r"vectors.txt:1: vectors of 9999 numbers"),
        ("car\nthe\n", r"vectors.txt:1: 0 numbers after the word"),
        ("Auto 1 2\n", "has none of the training texts' words"),
        ("", "has none of the training texts' words"),
    ],
)
def test_a_broken_file_of_vectors_is_refused_with_the_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        word_vectors.read(vectors(tmp_path, content), ["car", "the"], 0)


def test_every_broken_line_is_named_but_not_endlessly(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        word_vectors.read(vectors(tmp_path, "car 1 2\n" + "the 1\n" * 1000), ["car"], 0)
    assert "vectors.txt:2:" in str(caught.value)
    assert "vectors.txt:5:" in str(caught.value)
    assert len(caught.value.problems) < 30


@pytest.mark.parametrize("damage", [lambda data: b"junk" + data, lambda data: data[:-12], lambda _: os.urandom(64)])
def test_a_broken_compressed_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = vectors(tmp_path, damage(gzip.compress(b"car 1 2\n" * 1000)), "v.gz")
    with pytest.raises(UserError, match=r"v.gz: can't be unpacked"):
        word_vectors.read(path, ["car"], 0)


def test_the_file_of_vectors_is_found_and_several_are_refused(tmp_path: Path) -> None:
    assert word_vectors.find(tmp_path) is None
    vectors(tmp_path, "x", "model.tar.gz")
    assert word_vectors.find(tmp_path) is None
    first = vectors(tmp_path, "x", "glove.txt")
    assert word_vectors.find(tmp_path) == first
    vectors(tmp_path, "x", "wiki.vec")
    with pytest.raises(UserError, match=r"2 files of word vectors \(glove.txt, wiki.vec\)"):
        word_vectors.find(tmp_path)


def test_no_word_of_the_texts_is_in_what_a_warning_shows_of_the_tokenizer() -> None:
    assert "secret" not in repr(Words.of(["secret"], 8))
