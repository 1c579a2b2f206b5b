"""Finds, unpacks and fingerprints the model."""

import hashlib
import os
from collections.abc import Iterator, Set
from pathlib import Path

from classifier import artifact, model_folders
from classifier.batch import buckets
from classifier.encoders import archives
from classifier.errors import UserError
from classifier.modalities import Modality


def opened(address: str, scratch: Path) -> Path:
    """Return the folder of a model, given as a folder, an archive, or a folder with one archive, local or in S3.

    Args:
        address: The model's path or S3 address.
        scratch: A folder for downloads and unpacked files.

    Raises:
        UserError: There is no model, or more than one, or the archive is damaged.
    """
    path = _fetched(address, scratch) if address.startswith(buckets.SCHEME) else Path(address)
    if not path.exists():
        raise UserError(f"{address}: no such file or folder; give the model that training wrote")
    packed = [path] if path.is_file() else _archives(path)
    if path.is_dir() and (not packed or artifact.is_model(path)):
        return path
    if len(packed) > 1:
        raise UserError(f"{address}: contains {len(packed)} archives; give one model")
    model_folders.check_readable(packed, path)
    unpacked = scratch / "unpacked"
    archives.unpack(packed[0], unpacked, address)
    return unpacked


def _archives(folder: Path) -> list[Path]:
    names = sorted(model_folders.search(folder).contents[folder])
    return [folder / name for name in names if name.endswith(archives.SUFFIXES)]


def modality_of(folder: Path, address: str) -> Modality:
    """Return what a model classifies.

    Args:
        folder: The model's folder.
        address: The model's name in messages.

    Raises:
        UserError: The model is incomplete, or classifies records that are not read here.
    """
    modality = artifact.load(folder).modality
    if not (modality.in_tables or modality.in_files):
        raise UserError(
            f"{address}: the model classifies {modality.name}s, and batch reads rows of text, or images; use an "
            "endpoint (serve), or SageMaker's batch transform with one file per request"
        )
    return modality


def digest(folder: Path) -> str:
    """Return a hash of a model's files, their names and content.

    Files that can't be read are not part of the model; :func:`modality_of` would have refused it otherwise.
    """
    total = hashlib.sha256()
    for path in sorted(_files(folder, {folder.resolve()})):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\n{content}\n".encode())
    return total.hexdigest()


def _files(folder: Path, above: Set[Path]) -> Iterator[Path]:
    """Yield the readable files in a folder, also those behind links, except links to a folder that they are in."""
    for path in folder.iterdir() if os.access(folder, os.R_OK | os.X_OK) else ():
        if path.is_dir() and (real := path.resolve()) not in above:
            yield from _files(path, above | {real})
        elif path.is_file() and os.access(path, os.R_OK):
            yield path


def _fetched(address: str, scratch: Path) -> Path:
    storage = buckets.to_read(address)
    fetched = [storage.fetch(name, scratch) for name, _ in storage.files()]
    return fetched[0] if len(fetched) == 1 else scratch / buckets.INPUT_FOLDER
