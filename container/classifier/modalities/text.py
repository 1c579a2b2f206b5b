"""Labelled texts, read from the tables of a channel, with every bad row found and named."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from classifier.errors import UserError
from classifier.modalities import csv_rows, files, json_rows, rows
from classifier.modalities.files import Source
from classifier.modalities.rows import BadDataError, Harvest, Label

__all__ = ["Examples", "Label", "check_labels", "examples", "harvest", "read_channel", "sorted_labels"]

# Beyond this share of labels that occur once, the first column is no label.
MOST_LABELS_TO_ROWS = 0.5
FEWEST_ROWS_TO_JUDGE = 20
READERS: Mapping[str, Callable[[Source, str, Harvest], None]] = dict.fromkeys(files.JSON_LINES, json_rows.read)


@dataclass(frozen=True)
class Examples:
    """Labelled texts.

    Attributes:
        table: A row an example, with the columns ``label``, ``text``, ``file``, ``line`` (the row's first, from 1) and
            ``first`` (True where a table without a header begins, which may be a header that was not recognised).
        notes: What the reader saw that the user should know of, one line each.
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = ()


def read_channel(folder: Path, channel: str, *, header: str = "auto") -> Examples:
    """Read all examples of a channel.

    ``data.csv`` at the channel's top, or else all its tables at any depth: CSV, also with tabs or semicolons, and JSON
    Lines; UTF-8, with or without a byte order mark; with gzip or without.

    Args:
        folder: The channel's folder.
        channel: Its name.
        header: Whether each table's first row is a header: ``true``, ``false``, or ``auto``, which is where it names
            the columns.

    Raises:
        UserError: There are no data, or bad rows: the message lists them by file and line.
    """
    found = Harvest()
    harvest(files.find(folder, channel, found), header, found)
    if found.problems:
        raise BadDataError(found.problems_in_order())
    return examples(found)


def harvest(sources: Sequence[Source], header: str, found: Harvest) -> None:
    """Read files, and judge their labels together.

    Args:
        sources: The files, in order.
        header: As for :func:`read_channel`.
        found: Gets the rows, the problems and the notes.
    """
    found.files += [source.name for source in sources]
    for source in sources:
        before = len(found.rows), len(found.problems)
        if files.is_text(source, found):
            READERS.get(source.suffix, csv_rows.read)(source, header, found)
        if before == (len(found.rows), len(found.problems)):
            found.note(source.name, "holds no rows")
    if sources and not found.rows and not found.problems:
        found.problem(sources[0].name, 0, "the file holds no rows; each is a label, a comma, and a text in quotes")
    found.problems += rows.one_kind(found.rows)


def examples(found: Harvest) -> Examples:
    """Return good rows as a table."""
    columns = list(zip(*found.rows, strict=True)) or [()] * len(rows.Row._fields)
    table = pd.DataFrame(
        {
            "label": pd.Series(columns[2], dtype="object"),
            "text": pd.Series(columns[3], dtype="object"),
            "file": pd.Series(columns[0], dtype="object"),
            "line": pd.Series(columns[1], dtype="int64"),
            "first": pd.Series(columns[4], dtype="bool"),
        }
    )
    return Examples(table, found.notes)


def sorted_labels(labels: Collection[Label]) -> list[Label]:
    """Return each label once: integers by value, names by their characters."""
    return sorted(set(labels))


def check_labels(table: pd.DataFrame, known: Collection[Label] = ()) -> None:
    """Refuse labels that are none, of a channel that says which labels there are.

    Args:
        table: The channel's rows.
        known: Labels that are beyond doubt.

    Raises:
        UserError: Most labels occur once, as texts do; or a table's first row is a header that is not recognised as
            one, with a label of its own above labels that come again and again.
    """
    labels, counts = table["label"], Counter(table["label"])
    unknown = [label for label in counts if label not in known]
    place = f"{table['file'].iloc[0]}:{table['line'].iloc[0]}"
    if len(labels) >= FEWEST_ROWS_TO_JUDGE and len(unknown) > MOST_LABELS_TO_ROWS * len(labels):
        raise UserError(
            f"{place}: {len(counts)} different labels in {len(labels)} rows; the first column must be the label and "
            "the second the text, or name them in a header: text,label"
        )
    firsts = table[table["first"]]
    headers = set(firsts["label"])
    if len(headers) != 1:
        return
    header = headers.pop()
    others = [count for label, count in counts.items() if label != header]
    lonely = counts[header] == len(firsts) and bool(others) and min(others) > 1
    if isinstance(header, str) and header in unknown and lonely:
        raise UserError(
            f"{firsts['file'].iloc[0]}:{firsts['line'].iloc[0]}: a label that no row below has, where all others come "
            f"more than once; {rows.IF_A_HEADER}"
        )
