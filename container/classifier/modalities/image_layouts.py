"""Detects image data sets in other programs' layouts, and folders whose names are not labels."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from classifier.tabular import files
from classifier.tabular.sniffing import HEAD_BYTES, IMAGE_MANIFEST
from classifier.tabular.splits import TEST, TRAINING, UNLABELLED, VALIDATION, WORDS, words_in

FOLDERS = "put each image in a folder that has the name of its label"
EXPORT = "save its images as files, each in a folder that has the name of its label (and texts as CSV or JSON Lines)"
UNPACK = "unpack it, and upload the folders of images that are in it"
TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".yml")
# Without images beside them, these files may be about images or about texts.
ABOUT_IMAGES_OR_TEXTS = (".txt", ".csv", ".tsv", ".xml")
LINES_READ = 50
FEWEST_LINES = 2
# Numbers and short words of a table may be the names of images by chance, but for their endings.
FEWEST_LINES_BY_STEM = 5

TO_DO = {TRAINING: "to train on", VALIDATION: "to validate on", TEST: "to test on"}
# Words in the names of folders that are a part of a layout: of these alone, and of those for splits, no label is made.
STRUCTURE = frozenset(
    {
        "image", "images", "img", "imgs", "jpegimages", "imagesets", "mask", "masks", "annotation", "annotations",
        "label", "labels", "segmentationclass", "segmentationobject", "set", "sets", "data", "dataset", "split",
        "splits", "fold", "folds",
    }
)  # fmt: skip
NAMED = 5
LETTERS = re.compile(r"[^\W\d_]+")
MOST_BEGINNINGS = 20


@dataclass(frozen=True)
class Sign:
    """A kind of file that belongs to another program's layout, recognised by its first bytes.

    Attributes:
        head: Matches the first bytes.
        words: What the file is, and what to do.
        suffixes: The suffixes that its name may have; empty for any.
        whole: Whether it describes the whole data set, not just the image beside it.
        images_only: Whether it always holds or describes images, whatever is beside it.
    """

    head: re.Pattern[bytes]
    words: str
    suffixes: tuple[str, ...] = ()
    whole: bool = True
    images_only: bool = False

    def __call__(self, path: PurePath, head: bytes) -> bool:
        """Return whether a file is of this kind."""
        return (not self.suffixes or path.suffix.lower() in self.suffixes) and bool(self.head.match(head))


def _sign(head: bytes, words: str, *suffixes: str, whole: bool = True, images_only: bool = False) -> Sign:
    return Sign(re.compile(rb"(?:\xef\xbb\xbf)?" + head, re.DOTALL), words, suffixes, whole, images_only)


ARCHIVE = _sign(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|BZh[1-9]1AY&SY|\xfd7zXZ|.{257}ustar", f"an archive; {UNPACK}")
IM2REC_LIST = _sign(
    rb"\d+\t[-\d.]+\t", f"a list of images and labels for im2rec (.lst); {FOLDERS}", ".lst", images_only=True
)
AUGMENTED_MANIFEST = _sign(
    rb"\s*" + IMAGE_MANIFEST,
    f"an augmented manifest of images, as SageMaker Ground Truth writes it; what it names is not downloaded: {FOLDERS}",
    images_only=True,
)
SIGNS = (
    _sign(
        rb"\n#\xd7\xce", f"a RecordIO file, of im2rec or of SageMaker's built-in algorithms; {EXPORT}",
        images_only=True,
    ),
    _sign(rb".{4}\x00{4}.{4}\n", f"a TFRecord file; {EXPORT}", images_only=True),
    _sign(rb"\x00\x00\x08[\x01-\x04]\x00", f"images in one file, as MNIST's (IDX); {EXPORT}", images_only=True),
    IM2REC_LIST,
    AUGMENTED_MANIFEST,
    _sign(
        rb'\s*\{(?=.*"images"\s*:\s*\[\s*\{)', f"annotations in COCO's layout; {FOLDERS}", ".json", images_only=True
    ),
    _sign(
        rb'\s*\{(?=.*"(?:annotations|categories)"\s*:\s*\[\s*\{)', f"annotations in COCO's layout; {FOLDERS}", ".json"
    ),
    _sign(rb"\s*(?:<\?xml.*?\?>\s*)?<annotations\b", f"annotations in CVAT's layout; {FOLDERS}", ".xml"),
    _sign(
        rb"\s*(?:<\?xml.*?\?>\s*)?<annotation\b", f"an image's annotation in Pascal VOC's layout; {FOLDERS}", ".xml",
        whole=False,
    ),
    _sign(
        rb'\s*\{(?=.*"(?:shapes|imagePath|_via_\w+)"\s*:)', f"annotations of LabelMe or VIA; {FOLDERS}", ".json",
        whole=False,
    ),
    _sign(
        rb"\d+(?: -?[\d.]+(?:e-?\d+)?){4,}\s*(?:\n|$)", f"an image's annotation in YOLO's layout; {FOLDERS}", ".txt",
        whole=False,
    ),
    _sign(rb"\x93NUMPY", f"an array of NumPy; {EXPORT}"),
    _sign(rb"\x89HDF", f"an HDF5 file; {EXPORT}"),
    _sign(rb"PAR1", f"a Parquet file; {EXPORT}"),
    _sign(rb"ARROW1\x00", f"an Arrow file; {EXPORT}"),
    _sign(rb"\x80[\x02-\x05][\x28\x5d\x63\x7d\x8c\x95]", f"a pickle of Python; {EXPORT}"),
    _sign(rb"PK\x03\x04", f"an archive of NumPy arrays; {EXPORT}", ".npz"),
    ARCHIVE,
)  # fmt: skip


def head_of(path: Path) -> bytes:
    """Return a file's first bytes; empty if there is nothing to read."""
    return files.head(path, HEAD_BYTES)


