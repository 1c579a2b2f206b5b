"""The memory that loaded models take: how much one will need, whether there is as much, and how it is given back."""

import ctypes
import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from classifier import artifact
from classifier.errors import RequestError

# oneDNN's own allocator keeps what a model took for the next one: of a model of 90 MB, 45 MB came back when it was
# unloaded. With the system's allocator all came back, and answers took as long.
VARIABLES: Mapping[str, str] = {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "true"}
"""What TensorFlow must find in the environment before it is imported, so that unloaded models leave the memory."""

# Measured with TensorFlow 2.21 on a CPU: the process's growth at its highest while a model is loaded and asked its test
# texts, after the first one, in MB, beside what is estimated here.
#                             saved_model.pb   variables   growth   estimate
#   the tests' tiny model          0.08            0           8        11
#   a BERT of 30,000 weights       0.7             0.1        28        37
#   all-minilm-l6-v2               2.5            90         230       225
#   a BERT of BERT-base's size     2.7           436         676       682
# A third of it, what the texts were computed with, is free again once the model is loaded. The first model of a process
# takes up to 100 MB more, which stay.
BASE_BYTES = 8 << 20
GRAPH_FACTOR = 40.0
WEIGHTS_FACTOR = 1.3


def estimated_bytes(folder: Path) -> int:
    """Return how much memory a model folder's model is likely to need while it is loaded.

    Raises:
        UserError: There is no whole model in the folder.
    """
    saved_model = artifact.load(folder).saved_model
    graph = (saved_model / "saved_model.pb").stat().st_size
    weights = sum(path.stat().st_size for path in saved_model.glob("*/*") if path.is_file())
    return BASE_BYTES + round(GRAPH_FACTOR * graph + WEIGHTS_FACTOR * weights)


def resident_bytes() -> int:
    """Return the memory this process takes now."""
    return int(psutil.Process().memory_info().rss)


def give_back() -> None:
    """Free what nothing refers to any more, and hand it back to the system where the C library can do that."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


@dataclass(frozen=True)
class ModelMemory:
    """What there is for models.

    Attributes:
        budget: Bytes the process may take, with everything in it.
        resident: Returns the bytes it takes now.
        estimate: Returns the bytes that the model of a folder will need.
    """

    budget: int
    resident: Callable[[], int] = resident_bytes
    estimate: Callable[[Path], int] = estimated_bytes

    def check(self, folder: Path) -> None:
        """See that a folder's model fits beside what is there.

        Raises:
            RequestError: 507, when it does not.
            UserError: There is no whole model in the folder.
        """
        needed = self.estimate(folder)
        if needed > self._left():
            give_back()  # what earlier requests were computed with
        left = self._left()
        if needed > left:
            raise not_enough(f"the model needs about {_megabytes(needed)} MB and {_megabytes(left)} MB are left")

    def _left(self) -> int:
        return max(0, self.budget - self.resident())


def not_enough(problem: str) -> RequestError:
    """Return the refusal of a model that does not fit; SageMaker then unloads another and tries again."""
    return RequestError(
        507, "not_enough_memory", f"{problem}; unload another model, or deploy on an instance type with more memory"
    )


def _megabytes(size: int) -> int:
    return size >> 20
