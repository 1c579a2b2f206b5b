"""Which of the files that are there hold rows."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from classifier.batch.buckets import SCHEME
from classifier.batch.options import Options
from classifier.batch.shards import GZIP
from classifier.environment import is_hidden
from classifier.errors import UserError, at_most
from classifier.tabular import files, layouts
from classifier.tabular.channel import HIDDEN, PERHAPS
from classifier.tabular.left_out import is_left_behind, is_notice

log = logging.getLogger(__name__)

MOST_SHOWN = 20


def chosen(there: Sequence[tuple[str, int]], options: Options) -> list[str]:
    """Return the files to predict, of those that are there with their bytes.

    A single file is one whatever its name. Of several those are whose names say so: tables, or, where there are none,
    ``.json`` and ``.txt``; with ``--format`` all are. Empty and hidden files are left out, but for one that is given.

    Raises:
        UserError: There is none.
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
        raise UserError(f"{options.input}: no file of rows in it; what is read is {files.READ}{more}")
    return taken


def _warn_of_left_out(there: Sequence[tuple[str, int]], taken: Collection[str], options: Options) -> None:
    """Name the files that are not read, but for what programs leave behind and what goes with data, as a licence."""
    groups: dict[str, list[str]] = {}
    for name, size in there:
        if name not in taken and (why := _why_left_out(name, size, options)):
            groups.setdefault(why, []).append(f"{name} ({size:,} bytes)")
    for why, names in groups.items():
        log.warning("event=input note=%r", f"left out: {', '.join(at_most(names, MOST_SHOWN))}: {why}")


def _why_left_out(name: str, size: int, options: Options) -> str:
    """Say why a file is not read; nothing where nobody misses it."""
    if _is_hidden(name):
        return HIDDEN if size and _is_missed_though_hidden(name) else ""
    if is_notice(PurePosixPath(name)):
        return ""
    if not size:
        return "empty"
    is_perhaps = suffix(name) in files.PERHAPS_TABLES and not options.format
    return PERHAPS if is_perhaps else f"what is read is {files.READ}"


def suffix(name: str) -> str:
    """Return what a file's name says that it holds, as ``.csv``; of ``data.csv.gz`` as well."""
    return PurePosixPath(name.lower().removesuffix(GZIP)).suffix


def check_apart(options: Options) -> None:
    """See to it that no result is read as an input by the next run.

    Raises:
        UserError: Results are to be written into the folder that is read.
    """
    for flag, place in (("--output", options.output), ("--rejects", options.rejects)):
        if _is_within(place, options.input):
            raise UserError(f"{flag} {place}: lies in the input, which is read whole; give a folder beside it")


def _is_within(place: str, folder: str) -> bool:
    if place.startswith(SCHEME) or folder.startswith(SCHEME):
        return f"{place.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
    path = Path(folder)
    return path.is_dir() and Path(place).resolve().is_relative_to(path.resolve())


def _is_hidden(name: str) -> bool:
    path = PurePosixPath(name)
    return is_hidden(path) or is_left_behind(path) or name.endswith(files.MANIFEST)


def _is_missed_though_hidden(name: str) -> bool:
    path = PurePosixPath(name)
    return is_hidden(path) and not is_left_behind(path) and suffix(name) in files.TABLES


def _of(names: Sequence[str], kinds: Sequence[str]) -> list[str]:
    found = [name for name in names if suffix(name) in kinds]
    return [name for name in found if suffix(name) in files.TABLES or not is_notice(PurePosixPath(name))] or found


_KINDS = (files.TABLES, files.PERHAPS_TABLES)
