"""How many rows a second `batch` predicts, beside the loops without HTTP."""

import csv
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bare import share_equal
from kit import ROOT, Record

PROGRAM = ROOT / "container" / "batch"
# Of the test texts, so that the file takes seconds.
TIMES = 4
_SPEED = re.compile(r"event=predicted .*rows_per_second=([\d.]+)")


def predicted(model: Path, texts: Sequence[str], reference: Sequence[str]) -> Record:
    """Predict a CSV file of texts, and return the rows a second from its first line to its last, and the equal labels.

    Args:
        model: The model folder.
        texts: The texts; the file holds them :data:`TIMES` times.
        reference: Their labels, by PyTorch in float32.

    Raises:
        CalledProcessError: The job failed.
        ValueError: Its log lacks the speed.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        source, output = Path(name, "rows.csv"), Path(name, "output")
        with source.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text"], *([text] for text in [*texts] * TIMES)])
        command = [str(PROGRAM), "--model", str(model), "--input", str(source), "--output", str(output)]
        environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
        found = _SPEED.search(done.stdout + done.stderr)
        if found is None:
            raise ValueError("its log has no speed")
        with (output / "rows_output.csv").open(encoding="utf-8", newline="") as file:
            labels = [row["predicted_label"] for row in csv.DictReader(file)]
    return {"texts_per_second": float(found[1]), "labels_equal": share_equal(labels[: len(texts)], reference)}
