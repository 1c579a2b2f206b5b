"""Evaluation: a model's outputs for many rows, and metrics of its probabilities."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from classifier.artifact import Label
from classifier.training import vector_parts
from classifier.training.data import Split
from classifier.training.feature_cache import Allocate, in_memory
from classifier.training.interruption import Interruption
from classifier.training.loop.batches import Inputs, in_order_of_length
from classifier.training.vector_parts import VectorParts

BATCH_SIZE = 64  # with token ids on CPUs, any size from 16 to 256 is as fast within 5 %
MOST_LABELS_OF_A_MATRIX = 500  # with more, it would be mostly zeros, and with 10,000 take gigabytes of memory
SMALLEST_PROBABILITY = 1e-7  # keeps logarithms finite

Compute = Callable[[Any], Any]


@dataclass(frozen=True)
class Inference:
    """A network in inference mode, which maps inputs to logits.

    Attributes:
        encode: Maps inputs to vectors, float32[batch, width].
        classify: Maps vectors to logits, float32[batch, labels].
        ngrams: Maps token ids to logits that are added, float32[batch, labels]; None without n-grams.
        temperature: What the logits are divided by.
    """

    encode: Compute
    classify: Compute
    ngrams: Compute | None = None
    temperature: float = 1.0

    def __call__(self, rows: Any) -> Any:
        """Return the logits of inputs."""
        logits = self.classify(self.encode(rows))
        logits = logits if self.ngrams is None else logits + self.ngrams(rows)
        return logits if self.temperature == 1 else logits / self.temperature


def compiled(model: Any, signature: tf.TensorSpec) -> Compute:
    """Return a model in inference mode as one TensorFlow function."""
    function: Compute = tf.function(
        lambda rows: model(rows, training=False), input_signature=[signature], autograph=False
    )
    return function


def compute(
    function: Compute,
    inputs: Inputs,
    interruption: Interruption | None = None,
    allocate: Allocate = in_memory,
    parts: VectorParts | None = None,
) -> NDArray[np.float32]:
    """Return a function's outputs, float32[rows, width], in the order of the rows.

    Args:
        function: Maps a batch of inputs to float32[batch, width].
        inputs: The inputs.
        interruption: Checked between batches, if given.
        allocate: Allocates the array of outputs.
        parts: The outputs that an interrupted run has saved, and where this one saves its own; none without them.

    Raises:
        StoppedError: The job was told to stop.
    """

    def of_batch(indices: NDArray[np.int64]) -> NDArray[np.float32]:
        if interruption is not None:
            interruption.check()
        values: NDArray[np.float32] = function(inputs.take(indices)).numpy()
        return values

    batches = in_order_of_length(inputs, BATCH_SIZE)
    found: Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]
    if parts is None:
        found = ((indices, of_batch(indices)) for indices in batches)
    else:
        found = vector_parts.computed(list(batches), of_batch, parts)
    outputs: NDArray[np.float32] | None = None
    for indices, values in found:
        outputs = allocate(len(inputs), values.shape[1]) if outputs is None else outputs
        outputs[indices] = values
    return np.zeros((0, 0), np.float32) if outputs is None else outputs


class Vectors:
    """A frozen encoder's vectors of rows, each of which is computed once, when it is first asked for.

    Args:
        encode: The encoder.
        inputs: The rows.
        interruption: Checked between batches, if given.
    """

    def __init__(self, encode: Compute, inputs: Inputs, interruption: Interruption | None = None) -> None:
        self._encode, self._inputs, self._interruption = encode, inputs, interruption
        self._known = np.zeros(len(inputs), bool)
        self._vectors: NDArray[np.float32] | None = None

    def of(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of the rows with these indices, float32[len(indices), width].

        Raises:
            StoppedError: The job was told to stop.
        """
        missing = indices[~self._known[indices]]
        if len(missing) or self._vectors is None:
            computed = compute(self._encode, self._inputs.some(missing), self._interruption)
            if self._vectors is None:
                self._vectors = in_memory(len(self._inputs), computed.shape[1])  # takes memory where it is written
            self._vectors[missing] = computed
            self._known[missing] = True
        return self._vectors[indices]


def accuracy(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> float:
    """Return the share of rows whose most probable label is correct."""
    return float((probabilities.argmax(axis=1) == targets).mean())


def cross_entropy(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> float:
    """Return the mean negative log probability of the correct labels, in nats."""
    right = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(right, SMALLEST_PROBABILITY)).mean())


