"""The records of a file of any format: rows, and rejects where a row can't be read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TextIO

from classifier.artifact import Label
from classifier.explanation import Word

NOT_UTF_8 = "not UTF-8; save the file as UTF-8 (in Excel: 'CSV UTF-8')"
TOO_LONG = "longer than 4 million characters; shorten the text"
NO_TEXT = "the text is empty; add one, or remove the row"
LABEL_COLUMN, PROBABILITY, WORDS = "predicted_label", "probability", "words"


class Row(NamedTuple):
    """A row with a text.

    Attributes:
        line: The number of its first line, from 1.
        size: Its approximate number of characters.
        text: The text to classify.
        content: All of its fields, as its table writes them to the result.
    """

    line: int
    size: int
    text: str
    content: Sequence[str]


class Reject(NamedTuple):
    """A row that can't be read.

    Attributes:
        line: The number of its first line, from 1; 0 for the whole file.
        reason: What is wrong and what to do, without quoting the row.
    """

    line: int
    reason: str


Record = Row | Reject


class Answer(NamedTuple):
    """A row and its prediction.

    Attributes:
        row: The row.
        label: The most probable label; None if its probability is not above its threshold.
        numbers: The label's probability, followed by those of all labels if requested.
        words: The words that made the label, if requested; otherwise None.
    """

    row: Row
    label: Label | None
    numbers: Sequence[float]
    words: Sequence[Word] | None = None


@dataclass(frozen=True)
class Added:
    """The columns that a result adds to each row.

    Attributes:
        labels: The labels, in the order of the probabilities; none if no column is added.
        each: Whether there is a column for each label's probability.
        thresholds: What each label's probability must exceed for the label to be answered; None answers every label.
        words: Whether there is a column for the words that made the label.
    """

    labels: Sequence[Label]
    each: bool
    thresholds: Sequence[float] | None = None
    words: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the added columns."""
        if not self.labels:
            return []
        each = [f"{PROBABILITY}_{label}" for label in self.labels] if self.each else []
        return [LABEL_COLUMN, PROBABILITY, *each, *([WORDS] if self.words else [])]

    def label(self, best: int, probability: float) -> Label | None:
        """Return the label with an index, the most probable one of a row; None if it is not answered."""
        return self.labels[best] if self.thresholds is None or probability > self.thresholds[best] else None


class Table(Protocol):
    """A file whose columns are known; implemented by :mod:`classifier.batch.csv_table` and :mod:`.json_table`."""

    @property
    def added(self) -> Added:
        """The columns that the result adds."""
        ...

    @property
    def doubts(self) -> Sequence[str]:
        """Warnings about how the table is read."""
        ...

    @property
    def start(self) -> str:
        """The beginning of the result, before its first row."""
        ...

    def records(self, file: TextIO) -> Iterator[Record]:
        """Yield a file's rows and rejects, in order, one at a time."""
        ...

    def lines(self, answers: Iterable[Answer]) -> str:
        """Return rows of the result, each with its line break."""
        ...
