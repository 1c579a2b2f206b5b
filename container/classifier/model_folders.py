"""Where in a model folder the model lies, what else lies there, and what to do about that."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifier.errors import UserError

SAVED_MODEL = "saved_model.pb"
DEPTH = 4  # folders below the model folder that are searched: export/Servo/1 is three
CODE = "code"
# Folders that are no model's: those of file systems, of archives, of notebooks, and code that is not run.
_PASSED_OVER = ("lost+found", "__MACOSX", "__pycache__", CODE)
_SHOWN = 10

_NOT_RUN = (
    "not run, since requests are read and answered by this image alone; what the script does to texts or answers must "
    "be done by the model or by who asks. Leave it out of the model"
)

Contents = Mapping[Path, frozenset[str]]


@dataclass(frozen=True)
class Searched:
    """What there is in a model folder.

    Attributes:
        folder: The model folder.
        contents: The names in it and in each folder below it that may hold a model, the folders nearest to it first.
        unreadable: Folders that this user may not read.
    """

    folder: Path
    contents: Contents
    unreadable: tuple[Path, ...]

    def holding(self, *names: str) -> list[Path]:
        """Return the folders that hold a file of one of these names."""
        return [folder for folder, there in self.contents.items() if there & set(names)]


@dataclass(frozen=True)
class Choice:
    """The folder that is taken.

    Attributes:
        folder: The folder.
        notes: What was passed over for it, a sentence each.
    """

    folder: Path
    notes: tuple[str, ...] = ()


def search(folder: Path) -> Searched:
    """Look through a model folder; what is in a SavedModel or in a folder that is no model's is not looked at.

    Raises:
        UserError: This user may not read the folder itself.
    """
    contents: dict[Path, frozenset[str]] = {}
    unreadable: list[Path] = []
    level = [folder]
    for _ in range(DEPTH + 1):
        below: list[Path] = []
        for each in level:
            try:
                names, folders = _listed(each)
            except PermissionError:
                unreadable.append(each)
                continue
            contents[each] = names
            below += [] if SAVED_MODEL in names else folders
        level = below
    if folder in unreadable:
        raise UserError(may_not_read([folder], folder))
    return Searched(folder, contents, tuple(unreadable))


def _listed(folder: Path) -> tuple[frozenset[str], list[Path]]:
    """Return the names in a folder, and those folders in it that may hold a model."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return frozenset(), []
    folders = [entry for entry in entries if _is_folder(entry)]
    return frozenset(entry.name for entry in entries), [
        folder / entry.name for entry in folders if entry.name not in _PASSED_OVER and not entry.name.startswith(".")
    ]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def chosen(searched: Searched, folders: Sequence[Path]) -> Choice:
    """Choose among folders with a model: the one nearest, of versions the highest, as TensorFlow Serving does.

    Args:
        searched: What there is.
        folders: Those with a model, one or more.

    Raises:
        UserError: Several are as near, and not versions of one model; or one that this user may not read may be the
            highest version.
    """
    nearest = [folder for folder in folders if len(folder.parts) == len(folders[0].parts)]
    versions = [folder for folder in nearest if _version(folder) is not None]
    names = [name_in(folder, searched.folder) for folder in nearest]
    is_one_model = len({folder.parent for folder in nearest}) == 1 and len(set(map(_version, nearest))) == len(nearest)
    if len(nearest) > 1 and not (is_one_model and len(versions) == len(nearest)):
        raise UserError(f"{searched.folder}: {len(nearest)} models in it ({', '.join(names[:_SHOWN])}); deploy one")
    taken = max(nearest, key=lambda folder: _version(folder) or 0)
    unreadable = [path for path in searched.unreadable if path.parent == taken.parent and _version(path) is not None]
    if versions and unreadable:
        raise UserError(may_not_read(unreadable, searched.folder))
    return Choice(
        taken, (*_versions_passed_over(searched, taken, nearest), *_others(searched, taken, nearest, folders))
    )


def _version(folder: Path) -> int | None:
    return int(folder.name) if folder.name.isascii() and folder.name.isdecimal() else None


def _versions_passed_over(searched: Searched, taken: Path, nearest: Sequence[Path]) -> Iterator[str]:
    lower = sorted(_version(folder) or 0 for folder in nearest if folder != taken)
    name = name_in(taken, searched.folder)
    if lower:
        passed = ", ".join(map(str, lower))
        yield f"{name} is taken, the highest version, as TensorFlow Serving does; not {passed}"
    number = _version(taken)
    for folder in searched.contents:
        version = _version(folder) if folder.parent == taken.parent and folder not in nearest else None
        if number is not None and version is not None and version > number:
            yield f"{name_in(folder, searched.folder)}: no model in it, though its number is higher; {name} is taken"


def _others(searched: Searched, taken: Path, nearest: Sequence[Path], folders: Sequence[Path]) -> Iterator[str]:
    for folder in folders:
        if folder not in nearest and taken not in folder.parents:
            yield f"{name_in(folder, searched.folder)}: another model, deeper in the folder, which is not taken"
    for folder in searched.unreadable:
        yield f"{name_in(folder, searched.folder)}: passed over, since this user may not read it"


def code_notes(searched: Searched) -> tuple[str, ...]:
    """Return a sentence on scripts that come with a model and are not run; none where there are none."""
    try:
        inside = sorted(path.name for path in (searched.folder / CODE).iterdir())
    except OSError:
        inside = []
    scripts = [f"{CODE}/{name}" for name in inside] + sorted(searched.contents[searched.folder])
    scripts = [name for name in scripts if name.endswith(".py")]
    if not scripts:
        return ()
    return (f"{', '.join(scripts[:_SHOWN])}: {_NOT_RUN}",)


def check_readable(parts: Sequence[Path], folder: Path) -> None:
    """See that this user may read files and folders, with all that is in them.

    Args:
        parts: The files and folders; they need not be there.
        folder: The model folder, for the message.

    Raises:
        UserError: One or more may not be read.
    """
    if unreadable := [path for part in parts for path in _unreadable(part)]:
        raise UserError(may_not_read(unreadable, folder))


def _unreadable(path: Path) -> Iterator[Path]:
    try:
        is_folder = path.is_dir()
    except PermissionError:
        yield path
        return
    if not os.path.lexists(path):
        return
    if not os.access(path, os.R_OK | (os.X_OK if is_folder else 0)):
        yield path
    elif is_folder:
        for each in sorted(path.iterdir()):
            yield from _unreadable(each)


def may_not_read(paths: Sequence[Path], folder: Path) -> str:
    """Return what is said of files and folders that this user may not read, and what to do."""
    names = ", ".join(str(path) for path in paths[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return (
        f"{names}{more}: may not be read by the user that this runs as (id {os.geteuid()}); let all users read it "
        f"(chmod -R a+rX {folder}), and where it comes from an archive, pack that again"
    )


def name_in(path: Path, folder: Path) -> str:
    """Return what a message calls a file or folder of a model folder."""
    return path.relative_to(folder).as_posix() if path != folder else str(folder)
