"""Rows of JSON Lines: one object with label and text per line; also SageMaker's augmented manifests."""

import json
import re
from collections.abc import Sequence
from typing import Any

from classifier.tabular.dialect import Dialect
from classifier.tabular.files import MARK, Source, open_text, reading
from classifier.tabular.keys import EXAMPLE, Keys, RowError
from classifier.tabular.rows import Label, ReadResult, Row, label_problem

LONGEST_INTEGER = 10**18
PAIR = "{{label: .[{}], text: .[{}]}}"
PAIRS_OF_ARRAY = f".[] | {PAIR}"
LISTS = re.compile(r"\s*\[\s*\[")
KINDS = {bool: "true or false", float: "a number with a point", type(None): "null", list: "a list", dict: "an object"}


def read(source: Source, _dialect: Dialect, result: ReadResult) -> None:
    """Add a file's rows, and everything that is wrong with it.

    Args:
        source: The file.
        _dialect: Not used; it applies to CSV tables.
        result: What is added to.
    """
    keys = Keys()
    before = len(result.rows)
    with reading(source, result), open_text(source) as file:
        # Files that were joined have a byte order mark where each began.
        lines = (line.removeprefix(MARK) for line in file)
        filled = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
        for position, (number, line) in enumerate(filled):
            if position == 0 and (whole := not_lines(line)):
                result.problem(source.name, number, whole)
                return
            try:
                pair = keys.pair(number, parsed(line))
            except RowError as error:
                result.problem(source.name, number, str(error))
                continue
            if pair is not None:
                _add(source, number, pair, result)
    for number, found in keys.put_off():
        _add(source, number, found, result)
    result.rows[before:] = sorted(result.rows[before:], key=lambda row: row.line)
    for note in keys.notes():
        (result.doubt if keys.are_mixed else result.note)(source.name, note)
    result.judge(source.name, keys.unread.findings(result.role))
    result.judge(source.name, keys.rivals.findings())


def _add(source: Source, line: int, found: tuple[Any, Any] | RowError, result: ReadResult) -> None:
    try:
        if isinstance(found, RowError):
            raise found
        result.rows.append(Row(source.name, line, _label(found[0]), text(found[1])))
    except RowError as error:
        result.problem(source.name, line, str(error))


def not_lines(first: str, example: str = EXAMPLE) -> str:
    """Return why a file that begins with this line is not JSON Lines; empty if it may be."""
    if first.lstrip().startswith("[") and (cure := _of_lists(first)):
        return f"a list for each row; write one object per line (jq -c '{cure}' does it): {example}"
    if first.lstrip().startswith("["):
        return f"a JSON array; write one object per line (jq -c '.[]' does it): {example}"
    if first.strip() == "{":
        return f"JSON over several lines; write one object per line (jq -c . does it): {example}"
    return ""


def _of_lists(first: str) -> str:
    """Return what makes objects of lists of a label and a text, for jq; empty if a line doesn't begin such a list."""
    try:
        values = json.loads(first.strip().removesuffix(","))
    except (ValueError, RecursionError):
        return PAIRS_OF_ARRAY.format(0, 1) if LISTS.match(first) else ""
    inside = values and isinstance(values[0], list)
    pair = values[0] if inside else values
    if len(pair) < 2 or not all(isinstance(value, (str, int)) for value in pair):
        return ""
    label, text = (1, 0) if len(str(pair[0])) > len(str(pair[1])) else (0, 1)
    return (PAIRS_OF_ARRAY if inside else PAIR).format(label, text)


def parsed(line: str, example: str = EXAMPLE) -> dict[str, Any]:
    """Return a line's object.

    Raises:
        RowError: It holds no object.
    """
    try:
        item = json.loads(line.rstrip(), object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise RowError(f"not JSON ({error.msg}, column {error.colno}); write one object per line: {example}") from None
    except RowError:
        raise
    except (ValueError, RecursionError):  # a number of thousands of digits; thousands of brackets
        raise RowError(f"JSON that can't be read; write one object per line: {example}") from None
    if not isinstance(item, dict):
        raise RowError(f"JSON, but not an object; write one object per line: {example}")
    return item


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) < len(pairs):
        raise RowError("an object has the same key twice; keep one of them")
    return item


def _label(value: Any) -> Label:
    if isinstance(value, list):
        return _label(_only(value))
    kind = KINDS.get(type(value))
    if kind is not None:
        raise RowError(f'the label is {kind}; write an integer or a string, as 1 or "brakes"')
    if isinstance(value, int):
        if abs(value) >= LONGEST_INTEGER:
            raise RowError("the label is an integer of more than 18 digits; write it as a string")
        return value
    name = _characters(value, "label").strip()
    wrong = label_problem(name)
    if wrong:
        raise RowError(wrong)
    return name


def _only(labels: Sequence[Any]) -> Any:
    """Return the only element of a list of labels."""
    if not labels:
        raise RowError("the label is an empty list; label this object, or remove the line")
    if len(labels) == 1:
        return labels[0]
    if all(isinstance(label, (bool, int, float)) and label in (0, 1) for label in labels):
        raise RowError("the label is a list of 0 and 1, which is one-hot; write the one label: its name or its index")
    raise RowError(f"the label is a list of {len(labels)}; one label per row is read: write an integer or a string")


def text(value: Any, example: str = EXAMPLE) -> str:
    """Return a value that is a text.

    Raises:
        RowError: It is not a string.
    """
    if not isinstance(value, str):
        raise RowError(f"the text is {KINDS.get(type(value), 'a number')}; write a string: {example}")
    return _characters(value, "text")


def _characters(value: str, noun: str) -> str:
    """Refuse half a character, which JSON's escapes can say and UTF-8 can't."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RowError(f"the {noun} has a \\u escape that is half a character; write the character itself") from None
    return value