def sign_of(path: PurePath, head: bytes) -> Sign | None:
    """Return what a file is where another program's layout has such files."""
    return next((sign for sign in SIGNS if sign(path, head)), None)


def foreign(
    others: Sequence[PurePath], head: Callable[[PurePath], bytes], images: Sequence[PurePath]
) -> tuple[PurePath, str] | None:
    """Return the file that reveals another program's layout, and what it is and what to do; None without one.

    If two or more folders may be labels, the images are read by folder whatever else is beside them.

    Args:
        others: The files that are no images, by their paths in the channel.
        head: Gives a file's first bytes.
        images: The images' paths in the channel.
    """
    labels = label_folders(images)
    if len(labels) > 1:
        return None
    heads = {path: head(path) for path in others if images or path.suffix.lower() not in ABOUT_IMAGES_OR_TEXTS}
    for sign in SIGNS:
        if sign.images_only or (images and sign is not ARCHIVE and (sign.whole or not labels)):
            path = next((path for path, content in heads.items() if sign(path, content)), None)
            if path is not None:
                return path, sign.words
    names_images = table_of(images)
    table = next((path for path, content in heads.items() if path.suffix in TABLES and names_images(content)), None)
    return None if table is None else (table, f"a table that says which label each image has; {FOLDERS}")


def label_folders(images: Sequence[PurePath]) -> set[str]:
    """Return the folders at a channel's top that hold images and may be labels."""
    folders = {path.parts[0] for path in images if len(path.parts) > 1}
    return {folder for folder in folders if not is_no_label(folder)}


def table_of(images: Sequence[PurePath]) -> Callable[[bytes], bool]:
    """Return a function that tells whether the lines of a table name images, a different one each."""
    names, stems = {path.name for path in images}, {path.stem for path in images}

    def names_images(head: bytes) -> bool:
        lines = head.decode("utf-8", "replace").splitlines()
        lines = (lines[:-1] if len(head) == HEAD_BYTES else lines)[:LINES_READ]
        fields = [{PurePath(field).name for field in _fields(line)} for line in lines]
        for known, fewest in ((names, FEWEST_LINES), (stems, FEWEST_LINES_BY_STEM)):
            found = [frozenset(known & line) for line in fields if known & line]
            if len(found) >= max(fewest, len(lines) / 2) and len(set(found)) == len(found):
                return True
        return False

    return names_images


def _fields(line: str) -> list[str]:
    """Return what may be a field of a line in any format of tables: words, and what is between delimiters."""
    columns = (field.strip() for mark in ",;\t|" for field in next(csv.reader([line], delimiter=mark), []))
    return [*re.split(r"""[\s,;|"':{}\[\]\\]+""", line), *columns]


def is_no_label(name: str) -> bool:
    """Return whether a folder has the name of a part of the data, or of a layout: `train`, `test2017`, `images`."""
    words = words_in(name)
    return bool(words) and all(word in WORDS or word in STRUCTURE or word in UNLABELLED for word in words)


def role_of(name: str) -> str:
    """Return what the images of a folder are for, by its name: training, validation, test; nothing of another."""
    if not is_no_label(name):
        return ""
    return next((WORDS[word] for word in words_in(name) if word in WORDS), "")


