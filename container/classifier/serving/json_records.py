"""What a value of JSON is: a record, with the id that it may have, or none, and why."""

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
    """A record that its sender gave an id, which its answer gets.

    Attributes:
        id: The id.
        content: What the model reads, or what is wrong with it.
    """

    id: str | int
    content: Any


def content_of(record: Any) -> Any:
    """Return what the model reads of a record, or what is wrong with it."""
    return record.content if isinstance(record, Identified) else record


def as_record(item: Any, where: str, requests: Requests, *, body: bool = False) -> Any:
    """Return the record that a value is, in any of the forms it may have, or what is wrong with it.

    Args:
        item: The value.
        where: What messages call it.
        requests: What the model reads.
        body: Whether it is a whole body, which may be a list, too.
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
    """Say which keys are too many, or what they should be called."""
    known = [key for key in item if key in (*requests.keys, *_LISTS)]
    others = [key for key in item if key not in known]
    usual = next(iter(requests.keys))
    if known and others:
        return f"take out the key{'s' if len(others) > 1 else ''} {_named(others)}"
    if len(known) > 1:
        return f"leave one of the keys {_named(known)}"
    if others == ["body"]:
        return 'an object with "body" is what a proxy wraps a request in; send what is in it'
    if len(others) == 1:
        return f'{_named(others)} is not read; call it "{usual}"'
    if others:
        return f'call the key that is to be read "{usual}", and take out the others'
    is_list = bool(known) and known[0] != "features" and isinstance(item[known[0]], list)
    return f'a list goes as {JSON}, as {{"instances": [...]}}' if is_list else ""


def _of_list(item: list[Any], _requests: Requests) -> str:
    return f"a list of {len(item)} goes as {JSON}, by itself, or a record per line" if len(item) != 1 else ""


def _of_string(item: str, requests: Requests) -> str:
    return "it is JSON that was encoded twice; encode it once" if encoded(item, requests) else ""


def _named(keys: Iterable[str]) -> str:
    names = [
        f'"{key}"' if len(key) <= LONGEST_KEY_NAMED and key.isprintable() else "one of a long name" for key in keys
    ]
    more = len(names) - _MOST_KEYS_NAMED
    return ", ".join(names[:_MOST_KEYS_NAMED]) + (f" and {more} more" if more > 0 else "")


_DETAILS: Mapping[type, Callable[[Any, Requests], str]] = {dict: _of_object, list: _of_list, str: _of_string}
