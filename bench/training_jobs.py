"""Runs a training job, ours or a peer's, and says what it took and came to."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import machine
from kit import ENCODER, PEER_PROGRAMS, PEERS, Record, Rows, last_json, write
from local_run import train

_FIELD = re.compile(r"""(\w+)=('[^']*'|"[^"]*"|\S+)""")
EPOCH, TEST = "event=epoch ", "event=test "


@dataclass(frozen=True)
class Job:
    """What is trained.

    Attributes:
        training: The rows it learns from.
        test: The rows it is scored on at its end; none where that is not wanted.
        validation: Rows for ours to choose the best epoch by; none where it holds out some of the others.
        settings: Ours's hyperparameters.
    """

    training: Rows
    test: Rows | None = None
    validation: Rows | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def ours(base: Path, job: Job) -> Record:
    """Train with this project in a folder, which keeps the model.

    Raises:
        CalledProcessError: The job failed; `log` in the folder says why.
    """
    shutil.rmtree(base, ignore_errors=True)
    for channel in ("training", "validation", "test"):
        rows: Rows | None = getattr(job, channel)
        if rows is not None:
            write(base / "input" / "data" / channel / "data.csv", rows)
    settings = base / "input" / "config" / "hyperparameters.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(dict(job.settings)), encoding="utf-8")
    taken = _taken(lambda: train(base, base / "log"))
    shutil.rmtree(base / "checkpoints", ignore_errors=True)
    return {**taken, **told((base / "log").read_text(encoding="utf-8"))}


def told(log: str) -> Record:
    """Return what a job of ours said of itself: rows a second while it learned, accuracy on test rows."""
    epochs = [fields(line) for line in log.splitlines() if EPOCH in line]
    tests = [fields(line) for line in log.splitlines() if TEST in line]
    speeds = [float(epoch["examples_per_second"]) for epoch in epochs]
    return {
        # Epochs are of as many rows each.
        **({"examples_per_second": len(speeds) / sum(1 / speed for speed in speeds)} if speeds else {}),
        **({"accuracy": float(tests[-1]["test_accuracy"])} if tests else {}),
    }


def fields(line: str) -> dict[str, str]:
    """Return the names and values of a line of log."""
    return {name: value.strip("'\"") for name, value in _FIELD.findall(line)}


def peer(base: Path, program: str, job: Job, *arguments: str) -> Record:
    """Train with a peer's program in a folder.

    Raises:
        ValueError: The program failed, or is not set up.
    """
    if not PEERS.exists():
        raise ValueError("is not set up: run bench/setup.sh")
    shutil.rmtree(base, ignore_errors=True)
    write(base / "training.csv", job.training)
    if job.test is not None:
        write(base / "test.csv", job.test)
    command = [str(PEERS), str(PEER_PROGRAMS / program), str(ENCODER), str(base), *arguments]
    outputs: list[str] = []

    def run() -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        outputs.append(done.stdout)

    taken = _taken(run)
    shutil.rmtree(base)
    return {**taken, **last_json(outputs[0])}


def _taken(run: Callable[[], None]) -> Record:
    """Run something, and return the seconds, processor seconds and bytes it took, its children's."""
    before, started = getrusage(RUSAGE_CHILDREN), time.monotonic()
    with machine.most_memory() as most:
        run()
    seconds, after = time.monotonic() - started, getrusage(RUSAGE_CHILDREN)
    used = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return {"seconds": seconds, "cpu_seconds": used, "memory_bytes": most[0]}
