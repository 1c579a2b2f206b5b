"""Request bodies to records: texts and JSON are read whole, JSON Lines and CSV as a stream."""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from classifier.errors import RequestError
from classifier.serving import csv_texts
from classifier.serving.lines import PIECE_BYTES, LineReader, Stream, invalid_record
from classifier.serving.media_types import CSV, JSON, JSON_LINES, TEXT

CHUNK_RECORDS = 512
CHUNK_BYTES = 1 << 20

Record = str | RequestError
"""A text, or what is wrong with this one record: status 400, code ``invalid_record``."""

_Content = TypeVar("_Content", str, bytes)
# {"features": ["..."]} is a record of two, and {"instances": [ ... ]} has two around its records.
BRACKETS_A_RECORD = 2
BRACKETS_AROUND = 2
SHORT_LINE = 1 << 16  # characters; whatever a shorter line holds is parsed in no time
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]', re.DOTALL)

_MARK = b"\xef\xbb\xbf"
_SURROGATES = re.compile("[\ud800-\udfff]")
_ITEM_FORMS = 'a string, or an object with one string as "text" or "inputs", or a list of one string as "features"'
_BODY_FORMS = (
    'a text, a list of texts, or {"instances": [...]}, and nothing else; a text is a string, {"text": "..."}, '
    '{"inputs": "..."} or {"features": ["..."]}'
)


