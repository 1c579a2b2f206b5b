"""A vocabulary of word pieces that is learnt from words: the same everywhere, bounded, and without rare words."""

import subprocess
import sys
from collections import Counter

import pytest

from classifier.encoders.learned_pieces import RESERVED, learned
from classifier.encoders.pieces import Pieces
from classifier.encoders.wordpiece import UNKNOWN_WORD, WordPiece, count
from jobs import ROOT

WORDS = Counter(
    [
        "the",
        "worker",
        "works",
        "while",
        "other",
        "workers",
        "walk",
        "and",
        "talk",
        ";",
        "they",
        "walked",
        ",",
        "worked",
        "and",
        "talked",
        "!",
    ]
)
AGAIN = """
import random
from collections import Counter
from classifier.encoders.learned_pieces import learned

generator = random.Random(1)
words = ("".join(generator.choice("abcdefghij") for _ in range(generator.randint(1, 6))) for _ in range(3000))
print(learned(Counter(words), 500))
"""


def test_the_same_words_give_the_same_vocabulary_in_every_process() -> None:
    command = [sys.executable, "-c", AGAIN]
    answers = {subprocess.run(command, cwd=ROOT / "container", capture_output=True, check=True).stdout for _ in "123"}
    assert len(answers) == 1
    assert len(answers.pop()) > 1000


def test_frequent_parts_of_words_become_pieces() -> None:
    vocabulary = learned(WORDS, 100)
    assert vocabulary[:4] == RESERVED
    assert {"work", "wal", "##ed"} & set(vocabulary)
    assert "and" in vocabulary
    assert len(set(vocabulary)) == len(vocabulary)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 30, 50])
def test_no_more_pieces_are_learnt_than_asked_for(size: int) -> None:
    assert len(learned(WORDS, size)) <= len(RESERVED) + size


def test_a_word_that_occurs_once_is_not_stored_though_others_begin_with_it() -> None:
    words = Counter({"hunter": 1, "hunters": 3, "secret": 1, "x": 1, "y": 2})
    vocabulary = learned(words, 100)
    assert "hunters" in vocabulary
    assert not {"hunter", "secret", "x"} & set(vocabulary)
    assert "y" in vocabulary


def test_no_words_give_the_reserved_pieces_alone() -> None:
    assert learned({}, 100) == RESERVED
    assert learned({"ab": 1}, 100) == RESERVED


def test_words_are_counted_as_the_tokenizer_reads_them() -> None:
    counts = count(["Élan, élan!", "Große 価格 Σς", "x" * 101, "one two three", ""], 3)
    assert counts == {
        "elan": 2, ",": 1, "große": 1, "価": 1, "格": 1, UNKNOWN_WORD: 1, "one": 1, "two": 1, "three": 1,
    }  # fmt: skip


def test_every_text_of_known_characters_is_read_without_an_unknown_piece() -> None:
    texts = ["価格は高い", "高い価格", "слово слова слову", "กขค กขค", "한국어 한국"] * 2
    tokenizer = WordPiece.of(Pieces(learned(count(texts, 100), 200), lower_case=True), 64)
    assert tokenizer.unknown_id not in tokenizer.tokenize(texts).numpy()
