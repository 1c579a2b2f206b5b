"""What a file is made of, whatever its kind: rows, and places where there is none."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TextIO

from classifier.artifact import Label

NOT_UTF_8 = "not UTF-8; save the file as UTF-8 (in Excel: 'CSV UTF-8')"
TOO_LONG = "longer than 4 million characters; shorten the text"
NO_TEXT = "the text is empty; write one, or take the row out"
LABEL_COLUMN, PROBABILITY = "predicted_label", "probability"


class Row(NamedTuple):
    """A row with a text.

    Attributes:
        line: Its first line, from 1.
        size: Its characters, about.
        text: What the model reads.
        content: All of it, as its table writes it again.
    """

    line: int
    size: int
    text: str
    content: Sequence[str]


class Reject(NamedTuple):
    """A place where there should be a row, and is none that can be read.

    Attributes:
        line: Its first line, from 1; 0 where it is the whole file.
        reason: What is wrong with it, and what to do, without any of its text.
    """

    line: int
    reason: str


Record = Row | Reject


class Answer(NamedTuple):
    """A row and what the model says of it.

    Attributes:
        row: The row.
        label: The most probable label.
        numbers: Its probability, and those of all labels where they are wanted.
    """

    row: Row
    label: Label
    numbers: Sequence[float]


@dataclass(frozen=True)
class Added:
    """What is written beside each row's own columns.

    Attributes:
        labels: The labels, in the order of the probabilities.
        each: Whether there is a column for each label's probability.
    """

    labels: Sequence[Label]
    each: bool

    @property
    def names(self) -> list[str]:
        """What the new columns are called."""
        return [LABEL_COLUMN, PROBABILITY, *([f"{PROBABILITY}_{label}" for label in self.labels] if self.each else [])]


class Table(Protocol):
    """A file whose columns are known, as :mod:`classifier.batch.csv_table` and :mod:`.json_table` offer it."""

    @property
    def added(self) -> Added:
        """The result's other columns."""
        ...

    @property
    def doubts(self) -> Sequence[str]:
        """What may be a mistake in how it is read."""
        ...

    @property
    def start(self) -> str:
        """What comes before the first row of the result."""
        ...

    def records(self, file: TextIO) -> Iterator[Record]:
        """Yield a file's rows and what is wrong with others, in order; hold one at a time."""
        ...

    def lines(self, answers: Iterable[Answer]) -> str:
        """Return rows of the result, each with its line end."""
        ...
