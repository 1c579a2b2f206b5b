"""The usual names of the label and the text, in the header of a table or as JSON keys."""

from collections.abc import Sequence
from dataclasses import dataclass

LABEL = "label"
TEXT = "text"
LABEL_NAMES = frozenset({LABEL, "labels", "class", "category", "target", "intent", "sentiment", "topic", "y"})
TEXT_NAMES = frozenset(
    {
        TEXT, "texts", "sentence", "review", "document", "content", "utterance", "comment", "question", "message",
        "description", "tweet", "title", "body", "query",
    }
)  # fmt: skip
# With some spaces around it.
LONGEST_KNOWN = 20


@dataclass(frozen=True)
class Columns:
    """Where the label and the text are, counted from 0.

    Attributes:
        label: The label's column.
        text: The text's column.
        count: How many columns every row must have.
    """

    label: int
    text: int
    count: int

    def __str__(self) -> str:
        return f"label in column {self.label + 1}, text in column {self.text + 1}"


HEADERLESS = Columns(0, 1, 2)


class AmbiguousError(ValueError):
    """Several columns may be the label, or the text; the message says which and what to do."""


def recognise(names: Sequence[str], kind: str = "columns") -> Columns | None:
    """Find the label and the text by their names, in any order and among others.

    ``label`` and ``text`` go before the other names.

    Args:
        names: The names, in their order.
        kind: What they are names of, for messages.

    Returns:
        Where they are; None if one of both is not there.

    Raises:
        AmbiguousError: Both are there, and one of them more than once.
    """
    lowered = [name.strip().lower() for name in names]
    labels, texts = _candidates(lowered, LABEL, LABEL_NAMES), _candidates(lowered, TEXT, TEXT_NAMES)
    if not (labels and texts):
        return None
    for noun, found in ((LABEL, labels), (TEXT, texts)):
        if len(found) > 1:
            numbers = " and ".join(str(number + 1) for number in found)
            raise AmbiguousError(
                f"{kind} {numbers} may each be the {noun}; rename the one to read to {noun!r}, or remove the others"
            )
    return Columns(labels[0], texts[0], len(names))


def texts(names: Sequence[str]) -> list[int]:
    """Return the columns that may be the text by their names: those called ``text``, else those of the other names."""
    return _candidates([name.strip().lower() for name in names], TEXT, TEXT_NAMES)


def is_text_name(value: str) -> bool:
    """Return whether a value is what people call a column of texts: ``message``, or with that, ``comment_text``."""
    name = value.strip().lower()
    return name in TEXT_NAMES or (name.isidentifier() and not TEXT_NAMES.isdisjoint(name.split("_")))


def label_names(names: Sequence[str]) -> list[int]:
    """Return the columns that may be the label by their names: those called ``label``, else those of the others."""
    return _candidates([name.strip().lower() for name in names], LABEL, LABEL_NAMES)


def are_names(fields: Sequence[str]) -> bool:
    """Return whether a row of two columns names both beyond doubt, in either order; a single letter is a label too."""
    if len(fields) != HEADERLESS.count or max(map(len, fields)) > LONGEST_KNOWN:
        return False
    first, second = (field.strip().lower() for field in fields)
    return any(
        label in LABEL_NAMES and len(label) > 1 and text in TEXT_NAMES
        for label, text in ((first, second), (second, first))
    )


def _candidates(names: Sequence[str], best: str, known: frozenset[str]) -> list[int]:
    exact = [number for number, name in enumerate(names) if name == best]
    return exact or [number for number, name in enumerate(names) if name in known]
