"""Reads labelled texts from the tables of a channel, and reports every bad row."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import pandas as pd

from classifier.modalities.report import findings
from classifier.modalities.text import LONGEST
from classifier.tabular import csv_rows, files, json_rows, labels, rows, text_folders
from classifier.tabular.channel import find
from classifier.tabular.dialect import Dialect
from classifier.tabular.files import Source
from classifier.tabular.rows import Label, ReadResult

__all__ = [
    "Label",
    "bits_of",
    "check",
    "find",
    "findings",
    "read_sources",
    "sorted_labels",
    "table_of",
    "why_one_label",
]

READERS: Mapping[str, Callable[[Source, Dialect, ReadResult], None]] = dict.fromkeys(files.JSON_LINES, json_rows.read)


def read_sources(sources: Sequence[Source], dialect: Dialect, found: ReadResult) -> None:
    """Read files, and judge their labels together.

    Args:
        sources: The files, in order.
        dialect: What the user says of how tables are written.
        found: Gets the rows, the problems and the notes.
    """
    found.files += [source.name for source in sources if not source.label]
    for source in sources:
        if source.label:
            text_folders.read(source, found)
        else:
            _read_table(source, dialect, found)
    found.general_warnings += text_folders.one_file_each(found.rows)
    _cut(found)
    found.general_warnings += rows.doubtful_headers(found.said_headers, found.rows)
    if sources and not found.rows and not found.problems:
        found.problem(sources[0].name, 0, "the file holds no rows; each is a label, a comma, and a text in quotes")
    found.problems += labels.headers_of_a_label(found.rows)
    # A header taken for data is the cause of the other.
    found.problems[:0] = list(rows.one_header(found.headers)) or list(rows.one_kind(found.rows))


def _read_table(source: Source, dialect: Dialect, found: ReadResult) -> None:
    before = len(found.rows), len(found.problems)
    if files.is_text(source, found):
        READERS.get(source.suffix, csv_rows.read)(source, dialect, found)
    if before == (len(found.rows), len(found.problems)):
        found.note(source.name, "holds no rows")


def _cut(found: ReadResult) -> None:
    """Cut texts to what serving reads of them, so that a model is trained and scored on what it will be asked."""
    for number, row in enumerate(found.rows):
        if len(row.record) > LONGEST:
            found.rows[number] = row._replace(record=row.record[:LONGEST])
            place = rows.location_of(row.file, row.line)
            found.doubt(place, f"has more than {LONGEST:,} characters; only these are read, as in requests")


def table_of(found: ReadResult) -> pd.DataFrame:
    """Return the good rows as a table, one per row.

    Returns:
        The columns ``label``, ``record``, ``file``, ``line`` (the row's first, from 1), ``first`` (True where a table
        without a header begins, which may be a header that was not recognised) and ``below`` (True for the first row
        below a header, which may be another).
    """
    columns = list(zip(*found.rows, strict=True)) or [()] * len(rows.Row._fields)
    return pd.DataFrame(
        {
            "label": pd.Series(columns[2], dtype="object"),
            "record": pd.Series(columns[3], dtype="object"),
            "file": pd.Series(columns[0], dtype="object"),
            "line": pd.Series(columns[1], dtype="int64"),
            "first": pd.Series(columns[4], dtype="bool"),
            "below": pd.Series(columns[5], dtype="bool"),
        }
    )


def why_one_label(_: pd.DataFrame) -> str:
    """Return an empty string: the reason is not known for texts."""
    return ""


def bits_of(_: Iterable[pd.DataFrame]) -> int:
    """Return 0: there are no images."""
    return 0


def check(table: pd.DataFrame, known: Collection[Label]) -> None:
    """Refuse implausible labels, except the names of folders, which are labels beyond doubt.

    Args:
        table: The channel's rows.
        known: Labels that are accepted.

    Raises:
        UserError: As :func:`classifier.tabular.labels.check`.
    """
    if table["line"].any():
        labels.check(table, known)


def sorted_labels(every: Collection[Label]) -> list[Label]:
    """Return each label once: integers by value, names by their characters."""
    return sorted(set(every))