@dataclass(frozen=True)
class Body:
    """The records of a request.

    Attributes:
        chunks: The records in the request's order, at most :data:`CHUNK_RECORDS` and about :data:`CHUNK_BYTES` of text
            at a time. To go on may raise a RequestError 413.
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


def read(stream: Stream, kind: str, bounds: Bounds) -> Body:
    """Read a body of one of the four kinds that ``media_types.request_type`` tells apart.

    Texts and JSON are read to their end here, JSON Lines and CSV while the chunks are asked for; of these a part is
    held, however long they are. A byte order mark at the start is dropped.

    Raises:
        RequestError: 400, when the body is empty, or one of those that are read whole is not UTF-8 or not JSON as it
            is read here; 413, when one of those is larger, or its list longer, than the bounds.
    """
    return _READERS[kind](stream, bounds)


def checked_size(size: int, bounds: Bounds) -> int:
    """Return the size of a body that is to be read whole.

    Raises:
        RequestError: 413, when it is larger than the bounds.
    """
    if size > bounds.whole_bytes:
        raise _too_large(bounds)
    return size


def _text(stream: Stream, bounds: Bounds) -> Body:
    content = _whole(stream, bounds)
    return Body(iter([(content.removesuffix("\n").removesuffix("\r"),)]), single=True)


def _json(stream: Stream, bounds: Bounds) -> Body:
    content = _whole(stream, bounds)
    if _has_more_brackets(content, BRACKETS_A_RECORD * bounds.records + BRACKETS_AROUND):
        raise _too_many(bounds.records, "SERVING_MAX_RECORDS")
    value = _parsed(content, "the body")
    items = None if isinstance(value, RequestError) else _items(value)
    if items is None:
        record = _record(value, "the body")
        if isinstance(record, RequestError):
            raise _invalid_body(
                record.message if isinstance(value, RequestError) else f"the body must be {_BODY_FORMS}"
            )
        return Body(iter([(record,)]), single=True)
    if len(items) > bounds.records:
        raise _too_many(bounds.records, "SERVING_MAX_RECORDS")
    return Body(_chunks(_record(item, f"record {index}") for index, item in enumerate(items)))


def _json_lines(stream: Stream, bounds: Bounds) -> Body:
    return Body(_chunks(_of_json_lines(_lines(stream)), bounds.lines))


def _csv(stream: Stream, bounds: Bounds) -> Body:
    return Body(_chunks(csv_texts.read(_lines(stream)), bounds.lines))


def _chunks(records: Iterable[Record], most: int = 0) -> Iterator[Sequence[Record]]:
    chunk: list[Record] = []
    size = 0
    for count, record in enumerate(records, 1):
        if most and count > most:
            raise _too_many(most, "SERVING_MAX_LINES")
        chunk.append(record)
        size += len(record) if isinstance(record, str) else 0
        if len(chunk) >= CHUNK_RECORDS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _whole(stream: Stream, bounds: Bounds) -> str:
    content = _read_up_to(stream, bounds.whole_bytes + 1)
    if len(content) > bounds.whole_bytes:
        raise _too_large(bounds)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid_body(f"the body is not UTF-8 (at byte {error.start}); send UTF-8") from None
    return _not_empty(text.removeprefix("\ufeff"))


def _lines(stream: Stream) -> LineReader:
    start = _read_up_to(stream, len(_MARK) + 1)
    return LineReader(stream, _not_empty(bytes(start).removeprefix(_MARK)))


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
        raise _invalid_body("the body is empty; send at least one record")
    return content


def _of_json_lines(lines: LineReader) -> Iterator[Record]:
    while not lines.at_end():
        where = f"line {lines.number}"
        line = lines.line()
        if isinstance(line, RequestError):
            yield line
        elif len(line) > SHORT_LINE and _has_more_brackets(line, BRACKETS_A_RECORD):
            yield invalid_record(f"{where} must be {_ITEM_FORMS}, and nothing else")
        elif line.strip():
            yield _record(_parsed(line, where), where)


def _items(value: Any) -> list[Any] | None:
    """Return the records of a list in any of the forms a list may have; none where it is a record on its own."""
    if isinstance(value, dict) and list(value) == ["instances"] and not isinstance(value["instances"], list):
        raise _invalid_body('"instances" must be a list of records')
    if isinstance(value, dict) and len(value) == 1:
        value = value.get("instances", value.get("inputs"))
    return value if isinstance(value, list) else None


def _record(item: Any, where: str) -> Record:
    """Return the text of one record, in any of the forms a record may have; an error stays what it is."""
    if isinstance(item, RequestError):
        return item
    if isinstance(item, dict) and len(item) == 1:
        (name, value), *_ = item.items()
        item = _FIELDS[name](value) if name in _FIELDS else None
    if not isinstance(item, str):
        return invalid_record(f"{where} must be {_ITEM_FORMS}, and nothing else")
    return item if item.isascii() else _SURROGATES.sub("\ufffd", item)


def _itself(value: Any) -> Any:
    return value


def _only_one(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else None


class _SameKeyTwiceError(Exception):
    pass


def _parsed(content: str, where: str) -> Any:
    """Return what JSON says, or a RequestError: returned, not raised, so that it holds no frame with a text in it."""
    try:
        return _DECODER.decode(content)
    except json.JSONDecodeError as error:
        line = "" if where.startswith("line") else f"line {error.lineno}, "
        problem = f"is not JSON ({line}column {error.colno})"
    except RecursionError:
        problem = "is JSON nested too deep"
    except _SameKeyTwiceError:
        problem = "holds a JSON object with the same key twice"
    except ValueError:  # a number of thousands of digits
        problem = "is not JSON that is read here; send texts as strings"
    return invalid_record(f"{where} {problem}")


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    listed = list(pairs)
    content = dict(listed)
    if len(content) != len(listed):
        raise _SameKeyTwiceError
    return content


_DECODER = json.JSONDecoder(object_pairs_hook=_object)  # once: json.loads would make one for every line


def _invalid_body(message: str) -> RequestError:
    return RequestError(400, "invalid_body", message)


def _too_large(bounds: Bounds) -> RequestError:
    return RequestError(
        413,
        "payload_too_large",
        f"a text or JSON may have {bounds.whole_bytes} bytes (SERVING_MAX_WHOLE_MB); send many texts as "
        f"{JSON_LINES} or {CSV}, which are read as a stream",
    )


def _too_many(most: int, setting: str) -> RequestError:
    return RequestError(
        413, "too_many_records", f"more than {most} records, which {setting} sets; send fewer a request"
    )


_FIELDS: Mapping[str, Callable[[Any], Any]] = {"text": _itself, "inputs": _itself, "features": _only_one}
_READERS: Mapping[str, Callable[[Stream, Bounds], Body]] = {
    TEXT: _text,
    JSON: _json,
    JSON_LINES: _json_lines,
    CSV: _csv,
}
