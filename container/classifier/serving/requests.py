"""The requests of each modality: which Content-Types are supported, and which JSON values are records."""

import base64
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
TEXT = "application/x-text"
BYTES = "application/octet-stream"

LINES = (CSV, JSON_LINES)
"""The types with one record per line, which are read as a stream."""

CSV_BELOW_HEADER = f"{CSV}; header=present"
CSV_WITHOUT_HEADER = f"{CSV}; header=absent"
UNTYPED = "untyped text"
UNTYPED_LINE = "untyped line"
STREAMED = (*LINES, CSV_BELOW_HEADER, CSV_WITHOUT_HEADER)
"""The bodies that are read as a stream."""

_OBJECTS: Mapping[str, str] = {
    JSON: JSON,
    JSON_LINES: JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
}
_SURROGATES = re.compile("[\ud800-\udfff]")
_NAME = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_NAME}(\.{_NAME})*(:[1-9][0-9]{{0,4}})?")


@dataclass(frozen=True)
class Requests:
    """How requests of one modality are read.

    Attributes:
        records: The plural noun for the records in messages.
        types: The supported Content-Types, in every spelling, and the kind of body that each announces.
        usual: The Content-Type of a request without one.
        keys: The keys of a JSON object that may hold a record; the first is the usual one.
        item: Converts a JSON value to a record; returns None if it is not one.
        item_forms: The accepted JSON values of a record, in words.
        body_forms: The accepted JSON values of a whole body, in words.
        refusals: Explanations for unsupported Content-Types that are often sent.
        longest_line: The most bytes in a line; a longer line is a bad record.
        shorter: The advice in the error for a line that is too long.
        least_bytes: The least memory of a decoded record, in bytes; it bounds the records held at a time.
        fetched_bytes: The most bytes that ``fetch`` may return for a record, by the kind of body.
        fetch: Replaces a reference to a record, such as a URL, by the record; returns other records as they are.
        labels: The model's labels, which must not be in a column of a CSV request.
    """

    records: str
    types: Mapping[str, str]
    usual: str
    keys: Collection[str]
    item: Callable[[Any], Any]
    item_forms: str
    body_forms: str
    refusals: Mapping[str, str] = field(default_factory=dict)
    longest_line: int = 4 << 20
    shorter: str = "send shorter texts"
    least_bytes: int = 0
    fetched_bytes: Mapping[str, int] = field(default_factory=dict)
    fetch: Callable[[Any], Any] = lambda record: record
    labels: Collection[str] = frozenset()


def _text(item: Any) -> str | None:
    """Return the text in a JSON value, in any of its forms; lone surrogates become U+FFFD. None if it is no text."""
    if isinstance(item, dict) and len(item) == 1:
        (name, value), *_ = item.items()
        item = _FIELDS[name](value) if name in _FIELDS else None
    elif isinstance(item, list):
        item = _only_one(item)
    if not isinstance(item, str):
        return None
    return item if item.isascii() else _SURROGATES.sub("\ufffd", item)


def _itself(value: Any) -> Any:
    return value


def _only_one(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else None


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "text": _itself,
    "inputs": _itself,
    "source": _itself,
    "features": _only_one,
}


def _decoded(item: Any) -> bytes | None:
    """Return the bytes in ``{"b64": "..."}``; line breaks within the base64 are ignored."""
    value = item.get("b64") if isinstance(item, dict) and len(item) == 1 else None
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except ValueError:
        return None


_FORMS: Mapping[str, str] = {
    "application/x-www-form-urlencoded": (
        "the body is a form, as curl's -d sends it if no Content-Type is set; set one "
        "(curl -H 'Content-Type: application/json')"
    ),
    "multipart/form-data": (
        "the body is a form, as curl's -F sends it; send the file alone as the body (curl --data-binary @FILE)"
    ),
}
TEXTS = Requests(
    records="texts",
    types={TEXT: TEXT, "text/plain": TEXT, BYTES: UNTYPED, **_OBJECTS, CSV: CSV},
    usual=BYTES,
    keys=_FIELDS,
    item=_text,
    item_forms=(
        'a string, or an object with one string as "text", "inputs" or "source", or a list of one string as "features"'
    ),
    body_forms=(
        'a text, a list of texts, or {"instances": [...]}, and nothing else; a text is a string, {"text": "..."}, '
        '{"inputs": "..."} or {"features": ["..."]}'
    ),
    refusals=_FORMS,
)
_URLS = ("text/plain", TEXT)
IMAGES = Requests(
    records="images",
    types={
        "application/x-image": BYTES,
        "image/jpeg": BYTES,
        "image/jpg": BYTES,
        "image/png": BYTES,
        "image/gif": BYTES,
        "image/bmp": BYTES,
        "image/webp": BYTES,
        "image/tiff": BYTES,
        BYTES: BYTES,
        **_OBJECTS,
    },
    usual="application/x-image",
    keys=("b64",),
    item=_decoded,
    item_forms='an object with one string as "b64", the bytes of an image in base64',
    body_forms=(
        'an image, a list of images, or {"instances": [...]}, and nothing else; an image is {"b64": "..."}, its '
        "bytes in base64"
    ),
    refusals={
        **_FORMS,
        **dict.fromkeys(
            _URLS, "the URL of an image is fetched only if the server's variable ALLOW_IMAGE_URLS lists its host"
        ),
    },
    longest_line=8 << 20,  # what a real-time endpoint is sent at most, 6 MB, in base64
    shorter="send smaller images, or one image per request",
    least_bytes=1 << 17,  # the pixels of 209 by 209
)


def parse_hosts(text: str) -> frozenset[str]:
    """Return the host names in a comma-separated list, each with its port if it has one."""
    hosts = [host.strip().lower() for host in text.split(",")]
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError("must be host names")
    return frozenset(hosts)


def _images(hosts: Collection[str]) -> Requests:
    """Return how images are read; URLs are accepted, too, if there are hosts to fetch them from."""
    if not hosts:
        return IMAGES
    from classifier.serving import urls  # noqa: PLC0415  it imports TLS, which delays a server's start by 26 ms

    return replace(
        IMAGES,
        types={**IMAGES.types, **dict.fromkeys(_URLS, TEXT)},
        refusals=_FORMS,
        fetched_bytes={TEXT: urls.MOST_BYTES},
        fetch=lambda record: urls.fetch(record, hosts) if isinstance(record, str) else record,
    )


OF: Mapping[str, Callable[[Collection[str]], Requests]] = {"text": lambda _: TEXTS, "image": _images}
"""How requests of each modality are read, given the hosts from which records may be fetched."""
