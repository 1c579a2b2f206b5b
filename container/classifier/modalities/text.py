"""Labelled texts, read from the tables of a channel, with every bad row found and named."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from classifier import TEXT
from classifier.modalities.report import findings
from classifier.tabular import csv_rows, files, json_rows, rows
from classifier.tabular.files import Source, find
from classifier.tabular.labels import check
from classifier.tabular.rows import BadDataError, Label, ReadResult

__all__ = [
    "NAME",
    "Examples",
    "Label",
    "bits_of",
    "check",
    "examples",
    "find",
    "findings",
    "read_channel",
    "read_sources",
    "sorted_labels",
    "why_one_label",
]  # fmt: skip

NAME = TEXT
READERS: Mapping[str, Callable[[Source, str, ReadResult], None]] = dict.fromkeys(files.JSON_LINES, json_rows.read)


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
    found = ReadResult()
    read_sources(find(folder, channel, found), header, found)
    if found.problems:
        raise BadDataError(found.problems_in_order())
    return examples(found)


def read_sources(sources: Sequence[Source], header: str, found: ReadResult) -> None:
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
    # A header taken for data is the cause of the other.
    found.problems[:0] = list(rows.one_header(found.headers)) or list(rows.one_kind(found.rows))


def examples(found: ReadResult) -> Examples:
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


def why_one_label(_: pd.DataFrame) -> str:
    """Say nothing of why all texts have one label."""
    return ""


def bits_of(_: Iterable[pd.DataFrame]) -> int:
    """Return 0: there are no images."""
    return 0


def sorted_labels(labels: Collection[Label]) -> list[Label]:
    """Return each label once: integers by value, names by their characters."""
    return sorted(set(labels))
