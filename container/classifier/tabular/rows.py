"""A row of label and text, what can be wrong with one, and what all files of a channel give together."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from classifier.errors import UserError, at_most
from classifier.tabular.columns import HEADERLESS, Columns

Label = int | str

# A label that another tool would write in another way ("01", "1.0", "+1") is a name, not a number.
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
MOST_PROBLEMS_SHOWN = 20
IF_A_HEADER = "if it is a header, call its columns label and text, set header to true, or take it out"
IF_DATA = "if it is data, set header to false"
# Between letters these two are part of how words of some scripts are written, and of emoji.
JOINERS = "\u200c\u200d"
INVISIBLE = ("Cf", "Zl", "Zp")


class Row(NamedTuple):
    """A labelled record, and where it comes from.

    Attributes:
        file: The file, ``channel/file``.
        line: The row's first line, from 1; 0 where it is the whole file.
        label: An integer, or a name.
        text: The text as it was written, or another kind's record.
        first: Whether it is the first row of a table without a header, which may be a header not recognised as one.
    """

    file: str
    line: int
    label: Label
    text: Any
    first: bool = False


@dataclass(frozen=True)
class Problem:
    """What a user has to put right.

    Attributes:
        file: The file, or the channel.
        line: The line, from 1; 0 where it is the whole file.
        words: What is wrong, and what to do.
    """

    file: str
    line: int
    words: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.words}" if self.line else f"{self.file}: {self.words}"


@dataclass
class ReadResult:
    """What reading a channel's files gives; the readers add to it.

    Attributes:
        rows: The good rows, in order.
        problems: Everything that is wrong.
        general_notes: What the user should know of the channel.
        warnings: What may be a mistake in it, as files that are left out.
        alike: What the user should know of files: the words, and the places they are true of.
        files: The files that were read, in order.
        headers: Where the columns of each table are by its header; None where it has none.
    """

    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    general_notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    alike: dict[str, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    headers: dict[str, Columns | None] = field(default_factory=dict)

    def problem(self, file: str, line: int, words: str) -> None:
        """Add something that is wrong; line 0 means the whole file."""
        self.problems.append(Problem(file, line, words))

    def note(self, place: str, words: str) -> None:
        """Add something to know of a file, said once for all files that it is true of."""
        self.alike.setdefault(words, []).append(place)

    @property
    def notes(self) -> tuple[str, ...]:
        """All notes, a line each."""
        of_files = []
        for words, places in self.alike.items():
            more = f" (and {len(places) - 1} more alike)" if len(places) > 1 else ""
            of_files.append(f"{places[0]} {words}{more}")
        return (*self.general_notes, *of_files)

    def problems_in_order(self) -> list[Problem]:
        """Return the problems by file, in the order the files are read, and line."""
        order = {name: number for number, name in enumerate(self.files)}
        return sorted(self.problems, key=lambda problem: (order.get(problem.file, -1), problem.line))


class BadDataError(UserError):
    """Data that can't be trained on; the first line names the first place and its cure.

    Args:
        problems: Every problem found, in order.

    Attributes:
        found: All of them; the message shows the first few.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.found = tuple(problems)
        first, *others = map(str, problems)
        if others:
            count = f"{len(others)} more problem{'s' if len(others) > 1 else ''}"
            first = f"{first} (and {count}; nothing was trained)"
        super().__init__([first, *at_most(others, MOST_PROBLEMS_SHOWN - 1)])


def as_label(text: str) -> Label:
    """Return the label that a field of a table means."""
    return int(text) if INTEGER.fullmatch(text) else text


def label_problem(name: str) -> str:
    """Say what is wrong with a label's characters; nothing where they are good."""
    if not name:
        return "the label is empty; write one"
    if not name.isprintable() and any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "the label holds a tab, a line break or another control character; take it out"
    if not name.isprintable() and any(unicodedata.category(character) in INVISIBLE for character in _bare(name)):
        return "the label holds an invisible character, as a zero-width space; take it out, or write the label anew"
    return ""


def _bare(name: str) -> str:
    """Return a label without the invisible characters that may be in it."""
    return name if name[0] in JOINERS or name[-1] in JOINERS else re.sub(f"[{JOINERS}]", "", name)


def one_kind(rows: Sequence[Row]) -> Iterable[Problem]:
    """Name the labels of the kind that fewer rows have, where some are integers and some names."""
    whole = [isinstance(row.label, int) for row in rows]
    if all(whole) or not any(whole):
        return
    odd = sum(whole) < len(whole) / 2
    kind, other = ("an integer", "names") if odd else ("not an integer", "integers")
    for row, is_whole in zip(rows, whole, strict=True):
        if is_whole == odd:
            perhaps = f"; {IF_A_HEADER}" if row.first and not odd else ""
            yield Problem(row.file, row.line, f"the label is {kind} where most are {other}; use one kind{perhaps}")


def one_header(headers: Mapping[str, Columns | None]) -> Iterable[Problem]:
    """Name the tables without a header beside others whose header says that columns are in another order."""
    named = [(file, columns) for file, columns in headers.items() if columns not in (None, HEADERLESS)]
    if not named:
        return
    other, columns = named[0]
    for file, own in headers.items():
        if own is None:
            words = f"no header, where {other} has one of {columns}; put that header above this file too"
            yield Problem(file, 1, words)
