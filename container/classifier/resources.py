"""The resources that this container may use, which are often less than the machine has."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from classifier.errors import UserError

CONTROL_GROUP_FOLDER = Path("/sys/fs/cgroup")
LARGER_DISK = (
    "give the job a larger disk by volume_size (VolumeSizeInGB, for all of /opt/ml and /tmp), or, where the instance "
    "type brings disks of its own, by a larger type"
)
NO_ROOM = 1 << 16  # bytes
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's quota, or the process's file size limit


def processors(control_group: Path = CONTROL_GROUP_FOLDER) -> int:
    """Return the number of processors that this process may use: its CPU affinity, limited by the container's quota."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(control_group)
    return allowed if quota is None else max(1, min(allowed, round(quota)))


def memory(control_group: Path = CONTROL_GROUP_FOLDER) -> int:
    """Return the memory in bytes that this container may use: the machine's, limited by the container's limit."""
    limits = [
        int(text)
        for path in (control_group / "memory.max", control_group / "memory" / "memory.limit_in_bytes")
        for text in _words(path)
        if text.isdecimal()  # "max" means no limit
    ]
    return min([psutil.virtual_memory().total, *limits])


@contextmanager
def room_for(what: str, folder: Path) -> Iterator[None]:
    """Replace errors about a full disk by a message that names the disk and the cure.

    Some libraries only report that they could not write, so any error is checked against the disk's free space.

    Args:
        what: What is written, for the message.
        folder: The folder that is written to, if an error doesn't name another path.

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
            f"{place}: {what} could not be written because the disk is full ({reason}): {disk.free:,} of "
            f"{disk.total:,} bytes are free; {LARGER_DISK}"
        ) from error


def full_disk(error: BaseException) -> str:
    """Return the system's message on a full disk, if an error or one of its causes holds it; otherwise "".

    Libraries pass it on as text only.
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
    """Return the path itself or its nearest parent that is an existing folder."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _quota(control_group: Path) -> float | None:
    """Return the CPU quota in processors, of either version of control groups; None without one."""
    unified = _words(control_group / "cpu.max")
    if unified:
        return _ratio(*unified)
    folder = control_group / "cpu"
    return _ratio(*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us"))


def _ratio(*microseconds: str) -> float | None:
    """Return quota divided by period; None for a quota of ``max`` or -1, which sets no limit."""
    if len(microseconds) != 2 or not all(text.isdecimal() and int(text) for text in microseconds):
        return None
    return int(microseconds[0]) / int(microseconds[1])


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
