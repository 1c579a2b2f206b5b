"""Where a model lies in a model folder, and what else is in the folder."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifier.errors import UserError

SAVED_MODEL = "saved_model.pb"
DEPTH = 4  # levels of subfolders that are searched: export/Servo/1 is three
CODE = "code"
# Folders that hold no model: those of file systems, archives and notebooks, and code, which isn't run.
_PASSED_OVER = ("lost+found", "__MACOSX", "__pycache__", CODE)
_SHOWN = 10

_NOT_RUN = (
    "not run, as this image handles requests itself; what the script does to inputs or predictions must be done by the "
    "model or by the client. Leave it out of the model"
)

Contents = Mapping[Path, frozenset[str]]


@dataclass(frozen=True)
class Searched:
    """The contents of a model folder.

    Attributes:
        folder: The model folder.
        contents: The names of the entries of the folder and of each subfolder that may hold a model, nearest first.
        unreadable: Folders that this user may not read.
    """

    folder: Path
    contents: Contents
    unreadable: tuple[Path, ...]

    def holding(self, *names: str) -> list[Path]:
        """Return the folders that hold a file with one of these names."""
        return [folder for folder, there in self.contents.items() if there & set(names)]


@dataclass(frozen=True)
class Choice:
    """The folder that holds the model.

    Attributes:
        folder: The folder.
        notes: A sentence for each other folder that was ignored.
    """

    folder: Path
    notes: tuple[str, ...] = ()


def search(folder: Path) -> Searched:
    """Search a model folder, except the insides of SavedModels and of folders that hold no model.

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
    """Return the names of a folder's entries, and its subfolders that may hold a model."""
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
    """Choose among folders with a model: the nearest one, or the highest of several versions, as TensorFlow Serving.

    Args:
        searched: The contents of the model folder.
        folders: The folders with a model, at least one.

    Raises:
        UserError: Several folders on the same level are not versions of one model; or an unreadable folder may be the
            highest version.
    """
    nearest = [folder for folder in folders if len(folder.parts) == len(folders[0].parts)]
    versions = [folder for folder in nearest if _version(folder) is not None]
    names = [name_in(folder, searched.folder) for folder in nearest]
    is_one_model = len({folder.parent for folder in nearest}) == 1 and len(set(map(_version, nearest))) == len(nearest)
    if len(nearest) > 1 and not (is_one_model and len(versions) == len(nearest)):
        raise UserError(f"{searched.folder}: holds {len(nearest)} models ({', '.join(names[:_SHOWN])}); deploy one")
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
        yield f"{name} is used, the highest version, as in TensorFlow Serving; not {passed}"
    number = _version(taken)
    for folder in searched.contents:
        version = _version(folder) if folder.parent == taken.parent and folder not in nearest else None
        if number is not None and version is not None and version > number:
            yield f"{name_in(folder, searched.folder)}: holds no model, though its number is higher; {name} is used"


def _others(searched: Searched, taken: Path, nearest: Sequence[Path], folders: Sequence[Path]) -> Iterator[str]:
    for folder in folders:
        if folder not in nearest and taken not in folder.parents:
            yield f"{name_in(folder, searched.folder)}: another model, deeper in the folder, which is not used"
    for folder in searched.unreadable:
        yield f"{name_in(folder, searched.folder)}: ignored, as this user may not read it"


def code_notes(searched: Searched) -> tuple[str, ...]:
    """Return a sentence on the scripts in a model folder, which aren't run; nothing without scripts."""
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
    """Check that this user may read files, and folders with all of their contents.

    Args:
        parts: The files and folders; they need not exist.
        folder: The model folder, for the message.

    Raises:
        UserError: Some of them are unreadable.
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
    """Return a message on unreadable files and folders, with the cure."""
    names = ", ".join(str(path) for path in paths[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return (
        f"{names}{more}: not readable by the user that this process runs as (id {os.geteuid()}); make it readable for "
        f"all users (chmod -R a+rX {folder}), and if it comes from an archive, create that again"
    )


def name_in(path: Path, folder: Path) -> str:
    """Return the name of a file or folder for messages: its path in the model folder."""
    return path.relative_to(folder).as_posix() if path != folder else str(folder)
