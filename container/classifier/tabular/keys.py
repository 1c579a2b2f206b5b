"""Which keys of JSON objects are the label and the text, decided once for all objects of a file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from classifier.errors import at_most
from classifier.tabular.columns import LABEL, LABEL_NAMES, TEXT, AmbiguousError, recognise, texts
from classifier.tabular.rivals import Rivals
from classifier.tabular.unread import Unread
from classifier.tabular.values import plain

EXAMPLE = '{"label": 1, "text": "..."}'
# What SageMaker Ground Truth writes: {"source": text, attribute: 0, attribute-metadata: {"class-name": name}}.
SOURCE = "source"
SOURCE_REFERENCE = "source-ref"
METADATA = "-metadata"
CLASS_NAME = "class-name"
# Of a job that gives each text several labels: {"0": name, "3": name}, beside the ids in a list.
CLASS_MAP = "class-map"
FAILURE = "failure-reason"
LONGEST_KEY_NAMED = 40
MOST_NAMED = 5
NO_PAIR = f"no key for the label or no key for the text; write both, and call them label and text: {EXAMPLE}"
ONE_HOT = (
    "no key for the label, and {} hold 0 and 1, which is one-hot; write one label per row: a key label with the name "
    "of the one that is 1"
)
SEVERAL_IDS = (
    "the label is a list of {} class ids, which are several labels; one label per row is read: keep one id, or remove "
    "the line"
)
NOT_LABELLED = "not labelled: this object lacks the label that others have; label it, or remove the line"

Item = Mapping[str, Any]


class RowError(ValueError):
    """What is wrong with a line, and what to do."""


class Keys:
    """Finds the label and the text of objects.

    Most objects with a ``source`` can't be judged one by one: whether it is the text of an augmented manifest is to be
    seen from the metadata that other objects have. They are put off until the file's end.
    """

    def __init__(self) -> None:
        self._plain: dict[tuple[str, ...], tuple[str, str] | None] = {}
        self._put_off: list[tuple[int, Item]] = []
        self._attributes: dict[str, None] = {}  # in the order they come
        self._used: dict[tuple[str, str], None] = {}
        self.unread = Unread("key")
        self.rivals = Rivals("key")

    @property
    def are_mixed(self) -> bool:
        """Whether not all objects have their label and text in the same keys."""
        return len(self._used) > 1

    def pair(self, line: int, item: Item) -> tuple[Any, Any] | None:
        """Return an object's label and text, whatever they are; None if they are put off."""
        if SOURCE in item and not self._has_text(item):
            self._put_off.append((line, item))
            self._attributes |= dict.fromkeys(_attributes(item))
            return None
        found = self._known(item)
        if found is None and SOURCE_REFERENCE in item:
            raise RowError(
                f"{SOURCE_REFERENCE} refers to another object, which is not downloaded; put the text in {SOURCE}"
            )
        if found is None:
            raise RowError(_no_pair(item))
        return self._taken(line, item, *found)

    def put_off(self) -> Iterator[tuple[int, tuple[Any, Any] | RowError]]:
        """Return the lines put off, each with its label and text or with what is wrong with it."""
        attributes = list(self._attributes)
        if len(attributes) > 1:
            line = self._put_off[0][0]
            yield line, RowError(f"several attributes have metadata and may be the label; keep one besides {SOURCE}")
            return
        for line, item in self._put_off:
            try:
                yield line, self._of_manifest(line, item, attributes[0]) if attributes else self._bare(line, item)
            except RowError as error:
                yield line, error

    def notes(self) -> Iterator[str]:
        """Say which keys were taken, but for ``label`` and ``text``."""
        for label, text in self._used:
            if (label, text) == (LABEL, TEXT):
                continue
            manifest = text == SOURCE and label in self._attributes
            kind = "is an augmented manifest: " if manifest else "has keys by other names: "
            name = " (the class name in its metadata, if there is one)" if manifest else ""
            yield f"{kind}label is {_shown(label)}{name}, text is {_shown(text)}"

    def _has_text(self, item: Item) -> bool:
        """Return whether an object with a ``source`` has its label and text under known keys all the same.

        That is so if the text's is ``text`` itself, and no labelling job has written a label beside them.
        """
        try:
            found = self._known(item)
        except RowError:
            return False
        if found is None or plain(found[1]) != TEXT:
            return False
        return not any(name == found[0] or _is_of_job(about) for name, about in _metadata(item))

    def _known(self, item: Item) -> tuple[str, str] | None:
        names = tuple(item)
        if names not in self._plain:
            self._plain[names] = _recognised(names)
        return self._plain[names]

    def _taken(self, line: int, item: Item, label: str, text: str) -> tuple[Any, Any]:
        """Return what two keys hold, and look at the others."""
        self._used[label, text] = None
        if isinstance(item[text], str):
            self.unread.add(line, (text, item[text]), _others(item, (label, text)))
            self.rivals.add((label, str(item.get(label))), _lists_too(item, (label, text)))
        return item.get(label), item[text]

    def _of_manifest(self, line: int, item: Item, attribute: str) -> tuple[Any, Any]:
        metadata = item.get(attribute + METADATA)
        described = metadata if isinstance(metadata, dict) else {}
        if (
            attribute + METADATA not in item
            or FAILURE in described
            or not (attribute in item or CLASS_NAME in described)
        ):
            raise RowError(NOT_LABELLED)
        label, text = self._taken(line, item, attribute, SOURCE)
        if CLASS_NAME in described:
            return described[CLASS_NAME], text
        return _name_of_class(label, described.get(CLASS_MAP)), text

    def _bare(self, line: int, item: Item) -> tuple[Any, Any]:
        found = self._known(item)
        if found is None and len(item) == 2:
            label = next(key for key in item if key != SOURCE)
            found = (label, SOURCE) if label.strip().lower() in LABEL_NAMES else None
        if found is None:
            raise RowError(_no_pair(item))
        return self._taken(line, item, *found)


