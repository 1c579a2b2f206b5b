"""The report on a job's data: its statistics, and what may be a mistake."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifier.errors import at_most
from classifier.tabular import labels as label_names
from classifier.tabular import spelling
from classifier.tabular.delimiters import NAMES as DELIMITERS
from classifier.tabular.files import JSON_LINES
from classifier.tabular.rows import LIST, Label, ReadResult, may_be_shown
from classifier.tabular.splits import TRAINING, WORDS, words_in

EXAMPLES = 3
# Of more labels than these, only the commonest and the rarest are named.
LABELS_NAMED = 12
LABELS_NAMED_AT_EITHER_END = 5
FEWEST_ROWS_OF_A_LABEL = 5
MOST_TIMES_THE_RAREST = 20
# Of a label of few rows it matters sooner.
MOST_TIMES_THE_RAREST_OF_FEW = 2
# An encoder adds a token before and one after the words, each of which is a token or more.
TOKENS_BESIDE_WORDS = 2

# The share of rows without a text beyond which a column may be the wrong one, or an export broken.
MOST_WITHOUT_TEXT = 0.05
# What stands in a text's column where the text itself does not, if most rows have it.
MOST_WRITTEN_SO = 0.5
WRITTEN_SO: Mapping[str, re.Pattern[str]] = {
    "addresses or names of files; write the text itself": re.compile(
        r"(?:[a-z0-9]+://|/)\S+|[^\s:]+\.(?:txt|json|xml|html?|pdf|docx?|eml|md|jpe?g|png)", re.IGNORECASE
    ),
    "lists; write the text as one string": LIST,
    "bytes as Python prints them; decode them first": re.compile(r"b'.*'|b\".*\"", re.DOTALL),
    "JSON; write the text alone": re.compile(r'\{\s*"[^"]*"\s*:.*\}', re.DOTALL),
    "base64; decode it first": re.compile(r"(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[a-z])[A-Za-z0-9+/]{16,}={0,2}"),
}
# Letters that another program lost, or wrote as others, before they came here.
DAMAGES: Mapping[str, Callable[[str], bool]] = {
    "U+FFFD, which stands for a letter that was lost": lambda text: "\N{REPLACEMENT CHARACTER}" in text,
    "two letters for one, as \u00c3\u00a9 for \u00e9: they were UTF-8, and read as something else": (
        spelling.is_misread
    ),
}
FILES_NAMED = 5
# Words in the names of files that are something else than rows to train on.
NOT_TO_TRAIN_ON = {word for word, split in WORDS.items() if split != TRAINING} | {
    "label", "labels", "class", "classes", "submission",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A line of the report, as ``key=value`` pairs.

    Attributes:
        line: The line; it holds places and labels, and nothing of a text.
        level: How grave it is, as in :mod:`logging`.
    """

    line: str
    level: int = logging.INFO


def of_files(name: str, result: ReadResult) -> Iterator[Finding]:
    """Say which files were read, and which of those to train on are called as if they were something else.

    Args:
        name: What the files are for.
        result: What was read.
    """
    counts = Counter(row.file for row in result.rows)
    read = [f"{file} ({counts[file]} row{'' if counts[file] == 1 else 's'})" for file in result.files]
    if read:
        yield _note(name, f"files read: {', '.join(at_most(read, FILES_NAMED))}", ())
    odd = [file for file in result.files if _is_called_otherwise(PurePath(file).name)]
    if odd and name == "training":
        words = "files to train on that are called as if they were something else"
        yield _note(name, f"{words}: {', '.join(at_most(odd, FILES_NAMED))}", (), logging.WARNING)


def _is_called_otherwise(name: str) -> bool:
    return any(word in NOT_TO_TRAIN_ON for part in name.split(".") for word in words_in(part))


def findings(
    splits: Mapping[str, pd.DataFrame], labels: Sequence[Label], max_sequence_length: int | None = None
) -> Iterator[Finding]:
    """Report on all rows of a job.

    Args:
        splits: The rows by split, ``training`` first, with the columns of
            :func:`classifier.modalities.text_channel.table_of`.
        labels: All labels.
        max_sequence_length: How many tokens of a text will be read; None if not known.
    """
    yield from of_labels(splits, labels)
    yield from _with_text(splits["training"])
    for name, table in splits.items():
        if len(table):
            yield from _of_texts(name, table, max_sequence_length)
    for (name, table), (other_name, other) in combinations(splits.items(), 2):
        yield from leaks(name, table, other_name, other)


