"""Selects the input files that hold rows."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from classifier.batch.buckets import SCHEME
from classifier.batch.options import Options
from classifier.batch.shards import GZIP
from classifier.environment import is_hidden
from classifier.errors import UserError, at_most
from classifier.tabular import files, layouts, left_out
from classifier.tabular.channel import HIDDEN, PERHAPS

log = logging.getLogger(__name__)

MOST_SHOWN = 20
LIKE_A_NOTICE = (
    "its name is that of a file about data; if it holds rows, give it another, and the suffix of a file that is read"
)


def chosen(there: Sequence[tuple[str, int]], options: Options) -> list[str]:
    """Return the files to predict, from the names and sizes of all files.

    A single file is used whatever its name. Of several, those with a table's suffix are used, or, if there are none,
    ``.json`` and ``.txt``; with ``--format`` all are. Empty and hidden files are left out, unless named by the user.

    Raises:
        UserError: There are no such files.
    """
    single = [name for name, _ in there] if len(there) == 1 else []
    if single == [PurePosixPath(options.input).name]:
        return single
    visible = {name: size for name, size in there if not _is_hidden(name)}
    names = [name for name, size in visible.items() if size]
    layout = "" if options.format or _of(names, files.TABLES) else layouts.named(name for name, _ in there)
    if layout:
        raise UserError(f"{options.input}: {layout.partition(';')[0]}; write its texts as CSV or JSON Lines")
    if len(visible) == 1:
        taken = list(visible)
    else:
        taken = names if options.format else next(filter(None, (_of(names, kinds) for kinds in _KINDS)), [])
    _warn_of_left_out(there, set(taken), options)
    if not taken:
        hidden = [name for name, _ in there if _is_missed_though_hidden(name)]
        more = f"; {', '.join(at_most(hidden, MOST_SHOWN))}: {HIDDEN}" if hidden else ""
        raise UserError(f"{options.input}: contains no file of rows; use {files.READ}{more}")
    return taken


def _warn_of_left_out(there: Sequence[tuple[str, int]], taken: Collection[str], options: Options) -> None:
    """Warn of the files that are not read, except those that programs leave behind, readme files and licences."""
    groups: dict[str, list[str]] = {}
    for name, size in there:
        if name not in taken and (why := _why_left_out(name, size, options)):
            groups.setdefault(why, []).append(f"{name} ({size:,} bytes)")
    for why, names in groups.items():
        log.warning("event=input note=%r", f"left out: {', '.join(at_most(names, MOST_SHOWN))}: {why}")


def _why_left_out(name: str, size: int, options: Options) -> str:
    """Return why a file is not read; empty if nobody would miss it."""
    if _is_hidden(name):
        return HIDDEN if size and _is_missed_though_hidden(name) else ""
    path, kind = PurePosixPath(name), suffix(name)
    perhaps_notice = left_out.is_notice(path)
    is_document = not path.suffix or kind in left_out.DOCUMENT_SUFFIXES
    if left_out.is_surely_notice(path) or (perhaps_notice and (is_document or not size)):
        return ""
    if not size:
        return "empty"
    is_perhaps = kind in files.PERHAPS_TABLES and not options.format
    return (LIKE_A_NOTICE if perhaps_notice else PERHAPS) if is_perhaps else f"use {files.READ}"


def suffix(name: str) -> str:
    """Return the suffix of a file's name, as ``.csv``; also of ``data.csv.gz``."""
    return PurePosixPath(name.lower().removesuffix(GZIP)).suffix


def check_apart(options: Options) -> None:
    """Check that the results are not written into the input, where the next run would read them.

    Raises:
        UserError: They are.
    """
    for flag, target in (("--output", options.output), ("--rejects", options.rejects)):
        if _is_within(target, options.input):
            raise UserError(f"{flag} {target}: is inside the input, all of which is read; give a folder outside it")


def _is_within(target: str, folder: str) -> bool:
    if target.startswith(SCHEME) or folder.startswith(SCHEME):
        return f"{target.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
    path = Path(folder)
    return path.is_dir() and Path(target).resolve().is_relative_to(path.resolve())


def _is_hidden(name: str) -> bool:
    path = PurePosixPath(name)
    return is_hidden(path) or left_out.is_left_behind(path) or name.endswith(files.MANIFEST)


def _is_missed_though_hidden(name: str) -> bool:
    path = PurePosixPath(name)
    return is_hidden(path) and not left_out.is_left_behind(path) and suffix(name) in files.TABLES


def _of(names: Sequence[str], kinds: Sequence[str]) -> list[str]:
    found = [name for name in names if suffix(name) in kinds]
    return [
        name for name in found if suffix(name) in files.TABLES or not left_out.is_notice(PurePosixPath(name))
    ] or found


_KINDS = (files.TABLES, files.PERHAPS_TABLES)
