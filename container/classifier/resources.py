"""What of the machine this container may use, which is often less than the machine has."""

import os
from pathlib import Path

import psutil

CONTROL_GROUP_FOLDER = Path("/sys/fs/cgroup")
GPU = Path("/dev/nvidia0")


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
