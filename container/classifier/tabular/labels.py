"""Checks whether the labels of a channel are plausible, and which of them may be typos."""

import re
from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from statistics import median_low

import pandas as pd

from classifier.errors import UserError, at_most
from classifier.tabular.columns import LABEL_NAMES, LONGEST_KNOWN, TEXT_NAMES, are_names, is_text_name
from classifier.tabular.rows import IF_A_HEADER, IF_DATA, IF_DATA_MOVE, Label, Problem, Row, as_label
from classifier.tabular.splits import TRAINING, split_of
from classifier.tabular.values import plain, reads_like_name, reads_like_text, stands_above

# Beyond this share of labels to rows, the first column is no label; the fewer rows, the less a share says.
FEWEST_ROWS_TO_JUDGE = 20
MOST_LABELS_TO_ROWS: Mapping[int, float] = {FEWEST_ROWS_TO_JUDGE: 0.5, 8: 0.8}
MOST_UNKNOWN = 0.5
FIRST_COLUMN = (
    "the first column must be the label and the second the text, or name them in a header, as text,label (in place of "
    "the first line, if that is a header)"
)
SWAPPED = (
    "the columns of this file look swapped, unlike those of the others: its labels are other ones, and longer than its "
    "texts; write the label first and the text second, or name the columns in a header of each file"
)
NO_ROW_BELOW = "a label that no row below has"
NAME_ABOVE = "the text is what a column of texts is called, which that of no other row is"
MOST_OF_ONE_WORD = 0.5
ODD: Mapping[str, re.Pattern[str]] = {
    "numbers with a point, as 1.0": re.compile(r"[+-]?[0-9]+\.[0-9]*"),
    "numbers with a zero in front, as 01": re.compile(r"-?0[0-9]+"),
    "in quotes of their own, as '0'": re.compile(r"(['\"`]).*\1"),
}
# What programs write where there is no value: pandas, databases, spreadsheets; and people, where there is no label yet.
NO_VALUE = frozenset(
    {
        "nan", "null", "none", "n/a", "na", "<na>", "nat", "nil", "(null)", "(blank)", "(empty)", "undefined", "\\n",
        "#n/a", "#nv", "#null!", "#ref!", "#bezug!", "#name?", "#value!", "#wert!", "#div/0!",
    }
)  # fmt: skip
NOTHING = NO_VALUE | {
    "?", "??", "???", "...", "\u2026", "--", "---", "\u2013", "\u2014", "unlabeled", "unlabelled", "not labeled",
    "not labelled", "to be labeled", "to be labelled", "to label", "no label", "todo", "tbd", "unset", "not set",
    "skip", "skipped", "missing",
}  # fmt: skip
# A dash is a label of its own beside a plus.
DASH, PLUS = "-", "+"
# What repeats the line above, to people.
DITTO = frozenset({"''", '"', '""', "\u3003", "\u201d", "ditto", "idem", "dito", "same as above"})
JOINED = re.compile(r"\s*[,;|/+&:]+\s*|\s+and\s+")
# <c#><java>, as Stack Overflow writes tags.
IN_BRACKETS = re.compile(r"<[^<>]+>")
JOINED_NAMED = 3
BEFORE_A_DELIMITER = re.compile(r"(.*?)\s*[,;|]")


def check(table: pd.DataFrame, known: Collection[Label] = ()) -> None:
    """Refuse implausible labels in a channel that defines the labels.

    Args:
        table: The channel's rows.
        known: Labels that are accepted.

    Raises:
        UserError: Most labels occur once, as texts do, or are longer than the texts, of all files or of one; or a
            table's first row is a header that is not recognised as one.
    """
    labels, counts = table["label"], Counter(table["label"])
    unknown = {label for label in counts if label not in known}
    place = f"{table['file'].iloc[0]}:{table['line'].iloc[0]}"
    # Of few rows, what a header or a key calls labels are labels.
    fewest = 0 if table["first"].any() else FEWEST_ROWS_TO_JUDGE
    most = next((share for rows, share in MOST_LABELS_TO_ROWS.items() if len(labels) >= max(rows, fewest)), 1.0)
    swapped = len(unknown) > MOST_UNKNOWN * len(counts) and look_swapped(table)
    files = list(_swapped_files(table, known))
    if files and len(files) < table["file"].nunique():
        raise UserError(at_most(files))
    if len(unknown) > most * len(labels) or swapped:
        what = ", more and longer than the texts" if swapped else ""
        raise UserError(f"{place}: {len(counts)} different labels in {len(labels)} rows{what}; {FIRST_COLUMN}")
    splits = {split_of(str(label)) for label in counts}
    if len(splits) > 1 and TRAINING in splits and None not in splits:
        raise UserError(
            f"{place}: the labels are names of splits, as train and test; {FIRST_COLUMN}; if they are the labels, call "
            "them otherwise"
        )
    found = [*_headers(table, counts, unknown), *_second_headers(table, counts, unknown)]
    if found:
        raise UserError(found)


