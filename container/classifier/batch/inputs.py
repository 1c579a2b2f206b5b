"""Which of the files that are there hold rows."""

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from classifier.batch.buckets import SCHEME
from classifier.batch.options import Options
from classifier.batch.shards import GZIP
from classifier.errors import UserError, at_most
from classifier.tabular import files

log = logging.getLogger(__name__)

MOST_SHOWN = 5


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
    if len(visible) == 1:
        return list(visible)
    names = [name for name, size in visible.items() if size]
    taken = names if options.format else next(filter(None, (_of(names, kinds) for kinds in _KINDS)), [])
    left_out = [name for name in visible if name not in set(taken)]
    if left_out:
        log.warning("event=input note=%r", f"left out: {', '.join(at_most(left_out, MOST_SHOWN))}")
    if not taken:
        raise UserError(f"{options.input}: no file of rows in it; what is read is {files.READ}")
    return taken


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
    return any(part.startswith((".", "_")) for part in name.split("/")) or name.endswith(files.MANIFEST)


def _of(names: Sequence[str], kinds: Sequence[str]) -> list[str]:
    return [name for name in names if suffix(name) in kinds]


_KINDS = (files.TABLES, files.PERHAPS_TABLES)
