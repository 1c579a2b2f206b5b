"""Request bodies to texts, probabilities to answer bodies: pure functions, a table each."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import Label
from classifier.errors import RequestError
from classifier.serving import csv_texts
from classifier.serving.media_types import CSV, JSON, JSON_LINES, TEXT, AnswerType

_SURROGATES = re.compile("[\ud800-\udfff]")
_NEEDS_QUOTES = re.compile('[",\r\n]')
_ITEM_FORMS = 'a string, or an object with one string as "text" or "inputs", or a list of one string as "features"'


@dataclass(frozen=True)
class Records:
    """The texts of a request.

    Attributes:
        texts: One a record, in the request's order.
        single: Whether the request was one record on its own, and not a list that may hold just one.
    """

    texts: tuple[str, ...]
    single: bool = False


@dataclass(frozen=True)
class Predictions:
    """What the model says of a request's records.

    Attributes:
        probabilities: float32[records, labels].
        labels: The labels, in the order of the probabilities.
        single: As in :class:`Records`.
    """

    probabilities: NDArray[np.float32]
    labels: Sequence[Label]
    single: bool = False


def decode(body: bytes, kind: str) -> Records:
    """Read a body of one of the four kinds that ``media_types.request_type`` tells apart.

    Raises:
        RequestError: 400, when the body is empty, not UTF-8, or not of that kind.
    """
    content = _unicode(body)
    if not content:
        raise _invalid("the body is empty; send at least one record")
    return _DECODERS[kind](content)


def encode(predictions: Predictions, answer: AnswerType) -> bytes:
    """Write an answer; one record a line, without a last line break, in the types that have lines."""
    return _ENCODERS[answer.media_type](predictions, answer.verbose).encode("utf-8")


def _unicode(body: bytes) -> str:
    try:
        return body.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _invalid(f"the body is not UTF-8 (at byte {error.start}); send UTF-8") from None


def _text(content: str) -> Records:
    return Records((content.removesuffix("\n").removesuffix("\r"),), single=True)


def _csv(content: str) -> Records:
    return Records(tuple(csv_texts.read(content)))


def _json(content: str) -> Records:
    value = _parse(content, "the body")
    if isinstance(value, dict):
        for name in ("instances", "inputs"):
            if list(value) == [name] and (name == "instances" or isinstance(value[name], list)):
                return _list(value[name])
    if isinstance(value, list):
        return _list(value)
    return Records((_item(value, "the body"),), single=True)


def _json_lines(content: str) -> Records:
    lines = ((number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip())
    return Records(tuple(_item(_parse(line, f"line {number}"), f"line {number}") for number, line in lines))


def _list(items: Any) -> Records:
    if not isinstance(items, list):
        raise _invalid('"instances" must be a list of records')
    return Records(tuple(_item(item, f"record {index}") for index, item in enumerate(items)))


def _item(item: Any, where: str) -> str:
    """Return the text of one record, in any of the forms a record may have."""
    if isinstance(item, dict) and len(item) == 1:
        (name, value), *_ = item.items()
        item = _FIELDS[name](value) if name in _FIELDS else None
    if not isinstance(item, str):
        raise _invalid(f"{where} must be {_ITEM_FORMS}, and nothing else")
    return _SURROGATES.sub("\ufffd", item)


def _itself(value: Any) -> Any:
    return value


def _only_one(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else None


def _parse(content: str, where: str) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise _invalid(f"{where} is not JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise _invalid(f"{where} is JSON nested too deep") from None
    except ValueError:  # a number of thousands of digits
        raise _invalid(f"{where} is not JSON that is read here; send texts as strings") from None


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    listed = list(pairs)
    content = dict(listed)
    if len(content) != len(listed):
        raise _invalid("a JSON object has the same key twice")
    return content


def _invalid(message: str) -> RequestError:
    return RequestError(400, "invalid_body", message)


def _to_json(predictions: Predictions, verbose: bool) -> str:
    """Write a record after the other: one call for all would keep every other thread, and so pings, from running."""
    labels = json.dumps(list(predictions.labels))
    answers = (
        f'{{"probabilities": {json.dumps(row)}'
        + (f', "labels": {labels}, "predicted_label": {json.dumps(label)}}}' if verbose else "}")
        for row, label in _rows(predictions)
    )
    return next(answers) if predictions.single else f"[{', '.join(answers)}]"


def _to_json_lines(predictions: Predictions, verbose: bool) -> str:
    extra = f', "labels": {json.dumps(list(predictions.labels))}' if verbose else ""
    return "\n".join(
        f'{{"predicted_label": {json.dumps(label)}, "probabilities": {json.dumps(row)}{extra}}}'
        for row, label in _rows(predictions)
    )


def _to_csv(predictions: Predictions, _verbose: bool) -> str:
    return "\n".join(f"{_quoted(str(label))},{max(row):.8f}" for row, label in _rows(predictions))


def _rows(predictions: Predictions) -> Iterable[tuple[list[float], Label]]:
    """Yield each record's probabilities and its most probable label, as plain Python values."""
    best = predictions.probabilities.argmax(axis=1)
    for row, index in zip(predictions.probabilities, best, strict=True):
        yield row.tolist(), predictions.labels[index]


def _quoted(field: str) -> str:
    """Quote a CSV field where RFC 4180 asks for it."""
    return '"' + field.replace('"', '""') + '"' if _NEEDS_QUOTES.search(field) else field


_FIELDS: Mapping[str, Callable[[Any], Any]] = {"text": _itself, "inputs": _itself, "features": _only_one}
_DECODERS: Mapping[str, Callable[[str], Records]] = {TEXT: _text, CSV: _csv, JSON: _json, JSON_LINES: _json_lines}
_ENCODERS: Mapping[str, Callable[[Predictions, bool], str]] = {
    JSON: _to_json,
    JSON_LINES: _to_json_lines,
    CSV: _to_csv,
}
