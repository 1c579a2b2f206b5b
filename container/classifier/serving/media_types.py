"""Content negotiation: what the request's Content-Type and Accept headers ask for."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from classifier.errors import RequestError
from classifier.serving.requests import (
    BYTES,
    CSV,
    CSV_BELOW_HEADER,
    CSV_WITHOUT_HEADER,
    JSON,
    JSON_LINES,
    LINES,
    TEXT,
    TEXTS,
    UNTYPED,
    UNTYPED_LINE,
    Requests,
)

__all__ = ["BYTES", "CSV", "JSON", "JSON_LINES", "LINES", "TEXT"]

ANSWER_TYPES = (JSON, JSON_LINES, CSV)
_RANGES: Mapping[str, tuple[str, ...]] = {
    "*/*": ANSWER_TYPES,
    "application/*": (JSON, JSON_LINES),
    "text/*": (CSV,),
}
_OF_CSV = (CSV, "text/*")
EXPLAIN = "explain"
ANSWER_NAMES = (JSON, f"{JSON};verbose", JSON_LINES, f"{JSON_LINES};verbose", CSV)

INFERENCE_OUTPUTS = ("predicted_label", "probability", "probabilities", "labels")
"""The fields an answer may hold for a record; ``SAGEMAKER_INFERENCE_OUTPUT`` selects them by Autopilot's names."""

_HEADERS: Mapping[str, str] = {"present": CSV_BELOW_HEADER, "absent": CSV_WITHOUT_HEADER}
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
_WEIGHT = re.compile(r"\d*\.?\d+|\d+\.")
_COUNT = re.compile("0*([1-9][0-9]*)")
_FRACTION = re.compile(r"0(\.[0-9]*)?|\.[0-9]+|1(\.0*)?", re.ASCII)


@dataclass(frozen=True)
class AnswerType:
    """The format of an answer.

    Attributes:
        media_type: One of :data:`ANSWER_TYPES`; the answer's Content-Type.
        verbose: Whether JSON also holds the labels.
        n_predictions: How many of the most probable labels to list, most probable first; None lists all, unsorted.
        threshold: What a label's probability must exceed for the label to be answered; None leaves that to the model.
        explain: Whether JSON also holds the words that made the label, and all that ``verbose`` adds.
    """

    media_type: str
    verbose: bool = False
    n_predictions: int | None = None
    threshold: float | None = None
    explain: bool = False


def named_answer(name: str) -> AnswerType:
    """Return the answer type with a name of :data:`ANSWER_NAMES`; case and spaces are ignored.

    Raises:
        KeyError: The name is unknown.
    """
    plain = "".join(name.lower().split())
    return {known: AnswerType(known.partition(";")[0], ";" in known) for known in ANSWER_NAMES}[plain]