def area_under_curve(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> float:
    """Return the area under the ROC curve, one label against all others, averaged over the labels.

    It is the chance that a row of the label gets a higher probability for it than another row (Hanley and McNeil,
    1982). Labels that no row or every row has are left out; if no label is left, the area is 0.5.
    """
    areas = []
    for label in range(probabilities.shape[1]):
        positive = targets == label
        positives, negatives = int(positive.sum()), int((~positive).sum())
        if positives and negatives:
            ranks = pd.Series(probabilities[:, label]).rank().to_numpy()
            below = ranks[positive].sum() - positives * (positives + 1) / 2
            areas.append(below / (positives * negatives))
    return float(np.mean(areas)) if areas else 0.5


def macro_f1(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> float:
    """Return the mean F1 of the labels that occur."""
    return _mean_f1(_by_label(probabilities, targets))


def metrics(probabilities: NDArray[np.float32], targets: NDArray[np.int32], eval_metric: str) -> dict[str, float]:
    """Return the metrics of validation rows that are logged; ``val_auc`` only where it is the ``eval_metric``."""
    result = {
        "val_loss": cross_entropy(probabilities, targets),
        "val_accuracy": accuracy(probabilities, targets),
        "val_macro_f1": macro_f1(probabilities, targets),
    }
    if eval_metric == "auc":
        result["val_auc"] = area_under_curve(probabilities, targets)
    return result


def rank(metrics: Mapping[str, float], eval_metric: str) -> tuple[float, float]:
    """Return what a better model has more of: the metric on the validation rows, and among equals the lower loss."""
    return metrics.get(f"val_{eval_metric}", 0.0), -metrics.get("val_loss", 0.0)


def report(probabilities: NDArray[np.float32], targets: NDArray[np.int32], labels: Sequence[Label]) -> dict[str, Any]:
    """Return precision, recall and F1 of each label and the confusion matrix, as a JSON object.

    With more than :data:`MOST_LABELS_OF_A_MATRIX` labels, the matrix is a list of its non-zero cells.
    """
    by_label = _by_label(probabilities, targets)
    return {
        "accuracy": accuracy(probabilities, targets),
        "macro_f1": _mean_f1(by_label),
        "by_label": [
            {"label": label, "precision": p, "recall": r, "f1": f, "rows": rows}
            for label, p, r, f, rows in zip(labels, *(column.tolist() for column in by_label), strict=True)
        ],
        **_confusion(probabilities, targets, labels),
    }


def misclassified(rows: Split, probabilities: NDArray[np.float32], labels: Sequence[Label]) -> pd.DataFrame:
    """Return the rows for which the model predicts a wrong label, the most confident mistakes first.

    Args:
        rows: The rows.
        probabilities: The model's probabilities, float32[rows, labels].
        labels: The labels in the order of the probabilities.

    Returns:
        A table with the columns ``place``, ``label``, ``predicted_label`` and ``probability``, and the indices of the
        rows as its index.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != rows.targets)
    table = pd.DataFrame(
        {
            "place": [rows.locations[index] for index in wrong],
            "label": [labels[index] for index in rows.targets[wrong]],
            "predicted_label": [labels[index] for index in predicted[wrong]],
            "probability": probabilities[wrong, predicted[wrong]],
        },
        index=wrong,
    )
    return table.sort_values("probability", ascending=False, kind="stable")


def _confusion(
    probabilities: NDArray[np.float32], targets: NDArray[np.int32], labels: Sequence[Label]
) -> dict[str, Any]:
    """Return how many rows of each label were given each label."""
    count = probabilities.shape[1]
    pairs = targets.astype(np.int64) * count + probabilities.argmax(axis=1)
    if count <= MOST_LABELS_OF_A_MATRIX:
        matrix = np.bincount(pairs, minlength=count * count).reshape(count, count)
        return {"confusion_matrix_rows_are_true": matrix.tolist()}
    found, rows = np.unique(pairs, return_counts=True)
    return {
        "confusion_matrix_cells": [
            {"label": labels[pair // count], "predicted_label": labels[pair % count], "rows": number}
            for pair, number in zip(found.tolist(), rows.tolist(), strict=True)
        ]
    }


class _ByLabel(NamedTuple):
    """The metrics of each label, float64[labels], and the number of its rows, int64[labels]."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    rows: NDArray[np.int64]


def _by_label(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> _ByLabel:
    count, predicted = probabilities.shape[1], probabilities.argmax(axis=1)
    rows, answers, right = (
        np.bincount(of, minlength=count) for of in (targets, predicted, targets[predicted == targets])
    )
    precision, recall = right / np.maximum(answers, 1), right / np.maximum(rows, 1)
    return _ByLabel(
        precision, recall, 2 * precision * recall / np.maximum(precision + recall, SMALLEST_PROBABILITY), rows
    )


def _mean_f1(by_label: _ByLabel) -> float:
    """Return the mean F1 of the labels that occur."""
    return float(by_label.f1[by_label.rows > 0].mean())
