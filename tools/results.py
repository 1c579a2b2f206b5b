"""Accuracy on public data sets, through the served model, beside TF-IDF: `python tools/results.py [RUN ...]`.

Needs the sets of texts as SET/train/data.csv and SET/test/data.csv below the folder DATA, by default
`../shared/data/text`, and those of images as SET/train/LABEL/ and SET/test/LABEL/ below `images` beside that; trains in
`build/results` and rewrites the lines of `docs/results.md` for the sets it ran. `clinc150_uneven` is made of
clinc150_imbalanced: 50 labels with 1 to 900 training rows.
"""

import csv
import functools
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.metrics
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from local_run import ROOT, ask, image, serving, train

DATA = Path(os.environ.get("DATA", ROOT.parent / "shared" / "data" / "text"))
WORK = ROOT / "build" / "results"
PAGE = ROOT / "docs" / "results.md"
IMAGES = DATA.parent / "images"
IMAGE_SETS = ("flowers5",)
UNEVEN, SOURCE_OF_UNEVEN = "clinc150_uneven", "clinc150_imbalanced"
UNEVEN_LABELS, MOST_ROWS_OF_A_LABEL = 50, 900
SEEDS = ("123", "1", "2")  # of the runs that are averaged
TOP = {"train_only_top_layer": "True"}
LINEAR = {"model_id": "linear"}
TRUNCATED = {"long_texts": "truncate"}
BALANCED = {"class_weights": "balanced", "eval_metric": "macro_f1"}
# A run is a data set and, after a colon, a word of its own; and the hyperparameters it is given.
RUNS: Mapping[str, Mapping[str, str]] = {
    "sst2": {"epochs": "3"},
    "sst2:top": TOP,
    "sst2:linear": LINEAR,
    "sst2:cnn": {"model_id": "cnn"},
    "sst2:lstm": {"model_id": "lstm"},
    "trec6": {},
    "trec6:top": TOP,
    "trec6:linear": LINEAR,
    "banking77": {},
    "banking77:top": TOP,
    "banking77:linear": LINEAR,
    "20news4": {},
    "20news4:truncated": TRUNCATED,
    "20news4:top": TOP,
    "20news4:linear": LINEAR,
    "20news4:top-truncated": {**TOP, **TRUNCATED},
    "20news4:top-head-tail": {**TOP, "long_texts": "head_tail"},
    "imdb_polarity2k:top": TOP,
    "imdb_polarity2k:linear": LINEAR,
    "imdb_polarity2k:top-truncated": {**TOP, **TRUNCATED},
    "imdb_polarity2k:top-head-tail": {**TOP, "long_texts": "head_tail"},
    "imdb_polarity2k:cnn": {"model_id": "cnn"},
    "imdb_polarity2k:cnn-truncated": {"model_id": "cnn", **TRUNCATED},
    "imdb_polarity2k:cnn-long": {"model_id": "cnn", "max_sequence_length": "1024", **TRUNCATED},
    "imdb_polarity2k:lstm-truncated": {"model_id": "lstm", **TRUNCATED},
    "clinc150_imbalanced": {},
    "clinc150_imbalanced:top": TOP,
    "clinc150_imbalanced:linear": LINEAR,
    "clinc150_imbalanced:top-balanced": {**TOP, **BALANCED},
    "clinc150_uneven:top": TOP,
    "flowers5": {},
    "flowers5:whole": {"train_only_top_layer": "False"},
    "flowers5:cnn": {"model_id": "cnn"},
}
RECORDS_A_REQUEST = 500


@dataclass(frozen=True)
class Rows:
    """Labels and records, as requests have them, of one file or folder."""

    labels: list[int] | list[str]
    records: list[Any]


@dataclass(frozen=True)
class Measured:
    """Accuracy and macro-F1 of a run, and how many minutes it trained."""

    accuracy: float
    macro_f1: float
    minutes: float


def main() -> int:
    """Do the runs named, or all."""
    csv.field_size_limit(sys.maxsize)
    for run in sys.argv[1:] or RUNS:
        line = measure(run, RUNS[run])
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        _put(line)
    return 0


def measure(run: str, settings: Mapping[str, str]) -> str:
    """Train, serve, score the test rows through HTTP, for each seed, and return a line of the table."""
    name = run.partition(":")[0]
    folder = run.replace(":", "-")
    found = []
    for seed in SEEDS:
        found.append(_measured(WORK / f"{folder}-{seed}", name, {**settings, "seed": seed}))
        sys.stdout.write(f"{run} seed={seed} {found[-1]}\n")
        sys.stdout.flush()
    given = " ".join(f"{key}={value}" for key, value in settings.items()) or "none"
    accuracy, macro_f1, minutes = (
        float(np.mean([getattr(each, value) for each in found])) for value in ("accuracy", "macro_f1", "minutes")
    )
    return f"| {name} | {given} | {accuracy:.3f} ({macro_f1:.3f}) | {_baseline(name)} | {minutes:.1f} | {len(SEEDS)} |"