def headers_of_a_label(rows: Sequence[Row]) -> Iterator[Problem]:
    """Name first rows that may be headers though their label comes again: ``spam,text``, above rows of ``spam``.

    The text is a name of columns of texts, which that of no other row is, and most others have several words.
    """
    named = [row for row in rows if row.first and len(row.record) <= LONGEST_KNOWN and is_text_name(row.record)]
    others = [row for row in rows if not row.first] if named else []
    words = sum(len(row.record.split()) > 1 or len(row.record) > LONGEST_KNOWN for row in others)
    if words <= MOST_OF_ONE_WORD * len(others):
        return
    if any(is_text_name(row.record) for row in others):
        return
    again = {row.label for row in others}
    for row in named:
        if row.label in again:
            yield Problem(row.file, row.line, f"{NAME_ABOVE}; {IF_A_HEADER}; {IF_DATA}")


def _swapped_files(table: pd.DataFrame, known: Collection[Label]) -> Iterator[str]:
    """Name the files whose columns look swapped beside those of the others, whatever share of the rows they have.

    Most labels of such a file are its own and longer than its texts. In addition, most of its texts are labels of the
    other files; or its labels read like texts, which those of the other files don't.
    """
    files_with = Counter(table.drop_duplicates(["file", "label"])["label"])
    for file, rows in table.groupby("file", sort=False):
        own = set(rows["label"])
        others = {label for label, count in files_with.items() if count > (label in own)} | {*known}
        if len(own - others) <= MOST_UNKNOWN * len(own) or not _are_longer(rows):
            continue
        labels_there = sum(as_label(text.strip()) in others for text in rows["record"])
        judged = rows["first"].any() or len(rows) >= FEWEST_ROWS_TO_JUDGE
        like_texts = judged and look_swapped(rows) and _read_like_texts(own) and not _read_like_texts(others)
        if labels_there > MOST_UNKNOWN * len(rows) or like_texts:
            yield f"{file}:{rows['line'].iloc[0]}: {SWAPPED}"


def _headers(table: pd.DataFrame, counts: Mapping[Label, int], unknown: Collection[Label]) -> list[str]:
    """Report first rows that may be headers: their label occurs only in first rows.

    In addition, most other labels must repeat, or the row has a usual column name, or its text is as short as a name
    among longer texts.
    """
    firsts = table[table["first"]]
    alone = _alone(firsts, counts, unknown)
    others = [count for label, count in counts.items() if label not in alone]
    come_again = bool(others) and median_low(others) > 1
    why = "where most others come more than once" if come_again else "beside a text as short as a column's name"
    return [
        f"{row.file}:{row.line}: {NO_ROW_BELOW}, {why}; {IF_A_HEADER}; {IF_DATA}"
        for row in _rows(firsts)
        if row.label in alone and (come_again or _has_known_name(row) or _is_name_above(row, table))
    ]


def _second_headers(table: pd.DataFrame, counts: Mapping[Label, int], unknown: Collection[Label]) -> list[str]:
    """Name the rows below a header that look like another header."""
    below = table[table["below"]]
    alone = _alone(below, counts, unknown)
    return [
        f"{row.file}:{row.line}: {NO_ROW_BELOW}, below a header: a second header? Take it out; {IF_DATA_MOVE}"
        for row in _rows(below)
        if row.label in alone and (are_names([str(row.label), row.record]) or _is_name_above(row, table))
    ]


def _rows(table: pd.DataFrame) -> Iterator[Row]:
    return (Row(*values) for values in zip(*(table[name] for name in Row._fields), strict=True))


