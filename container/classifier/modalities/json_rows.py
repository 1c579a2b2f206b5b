"""Rows of JSON Lines: an object of label and text a line, also as SageMaker's augmented manifest."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from classifier.modalities.columns import AmbiguousError, recognise
from classifier.modalities.files import Source, open_text, reading
from classifier.modalities.rows import Harvest, Label, Row, label_problem

EXAMPLE = '{"label": 1, "text": "..."}'
# What SageMaker Ground Truth writes: {"source": text, attribute: 0, attribute-metadata: {"class-name": name}}.
SOURCE = "source"
SOURCE_REFERENCE = "source-ref"
METADATA = "-metadata"
CLASS_NAME = "class-name"
LONGEST_INTEGER = 10**18
KINDS = {bool: "true or false", float: "a number with a point", type(None): "null", list: "a list", dict: "an object"}


class RowError(ValueError):
    """What is wrong with a line, and what to do."""


def read(source: Source, header: str, harvest: Harvest) -> None:
    """Add a file's rows, and everything that is wrong with it.

    Args:
        source: The file.
        header: Of no meaning here.
        harvest: What is added to.
    """
    del header
    keys = _Keys()
    with reading(source, harvest), open_text(source) as file:
        filled = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
        for position, (number, line) in enumerate(filled):
            if position == 0 and (whole := _not_lines(line)):
                harvest.problem(source.name, number, whole)
                return
            try:
                label, text = keys.values(_parsed(line))
                harvest.rows.append(Row(source.name, number, _label(label), _text(text)))
            except RowError as error:
                harvest.problem(source.name, number, str(error))
    if keys.augmented:
        harvest.note(
            source.name, "is an augmented manifest: a label is the class name in its metadata, if there is one"
        )


class _Keys:
    """Finds the label and the text of objects, and remembers where they are in objects of the same keys."""

    def __init__(self) -> None:
        self.augmented = False
        self._found: dict[tuple[str, ...], tuple[str, str] | None] = {}

    def values(self, item: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return an object's label and text, whatever they are."""
        names = tuple(item)
        if names not in self._found:
            self._found[names] = _plain(names)
        pair = self._found[names]
        if pair is not None:
            return item[pair[0]], item[pair[1]]
        if SOURCE_REFERENCE in item:
            raise RowError(
                f"{SOURCE_REFERENCE} leads to another object; nothing is downloaded: put the text in {SOURCE}"
            )
        if SOURCE not in item:
            raise RowError(f"no label, or no text; write both: {EXAMPLE}")
        self.augmented = True
        return _manifest_label(item), item[SOURCE]


def _plain(names: Sequence[str]) -> tuple[str, str] | None:
    try:
        columns = recognise(names, "keys")
    except AmbiguousError as error:
        raise RowError(str(error)) from None
    return None if columns is None else (names[columns.label], names[columns.text])


def _manifest_label(item: Mapping[str, Any]) -> Any:
    attribute = _label_attribute(item)
    metadata = item.get(attribute + METADATA)
    if isinstance(metadata, dict) and CLASS_NAME in metadata:
        return metadata[CLASS_NAME]
    return item[attribute]


def _label_attribute(item: Mapping[str, Any]) -> str:
    """Find the label's key: the one that has metadata, or else the only one besides the text's."""
    others = [key for key in item if key != SOURCE]
    described = [key for key in others if key + METADATA in item]
    found = described or [key for key in others if not key.endswith(METADATA)]
    if not found:
        raise RowError("no label attribute; label this text, or take the line out")
    if len(found) > 1:
        raise RowError(f"several attributes may be the label; leave one besides {SOURCE}")
    return found[0]


def _not_lines(first: str) -> str:
    if first.lstrip().startswith("["):
        return f"a JSON array; write one object a line (jq -c '.[]' does it): {EXAMPLE}"
    if first.strip() == "{":
        return f"JSON over several lines; write one object a line (jq -c . does it): {EXAMPLE}"
    return ""


def _parsed(line: str) -> dict[str, Any]:
    try:
        item = json.loads(line.rstrip(), object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise RowError(f"not JSON ({error.msg}, column {error.colno}); write one object a line: {EXAMPLE}") from None
    except RowError:
        raise
    except (ValueError, RecursionError):  # a number of thousands of digits; thousands of brackets
        raise RowError(f"JSON that can't be read; write one object a line: {EXAMPLE}") from None
    if not isinstance(item, dict):
        raise RowError(f"JSON, but no object; write one object a line: {EXAMPLE}")
    return item


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) < len(pairs):
        raise RowError("a key comes twice in one object; leave one")
    return item


def _label(value: Any) -> Label:
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


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise RowError(f"the text is {KINDS.get(type(value), 'a number')}; write a string: {EXAMPLE}")
    return _characters(value, "text")


def _characters(value: str, noun: str) -> str:
    """Refuse half a character, which JSON's escapes can say and UTF-8 can't."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RowError(f"the {noun} has a \\u escape that is half a character; write the character itself") from None
    return value
