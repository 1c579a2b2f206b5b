"""Probabilities to answer bytes, a record at a time: pure functions, a table of what an answer may say."""

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import Label
from classifier.errors import RequestError
from classifier.serving.json_records import Identified, content_of
from classifier.serving.media_types import CSV, JSON, JSON_LINES, AnswerType
from classifier.serving.records import Record

Chunks = Iterable[tuple[Sequence[Record], NDArray[np.float32]]]
"""Records, and float32[records that are no errors, labels], in the records' order."""

_NEEDS_QUOTES = re.compile('[",\r\n]')


@dataclass(frozen=True)
class Layout:
    """How to write the answer of every record.

    Attributes:
        answer: The type the client accepts. Its ``n_predictions`` shortens and sorts ``probabilities`` and ``labels``
            alike, in every type; JSON and JSON Lines then always hold both. ``verbose`` is of JSON and JSON Lines.
        labels: The labels, in the order of the model's probabilities.
        columns: Names out of ``media_types.INFERENCE_OUTPUTS``: the keys of JSON Lines, whatever ``verbose`` says, and
            the columns of CSV, in this order; none for the usual ones. ``application/json`` keeps its own.
    """

    answer: AnswerType
    labels: Sequence[Label]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Row:
    """What the model says of one record.

    Attributes:
        best: Index of the most probable label, the first of equal ones.
        probability: Of that label.
        probabilities: As many as the answer lists.
        order: The indices of their labels; none where these are all labels in their own order.
    """

    best: int
    probability: float
    probabilities: list[float]
    order: list[int] | None


_Part = Callable[[_Row], str]


@dataclass(frozen=True)
class _Form:
    """How one media type is written: a record, a record that is wrong, what parts records, and one with an id."""

    good: _Part
    wrong: Callable[[RequestError], str]
    separator: str
    identified: Callable[[str | int, str], str] = lambda _id, answer: answer


def pieces(layout: Layout, chunks: Chunks, *, single: bool = False) -> Iterator[bytes]:
    """Write an answer piece by piece, about one a record, so that other threads, and so pings, run in between.

    A record that is a RequestError is answered in its place: with ``{"error": {"code": ..., "message": ...}}`` in JSON
    and JSON Lines, with empty columns in CSV. The id of a record is the first key of its answer, but in CSV, which has
    none. No line break follows the last record.

    Args:
        layout: How to write it.
        chunks: What the model says of all records; asked for a chunk at a time.
        single: Whether the request was one record on its own, which JSON answers with an object, not a list.
    """
    form = _FORMS[layout.answer.media_type](layout)
    listed = layout.answer.media_type == JSON and not single
    if listed:
        yield b"["
    separator = ""
    for answer in _answers(form, layout.answer.n_predictions, chunks):
        yield (separator + answer).encode("utf-8")
        separator = form.separator
    if listed:
        yield b"]"


def _answers(form: _Form, most: int | None, chunks: Chunks) -> Iterator[str]:
    for records, probabilities in chunks:
        good = sum(not isinstance(content_of(record), RequestError) for record in records)
        if good != len(probabilities):
            raise ValueError(f"{len(probabilities)} rows of probabilities for {good} records")
        rows = _rows(probabilities, most)
        for record in records:
            content = content_of(record)
            answer = form.wrong(content) if isinstance(content, RequestError) else form.good(next(rows))
            yield form.identified(record.id, answer) if isinstance(record, Identified) else answer


def _rows(probabilities: NDArray[np.float32], most: int | None) -> Iterator[_Row]:
    """Yield each record's row as plain Python values."""
    best = probabilities.argmax(axis=1)
    order = None if most is None else np.argsort(-probabilities, axis=1, kind="stable")[:, :most]
    listed = probabilities if order is None else np.take_along_axis(probabilities, order, axis=1)
    for index, label in enumerate(best.tolist()):
        yield _Row(
            label,
            float(probabilities[index, label]),
            listed[index].tolist(),
            None if order is None else order[index].tolist(),
        )


def _json(layout: Layout) -> _Form:
    extra = ("labels", "predicted_label") if layout.answer.verbose else ()
    return _Form(_object(layout, ("probabilities", *extra)), _json_error, ", ", _with_id)


def _json_lines(layout: Layout) -> _Form:
    extra = ("labels",) if layout.answer.verbose else ()
    return _Form(
        _object(layout, layout.columns or ("predicted_label", "probabilities", *extra)), _json_error, "\n", _with_id
    )


def _csv(layout: Layout) -> _Form:
    parts = _csv_parts(layout.labels)
    chosen = [parts[name] for name in layout.columns or ("predicted_label", "probability")]
    return _Form(
        lambda row: ",".join(part(row) for part in chosen),
        lambda _error: "," * (len(chosen) - 1),
        "\n",
    )


def _object(layout: Layout, names: tuple[str, ...]) -> _Part:
    """Return what writes a record as a JSON object; the most probable labels mean nothing without their names."""
    if layout.answer.n_predictions is not None and "probabilities" in names and "labels" not in names:
        names = (*names, "labels")
    parts = _json_parts(layout.labels)
    chosen = [(f'"{name}": ', parts[name]) for name in names]
    return lambda row: "{" + ", ".join(key + part(row) for key, part in chosen) + "}"


def _with_id(given: str | int, answer: str) -> str:
    return f'{{"id": {json.dumps(given)}, {answer[1:]}'


def _json_error(error: RequestError) -> str:
    return json.dumps({"error": {"code": error.code, "message": error.message}})


def _json_parts(labels: Sequence[Label]) -> Mapping[str, _Part]:
    """Return a table from each of ``INFERENCE_OUTPUTS`` to what writes it as JSON."""
    names, every_name = _json_names(tuple(labels))
    return {
        "predicted_label": lambda row: names[row.best],
        "probability": lambda row: json.dumps(row.probability),
        "probabilities": lambda row: json.dumps(row.probabilities),
        "labels": lambda row: (
            every_name if row.order is None else f"[{', '.join(names[index] for index in row.order)}]"
        ),
    }


@functools.lru_cache(maxsize=64)
def _json_names(labels: tuple[Label, ...]) -> tuple[Sequence[str], str]:
    """Return the labels as JSON, each and all together; of a thousand that takes a millisecond, so once a model."""
    names = [json.dumps(label) for label in labels]
    return names, f"[{', '.join(names)}]"


def _csv_parts(labels: Sequence[Label]) -> Mapping[str, _Part]:
    """Return the same for CSV, where a list is one quoted field that holds a JSON list."""
    names = [_quoted(text) if _NEEDS_QUOTES.search(text) else text for text in map(str, labels)]
    lists = _json_parts(labels)
    return {
        "predicted_label": lambda row: names[row.best],
        "probability": lambda row: f"{row.probability:.8f}",
        "probabilities": lambda row: _quoted(lists["probabilities"](row)),
        "labels": lambda row: _quoted(lists["labels"](row)),
    }


def _quoted(field: str) -> str:
    """Quote a CSV field as RFC 4180 does."""
    return '"' + field.replace('"', '""') + '"'


_FORMS: Mapping[str, Callable[[Layout], _Form]] = {JSON: _json, JSON_LINES: _json_lines, CSV: _csv}
