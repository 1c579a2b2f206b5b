"""Writes probabilities as the body of an answer, record by record; one table holds an answer's fields."""

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from classifier.artifact import Label
from classifier.errors import RequestError
from classifier.explanation import Word
from classifier.serving.json_records import Identified, content_of
from classifier.serving.media_types import CSV, JSON, JSON_LINES, AnswerType
from classifier.serving.records import Record

Chunk = tuple[Sequence[Record], NDArray[np.float32], Sequence[Sequence[Word]]]
"""Records, the probabilities of the good ones, float32[good records, labels], and their words.

There are words only if the answer type's ``explain`` is set.
"""

Chunks = Iterable[Chunk]

_NEEDS_QUOTES = re.compile('[",\r\n]')


@dataclass(frozen=True)
class Layout:
    """How to write the answer to each record.

    Attributes:
        answer: The type that the client accepts. Its ``n_predictions`` sorts and truncates ``probabilities`` and
            ``labels`` together, in every type; JSON and JSON Lines then always hold both. Its ``verbose`` and
            ``explain`` apply to JSON and JSON Lines.
        labels: The labels, in the order of the model's probabilities.
        columns: Names from ``media_types.INFERENCE_OUTPUTS``: the keys of JSON Lines, regardless of ``verbose``, and
            the columns of CSV, in this order; empty for the defaults. They don't apply to ``application/json``.
        thresholds: What each label's probability must exceed for the label to be answered, float64[labels], unless
            ``answer`` has a threshold for all; None answers every label. What is not answered is null in JSON and JSON
            Lines, and an empty column in CSV.
    """

    answer: AnswerType
    labels: Sequence[Label]
    columns: tuple[str, ...] = ()
    thresholds: NDArray[np.float64] | None = None

    @property
    def limits(self) -> NDArray[np.float64]:
        """The thresholds that apply, float64[labels]."""
        if self.answer.threshold is None and self.thresholds is not None:
            return self.thresholds
        return np.full(len(self.labels), self.answer.threshold or 0.0)


@dataclass(frozen=True)
class _Prediction:
    """The prediction for a record.

    Attributes:
        best: The index of the most probable label; the first one of a tie.
        answered: Whether its probability is above its threshold.
        probability: The probability of that label.
        probabilities: The probabilities that the answer lists, float32[listed labels].
        order: The indices of their labels; None if all labels are listed in the model's order.
        words: The words that made the label, if they are asked for.
    """

    best: int
    answered: bool
    probability: np.float32
    probabilities: NDArray[np.float32]
    order: list[int] | None
    words: Sequence[Word] = ()


_Writer = Callable[[_Prediction], str]


@dataclass(frozen=True)
class _Format:
    """How a media type is written.

    Attributes:
        good: Writes a prediction.
        bad: Writes the error of a bad record.
        separator: What is written between records.
        identified: Adds a record's id to its answer.
    """

    good: _Writer
    bad: Callable[[RequestError], str]
    separator: str
    identified: Callable[[str | int, str], str] = lambda _id, answer: answer


def pieces(layout: Layout, chunks: Chunks, *, single: bool = False) -> Iterator[bytes]:
    """Yield an answer in pieces, about one per record, so that other threads, and so pings, run in between.

    A record that is a RequestError is answered in its position: with ``{"error": {"code": ..., "message": ...}}`` in
    JSON and JSON Lines, with empty columns in CSV. A record's id is the first key of its answer; CSV has no ids. No
    line break follows the last record.

    Args:
        layout: How to write the answer.
        chunks: The records and their probabilities, consumed one chunk at a time.
        single: Whether the request was a single record, which JSON answers with an object instead of a list.
    """
    writing = _FORMATS[layout.answer.media_type](layout)
    listed = layout.answer.media_type == JSON and not single
    if listed:
        yield b"["
    separator = ""
    for answer in _answers(writing, layout, chunks):
        yield (separator + answer).encode("utf-8")
        separator = writing.separator
    if listed:
        yield b"]"


def _answers(writing: _Format, layout: Layout, chunks: Chunks) -> Iterator[str]:
    limits = layout.limits
    for records, probabilities, words in chunks:
        good = sum(not isinstance(content_of(record), RequestError) for record in records)
        if good != len(probabilities):
            raise ValueError(f"{len(probabilities)} rows of probabilities for {good} records")
        predictions = _predictions(probabilities, words, limits, layout.answer.n_predictions)
        for record in records:
            content = content_of(record)
            answer = writing.bad(content) if isinstance(content, RequestError) else writing.good(next(predictions))
            yield writing.identified(record.id, answer) if isinstance(record, Identified) else answer