def _alone(rows: pd.DataFrame, counts: Mapping[Label, int], unknown: Collection[Label]) -> set[Label]:
    """Return the names that are no known labels and come in none but these rows."""
    found = Counter(rows["label"])
    return {
        label
        for label, count in found.items()
        if isinstance(label, str) and label in unknown and counts[label] == count
    }


def _has_known_name(row: Row) -> bool:
    """Return whether a row has a name that people give to columns where it would be, and a single word beside it."""
    label, text = plain(str(row.label)), plain(row.record)
    named = label in LABEL_NAMES or text in TEXT_NAMES | LABEL_NAMES
    return named and reads_like_name(text) and len(text.split()) == 1


def _is_name_above(row: Row, table: pd.DataFrame) -> bool:
    """Return whether a row's text could be a column's name, and hardly any other text of its file is as short."""
    others = table[(table["file"] == row.file) & (table["line"] != row.line)]
    return reads_like_name(str(row.label)) and stands_above(row.record, list(others["record"]))


def odd(labels: Sequence[Label]) -> Iterator[str]:
    """Return what other tools make of numbers and of nothing, where that has become names."""
    names = [label for label in labels if isinstance(label, str)]
    for words, pattern in ODD.items():
        if names and all(pattern.fullmatch(name) for name in names):
            yield words
    for name in names:
        if name.lower() in NOTHING or (name == DASH and PLUS not in names):
            yield f"one that stands for nothing, as {name}"
            break
    if any(name.lower() in DITTO for name in names):
        yield "one that stands for the label of the line above, as ditto marks"


def doubtful(labels: Sequence[Label]) -> Iterator[str]:
    """Say which labels may be none, or several: a number that stands for no label, and names that are others joined."""
    numbers = [label for label in labels if isinstance(label, int)]
    negative = [number for number in numbers if number < 0]
    if len(negative) == 1 and (negative[0] < -1 or max(numbers) > 1):
        yield (
            f"the label {negative[0]} is the only one below 0: if it stands for rows without a label, as -1 and -100 "
            "do, take these rows out"
        )
    names = [label for label in labels if isinstance(label, str)]
    known = {name.casefold() for name in names}
    joined = [f'"{name}"' for name in names if any(_are_labels(parts, known) for parts in _parts(name.casefold()))]
    if joined:
        yield (
            f"labels that are other labels joined: {', '.join(at_most(joined, JOINED_NAMED))}; one label per row is "
            "learnt, and these are labels of their own"
        )


def _parts(name: str) -> Iterator[Sequence[str]]:
    """Return what a name consists of, if it is others joined, in each way in which it may be."""
    yield JOINED.split(name)
    yield name.split()
    if "".join(parts := IN_BRACKETS.findall(name)) == name:
        yield parts


def with_text(counts: Mapping[Label, int]) -> list[str]:
    """Return the labels of a row that begin with a label of several rows and a delimiter: ``fire;Smoke``, beside fire.

    Args:
        counts: How many rows each label has.
    """
    alone = [label for label, count in counts.items() if count == 1 and isinstance(label, str)]
    return [
        label
        for label in alone
        if (match := BEFORE_A_DELIMITER.match(label))
        and counts.get(match[1], 0) > 1
        and not _are_labels(JOINED.split(label), counts)
    ]


def _are_labels(parts: Sequence[str], labels: Container[Label]) -> bool:
    return len({*parts}) > 1 and all(part in labels for part in parts)


def look_swapped(table: pd.DataFrame) -> bool:
    """Return whether the labels are more and longer than the texts, or read like texts, as if they were swapped."""
    distinct = table["label"].unique()
    many = len(distinct) > MOST_UNKNOWN * len(table) and _read_like_texts(distinct)
    return _are_longer(table) and (table["record"].str.strip().nunique() < len(distinct) or many)


def _are_longer(table: pd.DataFrame) -> bool:
    """Return whether the labels are longer than the texts."""
    return bool(table["record"].str.strip().str.len().mean() < table["label"].astype(str).str.len().mean())


def _read_like_texts(labels: Collection[Label]) -> bool:
    return sum(reads_like_text(str(label)) for label in labels) > MOST_UNKNOWN * len(labels)
