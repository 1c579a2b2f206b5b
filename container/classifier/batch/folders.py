"""Storage in a folder; its hidden folder ``.batch`` holds unfinished files, and facts about results."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from classifier.environment import shown
from classifier.errors import UserError
from classifier.tabular.channel import NOWHERE, TO_A_FOLDER, listed

log = logging.getLogger(__name__)

OWN_FOLDER = ".batch"
_READABLE = "make it readable for the user that this process runs as"


class Folder:
    """A folder, or one file in it.

    Args:
        root: The folder.
        only: The file's name, if it is a single file.
    """

    def __init__(self, root: Path, only: str = "") -> None:
        self._root = root
        self._only = only

    def files(self) -> Sequence[tuple[str, int]]:
        """Return the names and the bytes of all files, by name; links that are not followed are warned of.

        Raises:
            UserError: A subfolder can't be listed.
        """
        if self._only:
            return [(self._only, (self._root / self._only).stat().st_size)]
        paths, closed = listed(self._root)
        if closed:
            raise UserError([f"{error.filename}: can't be listed ({error.strerror}); {_READABLE}" for error in closed])
        files = [path for path in sorted(paths) if path.is_file()]
        for path in sorted(set(paths) - set(files)):
            why = TO_A_FOLDER if path.is_dir() else NOWHERE
            log.warning("event=input note=%r", f"left out: {self._name(path)}: {why}")
        return [(self._name(path), path.stat().st_size) for path in files]

    def version(self, name: str) -> str:
        """Return the digest of a file's content; that of none if it may not be read, which reading it then reports."""
        try:
            with (self._root / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except PermissionError:
            return ""

    def fetch(self, name: str, scratch: Path) -> Path:
        """Return where a file lies; nothing is copied."""
        del scratch
        return self._root / name

    def unfinished(self, name: str, scratch: Path) -> Path:
        """Return a path in the same file system, from where it can be moved into place at once."""
        del scratch
        return self._own(f"{name}.part")

    def publish(self, path: Path, name: str, facts: Mapping[str, str]) -> None:
        """Move a file into place; its old facts are removed before that, and the new ones written after it."""
        target, memory = self._root / name, self._own(f"{name}.json")
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        memory.unlink(missing_ok=True)
        path.replace(target)
        unfinished = self._own(f"{name}.json.part")
        unfinished.write_text(json.dumps({**facts, "bytes": str(target.stat().st_size)}), encoding="ascii")
        unfinished.replace(memory)

    def facts(self, name: str) -> Mapping[str, str] | None:
        """Return the facts that were published with a file, if the file is unchanged in size."""
        try:
            facts: dict[str, str] = json.loads(self._own(f"{name}.json").read_text(encoding="ascii"))
            size = (self._root / name).stat().st_size
        except (FileNotFoundError, ValueError):
            return None
        return facts if facts.pop("bytes", "") == str(size) else None

    def remove(self, name: str) -> None:
        """Remove a file and its facts."""
        self._own(f"{name}.json").unlink(missing_ok=True)
        (self._root / name).unlink(missing_ok=True)

    def address(self, name: str) -> str:
        """Return a file's path, as it can be shown."""
        return shown(self._root / name)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _own(self, name: str) -> Path:
        path = self._root / OWN_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def to_read(path: Path) -> Folder:
    """Return a folder, or a file in one.

    Raises:
        UserError: There is neither.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    return Folder(path.parent, path.name) if path.is_file() else Folder(path)


def to_write(path: Path) -> Folder:
    """Return a folder for results, made where there is none.

    Raises:
        UserError: It can't be made, or not be written to.
    """
    try:
        (path / OWN_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: can't be written to ({error.strerror}); give another folder") from None
    return Folder(path)
