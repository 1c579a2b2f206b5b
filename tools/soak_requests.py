"""What the soaked server is asked: texts of mixed length, and requests that are broken in every way we know."""

import csv
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "xo", "zu", "ß", "中", "é")
INVOCATIONS = "/invocations"
TEXT = {"Content-Type": "application/x-text", "Accept": "application/json"}
IMAGE = {"Content-Type": "application/x-image", "Accept": "application/json"}
LINES = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
CONTENT_TYPES = (
    "application/x-text",
    "text/plain",
    "application/json",
    "application/jsonlines",
    "text/csv",
    "application/octet-stream",
    None,
    "nonsense/{marker}",
    "TEXT/CSV; charset=utf-8",
    "application/json; charset=utf-16",
    ";;=,\xe9",
)
ACCEPTS = (
    None,
    "",
    "*/*",
    "application/json",
    "application/json;verbose",
    "application/jsonlines",
    "application/jsonlines;verbose",
    "text/csv",
    "text/csv;q=0.1, application/*",
    "application/json;q=0",
    "nonsense/{marker}",
    ",;q=\xe9",
)


@dataclass(frozen=True)
class Request:
    """A request to ``/invocations``, or the bytes of one that no client would send.

    Attributes:
        body: The body; where `raw`, all that is sent.
        headers: Its headers.
        raw: Whether it is not HTTP as it should be.
    """

    body: bytes
    headers: Mapping[str, str]
    raw: bool = False


def texts(count: int, seed: int = 0) -> list[str]:
    """Make texts of 1 to about 300 words, most of them short."""
    chance = random.Random(seed)  # noqa: S311
    return [_text(chance, min(300, 1 + int(chance.lognormvariate(2.5, 1)))) for _ in range(count)]


def read_texts(path: Path) -> list[str]:
    """Read the last column of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row[-1] for row in csv.reader(file) if row]


def read_images(folder: Path) -> list[bytes]:
    """Read all files of a folder and of the folders in it."""
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


def records(some: Sequence[str], count: int) -> bytes:
    """Make a body of JSON Lines from texts, each in its turn."""
    return b"\n".join(json.dumps(some[number % len(some)]).encode() for number in range(count))


def odd_request(chance: random.Random, marker: str) -> Request:
    """Make any request that holds a marker: valid, damaged, or no HTTP at all."""
    if chance.random() < 0.1:
        template = chance.choice(_RAW)
        return Request(template.replace(b"{marker}", marker.encode()), {}, raw=True)
    body = chance.choice(_DAMAGES)(chance, chance.choice(_SHAPES)(chance, f"{marker} {_text(chance, 5)}"))
    if marker.encode() not in body:
        body += marker.encode()
    named = {"Content-Type": chance.choice(CONTENT_TYPES), "Accept": chance.choice(ACCEPTS)}
    return Request(body, {name: text.replace("{marker}", marker) for name, text in named.items() if text is not None})


def _text(chance: random.Random, words: int) -> str:
    return " ".join("".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(words))


def _json(content: object) -> bytes:
    return json.dumps(content).encode()


_SHAPES: Sequence[Callable[[random.Random, str], bytes]] = (
    lambda _, text: text.encode(),
    lambda _, text: text.encode(),
    lambda _, text: _json(text),
    lambda _, text: _json([text, "", text]),
    lambda _, text: _json({"instances": [text, {"text": text}]}),
    lambda _, text: _json({"inputs": [], "text": text}),
    lambda _, text: _json({"features": [[text], 5, None]}),
    lambda _, text: b"\n".join((_json(text), b"", _json({"text": text}), _json({"inputs": text}))),
    lambda _, text: f'{text}\r\n"{text}, ""quoted"""\n\n{text}'.encode(),
    lambda _, text: f'"{text}",1\n"'.encode(),
    lambda chance, text: b"[" * chance.randint(1, 100_000) + _json(text),
    lambda chance, text: b'{"text":' * chance.randint(1, 10_000) + _json(text),
    lambda chance, text: text.encode() * chance.choice((10, 1_000, 20_000)),
    lambda chance, text: b"%s\n" % text.encode() + b"\n" * chance.randint(1, 200),
    lambda _, text: b'["%s \\ud800 \\udfff", "\\u0000"]' % text.encode(),
    lambda _, text: b'{"text": "%s", "text": 1e999}' % text.encode(),
    lambda chance, text: _json(text) + b"9" * chance.randint(1, 10_000),
)


def _random_bytes(chance: random.Random, body: bytes) -> bytes:
    return body[:50] + chance.randbytes(chance.randint(1, 2_000))


def _spliced(piece: bytes) -> Callable[[random.Random, bytes], bytes]:
    def damage(chance: random.Random, body: bytes) -> bytes:
        place = chance.randrange(len(body) + 1)
        return body[:place] + piece + body[place:]

    return damage


def _whole(_: random.Random, body: bytes) -> bytes:
    return body


_DAMAGES: Sequence[Callable[[random.Random, bytes], bytes]] = (
    _whole,
    _whole,
    _whole,
    lambda chance, body: body[: chance.randrange(len(body))],
    _random_bytes,
    _spliced(b"\x00" * 3),
    _spliced(b'"'),
    _spliced(b"\xed\xa0\x80"),  # a lone surrogate
    _spliced(b"\xff"),
    _spliced(b"\xef\xbb\xbf"),
    _spliced(b"\xe2\x80\xa8\r"),
)

_POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_RAW = (
    b"{marker}\r\n\r\n",
    b"POST /invocations\r\n{marker}",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03{marker}\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{marker}",
    b"POST /invocations HTTP/9.9\r\nHost: x\r\n\r\n{marker}",
    b"POST /invocations/../{marker} HTTP/1.1\r\nHost: x\r\n\r\n",
    b"{marker} /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
    _POST + b"Content-Length: 5\r\n\r\n{marker}",
    _POST + b"Content-Length: 5000\r\n\r\n{marker}",
    _POST + b"Content-Length: -1\r\n\r\n{marker}",
    _POST + b"Content-Length: 99999999999999999999\r\n\r\n{marker}",
    _POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{marker}",
    _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{marker}",
    _POST + b"Transfer-Encoding: gzip\r\n\r\n{marker}",
    _POST + b"A\x00B: {marker}\r\n\r\n",
    _POST + b"no colon {marker}\r\n\r\n",
    _POST + b"Cookie: " + b"{marker}" * 1_000 + b"\r\n\r\n",
    _POST + b"Expect: 100-continue\r\nContent-Length: 20\r\n\r\n{marker}",
    _CHUNKED + b"zz\r\n{marker}\r\n0\r\n\r\n",
    _CHUNKED + b"ffffffffffffffffff\r\n{marker}",
    _CHUNKED + b"5\r\n{marker}\r\n0\r\n\r\n",
    _CHUNKED + b"14;extension={marker}\r\n{marker}",
    _CHUNKED + b"1\r\nx\r\n0\r\nTrailer: {marker}\r\n\r\n",
)