def parse_columns(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated list of :data:`INFERENCE_OUTPUTS`, in the order given.

    Raises:
        ValueError: A name is unknown or repeated.
    """
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= set(INFERENCE_OUTPUTS) or len(set(names)) < len(names):
        raise ValueError(f"must be names from {', '.join(INFERENCE_OUTPUTS)}, each once")
    return names


def request_type(content_type: str, *, must_name_one: bool, requests: Requests = TEXTS) -> str:
    """Return the kind of body that a Content-Type announces; the modality's default if the header is missing.

    Args:
        content_type: The header's value; empty if there is none.
        must_name_one: Whether the request is from batch transform: it must have a Content-Type, and may hold only a
            part of a file.
        requests: What the model reads.

    Raises:
        RequestError: 415, for an unsupported type, charset or ``header`` parameter.
    """
    if must_name_one and not content_type.strip():
        raise _unsupported("missing Content-Type; set the ContentType of the transform job's input", requests)
    media_type, parameters = _parse(content_type.strip() or requests.usual)
    if media_type not in requests.types:
        raise _unsupported(requests.refusals.get(media_type, "unsupported Content-Type"), requests)
    kind = requests.types[media_type]
    if kind != BYTES and parameters.get("charset", "utf-8").lower() not in _CHARSETS:
        problem = "unsupported charset in Content-Type; send UTF-8"
        raise RequestError(415, "unsupported_media_type", problem)
    if kind == UNTYPED and must_name_one:
        return UNTYPED_LINE
    return (
        _csv(parameters["header"].lower(), in_parts=must_name_one) if kind == CSV and "header" in parameters else kind
    )


def _csv(header: str, *, in_parts: bool) -> str:
    if header not in _HEADERS:
        problem = "Content-Type's header parameter is neither present nor absent; send text/csv; header=present"
    elif in_parts and header == "present":
        problem = (
            "a transform job may split its file into requests, of which only the first begins with the header: take "
            "the header out of the file, and header=present out of the job's ContentType"
        )
    else:
        return _HEADERS[header]
    raise RequestError(415, "unsupported_media_type", problem)


@functools.lru_cache(maxsize=64)
def choose_answer(accept: str, content_type: str, default: str) -> AnswerType:
    """Return the answer type that an Accept header prefers: the one with the highest weight, then the first.

    Args:
        accept: The header's value; empty if there is none.
        content_type: The request's Content-Type, which decides if Accept leaves the choice open.
        default: One of :data:`ANSWER_NAMES` that decides instead, or empty.

    Raises:
        RequestError: 406, if the header names no supported type, its ``n_predictions`` is not a number above 0, its
            ``threshold`` not one from 0 to 1, or ``explain`` is a parameter of CSV.
    """
    usual = named_answer(default) if default else AnswerType(_usual(content_type))
    ranges = [_parse(part) for part in accept.split(",") if part.strip()] or [("*/*", {})]
    excluded = {media_type for media_type, parameters in ranges if not _weight(parameters)}
    for media_range, parameters in sorted(ranges, key=lambda pair: -_weight(pair[1])):
        for answer in _matching(media_range, parameters, usual):
            if not excluded & {answer.media_type, media_range}:
                return answer
    problem = f"Accept names no supported type; use one of {', '.join(ANSWER_NAMES)}"
    if any(media_range in _OF_CSV and _is_set(EXPLAIN, parameters) for media_range, parameters in ranges):
        problem = f"CSV holds no words; use {JSON};{EXPLAIN} or {JSON_LINES};{EXPLAIN}"
    raise RequestError(406, "not_acceptable", problem)


def _usual(content_type: str) -> str:
    lines = TEXTS.types.get(_parse(content_type)[0]) in LINES
    return JSON_LINES if lines else JSON


def _matching(media_range: str, parameters: Mapping[str, str], usual: AnswerType) -> list[AnswerType]:
    """Return the answers that match a type, or a range such as ``text/*``; of a range, the usual one comes first."""
    if media_range not in (*_RANGES, *ANSWER_TYPES):
        return []
    explain = _is_set(EXPLAIN, parameters)
    verbose = explain or _is_set("verbose", parameters)
    more = _n_predictions(parameters), _threshold(parameters), explain
    if media_range in ANSWER_TYPES:
        answers = [AnswerType(media_range, verbose, *more)]
    else:
        names = sorted(_RANGES[media_range], key=lambda name: name != usual.media_type)
        answers = [AnswerType(name, verbose or (usual.verbose and name == usual.media_type), *more) for name in names]
    return [answer for answer in answers if not (explain and answer.media_type == CSV)]


def _is_set(name: str, parameters: Mapping[str, str]) -> bool:
    return parameters.get(name, "false").lower() in ("", "true", "1")


def _n_predictions(parameters: Mapping[str, str]) -> int | None:
    if "n_predictions" not in parameters:
        return None
    number = _COUNT.fullmatch(parameters["n_predictions"])
    if number is None:
        raise RequestError(
            406,
            "not_acceptable",
            f"n_predictions in Accept must be a whole number above 0; use {JSON};n_predictions=3, for example",
        )
    return int(number[1][:9])  # no model has more labels, and Python refuses to convert thousands of digits


def _threshold(parameters: Mapping[str, str]) -> float | None:
    if "threshold" not in parameters:
        return None
    if not _FRACTION.fullmatch(parameters["threshold"]):
        raise RequestError(
            406,
            "not_acceptable",
            f"threshold in Accept must be a number from 0 to 1; use {JSON};verbose;threshold=0.8, for example",
        )
    return float(parameters["threshold"])


def _weight(parameters: Mapping[str, str]) -> float:
    text = parameters.get("q", "1")
    return float(text) if _WEIGHT.fullmatch(text) else 1.0


def _parse(value: str) -> tuple[str, dict[str, str]]:
    """Split ``Type/Subtype; name=value`` into the type, in lower case, and its parameters.

    Werkzeug's parsers would drop parameters without a value, as in ``application/json;verbose``, ``header=`` and
    ``name = value``, and ranges with a malformed weight; ``parse_accept_header`` also takes six times as long.
    """
    media_type, *rest = value.split(";")
    parameters = {}
    for part in rest:
        name, _, text = part.partition("=")
        parameters[name.strip().lower()] = text.strip().strip('"')
    return media_type.strip().lower(), parameters


def _unsupported(problem: str, requests: Requests) -> RequestError:
    types = ", ".join(name for name in requests.types if name != BYTES)
    return RequestError(
        415, "unsupported_media_type", f"{problem}; this model reads {requests.records}: use one of {types}"
    )
