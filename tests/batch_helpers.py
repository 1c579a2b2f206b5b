"""What the tests of ``batch`` share: the program, run in this process or as one of its own."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.backends.choice import FLOAT32
from classifier.batch import program
from jobs import ROOT

BATCH = ROOT / "container" / "batch"


def run(model: Path | str, source: Path | str, output: Path | str, *more: str) -> int:
    """Run a job in this process, with an engine that rounds nothing; return its exit code."""
    places = ["--model", str(model), "--input", str(source), "--output", str(output)]
    return program.main([*places, "--engine", FLOAT32, *more])


def start(*arguments: str, environ: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start the program, its output in a pipe."""
    variables = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **(environ or {})}
    return subprocess.Popen(
        [str(BATCH), *arguments], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
    )


def rows(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file, whatever it is packed in."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    return list(csv.reader(io.StringIO(text, newline="")))


def objects(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def visible(folder: Path) -> list[str]:
    """Return the names of all files in a folder but hidden ones."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in names if not name.startswith("."))


def hidden(folder: Path) -> list[str]:
    """Return what ``batch`` keeps for itself in a folder."""
    return sorted(path.name for path in (folder / ".batch").rglob("*") if path.is_file())