def with_metadata(names: Collection[str]) -> list[str]:
    """Return the keys, beside ``source``, that another key gives metadata of: what a labelling job has labelled."""
    return [name for name in names if name != SOURCE and name + METADATA in names]


def _attributes(item: Item) -> Iterator[str]:
    """Return the keys that a labelling job has written, or, where it failed, has not."""
    return (name for name, about in _metadata(item) if name in item or _is_of_job(about))


def _metadata(item: Item) -> Iterator[tuple[str, Item]]:
    """Return the keys that an object has metadata of, but for ``source``, and what the metadata hold."""
    for key, value in item.items():
        if key.endswith(METADATA) and key != SOURCE + METADATA:
            yield key.removesuffix(METADATA), value if isinstance(value, dict) else {}


def _is_of_job(metadata: Item) -> bool:
    """Return whether metadata are those of a labelling job beyond doubt."""
    return not metadata.keys().isdisjoint((CLASS_NAME, CLASS_MAP, FAILURE))


def _name_of_class(label: Any, names: Any) -> Any:
    """Return the name of a class id, alone or in a list, by the names in the metadata; else the label as it is."""
    if not isinstance(names, dict) or (not label and isinstance(label, list)):
        return label
    ids = label if isinstance(label, list) else [label]
    if len(ids) > 1:
        raise RowError(SEVERAL_IDS.format(len(ids)))
    if not names or not isinstance(ids[0], int) or isinstance(ids[0], bool):
        return label
    if str(ids[0]) not in names:
        raise RowError(f"the label is a class id that the {CLASS_MAP} in its metadata lacks; add its name there")
    return names[str(ids[0])]


def _recognised(names: Sequence[str]) -> tuple[str, str] | None:
    try:
        columns = recognise(names, "keys")
    except AmbiguousError as error:
        raise RowError(str(error)) from None
    return None if columns is None else (names[columns.label], names[columns.text])


def _others(item: Item, taken: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return what the other keys hold, and those of objects in them."""
    for key, value in item.items():
        if key not in taken and not key.endswith(METADATA):
            inside = value.items() if isinstance(value, dict) else ()
            yield from ((f"{key}.{name}", _written(inner)) for name, inner in inside)
            yield key, _written(value)


def _lists_too(item: Item, taken: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return what the other keys hold, with lists of labels."""
    for key, value in item.items():
        if key not in taken and not key.endswith(METADATA):
            yield key, ", ".join(map(_written, value)) if isinstance(value, list) else _written(value)


def _written(value: Any) -> str:
    """Return a value as a field of a table would have it; nothing for what is neither text nor number."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int)) else ""


def _no_pair(item: Item) -> str:
    """Return what an object lacks, or that its label is spread over several keys."""
    inside = {name: inner for value in item.values() if isinstance(value, dict) for name, inner in value.items()}
    for keys in (item, inside):
        spread = [
            _shown(key) for key, value in keys.items() if isinstance(value, (bool, int, float)) and value in (0, 1)
        ]
        if len(spread) > 1 and texts(tuple(item)):
            return ONE_HOT.format(", ".join(at_most(spread, MOST_NAMED)))
    return NO_PAIR


def _shown(key: str) -> str:
    return f"the key {key!r}" if len(key) <= LONGEST_KEY_NAMED and key.isprintable() else "a key with a long name"
