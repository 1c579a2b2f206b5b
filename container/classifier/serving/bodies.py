"""Detects bodies and texts whose format is not the one that the Content-Type announces, by how they begin."""

import base64
import codecs
import json
import re
from typing import Any

from classifier import image_formats
from classifier.errors import RequestError
from classifier.serving.lines import invalid_body
from classifier.serving.requests import BYTES, CSV, JSON, JSON_LINES, LINES, TEXT, Requests
from classifier.tabular.sniffing import foreign_format

_GZIP_BEGINS = b"\x1f\x8b"
_NOT_IN_TEXTS = re.compile(rb"[\x00-\x08\x0e-\x1f\xc0\xc1\xf5-\xff]")
_OPENS_ANY = re.compile(rb"(?:\xef\xbb\xbf)?\s*+[\[{]")
_SHORTEST = 4  # bytes: a character of UTF-16 with its mark
_JSON_VALUES = (b'"', b"{", b"[")
_IMAGE = re.compile(image_formats.BEGINS, re.DOTALL)
_QUOTED = re.compile(rb'"(?:[^"]++|"")*+"?')
_LONE_RETURN = re.compile(rb"\r(?!\n|\Z)")

_STRING = r'"(?:[^"\\]++|\\.)*+"'
_PYTHON_STRING = r"'(?:[^'\\]++|\\.)*+'"
_JSON_BEGINS = re.compile(
    rf"\ufeff?\s*+(?:\{{\s*+{_STRING}\s*+:|\[\s*+(?:{_STRING}\s*+[,\]]|\{{\s*+(?:{_STRING}\s*+:|\}})))", re.DOTALL
)
_PYTHON_BEGINS = re.compile(
    rf"\s*+(?:\{{\s*+{_PYTHON_STRING}\s*+:|\[\s*+(?:{_PYTHON_STRING}\s*+[,\]]|\{{\s*+{_PYTHON_STRING}\s*+:))", re.DOTALL
)
_OPENS = re.compile(r"\s*+[\[{]")
_CLOSES = re.compile(r"[\]}]\s{0,64}\Z")
_ESCAPED_STRING = re.compile(r'\s*+"(?=[^\n]*\\(?:"|u[0-9a-fA-F]{4}))(?:[^"\\\n]++|\\.)*+"\s*\Z')
_LONGEST_PARSED = 1 << 16  # characters; a text up to this length is parsed quickly, whatever it holds
_WRAPPERS = frozenset({"instances", "inputs"})

_MAY_BE_ENCODED = re.compile(r'\s*+[\[{"]|[A-Za-z0-9+/]{16}')
_BASE64_BEGINS = re.compile(r"[A-Za-z0-9+/]{16}")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
_BASE64_LOOKED_AT = 4096  # characters; a multiple of 4

_UTF_8 = codecs.getincrementaldecoder("utf-8")

_PYTHON = "a Python list or dict"
_AS_TEXT = f"to classify it as a text, brackets and all, send it as {TEXT}"


def refuse_foreign(head: bytes, kind: str, requests: Requests) -> None:
    """Refuse a body of another format than its kind, by its first bytes.

    Args:
        head: The first ``sniffing.HEAD_BYTES`` of the body, or all of it.
        kind: The kind of body that the Content-Type announces.
        requests: What the model reads.

    Raises:
        RequestError: 415, if the body has another format, such as an archive or UTF-16; 400, if its lines end with a
            carriage return alone.
    """
    if len(head) < _SHORTEST:
        return
    is_text = _NOT_IN_TEXTS.search(head) is None
    if is_text and (kind not in (JSON, *LINES) or (kind != CSV and head.startswith(_JSON_VALUES))):
        words = ""  # a text that begins like a web page may be the one to classify
    else:
        words = "an image" if _IMAGE.match(head) else foreign_format(head, is_json=kind != CSV)
    if not words and kind == CSV and _OPENS_ANY.match(head):
        words = _as_lists(head.decode("utf-8", "replace"))
    if words:
        raise _foreign(words, kind, requests, gzip=head.startswith(_GZIP_BEGINS), is_text=is_text)
    if kind in LINES and b"\n" not in head and _LONE_RETURN.search(_QUOTED.sub(b"", head)):
        raise invalid_body(
            r"the body's lines end with a carriage return (\r) alone; end them with a line feed (in a shell: "
            r"tr '\r' '\n'), and put a text that has line breaks in quotes"
        )


def refuse_json(text: str, requests: Requests) -> None:
    """Refuse a body that is JSON, or a Python list or dict, although its Content-Type does not say so.

    Args:
        text: The body.
        requests: What the model reads.

    Raises:
        RequestError: 415, if it is one of these.
    """
    if text[:1].isalnum():
        return
    python = _PYTHON_BEGINS.match(text)
    if not (python or _JSON_BEGINS.match(text) or _ESCAPED_STRING.match(text) or _is_json(text)):
        return
    first, _, rest = text.strip().partition("\n")
    if python:
        problem = f"{_PYTHON}; send json.dumps(...) of it with Content-Type: {JSON}"
    elif rest.strip() and _is_json(first):
        problem = f"JSON Lines, but its Content-Type does not say so; send it with Content-Type: {JSON_LINES}"
    else:
        problem = f"JSON, but its Content-Type does not say so; send it with Content-Type: {JSON}"
    instead = f"; {_AS_TEXT}" if TEXT in requests.types else ""
    raise RequestError(415, "unsupported_media_type", f"the body is {problem}{instead}")


