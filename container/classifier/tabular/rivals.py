"""Detects columns and keys that may be the label too, beside the one that is read as it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from classifier.tabular.columns import LABEL, LABEL_NAMES
from classifier.tabular.unread import Finding, shown
from classifier.tabular.values import plain

# What people call the labels that were checked, and those that are several.
BETTER = re.compile(
    r"(?:gold|true|final|correct|corrected|new|human|expert|majority)_?labels?|labels?_?(?:gold|true|final|corrected)"
)
# Beside a column that is called otherwise than ``label`` these are as likely; a column ``label`` is meant.
AS_LIKELY = LABEL_NAMES | {
    "rating", "ratings", "stars", "star_rating", "emotion", "emotions", "polarity", "mood", "tone", "tag", "tags",
    "gold", "label_name", "class_name",
}  # fmt: skip
BESIDE_LABEL = frozenset({"labels", "gold"})
MOST_VALUES = 1000
MOST_VALUES_TO_ROWS = 0.5


class Rivals:
    """Looks at the columns, or keys, that are called as labels are, beside the label.

    Args:
        noun: What they are called, ``column`` or ``key``.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._label = ""
        self._pairs: dict[str, Counter[tuple[str, str]]] = {}

    def add(self, label: tuple[str, str], others: Iterable[tuple[str, str]]) -> None:
        """Take a row.

        Args:
            label: The name of the label's column, and the label.
            others: The names of the columns that are not read, and what they hold.
        """
        self._label = label[0]
        for name, value in others:
            if value.strip() and _is_likely(plain(name), plain(label[0])):
                pairs = self._pairs.setdefault(name, Counter())
                if len(pairs) <= MOST_VALUES:
                    pairs[label[1], value.strip()] += 1

    def findings(self) -> Iterator[Finding]:
        """Return which columns may be the label too: those with values that come again, and don't follow from it."""
        for name, pairs in self._pairs.items():
            labels, values = ({pair[place] for pair in pairs} for place in (0, 1))
            repeats = 1 < len(values) <= MOST_VALUES_TO_ROWS * pairs.total()
            if len(pairs) <= MOST_VALUES and repeats and not len(pairs) == len(labels) == len(values):
                yield Finding(
                    0,
                    f"reads the label from the {self._noun} {shown(self._label)} and not from {shown(name)}, which may "
                    f"be the label too; call the one to read {LABEL!r}, and take the other out or call it otherwise",
                    ends=False,
                )


def _is_likely(name: str, taken: str) -> bool:
    if BETTER.fullmatch(name):
        return True
    return name in (BESIDE_LABEL if taken == LABEL else AS_LIKELY)