def of_labels(
    splits: Mapping[str, pd.DataFrame], labels: Sequence[Label], *, doubtful: bool = True
) -> Iterator[Finding]:
    """Return how many rows there are, and of each label.

    Args:
        splits: As for :func:`findings`.
        labels: All labels.
        doubtful: Whether a label may be a text in the wrong column, which is not shown.
    """
    training = splits["training"]
    counts = training["label"].value_counts().reindex(list(labels), fill_value=0)
    rows = " ".join(f"{name}_rows={len(table)}" for name, table in splits.items())
    yield Finding(
        f"{rows} labels={len(labels)} rows_of_rarest_label={counts.min()} rows_of_commonest_label={counts.max()}"
    )
    places = _places(training.drop_duplicates("label").set_index("label"))
    ordered = counts.sort_values(ascending=False, kind="stable")
    swapped = doubtful and label_names.look_swapped(training)
    called = {label: _shown(label, 1 if swapped and count else int(count), places) for label, count in ordered.items()}
    if not doubtful:
        called = {label: str(label) for label in called}
    shown = [f"{called[label]}: {count}" for label, count in ordered.items()]
    if len(shown) > LABELS_NAMED:
        left_out = f"... {len(shown) - 2 * LABELS_NAMED_AT_EITHER_END} more"
        shown = [*shown[:LABELS_NAMED_AT_EITHER_END], left_out, *shown[-LABELS_NAMED_AT_EITHER_END:]]
    yield Finding(f"rows_of_labels={', '.join(shown)!r}")
    if swapped:
        words = "the labels are more and longer than the texts: are the columns swapped? the label comes first"
        yield Finding(f"note={words!r}", logging.WARNING)
    present = counts[counts > 0]
    missing = len(counts) - len(present)
    if missing:
        yield Finding(f"note='labels without a row to train on: {missing}'")
    yield from _rare(int(present.min()), int(present.max()))
    yield from _of_names(labels, called, places)


def _of_names(labels: Sequence[Label], called: Mapping[Any, str], places: "pd.Series[str]") -> Iterator[Finding]:
    """Warn of labels that are written in two ways, damaged, or no labels.

    Args:
        labels: All labels.
        called: What each is called.
        places: Where each comes first.
    """
    for group, difference in islice(spelling.alike(labels), EXAMPLES):
        written = ", ".join(spelling.spelled(called[name]) for name in group)
        words = f"labels that differ only in {difference}: {written}"
        yield Finding(f"note={words!r}", logging.WARNING)
    for words, found in _damages("labels", places.index, places):
        yield Finding(f"note={words!r}{_examples(found)}", logging.WARNING)
    odd = list(label_names.odd(labels))
    if odd:
        words = f"labels that are {'; '.join(odd)}: they are names here, and come back as they are"
        yield Finding(f"note={words!r}", logging.WARNING)
    for words in label_names.doubtful(labels):
        yield Finding(f"note={words!r}", logging.WARNING)


def _with_text(training: pd.DataFrame) -> Iterator[Finding]:
    """Warn of labels that may be a label and a text, in lines with another delimiter than the others."""
    found = label_names.with_text(Counter(training["label"]))
    if found:
        places = _places(training[training["label"].isin(found)])
        words = (
            f"labels that begin with another label and a comma, semicolon or bar: {len(found)}; if that separates the "
            "columns there, write these lines as the others are"
        )
        yield Finding(f"note={words!r}{_examples(places)}", logging.WARNING)


def _rare(rarest: int, commonest: int) -> Iterator[Finding]:
    """Warn of labels of few rows, and of far fewer rows than the commonest."""
    few = rarest < FEWEST_ROWS_OF_A_LABEL
    rows = f"the rarest label has {rarest} row{'' if rarest == 1 else 's'} to train on"
    if commonest > (MOST_TIMES_THE_RAREST_OF_FEW if few else MOST_TIMES_THE_RAREST) * rarest:
        yield Finding(
            f"note='{rows}, the commonest {commonest}; "
            "class_weights=balanced gives each label the same weight, and more rows of the rare ones help most'",
            logging.WARNING,
        )
    elif few:
        yield Finding(f"note='few rows: {rows}; more rows help most'", logging.WARNING)


def _shown(label: object, count: int, places: "pd.Series[str]") -> str:
    """Name a label; one that may be a text in the wrong column is called by its place."""
    return str(label) if count == 0 or may_be_shown(label, count) else f"that at {places[str(label)]}"


def _of_texts(name: str, table: pd.DataFrame, max_sequence_length: int | None) -> Iterator[Finding]:
    texts, places = table["record"], _places(table)
    words = np.array([len(text.split()) for text in texts], np.int64)
    characters = np.array([len(text) for text in texts], np.int64)
    for noun, lengths in (("words", words), ("characters", characters)):
        yield Finding(f"rows={name} {_distribution(noun, lengths)} longest_at={places.iloc[int(lengths.argmax())]!r}")
    if max_sequence_length is not None:
        cut = words + TOKENS_BESIDE_WORDS > max_sequence_length
        share = f"share_longer_at_least={cut.mean():.4f} max_sequence_length={max_sequence_length}"
        yield Finding(f"rows={name} {share}{_examples(places[cut])}")
    stripped = texts.str.strip()
    empty = stripped == ""
    for noun, found in (
        ("empty texts", empty),
        ("texts that stand for nothing, as NaN", stripped.str.lower().isin(label_names.NO_VALUE)),
    ):
        if found.any():
            level = logging.WARNING if found.mean() > MOST_WITHOUT_TEXT else logging.INFO
            yield _note(name, f"{noun}: {found.sum()}", places[found], level)
    for kind, pattern in WRITTEN_SO.items():
        found = stripped.map(lambda text, pattern=pattern: pattern.fullmatch(text) is not None)
        if found.mean() > MOST_WRITTEN_SO:
            yield _note(name, f"texts that are {kind}: {found.sum()}", places[found], logging.WARNING)
    yield from _damaged(name, table)
    yield from repeated(name, table[~empty].assign(record=stripped[~empty]))
    yield from _run_together(name, table)


