"""The machine, in words without its name, and what processes take of it."""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from kit import sources

# What makes half precision and small integers fast.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
SAMPLE_SECONDS = 0.5


def describe(cpu_information: Path = Path("/proc/cpuinfo")) -> str:
    """Return processor, its flags, cores, memory and GPUs in one line."""
    fields = dict(re.findall(r"^(\w[\w ]*?)\s*: (.*)$", cpu_information.read_text(encoding="utf-8"), re.MULTILINE))
    name = f"{fields.get('model name', 'unknown processor')} (family {fields.get('cpu family')})"
    flags = [flag for flag in FLAGS if flag in fields.get("flags", "").split()]
    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().total / 2**30
    return ", ".join([name, " ".join(flags), f"{cores} cores", f"{memory:.0f} GiB of memory", *gpus()])


def setup() -> dict[str, Any]:
    """Return what goes with every result: those of other machines or sources are not put together with it."""
    return {"machine": describe(), "gpu": bool(gpus()), "sources": sources()}


def gpus() -> list[str]:
    """Return the names of the GPUs."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def memory(processes: Iterable[psutil.Process]) -> int:
    """Return the bytes of all of some processes together: what they share is counted once (PSS)."""
    return sum(int(_number(lambda process: process.memory_full_info().pss, process)) for process in processes)


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Return the seconds that processors worked for some processes so far."""
    return sum(_number(lambda process: sum(process.cpu_times()[:2]), process) for process in processes)


def _number(question: Callable[[psutil.Process], float], process: psutil.Process) -> float:
    try:
        return question(process)
    except psutil.NoSuchProcess:
        return 0


@contextmanager
def most_memory() -> Iterator[list[int]]:
    """Watch the processes that this one starts; the list holds the most bytes they had together, once it is over."""
    ended, most, this = threading.Event(), [0], psutil.Process()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            most[0] = max(most[0], memory(this.children(recursive=True)))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()
