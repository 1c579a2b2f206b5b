"""Labelled images, in a folder for each label of a channel, with every bad file found and named."""

import hashlib
import logging
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from classifier import IMAGE, pixels, resources
from classifier.errors import at_most
from classifier.modalities import report, text
from classifier.modalities.report import Finding
from classifier.modalities.text import Examples
from classifier.pixels import ImageSource, PixelsError
from classifier.tabular import files
from classifier.tabular.dialect import Dialect
from classifier.tabular.files import Source
from classifier.tabular.rows import Label, ReadResult, Row, label_problem

__all__ = ["NAME", "check", "examples", "files_of", "find", "findings", "is_image", "read_sources"]

log = logging.getLogger(__name__)

NAME = IMAGE
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
# Of these somebody would miss their images; of other files, as lists and licences, nobody.
SUFFIXES_NOT_READ = frozenset(
    {
        ".jpe", ".jfif", ".jp2", ".jxl", ".webp", ".heic", ".heif", ".avif", ".tif", ".tiff", ".svg", ".ico", ".psd",
        ".cr2", ".cr3", ".nef", ".arw", ".dng",
    }
)  # fmt: skip
# What platforms and programs leave behind (contract T27), beside all that begins with a dot.
LEFT_BEHIND = frozenset({"__macosx", "thumbs.db", "desktop.ini", "_success"})
LEFT_BEHIND_ENDINGS = (".manifest", "_$folder$")
# Folders that hold folders of labels.
NO_LABELS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"})
LEADS = "its S3 address must lead to the folder that the labels' folders are in"

NOTES_NAME = 5
FILES_AT_ONCE = 1024
SECONDS_BETWEEN_LINES = 20.0
# Images of one thing have names alike up to here, and are held out together.
SAME_THING = "_nohash_"
SHARE_BITS = 48


def is_image(path: Path) -> bool:
    """Return whether a file is an image that is read, by its name."""
    return path.suffix.lower() in SUFFIXES


def files_of(folder: Path) -> list[Path]:
    """Return the files of a channel that are the user's, at any depth, and links to folders, not followed; sorted."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_left_behind(name)]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        found += [Path(parent, name) for name in (*names, *links) if not _is_left_behind(name)]
    return sorted(found)


def find(folder: Path, channel: str, result: ReadResult, *, sharded: bool = False) -> list[Source]:
    """Find a channel's images: those at any depth in a folder at its top, whose name is their label.

    Args:
        folder: The channel's folder.
        channel: Its name, with which the files' names in messages begin.
        result: Gets a problem for each image that is in no label's folder or of another kind, for folders without a
            image, and where there is nothing to read; and a note of what is left out.
        sharded: Whether each host gets a part of the channel's files, which may be none.
    """
    paths = files_of(folder)
    if files.is_absent(folder, channel, paths, result, LEADS, sharded=sharded):
        return []
    sources, others, named = [], [], set()
    for path in paths:
        relative = path.relative_to(folder)
        source = Source(path, f"{channel}/{_shown(relative)}", _label(relative))
        wrong = _misplaced(source, channel)
        if wrong:
            result.problem(source.name, 0, wrong)
            named.add(relative.parts[0])
        elif is_image(path):
            sources.append(source)
        else:
            others.append(path)
    _note_left_out(folder, others, result)
    labels = {source.kind for source in sources}
    _check_labels(labels, channel, result)
    if not sharded:
        _check_empty(folder, channel, labels | named, result)
    if not sources and not result.problems:
        result.problem(f"channel {channel}", 0, f"no image in it; {LEADS}, each with its images")
    return sources


def read_sources(sources: Sequence[Source], _dialect: Dialect, found: ReadResult) -> None:
    """Look at every image, some at a time.

    Args:
        sources: The images.
        _dialect: Says something of tables.
        found: Gets a row for each good image, which is of no line, and a problem for each other.
    """
    next_line = time.monotonic() + SECONDS_BETWEEN_LINES
    with ThreadPoolExecutor(resources.processors()) as pool:
        for begin in range(0, len(sources), FILES_AT_ONCE):
            some = sources[begin : begin + FILES_AT_ONCE]
            for source, seen in zip(some, pool.map(_look, some), strict=True):
                if isinstance(seen, ImageSource):
                    found.rows.append(Row(source.name, 0, source.kind, seen))
                else:
                    found.problem(source.name, 0, seen)
            if time.monotonic() > next_line:
                next_line += SECONDS_BETWEEN_LINES
                log.info("event=data images=%d/%d", begin + len(some), len(sources))


def examples(found: ReadResult) -> Examples:
    """Return good rows as a table of those of texts' columns, with :class:`ImageSource` for ``text``, and ``share``.

    An image's share is a number from 0 to 1 that its name makes, so that it is held out or not whatever images there
    are beside it.
    """
    table = text.examples(found).table
    return Examples(table.assign(share=[_share(image.path.name) for image in table["text"]]), found.notes)


def check(_table: pd.DataFrame, _known: Collection[Label]) -> None:
    """Take every label: that folders are labels is beyond doubt."""


def findings(
    splits: Mapping[str, pd.DataFrame], labels: Sequence[Label], _max_sequence_length: int | None = None
) -> Iterator[Finding]:
    """Look at all images of a job: labels, sizes, images that come again.

    Args:
        splits: The rows by what they are for, ``training`` the first, with the columns of :func:`examples`.
        labels: All labels.
        _max_sequence_length: Says something of texts.
    """
    contents = {name: table.assign(text=table["text"].map(str)) for name, table in splits.items()}
    yield from report.of_labels(contents, labels, doubtful=False)
    for name, table in splits.items():
        if len(table):
            yield _sizes(name, table)
            yield from report.repeated(name, contents[name], "images")
    for (name, table), (other_name, other) in combinations(contents.items(), 2):
        yield from report.leaks(name, table, other_name, other, "images")


def _is_left_behind(name: str) -> bool:
    return name.startswith(".") or name.lower() in LEFT_BEHIND or name.lower().endswith(LEFT_BEHIND_ENDINGS)


def _label(relative: Path) -> str:
    """Return the folder at the channel's top that a file is in; nothing where it is at the top itself."""
    first, *others = relative.parts
    return first if others else ""