def _measured(base: Path, name: str, settings: Mapping[str, str]) -> Measured:
    """Train and serve a model, and score the test rows."""
    minutes = _trained(base, name, settings)
    test = _rows(name, "test")
    with serving(base) as address:
        answers = []
        for first in range(0, len(test.records), RECORDS_A_REQUEST):
            answers += ask(address, test.records[first : first + RECORDS_A_REQUEST])
    accuracy, macro_f1 = _scores(test.labels, [answer["predicted_label"] for answer in answers])
    return Measured(accuracy, macro_f1, minutes)


def _trained(base: Path, name: str, settings: Mapping[str, str]) -> float:
    """Train, unless an earlier run with the same hyperparameters finished, and return how many minutes it took."""
    done = base / "minutes"
    given = base / "input" / "config" / "hyperparameters.json"
    if not done.exists() or json.loads(given.read_text(encoding="utf-8")) != settings:
        shutil.rmtree(base, ignore_errors=True)
        given.parent.mkdir(parents=True)
        shutil.copytree(_folder(name) / "train", base / "input" / "data" / "training")
        given.write_text(json.dumps(settings), encoding="utf-8")
        started = time.monotonic()
        train(base, base / "log")
        done.write_text(str((time.monotonic() - started) / 60), encoding="utf-8")
    return float(done.read_text(encoding="utf-8"))


def _scores(labels: Sequence[Any], predicted: Sequence[Any]) -> tuple[float, float]:
    accuracy = float(np.mean(np.array(labels) == np.array(predicted)))
    return accuracy, float(sklearn.metrics.f1_score(labels, predicted, average="macro"))


def _baseline(name: str) -> str:
    if name in IMAGE_SETS:
        return ""
    accuracy, macro_f1 = _scores(_rows(name, "test").labels, _tf_idf(name))
    return f"{accuracy:.3f} ({macro_f1:.3f})"


@functools.cache
def _tf_idf(name: str) -> list[int]:
    """Return what TF-IDF and a linear model say of a set's test rows; the same for every way of training ours."""
    training, test = (_rows(name, part) for part in ("train", "test"))
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC())
    predicted: list[int] = model.fit(training.records, training.labels).predict(test.records).tolist()
    return predicted


def _folder(name: str) -> Path:
    if name == UNEVEN:
        return _uneven(WORK / "data" / name)
    return (IMAGES if name in IMAGE_SETS else DATA) / name


def _uneven(folder: Path) -> Path:
    """Write :data:`UNEVEN`, unless it is there.

    The numbers of training rows of its labels are a geometric series from 1 to 900. As no intent of the source has more
    than 100, a label is one intent or several, drawn at random, with a random part of their training rows and all of
    their test rows.
    """
    if folder.exists():
        return folder
    generator = np.random.default_rng(0)
    parts = {part: _rows(SOURCE_OF_UNEVEN, part) for part in ("train", "test")}
    of_intent = {part: np.array(rows.labels) for part, rows in parts.items()}
    intents = generator.permutation(np.unique(of_intent["train"]))
    sizes = np.geomspace(MOST_ROWS_OF_A_LABEL, 1, UNEVEN_LABELS).round().astype(int)
    lines: dict[str, list[tuple[int, str]]] = {part: [] for part in parts}
    for label, size in enumerate(sizes):
        together = np.cumsum([np.sum(of_intent["train"] == intent) for intent in intents])
        count = int(np.searchsorted(together, size)) + 1
        mine, intents = intents[:count], intents[count:]
        for part, known in parts.items():
            found = np.flatnonzero(np.isin(of_intent[part], mine))
            chosen = np.sort(generator.permutation(found)[:size]) if part == "train" else found
            lines[part] += [(label, known.records[row]) for row in chosen]
    for part, content in lines.items():
        (folder / part).mkdir(parents=True)
        with (folder / part / "data.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(content)
    return folder


def _rows(name: str, part: str) -> Rows:
    """Return the rows of a part of a data set: ``train`` or ``test``."""
    folder = _folder(name) / part
    if name in IMAGE_SETS:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return Rows([path.parent.name for path in paths], [image(path) for path in paths])
    with (folder / "data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return Rows([int(label) for label, _ in rows], [text for _, text in rows])


def _put(line: str) -> None:
    """Replace the line that begins with the same set and hyperparameters, or add it."""
    page = PAGE.read_text(encoding="utf-8")
    start = "|".join(line.split("|")[:3])
    pattern = re.compile(rf"^{re.escape(start)}\|.*$", re.MULTILINE)
    page = pattern.sub(lambda _: line, page) if pattern.search(page) else page.rstrip("\n") + f"\n{line}\n"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
