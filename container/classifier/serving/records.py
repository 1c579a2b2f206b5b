"""Request bodies to records: a record on its own and JSON are read whole, JSON Lines and CSV as a stream."""

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
"""What the model reads, a text or bytes, or what is wrong with this one: status 400, code ``invalid_record``.

Either may come as ``json_records.Identified``.
"""

_Content = TypeVar("_Content", str, bytes)
# {"features": ["..."]} is a record of two, and {"instances": [ ... ]} has two around its records.
BRACKETS_A_RECORD = 2
BRACKETS_AROUND = 2
SHORT_LINE = 1 << 16  # characters; whatever a shorter line holds is parsed in no time
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]', re.DOTALL)

_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Body:
    """The records of a request.

    Attributes:
        chunks: The records in the request's order, at most :data:`CHUNK_RECORDS` and about :data:`CHUNK_BYTES` at a
            time. To go on may raise a RequestError 413.
        single: Whether the request was one record on its own, and not a list that may hold just one.
    """

    chunks: Iterator[Sequence[Record]]
    single: bool = False


@dataclass(frozen=True)
class Bounds:
    """How much a request may hold.

    Attributes:
        whole_bytes: Of a body that is read whole.
        records: In a JSON list.
        lines: Records of a JSON Lines or CSV body, 0 for any number.
    """

    whole_bytes: int
    records: int
    lines: int = 0


def read(stream: Stream, kind: str, bounds: Bounds, requests: Requests = TEXTS) -> Body:
    """Read a body of one of the kinds that ``media_types.request_type`` tells apart.

    Records on their own and JSON are read to their end here, JSON Lines and CSV while the chunks are asked for; of
    these a part is held, however long they are. A byte order mark at the start is dropped, but of bytes.

    Raises:
        RequestError: 400, when the body is empty, or one of those that are read whole is not UTF-8 or not JSON as it
            is read here; 413, when one of those is larger, or its list longer, than the bounds; 415, when it is of
            another format than its type says.
    """
    return _READERS[kind](stream, bounds, requests)


def checked_size(size: int, bounds: Bounds, requests: Requests = TEXTS) -> int:
    """Return the size of a body that is to be read whole.

    Raises:
        RequestError: 413, when it is larger than the bounds.
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
        problem = "the body has several lines, and no type: set the ContentType of the transform job, to text/csv where"
        raise RequestError(415, "unsupported_media_type", f"{problem} each is a text, to text/plain where all are one")
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
    if _has_more_brackets(content, BRACKETS_A_RECORD * bounds.records + BRACKETS_AROUND):
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
    texts = csv_texts.read(_lines(stream, CSV, requests), labels=requests.labels)
    return Body(_chunks(texts, requests.least_bytes, bounds.lines))


def _csv_without_header(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    texts = csv_texts.read(_lines(stream, CSV, requests), may_be_header=False, labels=requests.labels)
    return Body(_chunks(texts, requests.least_bytes, bounds.lines))


def _csv_below_header(stream: Stream, bounds: Bounds, requests: Requests) -> Body:
    lines = _lines(stream, CSV, requests)
    csv_texts.skip_header(lines)
    texts = csv_texts.read(lines, may_be_header=False, labels=requests.labels)
    return Body(_chunks(texts, requests.least_bytes, bounds.lines))


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
            f"the body is JSON over several lines; send it as {JSON}, or a record per line",
        )


def _has_more_brackets(content: str, most: int) -> bool:
    """Say whether JSON opens more lists and objects than its records can have.

    To parse millions of them keeps all other threads, and so pings, from running for seconds; to count them doesn't.
    """
    if content.count("[") + content.count("{") <= most:
        return False
    outside_of_texts = (match for match in _TEXT_OR_BRACKET.finditer(content) if match[0] in "[{")
    return next(itertools.islice(outside_of_texts, most, None), None) is not None


def _read_up_to(stream: Stream, size: int) -> bytearray:
    """Read so many bytes, or all that there are, in pieces: memory is taken for what came, not for what may come."""
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
        elif len(line) > SHORT_LINE and _has_more_brackets(line, BRACKETS_A_RECORD):
            yield invalid_record(f"{where} must be {requests.item_forms}, and nothing else")
        elif line.strip():
            value = _parsed(line, where, requests)
            yield value if isinstance(value, RequestError) else as_record(value, where, requests)


def _items(value: Any) -> list[Any] | None:
    """Return the records of a list in any of the forms a list may have; none where it is a record on its own."""
    if isinstance(value, dict) and list(value) == ["instances"] and not isinstance(value["instances"], list):
        raise invalid_body('"instances" must be a list of records')
    if isinstance(value, dict) and len(value) == 1:
        value = value.get("instances", value.get("inputs"))
    return value if isinstance(value, list) else None


class _SameKeyTwiceError(Exception):
    pass


def _parsed(content: str, where: str, requests: Requests) -> Any:
    """Return what JSON says, or a RequestError: returned, not raised, so that it holds no frame with a text in it."""
    try:
        return _DECODER.decode(content)
    except json.JSONDecodeError as error:
        line = "" if where.startswith("line") else f"line {error.lineno}, "
        quotes = "; strings go in double quotes" if content[error.pos : error.pos + 1] == "'" else ""
        problem = f"is not JSON ({line}column {error.colno}){quotes}"
    except RecursionError:
        problem = "is JSON nested too deep"
    except _SameKeyTwiceError:
        problem = "holds a JSON object with the same key twice"
    except ValueError:  # a number of thousands of digits
        problem = f"is not JSON that is read here; send {requests.records} as strings"
    return invalid_record(f"{where} {problem}")


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    listed = list(pairs)
    content = dict(listed)
    if len(content) != len(listed):
        raise _SameKeyTwiceError
    return content


_DECODER = json.JSONDecoder(object_pairs_hook=_object)  # once: json.loads would make one for every line


def _too_large(bounds: Bounds, requests: Requests) -> RequestError:
    streamed = " or ".join(name for name in requests.types if name in LINES)
    return RequestError(
        413,
        "payload_too_large",
        f"such a body may have {bounds.whole_bytes} bytes (SERVING_MAX_WHOLE_MB); send many {requests.records} as "
        f"{streamed}, which is read as a stream",
    )


def _too_many(most: int, setting: str) -> RequestError:
    return RequestError(
        413, "too_many_records", f"more than {most} records, which {setting} sets; send fewer a request"
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
