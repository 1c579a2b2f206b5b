"""Whether the labels of a channel are labels, and which of them may be slips of the pen."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from statistics import median_low

import pandas as pd

from classifier.errors import UserError, at_most
from classifier.tabular.rows import IF_A_HEADER, IF_DATA, Label

# Beyond this share of labels that occur once, the first column is no label.
MOST_LABELS_TO_ROWS = 0.5
FEWEST_ROWS_TO_JUDGE = 20
ODD: Mapping[str, re.Pattern[str]] = {
    "numbers with a point, as 1.0": re.compile(r"[+-]?[0-9]+\.[0-9]*"),
    "numbers with a zero in front, as 01": re.compile(r"-?0[0-9]+"),
    "in quotes of their own, as '0'": re.compile(r"(['\"`]).*\1"),
}
NOTHING = frozenset({"nan", "null", "none", "n/a", "na", "<na>", "nat"})


def check(table: pd.DataFrame, known: Collection[Label] = ()) -> None:
    """Refuse labels that are none, of a channel that says which labels there are.

    Args:
        table: The channel's rows.
        known: Labels that are beyond doubt.

    Raises:
        UserError: Most labels occur once, as texts do; or a table's first row is a header that is not recognised as
            one, with a label of its own above labels that mostly come again and again.
    """
    labels, counts = table["label"], Counter(table["label"])
    unknown = [label for label in counts if label not in known]
    if len(labels) >= FEWEST_ROWS_TO_JUDGE and len(unknown) > MOST_LABELS_TO_ROWS * len(labels):
        raise UserError(
            f"{table['file'].iloc[0]}:{table['line'].iloc[0]}: {len(counts)} different labels in {len(labels)} rows; "
            "the first column must be the label and the second the text, or name them in a header: text,label"
        )
    headers = _headers(table[table["first"]], counts, set(unknown))
    if headers:
        words = f"a label that no row below has, where most others come more than once; {IF_A_HEADER}; {IF_DATA}"
        raise UserError([f"{place}: {words}" for place in headers])


def _headers(firsts: pd.DataFrame, counts: Mapping[Label, int], unknown: Collection[Label]) -> list[str]:
    """Return where a first row's label is nowhere but in first rows, while most labels come more than once."""
    alone = {
        label
        for label, count in Counter(firsts["label"]).items()
        if isinstance(label, str) and label in unknown and counts[label] == count
    }
    others = [count for label, count in counts.items() if label not in alone]
    if not others or median_low(others) < 2:
        return []
    found = firsts[firsts["label"].isin(alone)]
    return [f"{file}:{line}" for file, line in zip(found["file"], found["line"], strict=True)]


_SEPARATORS = re.compile(r"[\s_'\"`./\-\u2010-\u2015\u2018-\u201f]+")
# What two names may differ in though one is meant, and what makes them the same then; the narrowest first.
_DIFFERENCES: Mapping[str, Callable[[str], str]] = {
    "Unicode form": lambda name: unicodedata.normalize("NFC", name),
    "case": str.casefold,
    "spaces": lambda name: "".join(name.split()),
    "case, spaces or Unicode form": lambda name: "".join(_folded(name).split()),
    "case, spaces, dashes, quotes or Unicode form": lambda name: _SEPARATORS.sub("", _folded(name)),
}
POINTS_SHOWN = 8


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def written_otherwise(labels: Iterable[Label], known: Iterable[Label]) -> dict[Label, tuple[str, str]]:
    """Return, of names that are none of the known ones but differ only in how they are written, which and in what.

    Args:
        labels: Labels, none of which is known.
        known: Those that are.
    """
    *_, loosest = _DIFFERENCES.values()
    near: dict[str, list[str]] = {}
    for name in known:
        if isinstance(name, str):
            near.setdefault(loosest(name), []).append(name)
    found: dict[Label, tuple[str, str]] = {}
    for label in labels:
        others = near.get(loosest(label), []) if isinstance(label, str) else []
        alike = (
            (other, words)
            for words, form in _DIFFERENCES.items()
            for other in others
            if form(other) == form(str(label))
        )
        if (first := next(alike, None)) is not None:
            found[label] = first
    return found


def spelled(label: Label) -> str:
    """Return a label, with the code points of what may look like something else."""
    points = [f"U+{ord(character):04X}" for character in str(label) if not character.isascii()]
    return f"{label} ({' '.join(at_most(points, POINTS_SHOWN))})" if points else str(label)


def alike(labels: Sequence[Label]) -> list[list[str]]:
    """Return the names that differ only in case, spaces or Unicode form, in groups."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        if isinstance(label, str):
            groups.setdefault("".join(_folded(label).split()), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def odd(labels: Sequence[Label]) -> Iterator[str]:
    """Say what other tools make of numbers and of nothing, where that has become names."""
    names = [label for label in labels if isinstance(label, str)]
    for words, pattern in ODD.items():
        if names and all(pattern.fullmatch(name) for name in names):
            yield words
    if any(name.lower() in NOTHING for name in names):
        yield "one that stands for nothing, as NaN"


def look_swapped(table: pd.DataFrame) -> bool:
    """Return whether the labels are more and longer than the texts, as if their columns were swapped."""
    labels, texts = table["label"].astype(str), table["text"].str.strip()
    return bool(texts.nunique() < labels.nunique() and texts.str.len().mean() < labels.str.len().mean())
