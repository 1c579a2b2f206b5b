"""How good suspect labels and the choice of rows to label are: `python tools/labelling.py suspects|review SET ...`.

Needs the sets of texts as SET/train/data.csv and SET/test/data.csv below the folder DATA, by default
`../shared/data/text`; the vectors of the encoder in the image are kept in `build/labelling`. It prints lines for the
tables in `docs/evaluation.md`.
"""

import csv
import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from local_run import ROOT
from results import DATA

sys.path.insert(0, str(ROOT / "container"))

from classifier import DEFAULT_ENCODER
from classifier.batch import review
from classifier.encoders import family, ngrams
from classifier.environment import PRETRAINED_FOLDER
from classifier.training import evaluate, suspect_labels, top_layer
from classifier.training.loop import batches
from classifier.training.model import softmax
from classifier.training.top_layer import Records, Wanted

WORK = ROOT / "build" / "labelling"
SHARE_CHANGED = 0.1
FLIPS, SEEDS = (1, 2, 3), (1, 2, 3, 4, 5)
ADDED = 200
FIRST_OF_A_LABEL, FIRST_ROWS = 5, 300  # rows that are labelled at the start: the larger number


@dataclass(frozen=True)
class Known:
    """The rows of a split.

    Attributes:
        texts: Their texts.
        records: What is known of them.
    """

    texts: list[str]
    records: Records


def main() -> None:
    """Measure what the command line names."""
    measure = MEASURES[sys.argv[1]]
    for name in sys.argv[2:]:
        measure(name)


def suspects(name: str) -> None:
    """Print precision and recall of the list for labels that were changed, and its length where none was."""
    rows = known(name, "train").records
    labels = int(rows.targets.max()) + 1
    print(f"{name}: {len(suspect_labels.find(rows, labels).rows)} of {len(rows.targets)} rows without a change")  # noqa: T201
    for seed in FLIPS:
        generator = np.random.default_rng(seed)
        changed = generator.permutation(len(rows.targets))[: round(SHARE_CHANGED * len(rows.targets))]
        targets = rows.targets.copy()
        targets[changed] = (targets[changed] + generator.integers(1, labels, len(changed))) % labels
        found = suspect_labels.find(Records(rows.vectors, rows.bags, targets, rows.weights), labels)
        right = np.isin(found.rows, changed)
        suggested = found.suggested[right] == rows.targets[found.rows[right]]
        print(  # noqa: T201
            f"{name}: seed {seed}: {len(found.rows)} rows, precision {right.mean():.3f}, "
            f"recall {right.sum() / len(changed):.3f}, of these the right label suggested {suggested.mean():.3f}"
        )


def reviewed(name: str) -> None:
    """Print the test accuracy with the first rows alone, with random ones added, and with chosen ones."""
    training, test = known(name, "train"), known(name, "test")
    found = np.array([_trial(training, test, seed) for seed in SEEDS])
    for seed, (first, at_random, chosen) in zip(SEEDS, found, strict=True):
        print(f"{name}: seed {seed}: first {first:.4f}, random {at_random:.4f}, chosen {chosen:.4f}")  # noqa: T201
    means = found.mean(axis=0)
    print(f"{name}: mean: first {means[0]:.4f}, random {means[1]:.4f}, chosen {means[2]:.4f}")  # noqa: T201


def _trial(training: Known, test: Known, seed: int) -> tuple[float, float, float]:
    targets = training.records.targets
    labels = int(targets.max()) + 1
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(targets))
    of_labels = [order[targets[order] == label][:FIRST_OF_A_LABEL] for label in range(labels)]
    first = np.concatenate(of_labels)
    first = first if len(first) >= FIRST_ROWS else order[:FIRST_ROWS]
    rest = np.setdiff1d(order, first)
    texts = [training.texts[row] for row in rest]
    answers = _answers(training.records.take(first), training.records.take(rest), seed)
    picked = rest[review.chosen(texts, answers, ADDED)]
    at_random = generator.choice(rest, ADDED, replace=False)
    learnt = [first, np.concatenate([first, at_random]), np.concatenate([first, picked])]
    judged = [_answers(training.records.take(rows), test.records, seed) for rows in learnt]
    first_one, random_one, chosen_one = (evaluate.accuracy(each, test.records.targets) for each in judged)
    return first_one, random_one, chosen_one


def _answers(training: Records, asked: Records, seed: int) -> NDArray[np.float32]:
    """Return the probabilities of a top layer on vectors that is solved as in a job."""
    labels = int(max(training.targets.max(), asked.targets.max())) + 1
    nothing = training.take(np.zeros(0, np.int64))
    layer = top_layer.solve(training, nothing, Wanted(labels, ngram_features="false", seed=seed)).layer
    if asked.vectors is None:
        raise ValueError("the rows have no vectors")
    return softmax((asked.vectors @ layer.kernel + layer.bias).astype(np.float32))


@functools.cache
def known(name: str, split: str) -> Known:
    """Return the rows of a split, encoded once and kept."""
    csv.field_size_limit(10**9)
    with (DATA / name / split / "data.csv").open(encoding="utf-8", newline="") as file:
        labels, texts = zip(*csv.reader(file), strict=True)
    path = WORK / f"{name}.{split}.npz"
    if not path.exists():
        _encode(list(texts), path)
    arrays = np.load(path)
    bags = ngrams.bags_of(arrays["buckets"], arrays["counts"])
    targets = np.array(labels, np.int32)
    return Known(list(texts), Records(arrays["vectors"], bags, targets, np.ones(len(targets), np.float32)))


def _encode(texts: list[str], path: Path) -> None:
    encoder = family("bert").load(PRETRAINED_FOLDER / DEFAULT_ENCODER, DEFAULT_ENCODER, 256, 0)
    inputs = batches.tokenize(encoder, texts)
    vectors = evaluate.compute(evaluate.compiled(encoder.layer, encoder.preprocessor.signature), inputs)
    size = getattr(encoder.preprocessor, "vocabulary_size", None) or 0
    bags = ngrams.bags(list(inputs.rows), ngrams.codes(size))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, vectors=vectors, buckets=bags.indices, counts=np.diff(bags.indptr))


MEASURES: Mapping[str, Callable[[str], None]] = {"suspects": suspects, "review": reviewed}

if __name__ == "__main__":
    main()
