"""What a model of each modality is asked with: which Content-Types it reads, and what in JSON is a record."""

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
"""The types of a record a line, which are read as a stream."""

CSV_BELOW_HEADER = f"{CSV}; header=present"
CSV_WITHOUT_HEADER = f"{CSV}; header=absent"
UNTYPED = "a text of no type"
UNTYPED_LINE = "a line of no type"
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
        records: What its records are, in words.
        types: Every spelling of a Content-Type that is read, and the body it stands for.
        usual: The type of a request that names none.
        keys: Of a JSON object that is a record, the keys that may hold it; the first is the usual one.
        item: Makes a value of JSON a record, or none where it is none.
        item_forms: What such a value may be, in words.
        body_forms: What a whole body of JSON may be, in words.
        refusals: Of types that aren't read, those of which there is more to say, and what.
        longest_line: Bytes; a longer one is an error in its place.
        shorter: What to do about such a line, in words.
        least_bytes: What a record takes at the least once it is read; bounds how many are held at a time.
        fetched_bytes: How many bytes a record may become by ``fetch``, by the kind of body.
        fetch: Makes a record that stands for another that one.
        labels: The model's labels, which stand in no column of CSV.
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
    """Return the text of a value, in any of the forms that a text may have; halves of characters become the unknown."""
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
    """Return the bytes of ``{"b64": "..."}``; the line breaks that programs put into base64 are no part of it."""
    value = item.get("b64") if isinstance(item, dict) and len(item) == 1 else None
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except ValueError:
        return None


_FORMS: Mapping[str, str] = {
    "application/x-www-form-urlencoded": (
        "the body is a form, as curl's -d sends it where no Content-Type is set; set one "
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
            _URLS, "the URL of an image is fetched only where the server's variable ALLOW_IMAGE_URLS names its host"
        ),
    },
    longest_line=8 << 20,  # what a real-time endpoint is sent at most, 6 MB, in base64
    shorter="send smaller images, or each as a request of its own",
    least_bytes=1 << 17,  # the pixels of 209 by 209
)


def parse_hosts(text: str) -> frozenset[str]:
    """Return host names, each with its port where it has one."""
    hosts = [host.strip().lower() for host in text.split(",")]
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError("must be names of hosts")
    return frozenset(hosts)


def _images(hosts: Collection[str]) -> Requests:
    """Return how images are read; their URLs, too, where there are hosts to fetch them from."""
    if not hosts:
        return IMAGES
    from classifier.serving import urls  # noqa: PLC0415  it brings TLS, which takes a server's start 26 ms

    return replace(
        IMAGES,
        types={**IMAGES.types, **dict.fromkeys(_URLS, TEXT)},
        refusals=_FORMS,
        fetched_bytes={TEXT: urls.MOST_BYTES},
        fetch=lambda record: urls.fetch(record, hosts) if isinstance(record, str) else record,
    )


OF: Mapping[str, Callable[[Collection[str]], Requests]] = {"text": lambda _: TEXTS, "image": _images}
"""How requests of each modality are read, given the hosts whose URLs may stand for records."""
