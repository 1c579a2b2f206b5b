"""The server's memory: what a model will need, whether that much is free, and how what is freed is released."""

import ctypes
import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from classifier import artifact
from classifier.errors import RequestError

# oneDNN's own allocator keeps a model's memory for the next one: of a model of 90 MB, 45 MB were released when it was
# unloaded. With the system's allocator all of it was released, and latency was the same.
VARIABLES: Mapping[str, str] = {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "true"}
"""Environment variables to set before TensorFlow is imported, so that unloaded models release their memory."""

# Measured with TensorFlow 2.21 on a CPU: the peak growth of the process while a model other than the first is loaded
# and predicts its smoke inputs, in MB, beside the estimate.
#                             saved_model.pb   variables   growth   estimate
#   the tests' tiny model          0.08            0           8        11
#   a BERT of 30,000 weights       0.7             0.1        28        37
#   all-minilm-l6-v2               2.5            90         230       225
#   a BERT of BERT-base's size     2.7           436         676       682
# A third of it, used to predict the smoke inputs, is free again once the model is loaded. The first model of a process
# takes up to 100 MB more, which are not released.
BASE_BYTES = 8 << 20
GRAPH_FACTOR = 40.0
WEIGHTS_FACTOR = 1.3

TRIM_AFTER_BYTES = 256 << 10
TRIM_SECONDS = 1.0


def estimated_bytes(folder: Path) -> int:
    """Return an estimate of the memory, in bytes, that the model in a folder needs while it is loaded.

    Raises:
        UserError: The folder has no complete model.
    """
    saved_model = artifact.load(folder).saved_model
    graph = (saved_model / "saved_model.pb").stat().st_size
    weights = sum(path.stat().st_size for path in saved_model.glob("*/*") if path.is_file())
    return BASE_BYTES + round(GRAPH_FACTOR * graph + WEIGHTS_FACTOR * weights)


def resident_bytes() -> int:
    """Return the resident memory of this process, in bytes."""
    return int(psutil.Process().memory_info().rss)


def give_back() -> None:
    """Free unreferenced objects, and return all free memory to the system."""
    gc.collect()
    trim()


def trim() -> None:
    """Return the C library's free memory to the system if it supports that; takes 1 to 20 ms, without Python's lock."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if malloc_trim is not None:
        malloc_trim(0)


class Trimmer:
    """Returns the memory of large requests to the system.

    Otherwise the C library keeps it: for each thread that answers requests, as much as its largest one took. After
    10,000 odd requests of up to several MB (``make soak``), a server had 530 MB, and with this 400 MB.

    Args:
        trim: Returns free memory to the system.
        clock: Returns the time in seconds.
    """

    def __init__(self, trim: Callable[[], None] = trim, clock: Callable[[], float] = time.monotonic) -> None:
        self._trim = trim
        self._clock = clock
        self._next = clock()

    def after(self, size: int) -> None:
        """Return free memory after a request with a body of this many bytes, at most once per :data:`TRIM_SECONDS`."""
        now = self._clock()
        if size < TRIM_AFTER_BYTES or now < self._next:
            return
        self._next = now + TRIM_SECONDS
        self._trim()


@dataclass(frozen=True)
class ModelMemory:
    """The memory available for models.

    Attributes:
        budget: The most bytes that the whole process may use.
        resident: Returns the bytes that it uses now.
        estimate: Returns the bytes that the model in a folder will need.
    """

    budget: int
    resident: Callable[[], int] = resident_bytes
    estimate: Callable[[Path], int] = estimated_bytes

    def check(self, folder: Path) -> None:
        """Check that there is enough memory for the model in a folder.

        Raises:
            RequestError: 507, if there is not.
            UserError: The folder has no complete model.
        """
        needed = self.estimate(folder)
        if needed > self._left():
            give_back()  # the memory that earlier requests used
        left = self._left()
        if needed > left:
            raise not_enough(f"the model needs about {_megabytes(needed)} MB, and {_megabytes(left)} MB are free")

    def _left(self) -> int:
        return max(0, self.budget - self.resident())


def not_enough(problem: str) -> RequestError:
    """Return the error for a model that does not fit; SageMaker then unloads another model and tries again."""
    return RequestError(
        507, "not_enough_memory", f"{problem}; unload another model, or deploy on an instance type with more memory"
    )


def _megabytes(size: int) -> int:
    return size >> 20
