"""Files with a model's labels, in any format that names each index from 0 exactly once; all others are refused."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

from classifier.errors import UserError

Label = int | str

LABELS_FILE = "labels_info.json"
LABEL_INDEX_FILE = "class_label_to_prediction_index.json"
CONFIG_FILE = "config.json"

# What the keys of a JSON object are.
LABELS, INDICES = "labels", "indices"
# Names of files, without their suffix, and of keys in them; and what the keys are where the content is ambiguous.
_NAMES: Mapping[str, str] = {
    "labels_info": "",
    "class_label_to_prediction_index": LABELS,
    "labels": "",
    "label": "",
    "label_names": "",
    "label_map": "",
    "label_mapping": "",
    "label2id": LABELS,
    "label_to_id": LABELS,
    "label_to_index": LABELS,
    "class_to_idx": LABELS,
    "class_indices": LABELS,
    "id2label": INDICES,
    "id_to_label": INDICES,
    "index_to_label": INDICES,
    "index_to_name": INDICES,
    "idx_to_class": INDICES,
    "classes": "",
    "class_names": "",
    "classnames": "",
    "names": "",
    "categories": "",
    "target_names": "",
}
_STEMS = frozenset({*_NAMES, "label_encoder", "labelencoder"})  # the last two are scikit-learn's
_ORDER = {LABELS_FILE: 0, LABEL_INDEX_FILE: 1}  # only the first tells integers from text
_PLACEHOLDER = re.compile("LABEL_[0-9]+")  # what Hugging Face writes for unnamed labels
_INDEX = re.compile("0|[1-9][0-9]{0,8}")
_INDEX_FIRST = re.compile(r"([0-9]+)([\t ,;:=]+)(\S.*)")
_INDEX_LAST = re.compile(r"(.*\S)([\t ,;:=]+)([0-9]+)")
_SHOWN = 5

CURE = f'write {LABELS_FILE} instead: {{"labels": ["...", "..."]}}, the label of index 0 first'


class _FormError(ValueError):
    """A file's content isn't a valid list of labels; the message says why."""


def files(folder: Path) -> list[Path]:
    """Return the files of a folder that may hold labels, this image's own first; none if the folder is missing."""
    try:
        paths = sorted(
            folder.iterdir(),
            key=lambda path: (_ORDER.get(path.name, len(_ORDER)), path.name),
        )
    except OSError:
        return []
    return [path for path in paths if path.suffix and (path.name == CONFIG_FILE or _stem(path) in _STEMS)]


def agreed(files: Sequence[Path]) -> tuple[Label, ...]:
    """Return the labels in files, in the order of their indices; none if no file holds labels.

    Args:
        files: The files, as :func:`files` returns them.

    Raises:
        UserError: A file doesn't name each index exactly once, or has an unsupported format; or two files disagree.
    """
    found = {path: labels for path in files if path.suffix in _READERS and (labels := read(path))}
    if len(found) > 1:
        found = {path: labels for path, labels in found.items() if not _is_placeholder(labels)} or found
    unread = [path for path in files if path.suffix not in _READERS]
    if not found and unread:
        raise UserError(f"{unread[0]}: labels in an unsupported format; {CURE}, or delete the file")
    chosen: tuple[Label, ...] = ()
    for path, labels in found.items():
        chosen = chosen or labels
        if [str(label) for label in labels] != [str(label) for label in chosen]:
            raise UserError(
                f"{path}: has other labels than {next(iter(found))}, or in another order; delete the wrong one"
            )
    return chosen


def read(path: Path) -> tuple[Label, ...]:
    """Return the labels in a file; none if it is a ``config.json`` without labels.

    Raises:
        UserError: The file doesn't name each index from 0 exactly once, or can't be read.
    """
    try:
        return _READERS[path.suffix](path)
    except _FormError as error:
        raise UserError(f"{path}: {error}; {CURE}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; {CURE}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); {CURE}") from None


def _stem(path: Path) -> str:
    return path.stem.lower().replace("-", "_").replace(" ", "_")


def _is_placeholder(labels: Sequence[Label]) -> bool:
    return all(_PLACEHOLDER.fullmatch(str(label)) for label in labels)


def _read_json(path: Path) -> tuple[Label, ...]:
    content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_each_key_once)
    if path.name != CONFIG_FILE:
        return _labels_of(content, _NAMES.get(_stem(path), ""))
    named = {key: value for key, value in _as_mapping(content).items() if key in ("id2label", "label2id") and value}
    return _agreed(named) if named else ()


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    again = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    if again:
        raise _FormError(f"{again[0]!r} occurs twice")
    return dict(pairs)


def _labels_of(content: object, keys: str) -> tuple[Label, ...]:
    """Return the labels in parsed JSON: a list, a mapping between labels and indices, or either below a known key."""
    if isinstance(content, list):
        return _in_order(content)
    mapping = _as_mapping(content)
    if not mapping:
        raise _FormError("has no labels")
    inside = {key: value for key, value in mapping.items() if key in _NAMES and isinstance(value, list | dict)}
    return _agreed(inside) if inside else _of_mapping(mapping, keys)