def _predictions(
    probabilities: NDArray[np.float32],
    words: Sequence[Sequence[Word]],
    limits: NDArray[np.float64],
    most: int | None,
) -> Iterator[_Prediction]:
    """Yield the prediction of each record."""
    best = probabilities.argmax(axis=1)
    order = None if most is None else np.argsort(-probabilities, axis=1, kind="stable")[:, :most]
    listed = probabilities if order is None else np.take_along_axis(probabilities, order, axis=1)
    for index, label in enumerate(best.tolist()):
        probability = probabilities[index, label]
        yield _Prediction(
            label,
            bool(probability > limits[label]),
            probability,
            listed[index],
            None if order is None else order[index].tolist(),
            words[index] if words else (),
        )


def _json(layout: Layout) -> _Format:
    extra = ("labels", "predicted_label") if layout.answer.verbose else ()
    return _Format(_object(layout, ("probabilities", *extra)), _json_error, ", ", _with_id)


def _json_lines(layout: Layout) -> _Format:
    extra = ("labels",) if layout.answer.verbose else ()
    return _Format(
        _object(layout, layout.columns or ("predicted_label", "probabilities", *extra)), _json_error, "\n", _with_id
    )


def _csv(layout: Layout) -> _Format:
    writers = _csv_writers(layout.labels)
    chosen = [writers[name] for name in layout.columns or ("predicted_label", "probability")]
    return _Format(
        lambda row: ",".join(write(row) for write in chosen),
        lambda _error: "," * (len(chosen) - 1),
        "\n",
    )


def _object(layout: Layout, names: tuple[str, ...]) -> _Writer:
    """Return a writer of JSON objects; sorted probabilities mean nothing without their labels, so these are added."""
    if layout.answer.n_predictions is not None and "probabilities" in names and "labels" not in names:
        names = (*names, "labels")
    if layout.answer.explain:
        names = (*names, "words")
    writers = _json_writers(layout.labels)
    chosen = [(f'"{name}": ', writers[name]) for name in names]
    return lambda row: "{" + ", ".join(key + write(row) for key, write in chosen) + "}"


def _with_id(given: str | int, answer: str) -> str:
    return f'{{"id": {json.dumps(given)}, {answer[1:]}'


def _json_error(error: RequestError) -> str:
    return json.dumps({"error": {"code": error.code, "message": error.message}})


def _json_writers(labels: Sequence[Label]) -> Mapping[str, _Writer]:
    """Return a writer of JSON for each of ``INFERENCE_OUTPUTS``, and for the words."""
    names, every_name = _json_names(tuple(labels))
    return {
        "predicted_label": lambda row: names[row.best] if row.answered else "null",
        "probability": lambda row: _json_number(row.probability),
        "probabilities": lambda row: _json_number(row.probabilities).replace(",", ", "),
        "labels": lambda row: (
            every_name if row.order is None else f"[{', '.join(names[index] for index in row.order)}]"
        ),
        "words": lambda row: json.dumps([vars(word) for word in row.words]),
    }


def _json_number(value: np.float32 | NDArray[np.float32]) -> str:
    """Return a probability, or a list of them, as JSON, exactly: with all digits of a float64."""
    return orjson.dumps(value.astype(np.float64), option=orjson.OPT_SERIALIZE_NUMPY).decode("ascii")


@functools.lru_cache(maxsize=64)
def _json_names(labels: tuple[Label, ...]) -> tuple[Sequence[str], str]:
    """Return each label, and the list of all, as JSON; cached, because a thousand labels take a millisecond."""
    names = [json.dumps(label) for label in labels]
    return names, f"[{', '.join(names)}]"


def _csv_writers(labels: Sequence[Label]) -> Mapping[str, _Writer]:
    """Return a writer of CSV for each of ``INFERENCE_OUTPUTS``; a list is a quoted field that holds a JSON list."""
    names = [_quoted(text) if _NEEDS_QUOTES.search(text) else text for text in map(str, labels)]
    lists = _json_writers(labels)
    return {
        "predicted_label": lambda row: names[row.best] if row.answered else "",
        "probability": lambda row: f"{row.probability:.8f}",
        "probabilities": lambda row: _quoted(lists["probabilities"](row)),
        "labels": lambda row: _quoted(lists["labels"](row)),
    }


def _quoted(field: str) -> str:
    """Quote a CSV field as RFC 4180 does."""
    return '"' + field.replace('"', '""') + '"'


_FORMATS: Mapping[str, Callable[[Layout], _Format]] = {JSON: _json, JSON_LINES: _json_lines, CSV: _csv}
