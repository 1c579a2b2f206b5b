"""How good suspect labels and the choice of rows to label are: `python tools/labelling.py MEASURE SET ...`.

A measure is `suspects`, on vectors and n-grams; `suspects-linear`, on the n-grams of `model_id=linear` alone; or
`review`. With the first two, a set may name the seeds of the changes, as `20news4:11,12`.

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
import scipy.sparse
from numpy.typing import NDArray

from local_run import ROOT
from results import DATA

sys.path.insert(0, str(ROOT / "container"))

from classifier import DEFAULT_ENCODER, hashing
from classifier.batch import review
from classifier.encoders import Encoder, family, linear, ngrams
from classifier.environment import PRETRAINED_FOLDER
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, solving, suspect_labels, top_layer
from classifier.training.loop import batches
from classifier.training.loop.batches import Inputs
from classifier.training.model import softmax
from classifier.training.top_layer import Records, Wanted

WORK = ROOT / "build" / "labelling"
SHARE_CHANGED = 0.1
FLIPS, SEEDS = "1,2,3", (1, 2, 3, 4, 5)
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


def suspects(run: str) -> None:
    """Print the measures of the list on vectors and n-grams."""
    name, _, seeds = run.partition(":")
    _measured(name, known(name, "train").records, seeds or FLIPS)


def suspects_linear(run: str) -> None:
    """Print the measures of the list on the n-grams of ``model_id=linear`` alone."""
    name, _, seeds = run.partition(":")
    labels, texts = read(name, "train")
    encoder = linear.build(texts, Hyperparameters.parse({"model_id": "linear"}), None)
    bags = bags_of(encoder, batches.tokenize(encoder, texts))
    _measured(name, Records(None, bags, np.array(labels, np.int32), np.ones(len(texts), np.float32)), seeds or FLIPS)


def _measured(name: str, rows: Records, seeds: str) -> None:
    """Print precision and recall of the list for labels that were changed, and its length where none was."""
    labels = int(rows.targets.max()) + 1
    print(f"{name}: {len(suspect_labels.find(rows, labels).rows)} of {len(rows.targets)} rows without a change")  # noqa: T201
    for seed in map(int, seeds.split(",")):
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
    layer = top_layer.solve(training, nothing, Wanted(labels=labels, ngram_features="false", seed=seed)).layer
    if asked.vectors is None:
        raise ValueError("the rows have no vectors")
    return softmax((asked.vectors @ layer.kernel + layer.bias).astype(np.float32))


@functools.cache
def known(name: str, split: str) -> Known:
    """Return the rows of a split, encoded once and kept."""
    labels, texts = read(name, split)
    path = WORK / f"{name}.{split}.npz"
    if not path.exists():
        _encode(texts, path)
    arrays = np.load(path)
    bags = ngrams.bags_of(arrays["buckets"], arrays["counts"])
    targets = np.array(labels, np.int32)
    return Known(texts, Records(arrays["vectors"], bags, targets, np.ones(len(targets), np.float32)))


def read(name: str, split: str) -> tuple[list[str], list[str]]:
    """Return the labels and the texts of a split."""
    csv.field_size_limit(10**9)
    with (DATA / name / split / "data.csv").open(encoding="utf-8", newline="") as file:
        labels, texts = zip(*csv.reader(file), strict=True)
    return list(labels), list(texts)


def _encode(texts: list[str], path: Path) -> None:
    encoder = family("bert").load(PRETRAINED_FOLDER / DEFAULT_ENCODER, DEFAULT_ENCODER, 256, 0)
    inputs = batches.tokenize(encoder, texts)
    vectors = evaluate.compute(evaluate.compiled(encoder.layer, encoder.preprocessor.signature), inputs)
    bags = bags_of(encoder, inputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, vectors=vectors, buckets=bags.indices, counts=np.diff(bags.indptr))


def bags_of(encoder: Encoder, inputs: Inputs) -> scipy.sparse.csr_matrix:
    """Return the n-grams of texts that are tokenized."""
    return ngrams.bags(inputs.token_ids, hashing.codes(solving.vocabulary_size(encoder)))


MEASURES: Mapping[str, Callable[[str], None]] = {
    "suspects": suspects,
    "suspects-linear": suspects_linear,
    "review": reviewed,
}

if __name__ == "__main__":
    main()
