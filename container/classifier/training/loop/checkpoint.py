"""Checkpoints: what a run needs to go on after an interruption as if there had been none.

A checkpoint is one safetensors file, written beside its name and moved onto it, so that whoever finds it finds it
whole. Its name says whose it is (a digest of everything that decides the outcome), and how far the run was. SageMaker
copies the folder to S3 meanwhile, and leaves marker files of its own in it (contract C01 to C12).
"""

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
DIGITS = 16
NAME = re.compile(r"checkpoint-([0-9a-f]{16})-(\d{4})-(\d{8})\.safetensors")
UNFINISHED = ".sagemaker-ignore"  # SageMaker does not copy files whose names end so
UPLOADING = ".sagemaker-uploading"  # beside a file that SageMaker is copying just now
STATE, CHECKSUM = "state", "crc32"

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A run at one moment.

    Attributes:
        state: What is no array, ready for JSON; ``epoch`` and ``step`` say how many are done.
        arrays: Everything else, by name.
    """

    state: Mapping[str, Any]
    arrays: Arrays


@dataclass(frozen=True)
class Folder:
    """The checkpoints of one run.

    Attributes:
        path: Where they are; SageMaker keeps the folder's copy in S3, where the job has one.
        run: A digest of what decides the run's outcome, 16 hexadecimal digits.
    """

    path: Path
    run: str

    def newest(self) -> Checkpoint | None:
        """Return the newest whole checkpoint of this run; a broken one is named in the log and removed."""
        ours = self._ours()
        others = [path for path in self._found() if path not in ours]
        if others and not ours:
            log.warning(
                "event=checkpoint note='not used: %d of other data, labels, encoder or hyperparameters; starting over'",
                len(others),
            )
        for path in reversed(ours):
            try:
                checkpoint = _read(path)
            except (SafetensorError, OSError, ValueError, KeyError) as error:
                log.warning("event=checkpoint file=%s note='broken (%s); removed'", path.name, error)
                path.unlink(missing_ok=True)
                continue
            log.info("event=checkpoint file=%s note='going on from it'", path.name)
            return checkpoint
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and remove old ones; a full disk ends no job, but is said in the log."""
        epoch, step = checkpoint.state["epoch"], checkpoint.state["step"]
        path = self.path / f"checkpoint-{self.run}-{epoch:04}-{step:08}.safetensors"
        started = time.monotonic()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._clear_unfinished()
            self._make_room(checkpoint)
            _write(path, checkpoint)
        except (SafetensorError, OSError) as error:
            cure = f"; {resources.LARGER_DISK}" if resources.full_disk(error) else ""
            log.warning("event=checkpoint note='not written: %s; the job goes on without%s'", error, cure)
            self._clear_unfinished()
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

    def _clear_unfinished(self) -> None:
        for path in self.path.glob(f"checkpoint-*{UNFINISHED}"):
            path.unlink(missing_ok=True)

    def _make_room(self, checkpoint: Checkpoint) -> None:
        """Remove all but the newest where the disk would have less left than the model will take.

        Raises:
            OSError: There is not room enough even so.
        """
        size = sum(array.nbytes for array in checkpoint.arrays.values())
        if shutil.disk_usage(self.path).free < 2 * size:
            for path in self._ours()[:-1]:
                path.unlink(missing_ok=True)
        if shutil.disk_usage(self.path).free < 2 * size:
            raise OSError(errno.ENOSPC, "the disk is nearly full")

    def _remove_old(self) -> None:
        for path in self._ours()[:-KEPT]:
            if not path.with_name(path.name + UPLOADING).exists():
                path.unlink(missing_ok=True)


def run_digest(*parts: Any, weights: Iterable[NDArray[Any]] = ()) -> str:
    """Return the digest of what decides a run's outcome: settings, data, labels, and the weights it begins with."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for array in weights:
        digest.update(_bytes(array))
    return digest.hexdigest()[:DIGITS]


def _write(path: Path, checkpoint: Checkpoint) -> None:
    unfinished = path.with_name(path.name + UNFINISHED)
    arrays = {name: np.asarray(array, order="C") for name, array in checkpoint.arrays.items()}
    metadata = {STATE: json.dumps(checkpoint.state), CHECKSUM: str(_checksum(arrays.items()))}
    save_file(arrays, unfinished, metadata=metadata)
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(path)


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    if metadata[CHECKSUM] != str(_checksum(arrays.items())):
        raise ValueError("its checksum is wrong")
    return Checkpoint(json.loads(metadata[STATE]), arrays)


def _checksum(arrays: Iterable[tuple[str, NDArray[Any]]]) -> int:
    checksum = 0
    for name, array in sorted(arrays):
        checksum = zlib.crc32(_bytes(array), zlib.crc32(name.encode(), checksum))
    return checksum


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
