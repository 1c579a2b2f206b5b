"""The files of a channel: which of them are tables, what else they may be, and how they are opened."""

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from classifier.environment import shown
from classifier.tabular.rows import ReadResult
from classifier.tabular.sniffing import HEAD_BYTES, JSON_OBJECT, foreign_format, rows_suffix

DATA_FILE = "data.csv"
GZIP = ".gz"
GZIP_BEGINS = b"\x1f\x8b"
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
# These often are something else: they are read where there is none of the others.
PERHAPS_TABLES = (".json", ".txt")
# S3's own lists of files have this name (contract T27); but so has what SageMaker Ground Truth writes.
MANIFEST = ".manifest"
JSON_LINES = frozenset({".jsonl", ".ndjson", ".json", MANIFEST})
MARK = "\ufeff"
# Bytes that are not UTF-8 are read as halves of characters, which nothing else is.
LENIENT = "surrogateescape"
READ = "a .csv, .tsv, .jsonl, .ndjson, .json or .txt file, or one of these with .gz"


@dataclass(frozen=True)
class Source:
    """A file to read.

    Attributes:
        path: The file's path.
        name: Its name in messages, ``channel/file``.
        kind: Its format as a suffix, such as ``.csv``, if that is not the one of its name.
        item: For an image, its path below its label's folder.
        label: For an image, or a text in a file of its own, its label; empty for a table.
    """

    path: Path
    name: str
    kind: str = ""
    item: str = ""
    label: str = ""

    @property
    def suffix(self) -> str:
        """Its format as a suffix, such as ``.csv``; also for ``data.csv.gz``."""
        return self.kind or suffix_of(self.path)


def is_table(path: Path) -> bool:
    """Return whether a file is a table of text beyond doubt, by its name."""
    return suffix_of(path) in TABLES


def may_be_table(path: Path) -> bool:
    """Return whether a file is read as a table where there is no other, by its name."""
    return suffix_of(path) in PERHAPS_TABLES


def is_absent(
    folder: Path, channel: str, found: Sequence[Path], result: ReadResult, cure: str, *, sharded: bool
) -> bool:
    """Return whether a channel has no file at all, and say so.

    Args:
        folder: The channel's folder.
        channel: Its name.
        found: The files in it.
        result: Gets the problem.
        cure: What to do.
        sharded: Whether each host gets a part of the channel's files, which may be none.
    """
    if found:
        return False
    if sharded:
        result.problem(
            f"this host got no file of channel {channel}",
            0,
            "with ShardedByS3Key each host gets a part of the objects; "
            "use at least as many files as hosts, or FullyReplicated",
        )
    elif folder.is_dir():
        result.problem(f"channel {channel}", 0, f"no file in it; {cure}")
    else:
        result.problem(f"channel {channel}", 0, "the job names it, but it has no files; check its S3 address")
    return True


def open_text(source: Source, errors: str = "strict") -> TextIO:
    """Open a file as UTF-8, with or without a byte order mark; its line ends stay as they are.

    Args:
        source: The file.
        errors: What becomes of bytes that are not UTF-8: ``strict``, or :data:`LENIENT`.
    """
    return io.TextIOWrapper(open_bytes(source), encoding="utf-8-sig", errors=errors, newline="")


def is_marked(source: Source) -> bool:
    """Return whether a file begins with a byte order mark."""
    with open_bytes(source) as file:
        return file.read(len(MARK.encode())) == MARK.encode()


@contextmanager
def reading(source: Source, result: ReadResult) -> Iterator[None]:
    """Turn errors while a file is read into problems that name it."""
    try:
        yield
    except UnicodeDecodeError:
        line = _first_undecodable_line(source)
        result.problem(source.name, line, "not UTF-8; save the file as UTF-8 (in Excel: 'CSV UTF-8')")
    except EOFError:
        result.problem(source.name, 0, "the file ends in the middle of its gzip data; compress and upload it again")
    except (zlib.error, gzip.BadGzipFile):
        result.problem(source.name, 0, "broken gzip; compress and upload the file again")
    except csv.Error as error:
        result.problem(source.name, 0, f"can't be read as CSV ({error}); write it again with a program for tables")


