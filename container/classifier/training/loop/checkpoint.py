"""Checkpoints: files from which an interrupted run is resumed with the same outcome.

A checkpoint is one safetensors file, written under a temporary name and renamed, so that it is always complete. Its
name holds a digest of everything that affects the outcome, and the number of epochs and steps done. SageMaker copies
the folder to S3 at the same time, and leaves marker files of its own in it (contract C01 to C12).
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import re
import shutil
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from classifier import resources

log = logging.getLogger(__name__)

KEPT = 3
SECONDS_BETWEEN_CHECKPOINTS = 600.0  # within an epoch, after which there is always one, or a pass of the encoder
DIGITS = 16
NAME = re.compile(r"checkpoint-([0-9a-f]{16})-(\d{4})-(\d{8})\.safetensors")
UNFINISHED = ".sagemaker-ignore"  # SageMaker doesn't copy files with this suffix
UPLOADING = ".sagemaker-uploading"  # the suffix of the marker of a file that SageMaker is copying
STATE, CHECKSUM = "state", "crc32"

BROKEN = (SafetensorError, OSError, ValueError, KeyError)  # what reading a file that is not intact raises

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run, or a part of it.

    Attributes:
        state: Values for JSON; ``epoch`` and ``step`` are the numbers of epochs and of the next epoch's steps done.
        arrays: Arrays by name.
    """

    state: Mapping[str, Any]
    arrays: Arrays


@dataclass(frozen=True)
class Folder:
    """The checkpoints of one run.

    Attributes:
        path: The folder, which SageMaker syncs with S3 if the job is configured so.
        run: A digest of everything that affects the run's outcome, 16 hexadecimal digits.
    """

    path: Path
    run: str

    def newest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint of this run, None without one; broken ones are logged and removed."""
        ours = self._ours()
        others = [path for path in self._found() if path not in ours]
        if others and not ours:
            log.warning(
                "event=checkpoint note='not used: %d of other data, labels, encoder or hyperparameters; starting over'",
                len(others),
            )
        for path in reversed(ours):
            try:
                checkpoint = read(path)
            except BROKEN as error:
                log.warning("event=checkpoint file=%s note='broken (%s); removed'", path.name, error)
                remove(path)
                continue
            log.info("event=checkpoint file=%s note='resumed from it'", path.name)
            return checkpoint
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and remove old ones; an error, such as a full disk, is only logged."""
        epoch, step = checkpoint.state["epoch"], checkpoint.state["step"]
        path = self.path / f"checkpoint-{self.run}-{epoch:04}-{step:08}.safetensors"
        started = time.monotonic()
        clear_unfinished(self.path, "checkpoint")
        self._make_room(checkpoint)
        if not write(path, checkpoint, "checkpoint"):
            return
        self._remove_old()
        log.info(
            "event=checkpoint file=%s megabytes=%.1f seconds=%.1f",
            path.name, path.stat().st_size / 1e6, time.monotonic() - started,
        )  # fmt: skip

    def _found(self) -> list[Path]:
        return sorted(path for path in self.path.glob("checkpoint-*") if NAME.fullmatch(path.name))

    def _ours(self) -> list[Path]:
        return [path for path in self._found() if path.name.startswith(f"checkpoint-{self.run}-")]

    def _make_room(self, checkpoint: Checkpoint) -> None:
        """Remove all but the newest checkpoint if too little space would be left to export the model."""
        if self.path.exists() and not _has_room(self.path, checkpoint):
            for path in self._ours()[:-1]:
                remove(path)

    def _remove_old(self) -> None:
        for path in self._ours()[:-KEPT]:
            if not path.with_name(path.name + UPLOADING).exists():
                remove(path)


def run_digest(*parts: object, weights: Iterable[NDArray[Any]] = ()) -> str:
    """Return a digest of what affects a run's outcome, 16 hexadecimal digits.

    Args:
        parts: Values for JSON: hyperparameters, digests of data, labels.
        weights: The initial weights that don't follow from the seed.
    """
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for array in weights:
        digest.update(_bytes(array))
    return digest.hexdigest()[:DIGITS]


def write(path: Path, checkpoint: Checkpoint, event: str) -> bool:
    """Write a file that is whole or absent; an error, such as a full disk, is only logged.

    Args:
        path: The file.
        checkpoint: What to write.
        event: What the log calls it.

    Returns:
        Whether it was written.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(unfinished, checkpoint)
        unfinished.rename(path)
    except (SafetensorError, OSError) as error:
        cure = f"; {resources.LARGER_DISK}" if resources.full_disk(error) else ""
        log.warning("event=%s note='not written: %s; the job continues without it%s'", event, error, cure)
        remove(unfinished)
        return False
    return True


def read(path: Path) -> Checkpoint:
    """Read a file that :func:`write` wrote; one that is broken raises one of :data:`BROKEN`."""
    with safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  the file isn't a mapping
    if metadata[CHECKSUM] != str(_checksum(arrays.items())):
        raise ValueError("its checksum is wrong")
    return Checkpoint(json.loads(metadata[STATE]), arrays)


def remove(path: Path) -> None:
    """Remove a file, if it is there and can be removed."""
    with contextlib.suppress(OSError):
        path.unlink()


def clear_unfinished(folder: Path, prefix: str) -> None:
    """Remove the files whose names begin so and that a process which was killed left unfinished."""
    for path in folder.glob(f"{prefix}-*{UNFINISHED}"):
        remove(path)


def _save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a file to the disk.

    Raises:
        SafetensorError, OSError: It can't be written, or too little space would be left to export the model.
    """
    if not _has_room(path.parent, checkpoint):
        raise OSError(errno.ENOSPC, "the disk is nearly full")
    arrays = {name: np.asarray(array, order="C") for name, array in checkpoint.arrays.items()}
    metadata = {STATE: json.dumps(checkpoint.state), CHECKSUM: str(_checksum(arrays.items()))}
    save_file(arrays, path, metadata=metadata)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _has_room(folder: Path, checkpoint: Checkpoint) -> bool:
    """Return whether enough space would be left to export the model."""
    return shutil.disk_usage(folder).free >= 2 * sum(array.nbytes for array in checkpoint.arrays.values())


def _checksum(arrays: Iterable[tuple[str, NDArray[Any]]]) -> int:
    checksum = 0
    for name, array in sorted(arrays):
        checksum = zlib.crc32(_bytes(array), zlib.crc32(name.encode(), checksum))
    return checksum


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
