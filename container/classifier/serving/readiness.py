"""Readiness files, which tell nginx whether the workers can answer.

Each worker has a file while it can answer. Once all of them have one, the file :data:`OPEN`, for which nginx checks, is
created; it is removed when no worker is left that can answer.
"""

from pathlib import Path

OPEN = "open"
PROCESSES = "ready"


def prepare(folder: Path) -> None:
    """Create the folder for the workers' files in the folder of a run."""
    (folder / PROCESSES).mkdir()


def declare(folder: Path, process: int, processes: int) -> None:
    """Record that a worker can answer, and open the server if all of them can.

    Args:
        folder: The folder of the run.
        process: The worker's process ID.
        processes: How many workers there will be.
    """
    (folder / PROCESSES / str(process)).touch()
    if len(list((folder / PROCESSES).iterdir())) >= processes:
        (folder / OPEN).touch()


def withdraw(folder: Path, process: int) -> None:
    """Record that a worker has ended, and close the server if no other can answer."""
    (folder / PROCESSES / str(process)).unlink(missing_ok=True)
    if not list((folder / PROCESSES).iterdir()):
        (folder / OPEN).unlink(missing_ok=True)
