"""Calibration and abstaining on public data sets: `python tools/calibration.py [SET:SEED ...]`.

Needs the sets of texts as SET/train/data.csv and SET/test/data.csv below the folder DATA, by default
`../shared/data/text`; trains in `build/calibration` and prints lines for the tables of `docs/evaluation.md`. Of
clinc150, the out-of-scope rows are left out of training, and it is counted how many of them are answered.
"""

import csv
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from local_run import ROOT, train
from results import DATA

sys.path.insert(0, str(ROOT / "container"))

from classifier import predictor
from classifier.backends import Computing
from classifier.backends.choice import FLOAT32

WORK = ROOT / "build" / "calibration"
SETS = ("sst2", "trec6", "banking77", "20news4", "clinc150_imbalanced")
SEEDS = ("123", "1")
OUT_OF_SCOPE = {"clinc150_imbalanced": "150"}  # the label of rows that have none of the other labels
TARGET = 0.95
SIGNIFICANT = 0.05  # the chance of so few right answers where the precision is as wanted
COVERAGE = 0.9  # of the rows with known labels
SETTINGS = {"train_only_top_layer": "True", "long_texts": "truncate", "target_precision": str(TARGET)}

Rows = Sequence[Sequence[str]]


def main() -> int:
    """Do the runs named, or all."""
    csv.field_size_limit(sys.maxsize)
    for run in sys.argv[1:] or [f"{name}:{seed}" for name in SETS for seed in SEEDS]:
        name, _, seed = run.partition(":")
        sys.stdout.write(measured(name, seed or SEEDS[0]) + "\n")
        sys.stdout.flush()
    return 0


def measured(name: str, seed: str) -> str:
    """Train on a set, and return a line of the table."""
    base = WORK / f"{name}-{seed}"
    shutil.rmtree(base, ignore_errors=True)
    unknown = OUT_OF_SCOPE.get(name)
    test = _rows(name, "test")
    known = [row for row in test if row[0] != unknown]
    _write(base / "input" / "data" / "training", [row for row in _rows(name, "train") if row[0] != unknown])
    _write(base / "input" / "data" / "test", known)
    settings = base / "input" / "config" / "hyperparameters.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({**SETTINGS, "seed": seed}), encoding="utf-8")
    train(base, base / "log")
    written = json.loads((base / "output" / "data" / "evaluation.json").read_text(encoding="utf-8"))
    line = f"| {name} | {seed} | {_figures(written)} |"
    if unknown is None:
        return line
    model = predictor.load(base / "model", Computing(FLOAT32))
    sure, unsure = (
        model.predict([text for _, text in some]).max(axis=1)
        for some in (known, [row for row in test if row[0] == unknown])
    )
    share = float(np.mean(unsure <= np.quantile(sure, 1 - COVERAGE)))
    return (
        f"{line}\n{name}: of {len(unsure)} out-of-scope rows, {share:.3f} are not answered at a coverage of {COVERAGE}"
    )


def _figures(written: dict[str, Any]) -> str:
    """Return the columns of a table's line, from an ``evaluation.json``."""
    calibration, of_test = written["calibration"], written["abstention"]["test"]
    before, after = (calibration["test"][part]["ece"] for part in ("before", "after"))
    figures = f"{written['test']['accuracy']:.3f} | {calibration['temperature']:.2f} | {before:.3f} | {after:.3f}"
    answered = round(of_test["coverage"] * of_test["rows"])
    if not answered:
        return f"{figures} | 0 | | no"
    low, high = of_test["precision_interval"]
    chance = scipy.stats.binomtest(round(of_test["precision"] * answered), answered, TARGET, "less").pvalue
    below = "yes" if chance < SIGNIFICANT else "no"
    return f"{figures} | {of_test['coverage']:.3f} | {of_test['precision']:.3f} ({low:.3f} to {high:.3f}) | {below}"


def _rows(name: str, part: str) -> list[list[str]]:
    with (DATA / name / part / "data.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _write(folder: Path, rows: Rows) -> None:
    folder.mkdir(parents=True)
    with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
