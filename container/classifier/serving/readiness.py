"""Readiness files, which tell nginx whether the workers can answer.

Each worker has a file while it can answer. Once all of them have one, the file :data:`OPEN`, for which nginx checks, is
created; it is removed when no worker is left that can answer. A worker that ends before it can answer leaves a file
too, until the server is open. The first worker that ends otherwise leaves the file :data:`ENDED`.
"""

from pathlib import Path

OPEN = "open"
PROCESSES = "ready"
FAILED = "failed"
ENDED = "ended"


def prepare(folder: Path) -> None:
    """Create the folders for the workers' files in the folder of a run."""
    for name in (PROCESSES, FAILED):
        (folder / name).mkdir()


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
        for failed in (folder / FAILED).iterdir():
            failed.unlink(missing_ok=True)


def withdraw(folder: Path, process: int) -> None:
    """Record that a worker has ended, and close the server if no other can answer."""
    ready = folder / PROCESSES / str(process)
    if ready.exists():
        ready.unlink()
        (folder / ENDED).touch()
    else:
        (folder / FAILED / str(process)).touch()
    if not list((folder / PROCESSES).iterdir()):
        (folder / OPEN).unlink(missing_ok=True)


def has_ended(folder: Path) -> bool:
    """Return whether a worker has ended that could answer."""
    return (folder / ENDED).exists()


def failed_starts(folder: Path) -> int:
    """Return how many workers ended before they could answer, since the server was closed; 0 while it is open."""
    return 0 if (folder / OPEN).exists() else len(list((folder / FAILED).iterdir()))
