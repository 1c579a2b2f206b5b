"""What the two drivers share: their arguments, their reports, and a look into what a job left."""

import argparse
import json
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROLE = "arn:aws:iam::123456789012:role/sagemaker"  # any will do: local mode asks nobody
HYPERPARAMETERS = {"epochs": 1, "train_only_top_layer": True, "batch_size": 16, "max_sequence_length": 64}
TEXT = "Brake pedal goes to the floor, master cylinder leaking, replaced it."

_results = sys.stdout


@dataclass(frozen=True)
class Arguments:
    """What the test hands a driver; `work` holds training/, bad/ and transform/, and is the driver's to write in."""

    image: str
    work: Path
    port: int

    def local_settings(self) -> dict[str, dict[str, str | int | bool]]:
        """Return the SDKs' settings for local mode: nothing goes through S3, and the port is ours."""
        return {"local": {"local_code": True, "container_root": str(self.work), "serving_port": self.port}}


def start() -> Arguments:
    """Keep standard output for reports alone: what the SDK prints goes to standard error."""
    sys.stdout = sys.stderr
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("work", type=Path)
    parser.add_argument("port", type=int)
    return Arguments(**vars(parser.parse_args()))


def report(step: str, **facts: Any) -> None:
    """Print one step's outcome as a line of JSON."""
    _results.write(json.dumps({"step": step, **facts}) + "\n")
    _results.flush()


def names_in(archive: Path) -> list[str]:
    """Return the names of the files in a model.tar.gz."""
    with tarfile.open(archive) as tar:
        return sorted(member.name for member in tar.getmembers() if member.isfile())


def failure_in(folder: Path) -> str:
    """Return the failure file that a job left in the only output.tar.gz below a folder."""
    (archive,) = folder.rglob("output.tar.gz")
    with tarfile.open(archive) as tar:
        file = tar.extractfile("failure")
        return file.read().decode() if file else ""


def transformed(folder: Path) -> dict[str, str]:
    """Return a transform job's output files, by name."""
    return {path.name: path.read_text() for path in folder.rglob("*.out")}
