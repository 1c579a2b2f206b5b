"""The words that say what rows are for, in the names of files, folders and columns, and as values.

Where such a word may be a label or say what rows are about, each module that meets it is as cautious as that needs.
"""

import re
from collections.abc import Mapping
from pathlib import PurePath

from classifier.environment import ROLES
from classifier.tabular.values import plain

TRAINING, VALIDATION, TEST = "training", "validation", "test"
# What data sets use beside the names that channels may have.
MORE: Mapping[str, tuple[str, ...]] = {
    TRAINING: ("trn",),
    VALIDATION: ("validate", "devel", "development"),
    TEST: ("tests", "tst", "holdout", "heldout"),
}
# The split that each word names.
WORDS: Mapping[str, str] = {word: split for split, words in ROLES.items() for word in (*words, *MORE[split])}
# Folders of records that nobody has labelled, as in Stanford's film reviews.
UNLABELLED = frozenset({"unsup", "unsupervised", "unlabeled", "unlabelled"})
WORD = re.compile("[a-z]+")
# Of "train_set", "test-00" or "dev split" the first word counts.
AFTER_A_SPLIT = re.compile(r"(sets?|split|data|rows?|samples?|part|fold)?\d*$")
# Of "traindata" it is the beginning that counts.
GLUED = re.compile(rf"({'|'.join(WORDS)})(?:sets?|data|split|rows?|samples?)")


def split_of(value: str) -> str | None:
    """Return the split that a value names, if it names one: ``training``, ``validation`` or ``test``."""
    joined = compact(value)
    return next((split for word, split in WORDS.items() if _is_split_word(joined, word)), None)


def _is_split_word(joined: str, word: str) -> bool:
    return joined.startswith(word) and AFTER_A_SPLIT.fullmatch(joined[len(word) :]) is not None


def of_folder(name: str) -> str:
    """Return the split that a folder is named after; an empty string if its name is not one of a split."""
    return WORDS.get(compact(PurePath(name).name), "")


def words_in(name: str) -> list[str]:
    """Return the words of a name, in small letters.

    A word for a split that is written in two is one (``hold-out``), and what is glued to one is left out (``testset``).
    """
    words = [glued[1] if (glued := GLUED.fullmatch(word)) else word for word in WORD.findall(name.lower())]
    joined = "".join(words)
    return [joined] if joined in WORDS else words


def splits_in(name: str) -> set[str]:
    """Return the splits that the words of a name or value name: of ``imdb_train``, training."""
    return {WORDS[word] for word in words_in(name) if word in WORDS}


def compact(name: str) -> str:
    """Return a name as it is compared, without the separators of its words."""
    return re.sub(r"[\s_.\-/?]", "", plain(name))
