"""Storage for the vectors of a frozen encoder: memory, or a file where there are many."""

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

LARGEST_IN_MEMORY = 1 << 30  # bytes; 700,000 texts of the default encoder

Allocate = Callable[[int, int], NDArray[np.float32]]


def in_memory(rows: int, width: int) -> NDArray[np.float32]:
    """Return an array in memory, float32[rows, width]."""
    return np.zeros((rows, width), np.float32)


def in_memory_or(folder: Path) -> Allocate:
    """Return a function that allocates arrays in memory, or, above :data:`LARGEST_IN_MEMORY`, in a file.

    The operating system keeps the file's pages in memory while there is memory to spare.

    Args:
        folder: The folder for the file.
    """

    def allocate(rows: int, width: int) -> NDArray[np.float32]:
        if rows * width * np.dtype(np.float32).itemsize <= LARGEST_IN_MEMORY:
            return in_memory(rows, width)
        return _in_file(rows, width, folder)

    return allocate


def _in_file(rows: int, width: int, folder: Path) -> NDArray[np.float32]:
    """Return an array in a deleted file, which ends with the process; in memory, if there is too little disk space."""
    size = rows * width * np.dtype(np.float32).itemsize
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # without space, writing to a page would kill the process
        except OSError as error:
            log.warning("event=vectors megabytes=%.0f note='kept in memory: %s'", size / 1e6, error.strerror)
            return in_memory(rows, width)
        log.info("event=vectors megabytes=%.0f note='kept in a file'", size / 1e6)
        return np.memmap(file, np.float32, "r+", shape=(rows, width))
