"""Converts JSON values to records, with their optional ids, or to errors that say what is wrong."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from classifier.serving.bodies import encoded
from classifier.serving.lines import invalid_record
from classifier.serving.requests import JSON, Requests
from classifier.tabular.keys import LONGEST_KEY_NAMED

ID = "id"
_MOST_KEYS_NAMED = 3
_LISTS = ("instances", "inputs")


@dataclass(frozen=True)
class Identified:
    """A record with an id from its sender, which its answer repeats.

    Attributes:
        id: The id.
        content: What the model reads, or the record's error.
    """

    id: str | int
    content: Any


def content_of(record: Any) -> Any:
    """Return a record without its id: what the model reads, or the record's error."""
    return record.content if isinstance(record, Identified) else record


def as_record(item: Any, where: str, requests: Requests, *, body: bool = False) -> Any:
    """Return the record in a JSON value, in any of the accepted forms, or an error.

    Args:
        item: The value.
        where: The value's name in messages.
        requests: What the model reads.
        body: Whether it is a whole body, which may also be a list.
    """
    if not isinstance(item, dict) or ID not in item:
        return _content(item, where, requests, body=body)
    given = item[ID]
    if isinstance(given, bool) or not isinstance(given, str | int):
        return invalid_record(f'{where} has an "id" that is neither a string nor an integer')
    rest = {key: value for key, value in item.items() if key != ID}
    return Identified(given, _content(rest, where, requests, body=body))


def _content(item: Any, where: str, requests: Requests, *, body: bool) -> Any:
    content = requests.item(item)
    if content is None:
        forms = requests.body_forms if body else f"{requests.item_forms}, and nothing else"
        detail = _DETAILS[type(item)](item, requests) if type(item) in _DETAILS else ""
        return invalid_record(f"{where} must be {forms}{': ' if detail else ''}{detail}")
    wrong = encoded(content, requests) if isinstance(content, str) else ""
    return invalid_record(f"{where} {wrong}") if wrong else content


def _of_object(item: Mapping[str, Any], requests: Requests) -> str:
    """Return which keys to remove or rename."""
    known = [key for key in item if key in (*requests.keys, *_LISTS)]
    others = [key for key in item if key not in known]
    usual = next(iter(requests.keys))
    if known and others:
        return f"remove the key{'s' if len(others) > 1 else ''} {_named(others)}"
    if len(known) > 1:
        return f"keep only one of the keys {_named(known)}"
    if others == ["body"]:
        return 'an object with "body" is a request wrapped by a proxy; send the value of "body"'
    if len(others) == 1:
        return f'{_named(others)} is not a known key; rename it to "{usual}"'
    if others:
        return f'rename the key to read to "{usual}", and remove the others'
    is_list = bool(known) and known[0] != "features" and isinstance(item[known[0]], list)
    return f'send a list as {JSON}: {{"instances": [...]}}' if is_list else ""


def _of_list(item: list[Any], _requests: Requests) -> str:
    return f"send a list of {len(item)} as the whole body of {JSON}, or one record per line" if len(item) != 1 else ""


def _of_string(item: str, requests: Requests) -> str:
    return "it is JSON that was encoded twice; encode it once" if encoded(item, requests) else ""


def _named(keys: Iterable[str]) -> str:
    names = [
        f'"{key}"' if len(key) <= LONGEST_KEY_NAMED and key.isprintable() else "one with a long name" for key in keys
    ]
    more = len(names) - _MOST_KEYS_NAMED
    return ", ".join(names[:_MOST_KEYS_NAMED]) + (f" and {more} more" if more > 0 else "")


_DETAILS: Mapping[type, Callable[[Any, Requests], str]] = {dict: _of_object, list: _of_list, str: _of_string}
