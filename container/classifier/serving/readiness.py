"""Which processes can answer, told by files: nginx passes requests on while one of them lies there.

A process has a file of its own while it can answer. Once all of them have one, there is the file :data:`OPEN` that
nginx looks for, until no process is left that can answer.
"""

from pathlib import Path

OPEN = "open"
PROCESSES = "ready"


def prepare(folder: Path) -> None:
    """Make the place for the files in the folder of a run."""
    (folder / PROCESSES).mkdir()


def declare(folder: Path, process: int, processes: int) -> None:
    """Note that a process can answer, and let requests in if it is the last that was waited for.

    Args:
        folder: The folder of the run.
        process: Its id.
        processes: How many there are to be.
    """
    (folder / PROCESSES / str(process)).touch()
    if len(list((folder / PROCESSES).iterdir())) >= processes:
        (folder / OPEN).touch()


def withdraw(folder: Path, process: int) -> None:
    """Note that a process has ended, and let no request in if no other can answer."""
    (folder / PROCESSES / str(process)).unlink(missing_ok=True)
    if not list((folder / PROCESSES).iterdir()):
        (folder / OPEN).unlink(missing_ok=True)
