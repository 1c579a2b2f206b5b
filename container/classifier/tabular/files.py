"""The files of a channel: which of them are tables, what else they may be, and how they are opened."""

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from classifier.environment import channel_files
from classifier.errors import at_most
from classifier.tabular.rows import ReadResult
from classifier.tabular.sniffing import HEAD_BYTES, JSON_OBJECT, foreign_format

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
    """A file that is read.

    Attributes:
        path: Where it lies.
        name: What messages call it, ``channel/file``.
        kind: What it holds, as ``.csv``, where its name is not to be asked; of an image, its label.
        item: Of an image, its path below its label's folder.
    """

    path: Path
    name: str
    kind: str = ""
    item: str = ""

    @property
    def suffix(self) -> str:
        """What it holds, as ``.csv``, by its name; of ``data.csv.gz`` as well."""
        return self.kind or _suffix(self.path)


def find(folder: Path, channel: str, result: ReadResult, *, sharded: bool = False) -> list[Source]:
    """Find a channel's tables.

    ``data.csv`` at the channel's top, or else all tables at any depth, by name; ``.json`` and ``.txt`` where there are
    no others; ``.manifest`` files that hold JSON objects where there are none of these either.

    Args:
        folder: The channel's folder.
        channel: Its name, with which the files' names in messages begin.
        result: Gets a problem where there is nothing to read, and a note of what is left out.
        sharded: Whether each host gets a part of the channel's files, which may be none.
    """
    files = channel_files(folder) if folder.is_dir() else []
    chosen = _chosen(folder, files)
    if not chosen:
        _nothing(folder, channel, files, result, sharded=sharded)
        return []
    left_out = [path.relative_to(folder).as_posix() for path in files if path not in chosen]
    if left_out:
        result.general_notes.append(f"left out: {', '.join(at_most(left_out, 5))}")
    return [Source(path, f"{channel}/{path.relative_to(folder).as_posix()}") for path in chosen]


def is_table(path: Path) -> bool:
    """Return whether a file is a table of text beyond doubt, by its name."""
    return _suffix(path) in TABLES


def may_be_table(path: Path) -> bool:
    """Return whether a file is read as a table where there is no other, by its name."""
    return _suffix(path) in PERHAPS_TABLES


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
    return io.TextIOWrapper(_open_bytes(source), encoding="utf-8-sig", errors=errors, newline="")


def is_marked(source: Source) -> bool:
    """Say whether a file begins with a byte order mark."""
    with _open_bytes(source) as file:
        return file.read(len(MARK.encode())) == MARK.encode()


@contextmanager
def reading(source: Source, result: ReadResult) -> Iterator[None]:
    """Turn what may happen while a file is read into a problem that names it."""
    try:
        yield
    except UnicodeDecodeError:
        line = _first_undecodable_line(source)
        result.problem(source.name, line, "not UTF-8; save the file as UTF-8 (in Excel: 'CSV UTF-8')")
    except EOFError:
        result.problem(source.name, 0, "the file ends in the middle of its gzip data; compress and upload it again")
    except (zlib.error, gzip.BadGzipFile):
        result.problem(source.name, 0, "broken gzip; compress and upload the file again")


def is_text(source: Source, result: ReadResult) -> bool:
    """Return whether a file may be a table, and name the kind of one that is none."""
    kind = ""
    good = False
    with reading(source, result):
        if source.path.suffix.lower() == GZIP and _head(source.path, 2) != GZIP_BEGINS:
            kind = "not gzip, though its name ends in .gz; take that off, or compress the file"
        else:
            with _open_bytes(source) as file:
                kind = foreign_format(file.read(HEAD_BYTES), is_json=source.suffix in ("", *JSON_LINES))
        good = not kind
    if kind:
        result.problem(source.name, 0, kind)
    return good


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(GZIP)
    return Path(name).suffix


def _chosen(folder: Path, files: Sequence[Path]) -> list[Path]:
    if folder / DATA_FILE in files:
        return [folder / DATA_FILE]
    for suffixes in (TABLES, PERHAPS_TABLES):
        tables = [path for path in files if _suffix(path) in suffixes]
        if tables:  # a compressed copy beside the file itself would give every row twice
            return [path for path in tables if path.suffix.lower() != GZIP or path.with_suffix("") not in tables]
    return [path for path in _manifests(folder) if _head(path, 1) == b"{"]


def _manifests(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob(f"*{MANIFEST}"))
        if path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    ]


def _nothing(folder: Path, channel: str, files: Sequence[Path], result: ReadResult, *, sharded: bool) -> None:
    """Say why a channel has no table, and what to do."""
    absent = sharded and not files
    empty = [] if absent else [path for path in sorted(folder.rglob("*")) if path.is_file() and _suffix(path) in TABLES]
    if empty:
        name = empty[0].relative_to(folder).as_posix()
        result.problem(f"{channel}/{name}", 0, "the file is empty; write a row a line: a label, a comma, and a text")
    else:
        cure = f"its S3 address must lead to the folder that {DATA_FILE} is in"
        is_absent(folder, channel, files, result, cure, sharded=sharded)
    for path in files[:5]:
        result.problem(f"{channel}/{path.relative_to(folder).as_posix()}", 0, not_read(path))


def not_read(path: Path) -> str:
    """Say why a file is not read because of its name, and what to do; nothing where it is read."""
    if _suffix(path) in (*TABLES, *PERHAPS_TABLES) or path.name.lower().endswith(MANIFEST):
        return ""
    head = _head(path, HEAD_BYTES)
    if path.suffix.lower() == GZIP and head.startswith(GZIP_BEGINS):
        return _packed(path)
    return foreign_format(head) or f"not read; what is read is {READ}"


def _packed(path: Path) -> str:
    """Say what is in a compressed file whose name does not tell."""
    try:
        with gzip.open(path) as file:
            head = file.read(HEAD_BYTES)
    except (EOFError, OSError, zlib.error):
        return "broken gzip; compress and upload the file again"
    kind = foreign_format(head)
    if kind:
        return f"compressed, and in it {kind}"
    suffix = ".jsonl" if JSON_OBJECT.match(head) else ".csv"
    return f"its name does not say what is compressed in it; it looks like text: call it {path.stem}{suffix}{GZIP}"


def _head(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def _open_bytes(source: Source) -> BinaryIO:
    if source.path.suffix.lower() == GZIP:
        return cast("BinaryIO", gzip.open(source.path, "rb"))
    return source.path.open("rb")


def _first_undecodable_line(source: Source) -> int:
    with _open_bytes(source) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
