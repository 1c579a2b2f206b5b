"""How good a model is: probabilities of held-out rows, and the figures made of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from classifier.artifact import Label
from classifier.training.batches import Inputs, in_order_of_length
from classifier.training.interruption import Interruption

BATCH_SIZE = 64
SMALLEST_PROBABILITY = 1e-7  # keeps the logarithm of a wrong certainty finite

Compute = Callable[[Any], Any]


def compiled(model: Any, inputs: Inputs) -> Compute:
    """Make one TensorFlow function of a model as it answers outside of training."""
    function: Compute = tf.function(lambda rows: model(rows, training=False), input_signature=[inputs.signature])
    return function


def compute(function: Compute, inputs: Inputs, interruption: Interruption | None = None) -> NDArray[np.float32]:
    """Return the function's outputs, float32[rows, width], in the order of the rows.

    Raises:
        StoppedError: The job was told to stop meanwhile.
    """
    outputs: NDArray[np.float32] | None = None
    for indices in in_order_of_length(inputs, BATCH_SIZE):
        if interruption is not None:
            interruption.check()
        values = function(inputs.take(indices)).numpy()
        outputs = np.zeros((len(inputs), values.shape[1]), np.float32) if outputs is None else outputs
        outputs[indices] = values
    return np.zeros((0, 0), np.float32) if outputs is None else outputs


def accuracy(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> float:
    """Return the share of rows whose most probable label is the right one."""
    return float((probabilities.argmax(axis=1) == targets).mean())


def cross_entropy(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> float:
    """Return the mean negative log probability of the right labels, in nats."""
    right = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(right, SMALLEST_PROBABILITY)).mean())


def report(probabilities: NDArray[np.float32], targets: NDArray[np.int32], labels: Sequence[Label]) -> dict[str, Any]:
    """Return the confusion matrix and each label's precision, recall and F1, ready for JSON."""
    count = len(labels)
    confusion = np.bincount(targets * count + probabilities.argmax(axis=1), minlength=count * count)
    confusion = confusion.reshape(count, count)
    right = confusion.diagonal()
    precision = right / np.maximum(confusion.sum(axis=0), 1)
    recall = right / np.maximum(confusion.sum(axis=1), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, SMALLEST_PROBABILITY)
    return {
        "accuracy": accuracy(probabilities, targets),
        "macro_f1": float(f1[confusion.sum(axis=1) > 0].mean()),
        "by_label": [
            {"label": label, "precision": p, "recall": r, "f1": f, "rows": rows}
            for label, p, r, f, rows in zip(
                labels, precision.tolist(), recall.tolist(), f1.tolist(), confusion.sum(axis=1).tolist(), strict=True
            )
        ],
        "confusion_matrix_rows_are_true": confusion.tolist(),
    }
