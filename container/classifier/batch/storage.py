"""Storage of inputs and results: a folder, or a prefix in S3."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from classifier.batch import buckets, folders

Facts = Mapping[str, str]
"""Facts that are stored with a result: names and values, both ASCII."""


class Storage(Protocol):
    """A storage; implemented by :mod:`classifier.batch.folders` and :mod:`classifier.batch.buckets`."""

    def files(self) -> Sequence[tuple[str, int]]:
        """Return all files, sorted by name: their names in the storage, with ``/`` between folders, and their sizes."""
        ...

    def version(self, name: str) -> str:
        """Return a string that changes when the file's content does."""
        ...

    def fetch(self, name: str, scratch: Path) -> Path:
        """Return a local path of a file; if a copy is needed, it is put in the folder ``scratch``."""
        ...

    def unfinished(self, name: str, scratch: Path) -> Path:
        """Return the local path to write a file that will be published as ``name``; never a result's own path."""
        ...

    def publish(self, path: Path, name: str, facts: Facts) -> None:
        """Put a finished file in place atomically, replacing that of an earlier run."""
        ...

    def facts(self, name: str) -> Facts | None:
        """Return the facts that were published with a file; None if there is no file, or no facts."""
        ...

    def remove(self, name: str) -> None:
        """Remove a published file, if it exists."""
        ...

    def address(self, name: str) -> str:
        """Return a file's name for messages."""
        ...


def to_read(address: str) -> Storage:
    """Return the storage at an address, which may be a single file.

    Raises:
        UserError: It does not exist.
    """
    return buckets.to_read(address) if address.startswith(buckets.SCHEME) else folders.to_read(Path(address))


def to_write(address: str) -> Storage:
    """Return the storage for results at an address.

    Raises:
        UserError: It can't be written to.
    """
    return buckets.to_write(address) if address.startswith(buckets.SCHEME) else folders.to_write(Path(address))
