"""Room for the vectors that a frozen encoder gives: memory, or a file where they are many."""

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

LARGEST_IN_MEMORY = 1 << 30  # bytes; 700,000 texts of the default encoder

Room = Callable[[int, int], NDArray[np.float32]]


def in_memory(rows: int, width: int) -> NDArray[np.float32]:
    """Return room in memory, float32[rows, width]."""
    return np.zeros((rows, width), np.float32)


def in_memory_or(folder: Path) -> Room:
    """Return what makes room in memory, and for more than :data:`LARGEST_IN_MEMORY` in a file below a folder.

    What is in the file is in memory too as long as there is some to spare, and is never all of it needed at once.
    """

    def room(rows: int, width: int) -> NDArray[np.float32]:
        if rows * width * np.dtype(np.float32).itemsize <= LARGEST_IN_MEMORY:
            return in_memory(rows, width)
        return _in_file(rows, width, folder)

    return room


def _in_file(rows: int, width: int, folder: Path) -> NDArray[np.float32]:
    """Return room in a file without a name, which is gone with the process; in memory where the disk has too little."""
    size = rows * width * np.dtype(np.float32).itemsize
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # a write to a page that the disk has no room for kills
        except OSError as error:
            log.warning("event=vectors megabytes=%.0f note='kept in memory: %s'", size / 1e6, error.strerror)
            return in_memory(rows, width)
        log.info("event=vectors megabytes=%.0f note='kept in a file'", size / 1e6)
        return np.memmap(file, np.float32, "r+", shape=(rows, width))