def folder_problems(images: Sequence[PurePath], channel: str) -> Iterator[tuple[str, str]]:
    """Name folders at a channel's top, and just below, that are parts of the data and no labels.

    Args:
        images: The images' paths in the channel.
        channel: Its name.

    Yields:
        The folder, or the channel, and what is wrong and what to do.
    """
    below: dict[str, set[str]] = {}
    for path in images:
        if len(path.parts) > 1:
            below.setdefault(path.parts[0], set()).update(path.parts[1:2] if len(path.parts) > 2 else ())
    odd = [label for label in sorted(below) if is_no_label(label)]
    if odd and len(below) == 1 and below[odd[0]]:
        items = [path.relative_to(odd[0]) for path in images if len(path.parts) > 1]
        yield f"channel {channel}", f"its only folder, {odd[0]}, is no label; {too_high(odd[0], items)}"
        return
    if len(odd) == len(below) > 1:
        yield (
            f"channel {channel}",
            f"its folders are called {', '.join(odd)}, which are no labels; {_leads(odd, below)}",
        )
        return
    labels = set(below) - set(odd)
    for label in odd:
        words = _part(label, below[label], labels)
        if words:
            yield f"{channel}/{label}", words
    yield from _parts_below(below, channel)


def _leads(folders: Sequence[str], below: Mapping[str, Collection[str]]) -> str:
    """Return what to do with folders none of which is a label."""
    parts = {folder: role_of(folder) for folder in folders if role_of(folder) and below[folder]}
    if len(parts) == 0:
        return f"{FOLDERS}, and the S3 address must lead to the folder that these are in"
    as_channels = ", ".join(f"{folder}/ as the channel {role!r}" for folder, role in parts.items())
    return f"its S3 address must lead to the folder that the labels' folders are in: give {as_channels}"


def _part(label: str, inside: Collection[str], labels: Collection[str]) -> str:
    """Return what is wrong with a folder beside labels that has the name of a part of the data."""
    again = sorted(set(inside) & set(labels))
    role = role_of(label)
    if again:
        as_channel = f"give it as the channel {role!r}, or " if role else ""
        return f"the labels' folders are in it again, as {again[0]}; {as_channel}take it out"
    word = words_in(label)[0]
    # A train is a vehicle, and of what is valid there is what is not.
    if role == TRAINING or any(word in other.lower() for other in labels) or not (role or word in UNLABELLED):
        return ""
    if role:
        return (
            f"by its name a folder of images {TO_DO[role]}, beside the labels' folders; give them as the channel "
            f"{role!r}, in a folder for each label, or take them out; if {label} is a label, give the folder another "
            f"name, as the_{label}_label"
        )
    return "images without a label beside the labels' folders; take them out; if it is a label, give it another name"


def _parts_below(below: Mapping[str, Collection[str]], channel: str) -> Iterator[tuple[str, str]]:
    """Name folders in labels' folders that are for different parts of the data."""
    roles = {(label, name): role_of(name) for label, inside in below.items() for name in inside}
    if len(below) < 2 or len(set(roles.values()) - {""}) < 2:
        return
    for (label, name), role in sorted(roles.items()):
        if role in (VALIDATION, TEST):
            words = f"images {TO_DO[role]}, in a label's folder; give them as the channel {role!r}, in {role}/{label}/"
            yield f"{channel}/{label}/{name}", f"{words}, or take them out"


def beginnings(names: Sequence[str]) -> str:
    """Return what images' names begin with, which may be their labels; empty if it is not a few words."""
    words = Counter(found[0] if (found := LETTERS.match(name)) else "" for name in names)
    if not 2 <= len(words) <= MOST_BEGINNINGS or "" in words or min(words.values()) < 2:
        return ""
    return f" (the names begin with {', '.join(sorted(words))}: are these the labels?)"


def too_high(label: str, items: Sequence[PurePath]) -> str:
    """Return where the labels' folders are when a channel's only folder holds them; empty if it does not.

    Args:
        label: The channel's only label.
        items: The images' paths below its folder.
    """
    parts = [(label, *item.parts) for item in items]
    shared = 0
    while len({names[shared] for names in parts}) == 1 and all(len(names) > shared + 1 for names in parts):
        shared += 1
    folder = "/".join(parts[0][:shared])
    inside = sorted({names[shared] for names in parts if len(names) > shared + 1})
    if len(inside) < 2 or any(len(names) == shared + 1 for names in parts):
        return (
            f"all images are in one folder, {folder}; {FOLDERS}{beginnings([item.name for item in items])}, and let "
            "the S3 address lead to the folder that these are in"
        )
    if all(role_of(name) for name in inside):
        as_channels = ", ".join(f"{folder}/{name}/ as the channel {role_of(name)!r}" for name in inside)
        return f"its folders are {', '.join(inside)}: give {as_channels}"
    more = ", ..." if len(inside) > NAMED else ""
    return f"if the labels are {', '.join(inside[:NAMED])}{more}, the S3 address must lead to {folder}/"
