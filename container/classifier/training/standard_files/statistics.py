"""Statistics of a model's quality in the format of SageMaker Model Monitor, which SageMaker Model Registry shows.

Source: SageMaker developer guide, "Model quality metrics and Amazon CloudWatch monitoring". The guide defines neither
the best constant classifier nor the normalization of the standard deviation. Here, the former is the best value of a
metric that predicting the same label for all rows gives, and the latter is that of a sample.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import Label
from classifier.training import evaluate

FILE = "statistics.json"
UNKNOWN = "NaN"
FEWEST_ROWS_OF_A_DEVIATION = 200
SAMPLES, SHARE_OF_A_SAMPLE = 5, 0.8
MOST_POINTS_OF_A_CURVE = 200
BETAS: Mapping[str, float] = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}
POSITIVE = 1  # the index of the positive label, of two


class Predictions(NamedTuple):
    """A model's probabilities for rows, float32[rows, labels], and the indices of their labels, int32[rows]."""

    probabilities: NDArray[np.float32]
    targets: NDArray[np.int32]

    def take(self, indices: NDArray[np.int64]) -> "Predictions":
        """Return the predictions for some of the rows."""
        return Predictions(self.probabilities[indices], self.targets[indices])


def statistics(predictions: Predictions, labels: Sequence[Label], seed: int, time: datetime) -> dict[str, Any]:
    """Return the statistics of a model's predictions, as a JSON object.

    With two labels, the second one is the positive label. What is not defined, such as the recall of a label that no
    row has, is left out.

    Args:
        predictions: The predictions, of at least one row.
        labels: The labels in the order of the probabilities.
        seed: The seed of the samples that standard deviations are computed from.
        time: When the model was evaluated, in UTC.
    """
    binary = len(labels) == 2
    report = evaluate.report(*predictions, labels)
    deviations = _deviations(predictions, labels, seed)
    metrics: dict[str, Any] = {"confusion_matrix": _confusion_matrix(report, labels)}
    metrics |= {
        name: {"value": value, "standard_deviation": deviations.get(name, UNKNOWN)}
        for name, value in _values(predictions, report).items()
    }
    metrics |= _curves(predictions) if binary else {}
    return {
        "version": 0.0,
        "dataset": {
            "item_count": len(predictions.targets),
            "evaluation_time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        },
        f"{'binary' if binary else 'multiclass'}_classification_metrics": metrics,
    }


def _values(predictions: Predictions, report: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are single numbers."""
    return _binary(predictions, report) if len(report["by_label"]) == 2 else _multiclass(report)


def _multiclass(report: Mapping[str, Any]) -> dict[str, float]:
    """Return metrics over all labels, each label weighted by its share of the rows."""
    lines = report["by_label"]
    recall, precision, rows = (np.array([line[name] for line in lines]) for name in ("recall", "precision", "rows"))
    shares = rows / rows.sum()
    frequent = shares.max()

    def weighted(recall: Any, precision: Any, shares: Any, suffix: str = "") -> dict[str, float]:
        return {
            f"weighted_recall{suffix}": float(shares @ recall),
            f"weighted_precision{suffix}": float(shares @ precision),
            **{f"weighted_{name}{suffix}": float(shares @ _f(beta, precision, recall)) for name, beta in BETAS.items()},
        }

    constant = np.array([1.0]), np.array([frequent]), np.array([frequent])  # all other labels add nothing
    return {
        "accuracy": report["accuracy"],
        **weighted(recall, precision, shares),
        "accuracy_best_constant_classifier": float(frequent),
        **weighted(*constant, suffix="_best_constant_classifier"),
    }


def _binary(predictions: Predictions, report: Mapping[str, Any]) -> dict[str, float]:
    """Return metrics of the positive label."""
    negative, positive = report["by_label"]
    shares = np.array([negative["rows"], positive["rows"]]) / len(predictions.targets)
    values = {"accuracy": report["accuracy"], "accuracy_best_constant_classifier": float(shares.max())}
    if positive["rows"]:
        recall, precision = positive["recall"], positive["precision"]
        constant = float(shares[POSITIVE]), 1.0  # precision and recall if all rows are predicted as positive
        values |= {"recall": recall, "precision": precision, "true_positive_rate": recall}
        values |= {"false_negative_rate": 1.0 - recall}
        values |= {"precision_best_constant_classifier": constant[0], "recall_best_constant_classifier": constant[1]}
        for name, beta in BETAS.items():
            values[name] = float(_f(beta, precision, recall))
            values[f"{name}_best_constant_classifier"] = float(_f(beta, *constant))
        values["f1"] = positive["f1"]
    if negative["rows"]:
        values |= {"true_negative_rate": negative["recall"], "false_positive_rate": 1.0 - negative["recall"]}
    if positive["rows"] and negative["rows"]:
        values["auc"] = evaluate.area_under_curve(predictions.probabilities, predictions.targets)
    return values


def _f(beta: float, precision: Any, recall: Any) -> Any:
    """Return the F measure in which recall counts ``beta`` times as much as precision; 0 where both are 0."""
    below = beta**2 * np.asarray(precision) + recall
    return (1 + beta**2) * np.asarray(precision) * recall / np.where(below, below, 1.0)


def _deviations(predictions: Predictions, labels: Sequence[Label], seed: int) -> dict[str, float]:
    """Return the standard deviation of each metric over random samples; none where there are too few rows."""
    count = len(predictions.targets)
    if count < FEWEST_ROWS_OF_A_DEVIATION:
        return {}
    generator = np.random.default_rng(seed)

    def of_sample() -> dict[str, float]:
        sample = predictions.take(generator.permutation(count)[: int(SHARE_OF_A_SAMPLE * count)])
        return _values(sample, evaluate.report(*sample, labels))

    found = [of_sample() for _ in range(SAMPLES)]
    everywhere = set.intersection(*map(set, found))
    return {name: float(np.std([values[name] for values in found], ddof=1)) for name in everywhere}


def _confusion_matrix(report: Mapping[str, Any], labels: Sequence[Label]) -> dict[str, dict[str, int]]:
    """Return the number of rows by label and by predicted label; of many labels, only what is not zero."""
    if "confusion_matrix_rows_are_true" in report:
        names = [str(label) for label in labels]
        rows = report["confusion_matrix_rows_are_true"]
        return {name: dict(zip(names, row, strict=True)) for name, row in zip(names, rows, strict=True)}
    matrix: dict[str, dict[str, int]] = {}
    for cell in report["confusion_matrix_cells"]:
        matrix.setdefault(str(cell["label"]), {})[str(cell["predicted_label"])] = cell["rows"]
    return matrix


def _curves(predictions: Predictions) -> dict[str, dict[str, list[float]]]:
    """Return the ROC curve and the curve of precision and recall, thinned out; nothing if a label has no rows."""
    scores, right = predictions.probabilities[:, POSITIVE], predictions.targets == POSITIVE
    positives, negatives = int(right.sum()), int((~right).sum())
    if not positives or not negatives:
        return {}
    order = np.argsort(-scores, kind="stable")
    last_of_a_score = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    true_positives = np.append(0, np.cumsum(right[order])[last_of_a_score])
    false_positives = np.append(0, np.cumsum(~right[order])[last_of_a_score])
    some = np.unique(np.linspace(0, len(true_positives) - 1, MOST_POINTS_OF_A_CURVE).round().astype(int))
    true_positives, false_positives = true_positives[some], false_positives[some]
    answers = true_positives + false_positives
    precisions = np.where(answers, true_positives / np.maximum(answers, 1), 1.0)
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": (false_positives / negatives).tolist(),
            "true_positive_rates": (true_positives / positives).tolist(),
        },
        "precision_recall_curve": {
            "precisions": precisions.tolist(),
            "recalls": (true_positives / positives).tolist(),
        },
    }