def _damaged(name: str, table: pd.DataFrame) -> Iterator[Finding]:
    """Warn of letters that another program lost, or wrote as others, before the texts came here."""
    for words, places in _damages("texts", table["record"], _places(table)):
        yield _note(name, words, places, logging.WARNING)


def _damages(noun: str, values: Iterable[object], places: "pd.Series[str]") -> Iterator[tuple[str, "pd.Series[str]"]]:
    """Say what is damaged of labels or texts, each with its place, and where."""
    for words, is_damaged in DAMAGES.items():
        found = [isinstance(value, str) and is_damaged(value) for value in values]
        if any(found):
            yield f"{noun} with {words}: {sum(found)}; export them again, in UTF-8 throughout", places[found]


def _distribution(noun: str, lengths: NDArray[np.int64]) -> str:
    middle, high = np.percentile(lengths, [50, 95])
    return (
        f"{noun}_mean={lengths.mean():.1f} {noun}_median={middle:.0f} {noun}_95th_percentile={high:.0f} "
        f"{noun}_longest={lengths.max()}"
    )


def repeated(name: str, table: pd.DataFrame, noun: str = "texts") -> Iterator[Finding]:
    """Note records that occur more than once, with one label or with several.

    Args:
        name: The split.
        table: Its rows.
        noun: The plural noun for records.
    """
    alike = table[table.duplicated("record", keep=False)]
    if alike.empty:
        return
    again = alike[alike.duplicated("record")]
    yield _note(name, f"{noun} that an earlier row has: {len(again)}", _places(again))
    several = alike.groupby("record")["label"].transform("nunique") > 1
    if several.any():
        different = alike[several]
        # Rows of the same text beside each other, the text that comes first in front.
        order = different.groupby("record", sort=False).ngroup().sort_values(kind="stable").index
        count = different["record"].nunique()
        yield _note(name, f"{noun} with more than one label: {count}", _places(different.loc[order]), logging.WARNING)


def _run_together(name: str, table: pd.DataFrame) -> Iterator[Finding]:
    """Note texts that may be several rows, run together by a quote that is not closed."""
    rows = table[table["line"] > 0]  # others are files of one text each
    in_csv = [PurePath(file.lower().removesuffix(".gz")).suffix not in JSON_LINES for file in rows["file"]]
    tabular = rows[np.array(in_csv, bool)]
    starts = tuple({f"{label}{delimiter}" for label in tabular["label"] for delimiter in DELIMITERS})
    suspect = [any(line.startswith(starts) for line in text.splitlines()[1:]) for text in tabular["record"]]
    if any(suspect):
        words = f"texts with a line that looks like a row: {sum(suspect)}; is a quote missing?"
        yield _note(name, words, _places(tabular[suspect]), logging.WARNING)


def leaks(
    name: str, table: pd.DataFrame, other_name: str, other: pd.DataFrame, noun: str = "texts"
) -> Iterator[Finding]:
    """Warn of records that are in two splits, which makes the metrics of the later one too good.

    Args:
        name: The first split.
        table: Its rows.
        other_name: The later split.
        other: Its rows.
        noun: The plural noun for records.
    """
    if table.empty or other.empty:
        return
    seen = dict(zip(table["record"].str.strip().iloc[::-1], _places(table).iloc[::-1], strict=True))
    seen.pop("", None)
    found = [
        f"{place} is {seen[text]}"
        for text, place in zip(other["record"].str.strip(), _places(other), strict=True)
        if text in seen
    ]
    if found:
        yield _note(other_name, f"{noun} that are in {name} too: {len(found)}", found, logging.WARNING)


def _note(name: str, words: str, places: "Sequence[str] | pd.Series[str]", level: int = logging.INFO) -> Finding:
    return Finding(f"rows={name} note={words!r}{_examples(places)}", level)


def _examples(places: "Sequence[str] | pd.Series[str]") -> str:
    shown = ", ".join(list(places)[:EXAMPLES])
    return f" examples={shown!r}" if shown else ""


def _places(table: pd.DataFrame) -> "pd.Series[str]":
    return (table["file"] + ":" + table["line"].astype(str)).where(table["line"] > 0, table["file"])
