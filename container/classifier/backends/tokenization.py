"""Tokenization without TensorFlow, by the ``tokenizers`` library.

It reads tokenizers that were exported as :class:`classifier.encoders.PortableTokenizer`.
"""

import itertools
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from classifier.backends import VARIABLES, Encoded
from classifier.environment import set_defaults
from classifier.errors import UserError

# At first, this many characters of a text are tokenized per token of the longest sequence; English has 4 to 5.
CHARACTERS_PER_TOKEN = 6
# Characters. In longer texts, combining marks are sorted here, as normalize() takes quadratic time.
UNSORTED_AT_MOST = 2048

# Unicode's Default_Ignorable_Code_Point.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


@dataclass(frozen=True)
class Tokenization:
    """A loaded tokenizer; it may be used by several threads at once.

    Attributes:
        tokenizer: The tokenizer of the library.
        unknown_id: The id of the unknown token, which also stands for a text without any token.
        longest: The largest number of tokens of a text; the rest is truncated.
        folds_case: Whether texts are case-folded first.
        padded: Whether the network pads the texts of a batch.
    """

    tokenizer: Tokenizer
    unknown_id: int
    longest: int
    folds_case: bool
    padded: bool

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return each text's token ids, int32[tokens], as ``saved_model.TokensBackend`` does."""
        texts = [_without_surrogates(text) for text in texts]
        parts = [self._first_part(text) for text in texts]
        # encode(), which takes one text, would block all other threads.
        found = self.tokenizer.encode_batch_fast([part for part, _ in parts])
        for index, (_, whole) in enumerate(parts):
            if not whole and len(found[index]) < self.longest:
                (found[index],) = self.tokenizer.encode_batch_fast([self._cleaned(texts[index])])
        return [self._prepared(encoding.ids) for encoding in found]

    def _first_part(self, text: str) -> tuple[str, bool]:
        """Return the beginning of a text that is likely to fill the longest sequence, and whether that is all of it."""
        characters = CHARACTERS_PER_TOKEN * self.longest
        beginning = _beginning(text, characters)
        cleaned = self._cleaned(beginning)  # which may be eighteen times as long
        part = _beginning(cleaned, characters)
        return part, len(beginning) == len(text) and len(part) == len(cleaned)

    def _cleaned(self, text: str) -> str:
        return folded(text) if self.folds_case else text

    def _prepared(self, token_ids: list[int]) -> Encoded:
        token_ids = token_ids or [self.unknown_id]
        unknown = token_ids.count(self.unknown_id)
        return Encoded(np.array(token_ids, np.int32), len(token_ids), unknown, padded=self.padded)


def load(path: Path, *, folds_case: bool, padded: bool = True) -> Tokenization:
    """Load an exported tokenizer.

    Args:
        path: A ``tokenizer.json`` with an unknown token and truncation.
        folds_case: Whether texts are case-folded before they are tokenized.
        padded: Whether the network pads the texts of a batch.

    Raises:
        UserError: The file is broken, or isn't such a tokenizer.
    """
    set_defaults(VARIABLES)
    try:
        tokenizer, unknown_id, longest = _read(path)
    except Exception as error:  # the library raises no narrower exception
        raise UserError(f"{path}: not a tokenizer of this image ({type(error).__name__}); copy it again") from error
    return Tokenization(tokenizer, unknown_id, longest, folds_case, padded)


def _read(path: Path) -> tuple[Tokenizer, int, int]:
    """Return a tokenizer, the id of its unknown token, and the largest number of tokens of a text."""
    definition = path.read_text(encoding="utf-8")
    content = json.loads(definition)
    model = content["model"]
    return Tokenizer.from_str(definition), model["vocab"][model["unk_token"]], content["truncation"]["max_length"]


def folded(text: str) -> str:
    """Return Unicode's NFKC_Casefold of a text, in NFKC: what TensorFlow Text's ``case_fold_utf8`` gives.

    Source: The Unicode Standard, section 3.13, definition of toNFKC_Casefold.
    """
    if text.isascii():
        return text.lower()
    # The iota below is a letter of its own once folded; as a mark it would first change places with others.
    text = _IGNORABLE.sub("", text).replace("\N{GREEK YPOGEGRAMMENI}", " \N{GREEK SMALL LETTER IOTA}").casefold()
    if len(text) > UNSORTED_AT_MOST:
        text = _sorted_marks(text)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _sorted_marks(text: str) -> str:
    """Return a text decomposed, its combining marks in Unicode's canonical order."""
    decomposed = "".join(unicodedata.normalize("NFKD", character) for character in text)
    runs = itertools.groupby(decomposed, lambda character: unicodedata.combining(character) > 0)
    return "".join("".join(sorted(run, key=unicodedata.combining) if marks else run) for marks, run in runs)


def _beginning(text: str, characters: int) -> str:
    """Return about the first ``characters`` characters of a text, or all if there is no position to cut it at.

    It is cut before a space or an ideograph, as tokens neither cross these nor depend on what follows them.
    """
    if len(text) <= characters:
        return text
    ends = (end for end in range(characters, 0, -1) if text[end] == " " or "\u4e00" <= text[end] <= "\u9fff")
    return text[: next(ends, len(text))]


def _without_surrogates(text: str) -> str:
    """Return a text with lone surrogates, which JSON can hold, replaced by question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