def _shown(path: Path) -> str:
    """Return a name as one line of good UTF-8."""
    name = path.as_posix()
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")


def _misplaced(source: Source, channel: str) -> str:
    """Say what keeps a file from being read as a labelled image, but for what is in it."""
    suffix = source.path.suffix.lower()
    if suffix in SUFFIXES_NOT_READ:
        return f"a {suffix} file is not read; save it as one of {', '.join(SUFFIXES)}"
    if suffix not in SUFFIXES:
        return "a link to a folder, which is not followed; put the folder itself here" if source.path.is_dir() else ""
    if not source.kind:
        return f"an image outside of the labels' folders; put it in {channel}/<its label>/"
    return "" if source.path.is_file() else "no file, or a link that leads nowhere; put the image itself here"


def _note_left_out(folder: Path, others: Sequence[Path], result: ReadResult) -> None:
    left_out = [_shown(path.relative_to(folder)) for path in others if path.is_file() and path.stat().st_size]
    if left_out:
        result.general_notes.append(f"left out: {', '.join(at_most(left_out, NOTES_NAME))}")


def _check_labels(labels: Collection[str], channel: str, result: ReadResult) -> None:
    """Name folders whose names can't be labels, or are none."""
    for label in sorted(labels):
        bad = "" if label.isprintable() or _is_utf_8(label) else "the folder's name is not UTF-8; give it another"
        wrong = bad or label_problem(label)
        if wrong:
            result.problem(f"{channel}/{_shown(Path(label))}", 0, wrong)
    if labels and all(label.lower() in NO_LABELS for label in labels):
        names = ", ".join(sorted(labels))
        result.problem(f"channel {channel}", 0, f"its folders are called {names}, which are no labels; {LEADS}")


def _is_utf_8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_empty(folder: Path, channel: str, filled: Collection[str], result: ReadResult) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in filled and not _is_left_behind(path.name):
            words = "no image in this folder; put some in, or take it out"
            result.problem(f"{channel}/{_shown(Path(path.name))}", 0, words)


def _look(source: Source) -> ImageSource | str:
    """Return an image that can be read, or what is wrong with it."""
    try:
        content = pixels.read(source.path)
        height, width = pixels.measure(content)
    except PixelsError as error:
        return str(error)
    except OSError as error:
        return f"can't be read ({error.strerror}); see to it that the job may read it"
    return ImageSource(source.path, hashlib.sha256(content).hexdigest(), height, width)


def _share(name: str) -> float:
    digest = hashlib.sha256(os.fsencode(Path(name).stem.partition(SAME_THING)[0])).digest()
    return int.from_bytes(digest[: SHARE_BITS // 8], "big") / (1 << SHARE_BITS)


def _sizes(name: str, table: pd.DataFrame) -> Finding:
    sides = np.array([sorted((image.height, image.width)) for image in table["text"]], np.int64)
    shorter, longer = sides[:, 0], sides[:, 1]
    return Finding(
        f"rows={name} shorter_side_median={np.median(shorter):.0f} shorter_side_least={shorter.min()} "
        f"longer_side_greatest={longer.max()} smallest_at={table['file'].iloc[int(shorter.argmin())]!r}"
    )
