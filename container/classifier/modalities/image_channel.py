"""Reads labelled images, in one folder per label of a channel, and reports every bad file."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
import pandas as pd

from classifier import pixels, resources
from classifier.environment import shown
from classifier.errors import at_most
from classifier.image_formats import SUFFIXES
from classifier.modalities import image_layouts as layouts
from classifier.modalities import image_lists, report, text_channel
from classifier.modalities import image_shades as shades
from classifier.modalities.image_files import ABOUT_THE_DATA, LEFT_BEHIND, SUFFIXES_NOT_READ, is_left_behind
from classifier.modalities.image_lists import Labelled
from classifier.modalities.image_shades import bits_of
from classifier.modalities.report import Finding
from classifier.pixels import ImageSource, PixelsError
from classifier.tabular import files
from classifier.tabular.dialect import Dialect
from classifier.tabular.files import Source
from classifier.tabular.rows import Label, ReadResult, Row, folder_problem

__all__ = [
    "bits_of",
    "check",
    "files_of",
    "find",
    "findings",
    "is_foreign",
    "is_image",
    "read_sources",
    "table_of",
    "why_one_label",
]

log = logging.getLogger(__name__)

# Hidden folders of programs, which may hold copies of images.
HIDDEN_OF_PROGRAMS = re.compile(
    r"\.(git|dvc|svn|hg|cache|thumb|trash|ipynb_checkpoints|snapshot|_|~|tmp|Spotlight)", re.I
)
NO_FILE = "not a file, or a broken link; put the image itself here"
LEADS = "its S3 address must lead to the folder that the labels' folders are in"

AS_READ = ", ".join(SUFFIXES)
NOTES_NAME = 5
FILES_AT_ONCE = 1024
SECONDS_BETWEEN_LINES = 20.0
# Images of one thing have names alike up to here, and are held out together.
SAME_THING = "_nohash_"
HASH_BITS = 48
# A label's images are held out by the first of :data:`KEYS` that makes so many groups of them.
FEWEST_GROUPS = 10
# Of no more images a label, in the mean, and so many labels, the folders may be things and no labels.
FEW_OF_A_LABEL = 2
MANY_LABELS = 10


def is_image(path: Path) -> bool:
    """Return whether a file is an image that is read: by its name, or else by what is in it."""
    return path.suffix.lower() in SUFFIXES or pixels.is_image(layouts.head_of(path))


def is_foreign(folder: Path, inside: Sequence[Path], images: Collection[Path]) -> bool:
    """Return whether a channel's files lie as another program lays images out, of which :func:`find` says what to do.

    Args:
        folder: The channel's folder.
        inside: The files in it.
        images: Those of them that are images.
    """
    known = set(images)
    return _foreign(folder, [path for path in inside if path not in known], known) is not None


def files_of(folder: Path) -> list[Path]:
    """Return the files of a channel that are the user's, at any depth, and links to folders, not followed; sorted."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_left_behind(name)]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        found += [Path(parent, name) for name in (*names, *links) if not is_left_behind(name)]
    return sorted(found)


def find(folder: Path, channel: str, result: ReadResult, *, sharded: bool = False) -> list[Source]:
    """Find a channel's images: those at any depth in a folder at its top, whose name is their label.

    A file without the suffix of a supported image is identified by its content. Where no folder may be a label, and a
    list says which label each image has (:mod:`classifier.modalities.image_lists`), those are the labels.

    Args:
        folder: The channel's folder.
        channel: Its name, with which the files' names in messages begin.
        result: Gets a problem for each image outside the label folders or in an unsupported format, for folders
            without images or that are not labels, for another program's layout, and if there is nothing to read; and
            a warning that names the files left out.
        sharded: Whether each host gets a part of the channel's files, which may be none.
    """
    paths = files_of(folder)
    if files.is_absent(folder, channel, paths, result, LEADS, sharded=sharded):
        return []
    images = {path for path in paths if is_image(path)}
    others = [path for path in paths if path not in images]
    labelled = image_lists.read(folder, others, sorted(images), _why_unread)
    if labelled is not None:
        return _listed(folder, channel, labelled, others, sorted(images), result)
    wrong = _laid_out_otherwise(folder, channel, others, images)
    if wrong is not None:
        result.problem(wrong[0], 0, wrong[1])
        return []
    sources, named = [], set()
    for path in paths:
        relative = path.relative_to(folder)
        source = Source(path, f"{channel}/{shown(relative)}", item=_below_label(relative), label=_label(relative))
        words = _misplaced(source, channel) if path in images else _missed(path)
        if words:
            result.problem(source.name, 0, words)
            named.add(relative.parts[0])
        elif path in images:
            sources.append(source)
    _warn_of_left_out(folder, others, images, result)
    _check_folders(folder, channel, sources, named, result, sharded=sharded)
    if not sources and not result.problems:
        _nothing(folder, channel, others, result)
    return sources


