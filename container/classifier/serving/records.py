"""Request bodies to records: single records and JSON are read whole, JSON Lines and CSV as a stream."""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from classifier.errors import RequestError
from classifier.serving import bodies, csv_texts
from classifier.serving.json_records import as_record, content_of
from classifier.serving.lines import PIECE_BYTES, LineReader, Stream, invalid_body, invalid_record
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
from classifier.tabular.sniffing import HEAD_BYTES

CHUNK_RECORDS = 512
CHUNK_BYTES = 1 << 20

Record = Any | RequestError
"""A record as the model reads it, a text or bytes, or the error of a bad one: status 400, code ``invalid_record``.

Either may be wrapped in a ``json_records.Identified``.
"""

_Content = TypeVar("_Content", str, bytes)
# {"features": ["..."]} is a record with two brackets, and {"instances": [ ... ]} has two around its records.
BRACKETS_A_RECORD = 2
BRACKETS_AROUND = 2
COMMAS_A_RECORD = 2  # between it and the next, and between its id and its content
COMMAS_OF_WRONG_RECORDS = 1 << 16  # these are parsed quickly, and records with too many keys are told which
SHORT_LINE = 1 << 16  # characters; a line up to this length is parsed quickly, whatever it holds
_TEXT_OR_SIGN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{,]', re.DOTALL)

_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Body:
    """The records of a request.

    Attributes:
        chunks: The records in the request's order, in chunks of at most :data:`CHUNK_RECORDS` records and about
            :data:`CHUNK_BYTES` bytes. The next chunk may raise a RequestError 413.
        single: Whether the request was a single record, not a list that may hold just one.
        joined: Returns how many of the CSV records read so far extended over several lines.
    """

    chunks: Iterator[Sequence[Record]]
    single: bool = False
    joined: Callable[[], int] = lambda: 0


@dataclass(frozen=True)
class Bounds:
    """How much a request may hold.

    Attributes:
        whole_bytes: The most bytes in a body that is read whole.
        records: The most records in a JSON list.
        lines: The most records in a JSON Lines or CSV body; 0 is no limit.
        look_ahead: The most bytes in a quoted CSV text over several lines; 0 is none.
    """

    whole_bytes: int
    records: int
    lines: int = 0
    look_ahead: int = csv_texts.LOOK_AHEAD


def read(stream: Stream, kind: str, bounds: Bounds, requests: Requests = TEXTS) -> Body:
    """Read a body of one of the kinds that ``media_types.request_type`` returns.

    Single records and JSON are read to their end here. JSON Lines and CSV are read as the chunks are consumed, and only
    a part of them is in memory at a time. A byte order mark at the start is dropped, except from binary bodies.

    Raises:
        RequestError: 400, if the body is empty, or is read whole and is not UTF-8 or not valid JSON; 413, if a body
            that is read whole exceeds the bounds; 415, if its format is not the one that its type announces.
    """
    return _READERS[kind](stream, bounds, requests)


def checked_size(size: int, bounds: Bounds, requests: Requests = TEXTS) -> int:
    """Return the size of a body that will be read whole.

    Raises:
        RequestError: 413, if it exceeds the bounds.
    """
    if size > bounds.whole_bytes:
        raise _too_large(bounds, requests)
    return size


