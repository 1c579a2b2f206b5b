"""Rows of label and record, the problems of a row, and the result of reading all files of a channel."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from classifier.errors import UserError, at_most
from classifier.tabular.columns import HEADERLESS, Columns
from classifier.tabular.unread import Finding

Label = int | str

# A label that another tool would write in another way ("01", "1.0", "+1") is a name, not a number.
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
MOST_PROBLEMS_SHOWN = 20
IF_A_HEADER = "if it is a header, call its columns label and text, set header to true, or take it out"
IF_DATA = "if it is data, set header to false"
IF_DATA_MOVE = "if it is data, move it below another row"
LONGEST_LABEL_NAMED = 40
MOST_HEADERS_NAMED = 5
# A list that became a name: ['fire'], [1], ("fire",), ['fire', 'brakes'], [0, 1, 0].
LIST = re.compile(
    r"""\[\s*(?:(['"]).*\1|[-\d.]++(?:\s*+,?\s*+[-\d.]++)*+)\s*+,?\s*+\]|\(\s*(?:(['"]).*\2\s*+,?|[-\d.]+\s*,.*)\s*\)|\{\s*(['"]).*\3\s*\}"""
)
# Between letters these two are part of how words of some scripts are written, and of emoji.
JOINERS = "\u200c\u200d"
INVISIBLE = ("Cf", "Zl", "Zp")


class Row(NamedTuple):
    """A labelled record, and where it comes from.

    Attributes:
        file: The file, ``channel/file``.
        line: The row's first line, from 1; 0 for the whole file.
        label: An integer, or a name.
        record: The text as it was written, or another kind's record.
        first: Whether it is the first row of a table without a header, which may be a header not recognised as one.
        below: Whether it is the first row below a header, which may be another header.
    """

    file: str
    line: int
    label: Label
    record: Any
    first: bool = False
    below: bool = False


@dataclass(frozen=True)
class Problem:
    """What a user has to put right.

    Attributes:
        file: The file, or the channel.
        line: The line, from 1; 0 for the whole file.
        words: What is wrong, and what to do.
    """

    file: str
    line: int
    words: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.words}" if self.line else f"{self.file}: {self.words}"


def location_of(file: str, line: int) -> str:
    """Return where a row is; a text that is a file of its own has no line."""
    return f"{file}:{line}" if line else file


@dataclass
class ReadResult:
    """What reading a channel's files gives; the readers add to it.

    Attributes:
        rows: The good rows, in order.
        problems: Everything that is wrong.
        general_notes: What the user should know of the channel.
        general_warnings: What of the channel may be a mistake.
        alike: What the user should know of files: the words, and the places they are true of.
        files: The files that were read, in order.
        headers: Where the columns of each table are by its header; None if it has none.
        said_headers: For the place of each first row that is a header only because the user says so of all files, what
            would be its label.
        role: What the channel is for: ``training``, ``validation`` or ``test``.
        doubts: Those of the notes that may mean a mistake, by their words.
    """

    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    general_notes: list[str] = field(default_factory=list)
    general_warnings: list[str] = field(default_factory=list)
    alike: dict[str, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    headers: dict[str, Columns | None] = field(default_factory=dict)
    said_headers: dict[str, str] = field(default_factory=dict)
    role: str = "training"
    doubts: set[str] = field(default_factory=set)

    def problem(self, file: str, line: int, words: str) -> None:
        """Add something that is wrong; line 0 means the whole file."""
        self.problems.append(Problem(file, line, words))

    def note(self, place: str, words: str) -> None:
        """Add something to know of a file, said once for all files that it is true of."""
        self.alike.setdefault(words, []).append(place)

    def doubt(self, place: str, words: str) -> None:
        """Add something to know of a file that may be a mistake: a note that is a warning."""
        self.doubts.add(words)
        self.note(place, words)

    def judge(self, file: str, findings: Iterable[Finding]) -> None:
        """Add what the columns or keys of a file do that are not read: problems and doubts."""
        for found in findings:
            if found.ends:
                self.problem(file, found.line, found.words)
            else:
                self.doubt(f"{file}:{found.line}" if found.line else file, found.words)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes that are no warnings, a line each."""
        return (*self.general_notes, *(self._line(words) for words in self.alike if words not in self.doubts))

    @property
    def warnings(self) -> list[str]:
        """What may be a mistake, a line each."""
        return [*self.general_warnings, *(self._line(words) for words in self.alike if words in self.doubts)]

    def _line(self, words: str) -> str:
        first, *others = self.alike[words]
        return f"{first} {words}" + (f" (and {len(others)} more alike)" if others else "")

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
    """Return what is wrong with a label's characters; empty if they are good."""
    if not name:
        return "the label is empty; write one"
    if "\t" in name:
        return "the label holds a tab; take it out, or, where tabs separate the columns, set delimiter to tab"
    if not name.isprintable() and any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "the label holds a line break or another control character; take it out"
    if not name.isprintable() and any(unicodedata.category(character) in INVISIBLE for character in _bare(name)):
        return "the label holds an invisible character, such as a zero-width space; remove it, or retype the label"
    return _form_problem(name)


def _form_problem(name: str) -> str:
    """Return what is wrong with a label that another program wrote in its own form."""
    if name[0] in "[({" and LIST.fullmatch(name):
        return "the label is written as a list; one label per row is read: write it alone, without brackets and quotes"
    if name.startswith('{"') and name.endswith("}"):
        return (
            "the label is written as JSON, as Label Studio writes several choices; one label per row is read: write "
            "the one it has, or remove the row"
        )
    return ""


def folder_problem(name: str) -> str:
    """Return why a folder's name can't be a label; empty if it can be one."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "the folder's name is not UTF-8; give it another"
    return label_problem(name)


def may_be_shown(label: object, count: int) -> bool:
    """Return whether a message may name a label: a long one, or that of a single row, may be a text in its column.

    Args:
        label: The label.
        count: How many rows have it.
    """
    return isinstance(label, int) or (count > 1 and len(str(label)) <= LONGEST_LABEL_NAMED)


def shown_label(label: Label, count: int) -> str:
    """Name a label for a message, or say how long it is where :func:`may_be_shown` says that it may not be named."""
    return f"label {label!r}" if may_be_shown(label, count) else f"a label of {len(str(label))} characters"


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
            perhaps = "" if odd else if_a_header(first=row.first, below=row.below)
            yield Problem(row.file, row.line, f"the label is {kind} where most are {other}; use one kind{perhaps}")


def if_a_header(*, first: bool, below: bool) -> str:
    """Return what to do with a row that has a wrong label, if it is a header; empty if it can't be one.

    Args:
        first: Whether it is the first row of a table without a header.
        below: Whether it is the first row below a header.
    """
    return f"; {IF_A_HEADER}" if first else "; if it is a second header, take it out" if below else ""


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


def doubtful_headers(headers: Mapping[str, str], rows: Iterable[Row]) -> Iterable[str]:
    """Say which first rows may be no headers, though the user says that all are: their labels come in the rows.

    Args:
        headers: What would be the label of each, by its place.
        rows: All rows of the channel.
    """
    labels = {str(row.label) for row in rows} if headers else set()
    places = [place for place, label in headers.items() if label in labels]
    if places:
        yield (
            f"{', '.join(at_most(places, MOST_HEADERS_NAMED))}: left out, because header is true, for all files; the "
            "label comes again in other rows, so that it may be a row: put a header above it"
        )