def read_sources(sources: Sequence[Source], _dialect: Dialect, found: ReadResult) -> None:
    """Read and check every image, in parallel.

    Args:
        sources: The images.
        _dialect: Not used; it applies to tables.
        found: Gets a row for each good image, with line 0, and a problem for each bad one.
    """
    next_line = time.monotonic() + SECONDS_BETWEEN_LINES
    with ThreadPoolExecutor(resources.processors()) as pool:
        for begin in range(0, len(sources), FILES_AT_ONCE):
            some = sources[begin : begin + FILES_AT_ONCE]
            for source, seen in zip(some, pool.map(_look, some), strict=True):
                if isinstance(seen, ImageSource):
                    found.rows.append(Row(source.name, 0, source.label, seen))
                else:
                    found.problem(source.name, 0, seen)
            if time.monotonic() > next_line:
                next_line += SECONDS_BETWEEN_LINES
                log.info("event=data images=%d/%d", begin + len(some), len(sources))


def _listed(
    folder: Path, channel: str, labelled: Labelled, others: Sequence[Path], images: Sequence[Path], result: ReadResult
) -> list[Source]:
    """Return the images that a list of labels names; the result gets what is wrong with it, and what is left out."""
    name = f"{channel}/{shown(labelled.path.relative_to(folder))}"
    for line, words in labelled.problems:
        result.problem(name, line, words)
    sources, left_out = [], []
    for path in images:
        relative = path.relative_to(folder)
        label = labelled.labels.get(PurePosixPath(relative.as_posix()))
        source = Source(path, f"{channel}/{shown(relative)}", item=relative.as_posix(), label=label or "")
        if label is None:
            left_out.append(_sized(folder, path))
        elif path.is_file():
            sources.append(source)
        else:
            result.problem(source.name, 0, NO_FILE)
    log.info("event=data list=%r images=%d", name, len(sources))
    if left_out and not labelled.problems:
        words = f"{shown(labelled.path.name)} names no label of it"
        result.general_warnings.append(f"left out: {', '.join(at_most(left_out, NOTES_NAME))}: {words}")
    rest = [path for path in others if path != labelled.path]
    _warn_of_left_out(folder, rest, images, result, missed=not labelled.problems)
    return sources


def table_of(found: ReadResult) -> pd.DataFrame:
    """Return the good rows as a table of those of texts' columns, an :class:`ImageSource` each, and ``hash_bucket``.

    An image's hash bucket is a number from 0 to below 1, the hash of its path below its label's folder. Whether an
    image is held out therefore doesn't depend on the other images, and images of one thing share a bucket.
    :data:`KEYS` says which part of the path is hashed.
    """
    table = text_channel.table_of(found)
    items = [PurePath(image.item or image.path.name) for image in table["record"]]
    buckets = np.zeros(len(table))
    for rows in table.groupby("label").indices.values():
        buckets[rows] = [_hash_bucket(key) for key in _keys([items[row] for row in rows])]
    return table.assign(hash_bucket=buckets)


def why_one_label(table: pd.DataFrame) -> str:
    """Return where the labels' folders may be, by how the images of the only one lie in it."""
    items = [PurePath(image.item) for image in table["record"]]
    return f"; {layouts.too_high(str(table['label'].iloc[0]), items)}"


def check(_table: pd.DataFrame, _known: Collection[Label]) -> None:
    """Accept every label: the names of folders are labels beyond doubt."""


def findings(
    splits: Mapping[str, pd.DataFrame], labels: Sequence[Label], _max_sequence_length: int | None = None
) -> Iterator[Finding]:
    """Report on all images of a job: labels, sizes, repeated images.

    Args:
        splits: The rows by split, ``training`` first, with the columns of :func:`table_of`.
        labels: All labels.
        _max_sequence_length: Not used; it applies to texts.
    """
    contents = {name: table.assign(record=table["record"].map(str)) for name, table in splits.items()}
    yield from report.of_labels(contents, labels, doubtful=False)
    for name, table in splits.items():
        if len(table):
            yield _sizes(name, table)
            yield from shades.findings(name, table)
            yield from report.repeated(name, contents[name], "images")
    for (name, table), (other_name, other) in combinations(contents.items(), 2):
        yield from report.leaks(name, table, other_name, other, "images")


