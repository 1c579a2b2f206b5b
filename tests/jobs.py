"""Training jobs on a folder of their own, run as a process or in this one."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

from classifier.environment import Environment
from classifier.training import program
from classifier.training.interruption import Interruption

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
TRAIN = ROOT / "container" / "train"
ROWS = [
    (index % 2, text)
    for index, text in enumerate(
        [
            "the film was good", "a bad film", "very good, new and red", "the car is broken", "she works", "old smoke",
            "he is not bad", "the door light is cold", "we like it a lot", "they left the engine", "good good good",
            'it was "bad" !',
        ]
    )
]  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A folder as SageMaker mounts it."""

    base: Path

    @classmethod
    def create(cls, base: Path, *, encoder: Path | None = None) -> "Job":
        """Make a job that trains one epoch on :data:`ROWS`."""
        job = cls(base)
        job.channel("training", rows(ROWS))
        if encoder is not None:
            copytree(encoder, base / "input" / "data" / "model")
        job.configure(hyperparameters={"epochs": "1", "batch_size": "4", "validation_split_ratio": "0.34"})
        return job

    def channel(self, name: str, content: str | bytes, file: str = "data.csv") -> Path:
        """Write one file of a channel."""
        path = self.base / "input" / "data" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def configure(self, **files: Mapping[str, Any]) -> None:
        """Write configuration files, each named by its argument."""
        folder = self.base / "input" / "config"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")

    @property
    def environ(self) -> dict[str, str]:
        """The variables that lead the program to this folder, and to this Python."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path, "SAGEMAKER_BASE_DIR": str(self.base)}

    def train(self) -> None:
        """Train in this process."""
        program.train(Environment.from_environ(self.environ), Interruption())

    def start(self, *command: str, cwd: Path | None = None) -> "subprocess.Popen[str]":
        """Start ``train``, or a command that runs it, its output in a pipe."""
        return subprocess.Popen(
            command or (str(TRAIN),),
            cwd=cwd,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self) -> "subprocess.CompletedProcess[str]":
        """Run ``train`` to its end."""
        process = self.start()
        output, _ = process.communicate(timeout=180)
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def stop_at(self, words: str, number: signal.Signals = signal.SIGTERM) -> "subprocess.CompletedProcess[str]":
        """Run ``train``, signal it at the first line with these words, and return what it wrote from there on."""
        process = self.start()
        assert process.stdout is not None
        before = []
        for line in process.stdout:
            before.append(line)
            if words in line:
                process.send_signal(number)
                break
        else:
            raise AssertionError("".join(before))
        rest, _ = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, line + rest)

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def manifest(self) -> dict[str, Any]:
        """What the model says of itself."""
        content: dict[str, Any] = json.loads((self.model / "manifest.json").read_text(encoding="utf-8"))
        return content

    @property
    def failure(self) -> str:
        """The failure file's text; empty where there is none."""
        path = self.base / "output" / "failure"
        return path.read_text(encoding="utf-8") if path.exists() else ""


class StopsAt(Interruption):
    """Is told to stop once these words are in the log, which a function returns."""

    def __init__(self, words: str, log: Callable[[], str]) -> None:
        super().__init__()
        self._words, self._log = words, log

    def requested(self) -> bool:
        return self._words in self._log()

    def told_to_stop(self) -> bool:
        return self.requested()


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect the lines that are logged in this process, for fixtures that live longer than a test and its caplog."""
    lines: list[str] = []
    handler, root = logging.Handler(), logging.getLogger()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def check_data(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run `python -m classifier.check_data` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "classifier.check_data", *map(str, arguments)],
        cwd=ROOT / "container",
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"},
    )


def many_labels(labels: int) -> list[tuple[int, str]]:
    """Return six rows of each label, which a letter and a digit tell."""
    words = ("good", "bad", "cold", "hot", "red", "blue")
    letters = [(chr(ord("a") + label % 26), label // 26) for label in range(labels)]
    return [(label, f"{letter} {word} {digit}") for label, (letter, digit) in enumerate(letters) for word in words]


def rows(pairs: Sequence[tuple[object, str]]) -> str:
    """Write rows as the built-in algorithm wants them: label, text in quotes."""
    return "".join(f'{label},"{text.replace(chr(34), chr(34) * 2)}"\n' for label, text in pairs)