def refuse_base64(text: str) -> None:
    """Refuse a body that is a base64-encoded text or JSON.

    Raises:
        RequestError: 400, if it is.
    """
    if _of_base64(text):
        raise invalid_body("the body is base64; send the decoded content")


def json_lines_as_json(content: str) -> RequestError | None:
    """Return the error of a body that is JSON Lines but announced as JSON; None if it is something else."""
    first, _, rest = content.strip().partition("\n")
    if not rest.strip() or not _parses(first):
        return None
    return RequestError(
        415, "unsupported_media_type", f"the body is JSON Lines, one record per line; send it as {JSON_LINES}"
    )


def perhaps_text(content: str, requests: Requests) -> str:
    """Say how a text is sent, of a body that is no JSON and does not begin like it."""
    begins = content.lstrip()[:1]
    return f"; a text by itself goes as {TEXT}" if begins and begins not in "{['\"" and TEXT in requests.types else ""


def encoded(text: str, requests: Requests) -> str:
    """Return how a text was encoded once too often, as JSON or base64; empty if it is a plain text.

    JSON counts as encoded twice only if it would be a valid request itself: a line of a log may be JSON and a record.
    """
    if not _MAY_BE_ENCODED.match(text):
        return ""
    if _is_request(text, requests):
        return f"is JSON that was encoded twice; encode it once, and {_AS_TEXT}"
    if _of_base64(text):
        return "is base64; send the decoded content"
    return ""


def _foreign(words: str, kind: str, requests: Requests, *, gzip: bool, is_text: bool) -> RequestError:
    what = words.partition(";")[0]
    types = ", ".join(name for name in requests.types if name != BYTES)
    cure = f"this model reads {requests.records}, in UTF-8: use one of {types}"
    if gzip:
        cure = (
            "send it with the header Content-Encoding: gzip, or uncompressed (for a transform job, set CompressionType "
            "to Gzip)"
        )
    elif what == _PYTHON:
        cure = f"send json.dumps(...) of it with Content-Type: {JSON}"
    elif what.startswith("JSON"):
        cure = f"send it as {JSON_LINES}, or, if it is not one record per line, as {JSON}"
    if is_text and kind == CSV:
        cure += "; if a text begins like this, put it in quotes and double its own quotes"
    return RequestError(415, "unsupported_media_type", f"the body is {what}; {cure}")


def _as_lists(head: str) -> str:
    """Say what a body is that begins as a list or an object does; nothing, where it is a text."""
    if _JSON_BEGINS.match(head.replace("[[", "[", 1)):
        return "JSON"
    return _PYTHON if _PYTHON_BEGINS.match(head) else ""


def _is_json(text: str) -> bool:
    """Return whether a whole text is a JSON object or list, of any content."""
    return _in_brackets(text) and isinstance(_parsed(text), list | dict)


def _in_brackets(text: str) -> bool:
    return _OPENS.match(text) is not None and _CLOSES.search(text, max(len(text) - 65, 0)) is not None


def _parses(text: str) -> bool:
    return isinstance(_parsed(text), list | dict | str)


def _parsed(text: str) -> Any:
    """Return the value of a JSON text; None if it is not JSON, or too long to parse without delaying other requests."""
    if len(text) > _LONGEST_PARSED:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_request(text: str, requests: Requests) -> bool:
    if _ESCAPED_STRING.match(text):
        return True
    if text[:1].isalnum() or not _in_brackets(text):
        return False
    if len(text) > _LONGEST_PARSED:
        return _JSON_BEGINS.match(text) is not None
    value = _parsed(text)
    if isinstance(value, list):
        return bool(value) and all(_is_item(item, requests) for item in value)
    return isinstance(value, dict) and (
        bool(_WRAPPERS & value.keys()) or [*value] == ["body"] or _is_item(value, requests)
    )


def _is_item(value: Any, requests: Requests) -> bool:
    if isinstance(value, dict):
        value = {key: content for key, content in value.items() if key != "id"}
    return requests.item(value) is not None


def _of_base64(text: str) -> bool:
    """Return whether a text is base64 of several words or of JSON; words of a language don't decode to that."""
    if not _BASE64_BEGINS.match(text) or not _BASE64.fullmatch(text, 0, _BASE64_LOOKED_AT):
        return False
    content = "".join(text[: 2 * _BASE64_LOOKED_AT].split())[:_BASE64_LOOKED_AT]
    try:
        decoded = _UTF_8().decode(base64.b64decode(content, validate=True))  # the last character may be cut
    except ValueError:
        return False
    is_content = " " in decoded.strip() or _JSON_BEGINS.match(decoded) is not None
    return is_content and "".join(decoded.split()).isprintable()
