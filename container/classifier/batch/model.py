"""The model that answers: found, unpacked, and known by its content."""

import hashlib
import os
from pathlib import Path

from classifier import artifact, model_folders
from classifier.batch import buckets
from classifier.encoders import archives
from classifier.errors import UserError


def opened(address: str, scratch: Path) -> Path:
    """Return the folder of a model that is a folder, an archive, or a folder with one archive; also in S3.

    Args:
        address: Where it is.
        scratch: A folder for what is fetched and unpacked.

    Raises:
        UserError: There is no model, or more than one, or the archive is damaged.
    """
    path = _fetched(address, scratch) if address.startswith(buckets.SCHEME) else Path(address)
    if not path.exists():
        raise UserError(f"{address}: no such file or folder; give the model that training left")
    packed = [path] if path.is_file() else _archives(path)
    if path.is_dir() and (not packed or artifact.is_model(path)):
        return path
    if len(packed) > 1:
        raise UserError(f"{address}: {len(packed)} archives in it; give one model")
    model_folders.check_readable(packed, path)
    unpacked = scratch / "unpacked"
    archives.unpack(packed[0], unpacked, address)
    return unpacked


def _archives(folder: Path) -> list[Path]:
    names = sorted(model_folders.search(folder).contents[folder])
    return [folder / name for name in names if name.endswith(archives.SUFFIXES)]


def of_texts(folder: Path, address: str) -> Path:
    """Return a model's folder, if it answers texts.

    Args:
        folder: The model's.
        address: What to call it.

    Raises:
        UserError: It answers other records, or is no whole model.
    """
    modality = artifact.load(folder).modality
    if not modality.in_tables:
        raise UserError(
            f"{address}: a model of {modality.name}s, and batch reads rows of text; ask it over HTTP (serve), or let "
            "SageMaker's batch transform send it a file a request"
        )
    return folder


def digest(folder: Path) -> str:
    """Return what is another for every other model: a hash of its files, their names and content.

    What this user may not read is no part of the model, or :func:`of_texts` would have refused it.
    """
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if os.access(path, os.R_OK) and path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{path.relative_to(folder).as_posix()}\n{content}\n".encode())
    return total.hexdigest()


def _fetched(address: str, scratch: Path) -> Path:
    place = buckets.to_read(address)
    fetched = [place.fetch(name, scratch) for name, _ in place.files()]
    return fetched[0] if len(fetched) == 1 else scratch / buckets.INPUT_FOLDER
