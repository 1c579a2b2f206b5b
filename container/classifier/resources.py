"""What of the machine this container may use, which is often less than the machine has."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from classifier.errors import UserError

CONTROL_GROUP_FOLDER = Path("/sys/fs/cgroup")
GPU = Path("/dev/nvidia0")
LARGER_DISK = (
    "give the job a larger disk by volume_size (VolumeSizeInGB, for all of /opt/ml and /tmp), or, where the instance "
    "type brings disks of its own, by a larger type"
)
NO_ROOM = 1 << 16  # bytes
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room on the disk, in the user's quota, in the process's limit


def processors(control_group: Path = CONTROL_GROUP_FOLDER) -> int:
    """Return the number of processors this process may use: those it may run on, capped by the container's quota."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(control_group)
    return allowed if quota is None else max(1, min(allowed, round(quota)))


def memory(control_group: Path = CONTROL_GROUP_FOLDER) -> int:
    """Return the bytes of memory this container may use: the machine's, capped by the container's limit."""
    limits = [
        int(text)
        for path in (control_group / "memory.max", control_group / "memory" / "memory.limit_in_bytes")
        for text in _words(path)
        if text.isdecimal()  # "max" is none
    ]
    return min([psutil.virtual_memory().total, *limits])


def has_gpu() -> bool:
    """Say whether there is a GPU."""
    return GPU.exists()


@contextmanager
def room_for(what: str, folder: Path) -> Iterator[None]:
    """Say of a disk that becomes full meanwhile which it is, and what to do.

    Some libraries say of a full disk only that they could not write; so any error there is taken for that.

    Args:
        what: What is written.
        folder: Where it is written, if an error does not name another place.

    Raises:
        UserError: The disk is full.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        place = _existing(Path(getattr(error, "filename", None) or folder))
        disk = shutil.disk_usage(place)
        reason = full_disk(error) or (os.strerror(errno.ENOSPC) if disk.free < NO_ROOM else "")
        if not reason:
            raise
        raise UserError(
            f"{place}: {what} could not be written, for its disk is full ({reason}): {disk.free:,} of {disk.total:,} "
            f"bytes are free; {LARGER_DISK}"
        ) from error


def full_disk(error: BaseException) -> str:
    """Return in which way a disk has no room, where an error, or one that it came of, says so; else nothing.

    Libraries have that in words only.
    """
    chain: BaseException | None = error
    while chain is not None:
        for number in FULL:
            reason = os.strerror(number)
            if (isinstance(chain, OSError) and chain.errno == number) or reason in str(chain):
                return reason
        chain = chain.__cause__ or chain.__context__
    return ""


def _existing(path: Path) -> Path:
    """Return the nearest folder above a path that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _quota(control_group: Path) -> float | None:
    """Return the quota in processors, None where there is none; both versions of control groups are read."""
    unified = _words(control_group / "cpu.max")
    if unified:
        return _ratio(*unified)
    folder = control_group / "cpu"
    return _ratio(*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us"))


def _ratio(*microseconds: str) -> float | None:
    """Return quota over period; a quota of ``max`` or -1 is none."""
    if len(microseconds) != 2 or not all(text.isdecimal() and int(text) for text in microseconds):
        return None
    return int(microseconds[0]) / int(microseconds[1])


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
