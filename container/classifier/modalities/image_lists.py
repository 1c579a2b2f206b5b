"""Lists that say which label each image of a channel has: tables, augmented manifests of SageMaker, im2rec's lists.

A list is read where it names images that are in the channel. Nothing is downloaded, and nothing guessed: a line whose
image is not there, or that has another number of labels than one, is a problem.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from classifier.environment import shown
from classifier.modalities import image_layouts as layouts
from classifier.tabular.keys import CLASS_NAME, FAILURE, METADATA, SOURCE_REFERENCE
from classifier.tabular.rows import label_problem

TABLES = (".csv", ".tsv")
DELIMITERS = "\t;|,"
MARK = "utf-8-sig"
S3 = "s3://"
ONE_LIST = "several lists of labels ({0}); keep one, and give images to validate or test with as channels of their own"
NOT_HERE = "the image that it names is not in the channel; put it there, or take the line out"
NOT_DOWNLOADED = (
    "the image in S3 that it names is not in the channel, and nothing is downloaded; put it there, or take the line out"
)
NOT_READ = "the file that it names is not read: {0}; then name that one, or take the line out"
TWO_COLUMNS = "{0} columns in the first row; keep two, the image and its label"


class Line(NamedTuple):
    """A line of a list: its number from 1, the image as the list names it, and its label."""

    number: int
    image: str
    label: str


class Wrong(NamedTuple):
    """A line of a list, or with number 0 the whole list, that is not read, and what to do."""

    number: int
    words: str


@dataclass
class Labelled:
    """What a list says.

    Attributes:
        path: The list.
        labels: The label of each image by its path in the channel.
        problems: What is wrong: the number of the line, 0 for the whole list, and what to do.
    """

    path: Path
    labels: dict[PurePosixPath, str] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)


class Names:
    """Finds a channel's images by the names that lists give them.

    Args:
        images: The images' paths in the channel.
    """

    def __init__(self, images: Iterable[PurePosixPath]) -> None:
        self._images = set(images)
        self._by_name = _unique((path.name, path) for path in self._images)
        self._by_stem = _unique((path.stem, path) for path in self._images)

    def find(self, text: str) -> PurePosixPath | None:
        """Return the image that a list names; None if there is none.

        It is named by its path in the channel, or by a longer one that ends so; or by its own name, with or without
        its suffix, if no other image has it.
        """
        path = text.strip().replace("\\", "/")
        parts = PurePosixPath(path.partition(S3)[2].partition("/")[2] if path.startswith(S3) else path).parts
        parts = tuple(part for part in parts if part not in ("/", "."))
        ends = (PurePosixPath(*parts[begin:]) for begin in range(len(parts)))
        found = next((end for end in ends if end in self._images), None)
        if found is None and len(parts) == 1:
            return self._by_name.get(parts[0]) or self._by_stem.get(parts[0])
        return found


Reader = Callable[[Path, Names], Iterator[Line | Wrong]]


def _unique(pairs: Iterable[tuple[str, PurePosixPath]]) -> Mapping[str, PurePosixPath]:
    listed = list(pairs)
    counts = Counter(name for name, _ in listed)
    return {name: path for name, path in listed if counts[name] == 1}


def read(
    folder: Path, others: Sequence[Path], images: Iterable[Path], why_unread: Callable[[Path], str]
) -> Labelled | None:
    """Return what a channel's list of labels says; None if there is none, or if the images are in labels' folders.

    Args:
        folder: The channel's folder.
        others: The files in it that are no images.
        images: The images in it.
        why_unread: Returns why one of the others is not read as an image, and what to do.
    """
    relative = [_below(folder, path) for path in images]
    if not relative or len(layouts.label_folders(relative)) > 1:
        return None
    names = Names(relative)
    names_images = layouts.table_of(relative)
    readers = {path: reader for path in others if (reader := _reader(path, names_images)) is not None}
    if len(readers) > 1:
        shown_lists = ", ".join(shown(path.relative_to(folder)) for path in readers)
        return Labelled(next(iter(readers)), problems=[(0, ONE_LIST.format(shown_lists))])
    unread = Names(_below(folder, path) for path in others if path not in readers and path.is_file())

    def why_not_here(name: str) -> str:
        path = unread.find(name)
        if path is not None:
            return NOT_READ.format(why_unread(folder / path))
        return NOT_DOWNLOADED if name.strip().startswith(S3) else NOT_HERE

    return next((_labelled(path, reader, names, why_not_here) for path, reader in readers.items()), None)


def _below(folder: Path, path: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(folder).as_posix())


def _reader(path: Path, names_images: Callable[[bytes], bool]) -> Reader | None:
    """Return what reads a list; None for another file."""
    head = layouts.head_of(path)
    if layouts.AUGMENTED_MANIFEST(path, head):
        return _manifest_lines
    if layouts.IM2REC_LIST(path, head):
        return _im2rec_lines
    return _table_lines if path.suffix.lower() in TABLES and names_images(head) else None


def _labelled(path: Path, reader: Reader, names: Names, why_not_here: Callable[[str], str]) -> Labelled:
    found = Labelled(path)
    lines: dict[PurePosixPath, int] = {}
    try:
        for line in reader(path, names):
            if isinstance(line, Wrong):
                found.problems.append((line.number, line.words))
                continue
            image = names.find(line.image)
            words = why_not_here(line.image) if image is None else label_problem(line.label)
            if image is not None and not words:
                words = _again(line, found.labels.get(image), lines.get(image, 0))
            if words:
                found.problems.append((line.number, words))
            elif image is not None:
                found.labels[image], lines[image] = line.label, line.number
    except (UnicodeDecodeError, csv.Error) as error:
        found.problems.append((0, f"not UTF-8 or not a table ({type(error).__name__}); save it as UTF-8 again"))
    return found


def _again(line: Line, label: str | None, number: int) -> str:
    if label is None or label == line.label:
        return ""
    return f"the image has another label in line {number}; keep one of the lines"


def _table_lines(path: Path, names: Names) -> Iterator[Line | Wrong]:
    with path.open(encoding=MARK, newline="") as file:
        first_line = file.readline()
        file.seek(0)
        delimiter = next((each for each in DELIMITERS if each in first_line), ",")
        rows = [(number, row) for number, row in enumerate(csv.reader(file, delimiter=delimiter), 1) if any(row)]
    if len(rows[0][1]) != 2:
        yield Wrong(0, TWO_COLUMNS.format(len(rows[0][1])))
        return
    column = _image_column([row for _, row in rows if len(row) == 2], names)
    is_headed = _is_header(rows[0][1], column, names, {row[1 - column].strip() for _, row in rows[1:] if len(row) == 2})
    for number, row in rows[is_headed:]:
        if len(row) == 2:
            yield Line(number, row[column], row[1 - column].strip())
        else:
            yield Wrong(number, f"{len(row)} columns; write two, the image and its label")


def _is_header(row: Sequence[str], column: int, names: Names, labels: Collection[str]) -> bool:
    """Return whether a table's first row names its columns, and no image that is missing; labels are those below it."""
    image, label = row[column], row[1 - column].strip()
    return bool(labels) and names.find(image) is None and "." not in image and label not in labels


