"""Which words of a text made its label: each word is left out in turn, and the label's probability is compared.

This is occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014), of words. It needs
nothing but a model's probabilities, so that every backend, and other programs' models, can be explained.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # supervising processes don't import numpy
    import numpy as np
    from numpy.typing import NDArray

MOST_WORDS = 64
"""The most words of a text that are left out in turn; of more, neighbours are left out together."""

Span = tuple[int, int]
"""The indices of a word's first character and of the one after its last, in Unicode code points, from 0."""

Predict = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Returns the probabilities of texts, float32[texts, labels]."""

_LETTER, _NUMBER, _SINGLE, _MARK, _JOINER = "lnwmj"  # the kinds of characters that words consist of
_APOSTROPHE, _POINT, _OTHER = "ap-"
_KINDS = {
    "_": _LETTER,
    "'": _APOSTROPHE,
    "\N{RIGHT SINGLE QUOTATION MARK}": _APOSTROPHE,
    ".": _POINT,
    ",": _POINT,
    "\N{ZERO WIDTH JOINER}": _JOINER,
}
_CATEGORIES = {"L": _LETTER, "N": _NUMBER, "M": _MARK, "So": _SINGLE, "Cf": _MARK}
_WITHOUT_SPACES = ("CJK ", "HIRAGANA ", "KATAKANA ")  # scripts, by how the names of their characters begin
_SKIN_TONE = "EMOJI MODIFIER "
# Letters and digits, with apostrophes between them and points between digits; or a single character, which is one of a
# script without spaces or an emoji, with its marks and the emoji joined to it.
_WORD = re.compile("[ln](?:[lnmj]|a(?=[ln])|(?<=n)p(?=n))*|w(?:[mj]|(?<=j)w)*")


@dataclass(frozen=True)
class Word:
    """What a word of a text, or several neighbouring ones of a long text, did for the text's label.

    Attributes:
        text: The word.
        start: The index of its first character in the text, in Unicode code points, from 0.
        end: The index after its last character.
        weight: How much lower the probability of the label is without it, from -1 to 1; negative if it is higher.
    """

    text: str
    start: int
    end: int
    weight: float


def spans(text: str, encode: Callable[[str], object]) -> list[Span]:
    """Return the words of a text; if there are more than :data:`MOST_WORDS`, as many groups of neighbours at most.

    Words that the model doesn't read, as it truncates the text before them, are left out of such groups.

    >>> spans("It isn't 3.5!", str.encode)
    [(0, 2), (3, 8), (9, 12)]

    Args:
        text: The text.
        encode: Returns what the model reads of a text, such as the bytes of its token ids.
    """
    words = [match.span() for match in _WORD.finditer("".join(map(_kind, text)))]
    if len(words) > MOST_WORDS:
        whole = encode(text)
        if encode(text[: words[-2][1]]) == whole:
            words = words[: bisect.bisect_left(words, True, key=lambda word: encode(text[: word[1]]) == whole) + 1]
    count = min(len(words), MOST_WORDS)
    bounds = [number * len(words) // max(count, 1) for number in range(count + 1)]
    return [(words[first][0], words[after - 1][1]) for first, after in itertools.pairwise(bounds)]


def explain(text: str, words: Sequence[Span], probabilities: NDArray[np.float32], predict: Predict) -> list[Word]:
    """Return the words of a text with their weights.

    Args:
        text: The text.
        words: Its words.
        probabilities: Its probabilities, float32[labels]; its label is the most probable one, answered or not.
        predict: The model.
    """
    if not words:
        return []
    label = int(probabilities.argmax())
    without = predict([text[:start] + text[end:] for start, end in words])
    weights = (probabilities[label] - without[:, label]).tolist()
    return [
        Word(text[start:end], start, end, round(weight, 6)) for (start, end), weight in zip(words, weights, strict=True)
    ]


@functools.lru_cache(maxsize=4096)
def _kind(character: str) -> str:
    """Return the kind of a character, one letter."""
    if character in _KINDS:
        return _KINDS[character]
    name = unicodedata.name(character, "")
    if name.startswith(_WITHOUT_SPACES):
        return _SINGLE
    if name.startswith(_SKIN_TONE):
        return _MARK
    category = unicodedata.category(character)
    return _CATEGORIES.get(category) or _CATEGORIES.get(category[0], _OTHER)