def _label(relative: Path) -> str:
    """Return the folder at the channel's top that a file is in; empty if it is at the top itself."""
    first, *others = relative.parts
    return first if others else ""


def _below_label(relative: Path) -> str:
    return PurePath(*relative.parts[1:]).as_posix() if len(relative.parts) > 1 else ""


def _foreign(folder: Path, others: Sequence[Path], images: Collection[Path]) -> tuple[PurePath, str] | None:
    return layouts.foreign(
        [path.relative_to(folder) for path in others],
        lambda path: layouts.head_of(folder / path),
        [path.relative_to(folder) for path in sorted(images)],
    )


def _laid_out_otherwise(
    folder: Path, channel: str, others: Sequence[Path], images: Collection[Path]
) -> tuple[str, str] | None:
    """Return a location, and what is wrong there and what to do, if no folder of the channel is a label; else None."""
    foreign = _foreign(folder, others, images)
    if foreign is not None:
        return f"{channel}/{shown(foreign[0])}", foreign[1]
    if images and all(path.parent == folder for path in images):
        beginnings = layouts.beginnings([path.name for path in images])
        words = f"all its images ({len(images)}) are in no label's folder; {layouts.FOLDERS}{beginnings}"
        return f"channel {channel}", f"{words}. If all are of one label, {LEADS}, one folder higher"
    return None


def _nothing(folder: Path, channel: str, others: Sequence[Path], result: ReadResult) -> None:
    """Say that a channel has no image, and what is there instead."""
    result.problem(f"channel {channel}", 0, f"no image in it; {LEADS}, each with its images")
    for path in others[:NOTES_NAME]:
        known = layouts.sign_of(path, layouts.head_of(path))
        if known is not None:
            result.problem(f"{channel}/{shown(path.relative_to(folder))}", 0, known.words)


def _misplaced(source: Source, channel: str) -> str:
    """Return what keeps an image from being read, but for what is in it."""
    if not source.label:
        return f"an image outside of the labels' folders; put it in {channel}/<its label>/"
    return "" if source.path.is_file() else NO_FILE


def _missed(path: Path) -> str:
    """Return what to do about a file that is not a supported image, if a user would miss it; otherwise empty."""
    if path.is_dir():
        return "a link to a folder, which is not followed; put the folder itself here"
    other = pixels.other_image(layouts.head_of(path))
    if other:
        return other
    suffix = path.suffix.lower()
    return f"a {suffix} file is not read; save it as one of {AS_READ}" if suffix in SUFFIXES_NOT_READ else ""


def _why_unread(path: Path) -> str:
    """Return why a file that is said to be an image is none that is read, and what to do."""
    return _missed(path) or pixels.what_else(layouts.head_of(path)) or f"not an image; save it as one of {AS_READ}"


def _warn_of_left_out(
    folder: Path, others: Sequence[Path], images: Collection[Path], result: ReadResult, *, missed: bool = False
) -> None:
    """Warn of files that are not read, a line a reason, with their names and sizes.

    Args:
        folder: The channel's folder.
        others: The files that are no images.
        images: The images.
        result: Gets the warnings.
        missed: Whether to warn of images in formats that are not read, too.
    """
    by_content = {path.suffix.lower() for path in images} - set(SUFFIXES)
    left_out: dict[str, list[str]] = {}
    for path in others:
        reason = _missed(path)
        if reason and not missed:
            continue
        reason = reason or (_reason(path, by_content) if path.is_file() else "")
        if reason:
            left_out.setdefault(reason, []).append(_sized(folder, path))
    hidden = [_sized(folder, path) for path in _hidden_images(folder)]
    if hidden:
        left_out["files whose names begin with a dot are skipped; rename them"] = hidden
    for reason, names in left_out.items():
        result.general_warnings.append(f"left out: {', '.join(at_most(names, NOTES_NAME))}: {reason}")


def _sized(folder: Path, path: Path) -> str:
    return f"{shown(path.relative_to(folder))} ({path.stat().st_size if path.is_file() else 0:,} bytes)"