def _image_column(rows: Sequence[Sequence[str]], names: Names) -> int:
    """Return which of two columns names the images: that with more different ones, as a label 5 may mean ``5.png``."""
    found = [{names.find(row[column]) for row in rows} - {None} for column in (0, 1)]
    return int(len(found[1]) > len(found[0]))


def _lines_by(pair: Callable[[str], tuple[str, str] | str]) -> Reader:
    """Return a reader of lines, each of which is an image and its label, or words on what is wrong with it."""

    def lines(path: Path, _: Names) -> Iterator[Line | Wrong]:
        with path.open(encoding=MARK) as file:
            for number, text in enumerate(file, 1):
                found = pair(text.rstrip("\r\n")) if text.strip() else ()
                if isinstance(found, str):
                    yield Wrong(number, found)
                elif found:
                    yield Line(number, *found)

    return lines


def _im2rec_pair(text: str) -> tuple[str, str] | str:
    values = text.split("\t")
    if len(values) != 3:
        return f"{max(len(values) - 2, 0)} labels; write a number, one label and the image, with tabs between them"
    number = values[1].strip().partition(".")
    if not number[0].isdecimal() or number[2].strip("0"):
        return "the label is not a whole number; write the number of its class"
    return values[2], str(int(number[0]))


def _manifest_pair(text: str) -> tuple[str, str] | str:
    try:
        item = json.loads(text)
    except ValueError:
        item = None
    if not isinstance(item, dict) or not isinstance(item.get(SOURCE_REFERENCE), str):
        return f"not a JSON object with {SOURCE_REFERENCE}; write one per line"
    attributes = [key for key in item if key != SOURCE_REFERENCE and not key.endswith(METADATA)]
    if len(attributes) != 1:
        return f"{len(attributes)} attributes; keep one, the image's label"
    value, metadata = item[attributes[0]], item.get(attributes[0] + METADATA)
    about = metadata if isinstance(metadata, dict) else {}
    if FAILURE in about:
        return f"the image was not labelled ({FAILURE}); take the line out"
    label = about.get(CLASS_NAME, value)
    if isinstance(label, bool) or not isinstance(label, str | int):
        return f"no single label of the whole image; give it one, as {CLASS_NAME} in the metadata"
    return item[SOURCE_REFERENCE], str(label).strip()


_manifest_lines, _im2rec_lines = _lines_by(_manifest_pair), _lines_by(_im2rec_pair)
