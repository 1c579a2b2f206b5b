"""Rows of a label and a text, read from CSV files, with every bad row found and named."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pandas as pd

from classifier.environment import channel_files
from classifier.errors import UserError, at_most

Label = int | str

DATA_FILE = "data.csv"
LABEL_HEADERS = frozenset({"label", "labels", "class", "category", "target"})
TEXT_HEADERS = frozenset({"text", "texts", "sentence", "review", "document", "content"})
# A label that another tool would write in another way ("01", "1.0", "+1") is a name, not a number.
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
# Beyond this share of labels that occur once, the first column is no label.
MOST_LABELS_TO_ROWS = 0.5
FEWEST_ROWS_TO_JUDGE = 20


@dataclass(frozen=True)
class Examples:
    """Labelled texts.

    Attributes:
        table: A row an example, with the columns ``label``, ``text``, ``file`` and ``line`` (the row's first, from 1).
        notes: What the reader saw that the user should know of, one line each.
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Row:
    file: str
    line: int
    fields: Sequence[str]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def read_channel(folder: Path, channel: str) -> Examples:
    """Read all examples of a channel.

    ``data.csv`` at the channel's top, or else every ``*.csv`` at any depth, without a header or with one that names
    the columns; UTF-8, with or without a byte order mark; fields quoted as RFC 4180 says.

    Raises:
        UserError: There are no data, or bad rows: the message lists them by file and line.
    """
    files, notes = _data_files(folder, channel)
    problems: list[str] = []
    rows: list[_Row] = []
    for path in files:
        name = f"{channel}/{path.relative_to(folder).as_posix()}"
        _collect(_read_file(path, name, problems), rows, problems, notes)
    if not rows and not problems:
        raise UserError(f"{channel}: the files hold no rows; each row is a label, a comma, and a text in quotes")
    labels = _labels(rows, problems)
    if problems:
        count = f"{len(problems)} bad row{'s' if len(problems) > 1 else ''}"
        raise UserError(at_most(problems), f"{count} in channel {channel}; nothing was trained:")
    notes += _doubts(rows)
    empty = [row.place for row in rows if not row.fields[1].strip()]
    if empty:
        notes.append(f"empty texts: {len(empty)}, the first at {empty[0]}")
    table = pd.DataFrame(
        {
            "label": pd.Series(labels, dtype="object"),
            "text": [row.fields[1] for row in rows],
            "file": [row.file for row in rows],
            "line": [row.line for row in rows],
        }
    )
    return Examples(table, tuple(notes))


def sorted_labels(labels: Sequence[Label]) -> list[Label]:
    """Return each label once: integers by value, names by their characters."""
    return sorted(set(labels))


def _data_files(folder: Path, channel: str) -> tuple[list[Path], list[str]]:
    if not folder.is_dir():
        raise UserError(f"channel {channel}: the job names it, but it has no files; check its S3 address")
    files = channel_files(folder)
    tables = [path for path in files if path.suffix.lower() == ".csv"]
    chosen = [path for path in tables if path == folder / DATA_FILE] or tables
    if not chosen:
        found = ", ".join(path.name for path in files[:5]) or "no files"
        raise UserError(f"channel {channel}: no {DATA_FILE} in it ({found}); its S3 address must lead to its folder")
    left_out = [path.relative_to(folder).as_posix() for path in files if path not in chosen]
    return chosen, [f"left out: {', '.join(at_most(left_out, 5))}"] if left_out else []


def _read_file(path: Path, name: str, problems: list[str]) -> Iterator[_Row]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = 1
        while line:
            line = yield from _read_until_broken(file, name, line, problems)


def _read_until_broken(file: TextIO, name: str, first: int, problems: list[str]) -> Generator[_Row, None, int]:
    """Yield rows up to one that is no CSV; return the number of the line after it, 0 at the file's end."""
    reader = csv.reader(file, strict=True, skipinitialspace=True)
    line = first
    try:
        for fields in reader:
            yield _Row(name, line, fields)
            line = first + reader.line_num
    except UnicodeDecodeError:
        problems.append(f"{name}:{_first_undecodable_line(Path(file.name))}: not UTF-8; save the file as UTF-8")
        return 0
    except csv.Error as error:
        problems.append(
            f"{name}:{line}: a quote is not closed or not doubled ({error}); "
            'write the text in quotes and each quote in it twice: 1,"say ""hello"""'
        )
        return first + reader.line_num
    return 0


def _first_undecodable_line(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _collect(source: Iterator[_Row], rows: list[_Row], problems: list[str], notes: list[str]) -> None:
    columns = (0, 1)
    for number, row in enumerate(row for row in source if row.fields):
        header = _header(row.fields) if number == 0 else None
        if header is not None:
            columns = header
            notes.append(f"{row.place} is a header: label in column {header[0] + 1}, text in column {header[1] + 1}")
            continue
        if len(row.fields) != 2:
            problems.append(f"{row.place}: {_wrong_count(len(row.fields))}")
            continue
        label, text = row.fields[columns[0]].strip(), row.fields[columns[1]]
        if not label:
            problems.append(f"{row.place}: the label is empty; write one")
            continue
        rows.append(_Row(row.file, row.line, (label, text)))


def _header(fields: Sequence[str]) -> tuple[int, int] | None:
    names = [field.strip().lower() for field in fields]
    if len(names) != 2:
        return None
    for label, text in ((0, 1), (1, 0)):
        if names[label] in LABEL_HEADERS and names[text] in TEXT_HEADERS:
            return label, text
    return None


def _wrong_count(count: int) -> str:
    if count == 1:
        return "1 column; a row is a label, a comma, and a text"
    return f'{count} columns; put a text that has commas in quotes: 1,"one, two"'


def _labels(rows: Sequence[_Row], problems: list[str]) -> list[Label]:
    """Make all labels integers or all of them names; a mix is the user's to decide."""
    texts = [row.fields[0] for row in rows]
    whole = [INTEGER.fullmatch(text) is not None for text in texts]
    if all(whole):
        return [int(text) for text in texts]
    if not any(whole):
        return list(texts)
    odd = sum(whole) < len(whole) / 2
    kind, other = ("an integer", "names") if odd else ("not an integer", "integers")
    problems.extend(
        f"{row.place}: the label is {kind} where most are {other}; use one kind"
        for row, is_whole in zip(rows, whole, strict=True)
        if is_whole == odd
    )
    return []


def check_labels(examples: Examples, channel: str) -> None:
    """Refuse labels that are none, of a channel that says which labels there are.

    Raises:
        UserError: Most labels occur once, as texts do; or the first row is a header that is not recognised as one, with
            a label of its own above labels that come again and again.
    """
    labels, counts = examples.table["label"], Counter(examples.table["label"])
    if len(labels) >= FEWEST_ROWS_TO_JUDGE and len(counts) > MOST_LABELS_TO_ROWS * len(labels):
        raise UserError(
            f"channel {channel}: {len(counts)} different labels in {len(labels)} rows; "
            "the first column must be the label and the second the text"
        )
    first = labels.iloc[0]
    others = [count for label, count in counts.items() if label != first]
    if isinstance(first, str) and counts[first] == 1 and others and min(others) > 1:
        row = examples.table.iloc[0]
        raise UserError(
            f"{row['file']}:{row['line']}: a label that no other row has, where all others come more than once; "
            "if it is a header, call its columns label and text, or take it out"
        )


def _doubts(rows: Sequence[_Row]) -> list[str]:
    """Note texts that may be several rows, run together by a quote that is not closed."""
    starts = tuple({f"{row.fields[0]}," for row in rows})
    swallowed = [row for row in rows if any(line.startswith(starts) for line in row.fields[1].splitlines()[1:])]
    if not swallowed:
        return []
    first = swallowed[0].place
    return [f"texts with a line that looks like a row: {len(swallowed)}; is a quote missing in the first, at {first}?"]
