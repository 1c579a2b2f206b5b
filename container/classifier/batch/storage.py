"""Where files come from and results go: a folder, or a part of a bucket in S3."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from classifier.batch import buckets, folders

Facts = Mapping[str, str]
"""What is remembered of a result beside it: names and values, both plain ASCII."""


class Storage(Protocol):
    """What :mod:`classifier.batch.folders` and :mod:`classifier.batch.buckets` offer."""

    def files(self) -> Sequence[tuple[str, int]]:
        """Return all files, by name: their names below the place, with ``/`` between folders, and their bytes."""
        ...

    def version(self, name: str) -> str:
        """Return what changes when a file's content does."""
        ...

    def fetch(self, name: str, scratch: Path) -> Path:
        """Return where a file lies on this machine; a copy is put in the folder ``scratch``."""
        ...

    def unfinished(self, name: str, scratch: Path) -> Path:
        """Return where to write what will be published under this name; never where a result would be looked for."""
        ...

    def publish(self, path: Path, name: str, facts: Facts) -> None:
        """Put a whole file in its place at once, where one of an earlier run may be."""
        ...

    def facts(self, name: str) -> Facts | None:
        """Return what was published with a file; None where there is no such file, or nothing is known of it."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file that was published, where there is one."""
        ...

    def address(self, name: str) -> str:
        """Return a file's name for messages."""
        ...


def to_read(address: str) -> Storage:
    """Return the place that an address means, which may be a single file.

    Raises:
        UserError: There is no such place.
    """
    return buckets.to_read(address) if address.startswith(buckets.SCHEME) else folders.to_read(Path(address))


def to_write(address: str) -> Storage:
    """Return the place for results that an address means.

    Raises:
        UserError: It can't be one.
    """
    return buckets.to_write(address) if address.startswith(buckets.SCHEME) else folders.to_write(Path(address))