def _agreed(named: Mapping[str, object]) -> tuple[Label, ...]:
    read = {key: _labels_of(value, _NAMES[key]) for key, value in named.items()}
    first, labels = next(iter(read.items()))
    for key, others in read.items():
        if list(map(str, others)) != list(map(str, labels)):
            raise _FormError(f"{first!r} and {key!r} in it name different labels")
    return labels


def _as_mapping(content: object) -> Mapping[str, object]:
    if not isinstance(content, dict):
        raise _FormError("neither a JSON object nor a list")
    return content


def _of_mapping(mapping: Mapping[str, object], keys: str) -> tuple[Label, ...]:
    """Return the labels of a mapping from index to label or from label to index."""
    from_keys = [(_index(key), value) for key, value in mapping.items()]
    from_values = [(_index(value), key) for key, value in mapping.items()]
    ways = {
        way: [(index, label) for index, label in pairs if index is not None]
        for way, pairs in ((INDICES, from_keys), (LABELS, from_values))
        if all(index is not None for index, _ in pairs)
    }
    if not ways:
        raise _FormError("some labels have no index, which must be a whole number from 0")
    if len(ways) == 1 or keys:
        return _by_index(ways[keys if len(ways) > 1 else next(iter(ways))])
    return _either_way(ways)


def _either_way(ways: Mapping[str, Sequence[tuple[int, object]]]) -> tuple[Label, ...]:
    """Return the labels of a mapping between numbers, if only one reading is valid or both give the same labels."""
    right: list[tuple[Label, ...]] = []
    wrong: list[_FormError] = []
    for pairs in ways.values():
        try:
            right.append(_by_index(pairs))
        except _FormError as error:
            wrong.append(error)
    if not right:
        raise wrong[0]
    if len({tuple(map(str, labels)) for labels in right}) > 1:
        raise _FormError("both its keys and its values can be indices, so it is ambiguous")
    return right[0]


def _index(value: object) -> int | None:
    """Return a value as an index; None if it isn't one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and _INDEX.fullmatch(value) else None


def _by_index(pairs: Sequence[tuple[int, object]]) -> tuple[Label, ...]:
    counts = Counter(index for index, _ in pairs)
    twice = sorted(index for index, times in counts.items() if times > 1)
    if twice:
        raise _FormError(f"index {_shown(twice)} occurs more than once")
    missing = sorted(set(range(len(pairs))) - set(counts))
    if missing:
        first = "; the first index is 0" if 0 in missing else ""
        raise _FormError(f"none of {len(pairs)} labels has index {_shown(missing)}{first}")
    return _in_order([label for _, label in sorted(pairs, key=lambda pair: pair[0])])


def _in_order(labels: Sequence[object]) -> tuple[Label, ...]:
    """Return labels after checking that they are texts or whole numbers, and neither empty nor duplicates."""
    if not labels:
        raise _FormError("has no labels")
    invalid = [index for index, label in enumerate(labels) if not _is_label(label)]
    if invalid:
        raise _FormError(f"the value at index {_shown(invalid)} is not a label; a label is a text or a whole number")
    twice = [label for label, times in Counter(str(label).strip() for label in labels).items() if times > 1]
    if twice:
        raise _FormError(f"the label {twice[0]!r} has more than one index")
    return tuple(label for label in labels if _is_label(label))


def _is_label(value: object) -> TypeGuard[Label]:
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(indices: Sequence[int]) -> str:
    more = ", ..." if len(indices) > _SHOWN else ""
    return ", ".join(map(str, indices[:_SHOWN])) + more


def _read_lines(path: Path) -> tuple[Label, ...]:
    """Return the labels of a text file: one label per line, in order, or each with its index before or after it."""
    lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    blank = [number for number, line in enumerate(lines, 1) if not line.strip()]
    if blank:
        raise _FormError(f"line {_shown(blank)} is empty")
    lines = [line.strip() for line in lines]
    for pattern, index, label in ((_INDEX_FIRST, 1, 3), (_INDEX_LAST, 3, 1)):
        matches = [match for line in lines if (match := pattern.fullmatch(line))]
        if len(matches) < len(lines) or not lines:
            continue
        numbered = _numbered([(int(match[index]), match[label]) for match in matches])
        if numbered:
            return numbered
        if all(match[2].strip(" ") for match in matches):
            raise _FormError("its lines hold numbers that do not name each index from 0 once")
    return _in_order(lines)


def _numbered(pairs: Sequence[tuple[int, str]]) -> tuple[Label, ...]:
    """Return labels by their indices; none if the numbers aren't indices but part of the labels, as in "1 star"."""
    try:
        return _by_index(pairs)
    except _FormError:
        return ()


_READERS: Mapping[str, Callable[[Path], tuple[Label, ...]]] = {".json": _read_json, ".txt": _read_lines}