def _text(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    return _single(_text_of(stream, bounds, requests))


def _untyped(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    text = _text_of(stream, bounds, requests)
    bodies.refuse_json(text, requests)
    return _single(text)


def _untyped_line(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    text = _text_of(stream, bounds, requests)
    bodies.refuse_json(text, requests)
    if "\n" in text:
        problem = "the body has several lines and no type: set the ContentType of the transform job to text/csv if each"
        raise RequestError(415, "unsupported_media_type", f"{problem} line is a text, to text/plain if the body is one")
    return _single(text)


def _text_of(stream: Stream, bounds: Bounds, requests: Requests) -> str:
    text = _whole_text(stream, TEXT, bounds, requests).removesuffix("\n").removesuffix("\r")
    if not requests.fetched_bytes:
        bodies.refuse_base64(text)
    return text


def _bytes(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    content = _not_empty(_whole(stream, bounds, requests))
    bodies.refuse_json(content[:HEAD_BYTES].decode("utf-8", "replace"), requests)
    return _single(content)


def _single(record: Record) -> Body:
    return Body(iter([(record,)]), single=True)


def _json(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    content = _whole_text(stream, JSON, bounds, requests)
    if _has_more_values(content, bounds.records, BRACKETS_AROUND):
        raise _too_many(bounds.records, "SERVING_MAX_RECORDS")
    value = _parsed(content, "the body", requests)
    if isinstance(value, RequestError):
        bodies.refuse_base64(content)
        raise bodies.json_lines_as_json(content) or invalid_body(
            f"{value.message}{bodies.perhaps_text(content, requests)}"
        )
    items = _items(value)
    if items is None:
        found = as_record(value, "the body", requests, body=True)
        wrong = content_of(found)
        if isinstance(wrong, RequestError):
            raise invalid_body(wrong.message)
        return _single(found)
    if len(items) > bounds.records:
        raise _too_many(bounds.records, "SERVING_MAX_RECORDS")
    records = (as_record(item, f"record {index}", requests) for index, item in enumerate(items))
    return Body(_chunks(records, requests.least_bytes))


def _json_lines(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    lines = _lines(stream, JSON_LINES, requests)
    return Body(_chunks(_of_json_lines(lines, requests), requests.least_bytes, bounds.lines))


def _csv(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    return _of_csv(_lines(stream, CSV, requests), bounds, requests, may_be_header=True)


def _csv_without_header(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    return _of_csv(_lines(stream, CSV, requests), bounds, requests)


def _csv_below_header(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    lines = _lines(stream, CSV, requests)
    csv_texts.skip_header(lines, bounds.look_ahead)
    return _of_csv(lines, bounds, requests)


def _of_csv(lines: LineReader, bounds: Bounds, requests: Requests, *, may_be_header: bool = False) -> Body:
    texts = csv_texts.read(lines, bounds.look_ahead, may_be_header=may_be_header, labels=requests.labels)
    return Body(_chunks(texts, requests.least_bytes, bounds.lines), joined=lambda: lines.joined)


def _chunks(records: Iterable[Record], least: int, most: int = 0) -> Iterator[Sequence[Record]]:
    chunk: list[Record] = []
    size = 0
    for count, record in enumerate(records, 1):
        if most and count > most:
            raise _too_many(most, "SERVING_MAX_LINES")
        chunk.append(record)
        content = content_of(record)
        size += 0 if isinstance(content, RequestError) else max(len(content), least)
        if len(chunk) >= CHUNK_RECORDS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _whole(stream: Stream, bounds: Bounds, requests: Requests) -> bytes:
    content = _read_up_to(stream, bounds.whole_bytes + 1)
    if len(content) > bounds.whole_bytes:
        raise _too_large(bounds, requests)
    return bytes(content)


def _whole_text(stream: Stream, kind: str, bounds: Bounds, requests: Requests) -> str:
    content = _not_empty(_whole(stream, bounds, requests))
    bodies.refuse_foreign(content[:HEAD_BYTES], kind, requests)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid_body(f"the body is not UTF-8 (at byte {error.start}); send UTF-8") from None
    return _not_empty(text.removeprefix("\ufeff"))


def _lines(stream: Stream, kind: str, requests: Requests) -> LineReader:
    start = bytes(_read_up_to(stream, HEAD_BYTES))
    content = _not_empty(start.removeprefix(_MARK))
    bodies.refuse_foreign(start, kind, requests)
    if kind == JSON_LINES:
        _refuse_document(content)
    return LineReader(stream, content, longest=requests.longest_line, shorter=requests.shorter)


def _refuse_document(head: bytes) -> None:
    """Refuse JSON over several lines, of which none would be a record."""
    first = head.lstrip().partition(b"\n")[0].strip()
    if first in (b"{", b"["):
        raise RequestError(
            415,
            "unsupported_media_type",
            f"the body is JSON over several lines; send it as {JSON}, or send one record per line",
        )


def _has_more_values(content: str, most: int, brackets_around: int = 0) -> bool:
    """Return whether JSON has more values than ``most`` records can have, by its brackets and commas.

    Parsing millions of values would block all other threads, and so pings, for seconds; counting signs does not.
    """
    return _has_more(content, "[{", BRACKETS_A_RECORD * most + brackets_around) or _has_more(
        content, ",", COMMAS_A_RECORD * most + COMMAS_OF_WRONG_RECORDS
    )


def _has_more(content: str, signs: str, most: int) -> bool:
    """Return whether JSON has more than ``most`` of some signs outside of its strings."""
    if sum(content.count(sign) for sign in signs) <= most:
        return False
    outside = (match for match in _TEXT_OR_SIGN.finditer(content) if match[0] in signs)
    return next(itertools.islice(outside, most, None), None) is not None


def _read_up_to(stream: Stream, size: int) -> bytearray:
    """Read ``size`` bytes, or all there are, in pieces: memory is used for what has arrived, not for what may come."""
    content = bytearray()
    while len(content) < size and (piece := stream.read(min(PIECE_BYTES, size - len(content)))):
        content += piece
    return content


def _not_empty(content: _Content) -> _Content:
    if not content:
        raise invalid_body("the body is empty; send at least one record")
    return content


def _of_json_lines(lines: LineReader, requests: Requests = TEXTS) -> Iterator[Record]:
    while not lines.at_end():
        where = f"line {lines.number}"
        line = lines.line()
        if isinstance(line, RequestError):
            yield line
        elif len(line) > SHORT_LINE and _has_more_values(line, 1):
            yield invalid_record(f"{where} must be {requests.item_forms}, and nothing else")
        elif line.strip():
            value = _parsed(line, where, requests)
            yield value if isinstance(value, RequestError) else as_record(value, where, requests)


def _items(value: Any) -> list[Any] | None:
    """Return the records of a list in any of the forms that a list may have; None if the value is a single record."""
    if isinstance(value, dict) and list(value) == ["instances"] and not isinstance(value["instances"], list):
        raise invalid_body('"instances" must be a list of records')
    if isinstance(value, dict) and len(value) == 1:
        value = value.get("instances", value.get("inputs"))
    return value if isinstance(value, list) else None


class _SameKeyTwiceError(Exception):
    pass


def _parsed(content: str, where: str, requests: Requests) -> Any:
    """Return the value of JSON, or a RequestError: returned, not raised, so that its frames hold no record."""
    try:
        return _DECODER.decode(content)
    except json.JSONDecodeError as error:
        line = "" if where.startswith("line") else f"line {error.lineno}, "
        quotes = "; strings go in double quotes" if content[error.pos : error.pos + 1] == "'" else ""
        problem = f"is not JSON ({line}column {error.colno}){quotes}"
    except RecursionError:
        problem = "is JSON that is nested too deeply"
    except _SameKeyTwiceError:
        problem = "holds a JSON object with the same key twice"
    except ValueError:  # a number of thousands of digits
        problem = f"is JSON that can't be parsed; send {requests.records} as strings"
    return invalid_record(f"{where} {problem}")


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    listed = list(pairs)
    content = dict(listed)
    if len(content) != len(listed):
        raise _SameKeyTwiceError
    return content


_DECODER = json.JSONDecoder(object_pairs_hook=_object)  # shared: json.loads would create one for every line


def _too_large(bounds: Bounds, requests: Requests) -> RequestError:
    streamed = " or ".join(name for name in requests.types if name in LINES)
    return RequestError(
        413,
        "payload_too_large",
        f"the body exceeds {bounds.whole_bytes} bytes (SERVING_MAX_WHOLE_MB); send many {requests.records} as "
        f"{streamed}, which is read as a stream",
    )


def _too_many(most: int, setting: str) -> RequestError:
    return RequestError(
        413, "too_many_records", f"the request exceeds {most} records ({setting}); send fewer records per request"
    )


_READERS: Mapping[str, Callable[[Stream, Bounds, Requests], Body]] = {
    TEXT: _text,
    UNTYPED: _untyped,
    UNTYPED_LINE: _untyped_line,
    BYTES: _bytes,
    JSON: _json,
    JSON_LINES: _json_lines,
    CSV: _csv,
    CSV_BELOW_HEADER: _csv_below_header,
    CSV_WITHOUT_HEADER: _csv_without_header,
}
