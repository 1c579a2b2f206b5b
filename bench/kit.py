"""What the benchmarks share: where things are, rows, and results kept as JSON lines."""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

WORK = ROOT / "build" / "bench"
DATA = Path(os.environ.get("DATA", ROOT.parent / "shared" / "data" / "text"))
ENCODER = ROOT / "container" / "pretrained" / "all-minilm-l6-v2"
PEERS = ROOT / ".venv-bench" / "bin" / "python"
TOOLKIT = ROOT / ".venv-bench-toolkit" / "bin" / "python"
PEER_PROGRAMS = ROOT / "bench" / "peers"

Record = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """Labels and texts."""

    labels: Sequence[int]
    texts: Sequence[str]

    def first(self, count: int | None) -> "Rows":
        """Return so many of them, or all."""
        return Rows(self.labels[:count], self.texts[:count])


def sst2(part: str) -> Rows:
    """Return the rows of a part of SST-2: ``train``, ``dev`` or ``test``.

    Raises:
        SystemExit: They are not there.
    """
    path = DATA / "sst2" / part / "data.csv"
    if not path.is_file():
        raise SystemExit(f"lacks sst2/{part}/data.csv below the folder that DATA names: lines of 0 or 1, comma, text")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return Rows([int(label) for label, _ in rows], [text for _, text in rows])


def write(path: Path, rows: Rows) -> None:
    """Write rows as the CSV that training reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(zip(rows.labels, rows.texts, strict=True))


def sources() -> str:
    """Return a digest of this project's sources and the peers' versions, so that results of others are kept apart."""
    digest = hashlib.sha256()
    for path in sorted([*(ROOT / "container").rglob("*.py"), *(ROOT / "bench").glob("*.txt")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def records(path: Path) -> list[Record]:
    """Return all results of a file, the oldest first; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def of_setup(path: Path, setup: Mapping[str, Any]) -> list[Record]:
    """Return the results that were measured as a setup says, which may be of a run that was broken off."""
    return [record for record in records(path) if record["setup"] == setup]


def newest(path: Path) -> list[Record]:
    """Return the results of the setup that was measured last."""
    found = records(path)
    return [record for record in found if record["setup"] == found[-1]["setup"]]


def add(path: Path, record: Record) -> None:
    """Add a result to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def option_parser(measures: str, only: str) -> argparse.ArgumentParser:
    """Return a reader of the options that the programs which measure in rounds have in common.

    Args:
        measures: What the program does, in a sentence.
        only: What its option ``--only`` may name.
    """
    parser = argparse.ArgumentParser(description=measures)
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help=only)
    return parser


def load_option_parser(measures: str, only: str, model: str) -> argparse.ArgumentParser:
    """Return a reader of the options of programs that load servers.

    Args:
        measures: What the program does, in a sentence.
        only: What its option ``--only`` may name.
        model: The data set of the model that is served.
    """
    parser = option_parser(measures, only)
    parser.add_argument("--seconds", type=int, default=5, help="of each load (5)")
    parser.add_argument("--warm", type=int, default=3, help="seconds of load before they count (3)")
    parser.add_argument("--model", type=Path, help=f"folder of a model of {model}; without it one is trained")
    return parser


def last_json(output: str) -> Record:
    """Return what a program printed as its last line of JSON.

    Raises:
        ValueError: It printed none.
    """
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            result: Record = json.loads(line)
            return result
    raise ValueError("the program printed no result")


@contextmanager
def refusals(record: Record) -> Iterator[None]:
    """Note in a result why there is none, of what can't be measured here."""
    try:
        yield
    except (SystemExit, OSError, ValueError, subprocess.CalledProcessError) as error:
        reason = str(error).replace(str(ROOT), "").strip().splitlines()
        record["refused"] = reason[-1][:300] if reason else type(error).__name__
