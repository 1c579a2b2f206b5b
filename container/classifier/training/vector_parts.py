"""Parts of the vectors of a frozen encoder, kept beside the checkpoints, so that an interrupted pass goes on.

A part holds the vectors of some rows, in the order in which they are computed, and ends with a batch. It is a file like
a checkpoint; its name holds a digest of the run and of the rows, the number of its first row, and that of the row after
its last. Each part begins where the one before it ends.
"""

import bisect
import logging
import re
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.training.interruption import StoppedError
from classifier.training.loop import checkpoint
from classifier.training.loop.checkpoint import SECONDS_BETWEEN_CHECKPOINTS, Checkpoint, Folder, run_digest

log = logging.getLogger(__name__)

NAME = re.compile(r"vectors-[0-9a-f]{16}-(\d{10})-(\d{10})\.safetensors")
VECTORS = "vectors"
LARGEST_PART = 1 << 27  # bytes, about, so that little memory is taken
SECONDS_WORTH_A_PART = 60.0  # at the end of a pass


@dataclass(frozen=True)
class VectorParts:
    """The parts of one pass.

    Attributes:
        folder: The folder of the checkpoints.
        digest: A digest of everything that affects the vectors, 16 hexadecimal digits.
    """

    folder: Path
    digest: str

    @classmethod
    def of(cls, checkpoints: Folder, what: str, rank: int, rows: int) -> "VectorParts":
        """Return the parts of a pass.

        Args:
            checkpoints: The checkpoints of the run.
            what: Which rows it encodes.
            rank: The host, which may have rows of its own.
            rows: The number of the rows, which may be all or this host's part.
        """
        return cls(checkpoints.path, run_digest(checkpoints.run, what, rank, rows))

    def read(self, ends: Container[int]) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors of each part, float32[rows, width], from the first row on as far as there are parts.

        What can't be used, because it is broken or there is a gap before it, is removed.

        Args:
            ends: The numbers of rows after which a batch ends, and a part may.
        """
        done = 0
        for first, after, path in self._found():
            reason = "does not go on from the parts before it"
            if first == done and after in ends:
                try:
                    vectors = _read(path, after - first)
                except checkpoint.BROKEN as error:
                    reason = f"broken ({error})"
                else:
                    yield vectors
                    done = after
                    continue
            log.warning("event=vectors file=%s note='%s; removed'", path.name, reason)
            checkpoint.remove(path)

    def save(self, first: int, batches: Sequence[NDArray[np.float32]]) -> bool:
        """Write a part, and return whether that was possible; an error, such as a full disk, is only logged.

        Args:
            first: The number of its first row.
            batches: The vectors of its batches.
        """
        started = time.monotonic()
        vectors = np.concatenate(batches, dtype=np.float32)
        path = self.folder / f"vectors-{self.digest}-{first:010}-{first + len(vectors):010}.safetensors"
        checkpoint.clear_unfinished(self.folder, f"vectors-{self.digest}")
        if not checkpoint.write(path, Checkpoint({}, {VECTORS: vectors}), "vectors"):
            return False
        log.info(
            "event=vectors file=%s rows=%d megabytes=%.1f seconds=%.1f",
            path.name, len(vectors), path.stat().st_size / 1e6, time.monotonic() - started,
        )  # fmt: skip
        return True

    def _found(self) -> list[tuple[int, int, Path]]:
        """Return the first row of each part, the row after its last, and the file."""
        found = ((NAME.fullmatch(path.name), path) for path in self.folder.glob(f"vectors-{self.digest}-*"))
        return sorted((int(name[1]), int(name[2]), path) for name, path in found if name)


@dataclass
class _Unsaved:
    """The vectors that are not in a part yet.

    Attributes:
        parts: The parts.
        first: The number of the first of their rows.
        batches: Their batches.
        size: The number of their bytes.
        since: When the last part was written, or the pass began.
        lost: Whether a part could not be written, so that there can be no further ones.
    """

    parts: VectorParts
    first: int
    batches: list[NDArray[np.float32]] = field(default_factory=list)
    size: int = 0
    since: float = field(default_factory=time.monotonic)
    lost: bool = False

    @property
    def seconds(self) -> float:
        """The seconds that computing them took."""
        return time.monotonic() - self.since

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Add a batch, and write a part if it is time to."""
        if self.lost:
            return
        self.batches.append(vectors)
        self.size += vectors.nbytes
        if self.seconds > SECONDS_BETWEEN_CHECKPOINTS or self.size > LARGEST_PART:
            self.save()

    def save(self) -> None:
        """Write them as a part."""
        if self.batches:
            self.lost = not self.parts.save(self.first, self.batches)
            self.first += sum(map(len, self.batches))
            self.batches, self.size, self.since = [], 0, time.monotonic()


def computed(
    batches: Sequence[NDArray[np.int64]],
    compute: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    parts: VectorParts,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield the indices and the vectors of all rows: those of the parts, then those that are computed.

    The latter are written as further parts from time to time, at the end, and when the job is told to stop.

    Args:
        batches: The indices of the rows of each batch.
        compute: Returns the vectors of a batch.
        parts: The parts.

    Raises:
        StoppedError: The job was told to stop.
    """
    ends = np.cumsum([len(batch) for batch in batches]).tolist()
    order = np.concatenate([np.zeros(0, np.int64), *batches])
    done = 0
    for vectors in parts.read(ends):
        yield order[done : done + len(vectors)], vectors
        done += len(vectors)
    if done:
        log.info("event=vectors rows=%d of=%d note='read from checkpoints'", done, len(order))
    unsaved = _Unsaved(parts, done)
    try:
        for batch in batches[bisect.bisect(ends, done) :]:
            vectors = compute(batch)
            unsaved.add(vectors)
            yield batch, vectors
    except StoppedError:
        unsaved.save()
        raise
    if unsaved.seconds > SECONDS_WORTH_A_PART:
        unsaved.save()


def _read(path: Path, rows: int) -> NDArray[np.float32]:
    """Read a part; one that is broken raises one of :data:`checkpoint.BROKEN`."""
    vectors = checkpoint.read(path).arrays[VECTORS]
    if len(vectors) != rows:
        raise ValueError(f"it has {len(vectors)} rows")
    return vectors