def is_text(source: Source, result: ReadResult, *, also: Collection[str] = ()) -> bool:
    """Return whether a file may be a table; if not, add a problem that names its format.

    Args:
        source: The file.
        result: Gets the problem.
        also: Other formats that are accepted, in the words of :func:`foreign_format`.
    """
    before = len(result.problems)
    with reading(source, result):
        kind = _kind(source)
        if kind and kind not in also:
            result.problem(source.name, 0, kind)
    return len(result.problems) == before


def _kind(source: Source) -> str:
    """Return the format of a file that is not a table, or why it can't be read; empty if it may be a table."""
    try:
        with source.path.open("rb") as file:
            packed = file.read(len(GZIP_BEGINS)) == GZIP_BEGINS
    except OSError as error:
        return f"can't be read ({error.strerror}); make it readable for the job"
    if source.path.suffix.lower() == GZIP and not packed:
        return "not gzip, although its name ends in .gz; rename or compress the file"
    with open_bytes(source) as unpacked:
        is_json = bool(source.label) or source.suffix in ("", *JSON_LINES)
        return foreign_format(unpacked.read(HEAD_BYTES), is_json=is_json)


def suffix_of(path: Path) -> str:
    """Return how a file's name ends, as ``.csv``; of ``data.csv.gz`` as well."""
    name = path.name.lower().removesuffix(GZIP)
    return Path(name).suffix


def what(path: Path) -> str:
    """Return a file's format and what to do, if it is not a supported table or text; otherwise an empty string."""
    if is_packed(path) and may_be_table(path):
        return _inside(path)
    return foreign_format(head(path, HEAD_BYTES))


def is_packed(path: Path) -> bool:
    """Return whether a file is compressed with gzip, by its name and its content."""
    return path.suffix.lower() == GZIP and head(path, len(GZIP_BEGINS)) == GZIP_BEGINS


def not_read(path: Path) -> str:
    """Return why a file's name keeps it from being read, and what to do; empty if it is read."""
    if suffix_of(path) in (*TABLES, *PERHAPS_TABLES) or path.name.lower().endswith(MANIFEST):
        return ""
    begins = head(path, HEAD_BYTES)
    if is_packed(path):
        return _packed(path)
    ending = rows_suffix(begins)
    called = f"its name has no known suffix, but it looks like rows; rename it to {shown(path.name)}{ending}"
    return foreign_format(begins) or (called if ending else f"unsupported file; use {READ}")


def _packed(path: Path) -> str:
    """Return what a compressed file contains whose name does not say it."""
    called = f"{shown(path.stem)}{'.jsonl' if JSON_OBJECT.match(unpacked_head(path, HEAD_BYTES)) else '.csv'}{GZIP}"
    return _inside(path) or f"its name does not say what it contains, which looks like text; rename it to {called}"


def _inside(path: Path) -> str:
    """Return what is wrong with a compressed file, or the format of what is in it; empty if that may be rows."""
    begins = unpacked_head(path, HEAD_BYTES)
    if not begins:
        return "broken gzip; compress and upload the file again"
    kind = foreign_format(begins)
    return f"compressed, and in it {kind}" if kind else ""


def head(path: Path, count: int) -> bytes:
    """Return a file's first bytes; empty if it is no regular file or may not be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def unpacked_head(path: Path, count: int) -> bytes:
    """Return the first bytes of a file, unpacked if its name says that it is packed; empty if that can't be."""
    try:
        with open_bytes(Source(path, "")) as file:
            return file.read(count)
    except (EOFError, OSError, zlib.error):
        return b""


def open_bytes(source: Source) -> BinaryIO:
    """Open a file, unpacked if its name says that it is packed."""
    if source.path.suffix.lower() == GZIP:
        return cast("BinaryIO", gzip.open(source.path, "rb"))
    return source.path.open("rb")


def _first_undecodable_line(source: Source) -> int:
    with open_bytes(source) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