def _reason(path: Path, by_content: Collection[str]) -> str:
    """Return why a file is not read; empty for one that nobody misses.

    Args:
        path: The file.
        by_content: The endings of names of files that are images all the same.
    """
    head = layouts.head_of(path)
    suffix = path.suffix.lower()
    if not head:
        unread = "it can't be read; make it readable for the job" if path.stat().st_size else ""
        return unread or ("the file is empty" if suffix in by_content else "")
    sign = layouts.sign_of(path, head)
    silent = ABOUT_THE_DATA.match(path.name) or (suffix == files.MANIFEST and not head.lstrip().startswith(b"{"))
    return sign.words if sign is not None else "" if silent else pixels.what_else(head) or "not an image"


def _hidden_images(folder: Path) -> list[Path]:
    """Return the images that are passed over for their names alone, but for those in folders of programs."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [
            name for name in folders if not HIDDEN_OF_PROGRAMS.match(name) and name.lower() not in LEFT_BEHIND
        ]
        within = any(part.startswith(".") for part in Path(parent).relative_to(folder).parts)
        some = [Path(parent, name) for name in names if within or name.startswith(".")]
        found += [path for path in some if pixels.is_image(layouts.head_of(path))]
    return sorted(found)


def _check_folders(
    folder: Path, channel: str, sources: Sequence[Source], named: Collection[str], result: ReadResult, *, sharded: bool
) -> None:
    """Name folders that are no labels, or hold nothing."""
    labels = {source.label for source in sources}
    images = [PurePath(source.label, source.item) for source in sources]
    _check_labels(labels, result, channel)
    for place, words in layouts.folder_problems(images, channel):
        result.problem(place, 0, words)
    if not sharded:
        _check_empty(folder, channel, labels | set(named), result)
        if len(labels) >= MANY_LABELS and len(images) <= FEW_OF_A_LABEL * len(labels):
            result.general_warnings.append(
                f"{len(labels)} labels, and {len(images)} images: if the folders at the channel's top are things, each "
                f"with its images, and no labels, {LEADS}, one folder higher"
            )


def _check_labels(labels: Collection[str], result: ReadResult, channel: str) -> None:
    """Name folders whose names can't be labels."""
    for label in sorted(labels):
        if wrong := folder_problem(label):
            result.problem(f"{channel}/{shown(label)}", 0, wrong)


def _check_empty(folder: Path, channel: str, filled: Collection[str], result: ReadResult) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in filled and not is_left_behind(path.name):
            words = "no image in this folder; put some in, or take it out"
            result.problem(f"{channel}/{shown(path.name)}", 0, words)


def _look(source: Source) -> ImageSource | str:
    """Return an image that can be read, or what is wrong with it."""
    try:
        content = pixels.read(source.path)
        seen = pixels.survey(content)
    except PixelsError as error:
        return str(error)
    except OSError as error:
        return f"can't be read ({error.strerror}); make it readable for the job"
    digest = hashlib.sha256(content).hexdigest()
    return ImageSource(source.path, digest, seen.height, seen.width, source.item, seen.values)


def _by_folder(item: PurePath) -> str:
    """Return the folder below the label's: images in one are views of one thing; else the name."""
    return _by_name(item) if item.parent == PurePath() else item.parent.as_posix()


def _by_name(item: PurePath) -> str:
    return item.stem.partition(SAME_THING)[0]


def _by_path(item: PurePath) -> str:
    return (item.parent / _by_name(item)).as_posix()


# What of an image's path below its label's folder says whether it is held out; all three are the name's beginning of
# an image that lies in its label's folder itself.
KEYS = (_by_folder, _by_name, _by_path)


def _keys(items: Sequence[PurePath]) -> list[str]:
    """Return what each of a label's images is held out by."""
    for key in KEYS:
        keys = [key(item) for item in items]
        if len(set(keys)) >= FEWEST_GROUPS:
            break
    return keys


def _hash_bucket(key: str) -> float:
    digest = hashlib.sha256(os.fsencode(key)).digest()
    return int.from_bytes(digest[: HASH_BITS // 8], "big") / (1 << HASH_BITS)


def _sizes(name: str, table: pd.DataFrame) -> Finding:
    sides = np.array([sorted((image.height, image.width)) for image in table["record"]], np.int64)
    shorter, longer = sides[:, 0], sides[:, 1]
    return Finding(
        f"rows={name} shorter_side_median={np.median(shorter):.0f} shorter_side_least={shorter.min()} "
        f"longer_side_greatest={longer.max()} smallest_at={table['file'].iloc[int(shorter.argmin())]!r}"
    )
