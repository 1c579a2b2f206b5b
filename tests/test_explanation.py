"""Which words made a label: what a word is, and what it weighs."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from classifier import explanation
from classifier.explanation import MOST_WORDS, Word


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in explanation.spans(text, str.encode)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n", []),
        ("?! ... -- (;", []),
        ("Pedal goes soft.", ["Pedal", "goes", "soft"]),
        ("it isn't, l’été 'quoted'", ["it", "isn't", "l’été", "quoted"]),
        ("about 3.5 or 1,000 e.g. end.Begin", ["about", "3.5", "or", "1,000", "e", "g", "end", "Begin"]),
        ("snake_case, side-effect; `x` ^y", ["snake_case", "side", "effect", "x", "y"]),
        ("naïve Großes e\u0301te\u0301", ["naïve", "Großes", "e\u0301te\u0301"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("東京へ行く", ["東", "京", "へ", "行", "く"]),
        ("good 👍🏽👩‍👩‍👧 😡!", ["good", "👍🏽", "👩‍👩‍👧", "😡"]),
    ],
)
def test_words_are_those_of_any_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(max_size=300))
def test_words_are_in_order_never_overlap_and_are_few(text: str) -> None:
    bounds = [index for span in explanation.spans(text, str.encode) for index in span]
    assert bounds == sorted(bounds)
    assert all(start < end for start, end in explanation.spans(text, str.encode))
    assert len(bounds) <= 2 * MOST_WORDS
    assert not bounds or bounds[-1] <= len(text)


@pytest.mark.parametrize("count", [1, MOST_WORDS, MOST_WORDS + 1, 2 * MOST_WORDS - 1, 1000])
def test_of_many_words_neighbours_are_left_out_together_and_none_is_lost(count: int) -> None:
    text = " ".join(f"w{number}" for number in range(count))
    found = words(text)
    assert " ".join(found) == text
    assert len(found) == min(count, MOST_WORDS)
    sizes = {len(word.split()) for word in found}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("read", [1, MOST_WORDS, MOST_WORDS + 1, 999, 1000])
def test_words_after_those_that_the_model_reads_are_left_out(read: int) -> None:
    words = [f"w{number}" for number in range(1000)]
    text = " ".join(words)
    found = explanation.spans(text, lambda part: part.split()[:read])
    assert text[: found[-1][1]].split() == words[:read]
    assert len(found) == min(read, MOST_WORDS)


def share_of_bad(texts: Sequence[str]) -> NDArray[np.float32]:
    """Say "bad" the surer the more often a text says so, and the less it says "good"."""
    bad = np.array([0.5 + 0.2 * text.count("bad") - 0.1 * text.count("good") for text in texts], np.float32)
    return np.stack([1 - bad, bad], axis=1)


def explained(text: str) -> list[Word]:
    return explanation.explain(text, explanation.spans(text, str.encode), share_of_bad([text])[0], share_of_bad)


def test_a_word_weighs_how_much_less_probable_the_label_is_without_it() -> None:
    assert explained("😡 bad, good film") == [
        Word("😡", 0, 1, 0.0),
        Word("bad", 2, 5, 0.2),
        Word("good", 7, 11, -0.1),
        Word("film", 12, 16, 0.0),
    ]


def test_the_label_is_the_one_with_the_highest_probability_whichever_it_is() -> None:
    assert explained("good") == [Word("good", 0, 4, 0.1)]


def test_a_text_without_words_is_not_asked_about() -> None:
    def unasked(texts: Sequence[str]) -> NDArray[np.float32]:
        raise AssertionError(texts)

    assert explanation.explain("!", [], np.array([0.5, 0.5], np.float32), unasked) == []
