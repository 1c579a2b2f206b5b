"""The statistics for SageMaker Model Registry, against the developer guide's examples and scikit-learn."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from classifier.training import evaluate
from classifier.training.model import softmax
from classifier.training.standard_files.statistics import MOST_POINTS_OF_A_CURVE, Predictions, statistics
from standard_file_helpers import of_matrix

NOW = datetime(2026, 11, 30, 5, 4, 3, 2000, tzinfo=UTC)


def random_predictions(rows: int, labels: int) -> Predictions:
    generator = np.random.default_rng(7)
    targets = generator.integers(0, labels, rows).astype(np.int32)
    logits = generator.standard_normal((rows, labels)).astype(np.float32)
    logits[np.arange(rows), targets] += 1
    return Predictions(softmax(logits), targets)


def values(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: metric["value"] for name, metric in metrics.items() if "value" in metric}


def test_several_labels_have_the_figures_of_the_developer_guides_example() -> None:
    written = statistics(of_matrix([[1180, 510, 0], [268, 138, 0], [0, 0, 0]]), [0, 1, 2], 1, NOW)
    assert written["version"] == 0.0
    assert written["dataset"] == {"item_count": 2096, "evaluation_time": "2026-11-30T05:04:03.002Z"}
    metrics = written["multiclass_classification_metrics"]
    assert metrics["confusion_matrix"]["1"] == {"0": 268, "1": 138, "2": 0}
    found = values(metrics)
    assert {name: found[name] for name in found if not name.endswith("_best_constant_classifier")} == pytest.approx(
        {
            "accuracy": 0.6288167938931297,
            "weighted_recall": 0.6288167938931297,
            "weighted_precision": 0.6983172269629505,
            "weighted_f0_5": 0.6803947317178771,
            "weighted_f1": 0.6571162346664904,
            "weighted_f2": 0.6384024354394601,
        },
        abs=1e-12,
    )
    share = 1690 / 2096
    assert found["accuracy_best_constant_classifier"] == share
    assert found["weighted_precision_best_constant_classifier"] == pytest.approx(share**2)
    assert {name for name in found if name.endswith("_best_constant_classifier")} == {
        f"{name}_best_constant_classifier" for name in found if not name.endswith("_best_constant_classifier")
    }


def test_two_labels_have_the_figures_of_the_developer_guides_example() -> None:
    metrics = statistics(of_matrix([[1, 2], [0, 1]]), ["no", "yes"], 1, NOW)["binary_classification_metrics"]
    assert metrics["confusion_matrix"] == {"no": {"no": 1, "yes": 2}, "yes": {"no": 0, "yes": 1}}
    assert metrics["recall"] == {"value": 1.0, "standard_deviation": "NaN"}
    expected = {
        "accuracy": 0.5, "precision": 1 / 3, "true_positive_rate": 1, "true_negative_rate": 1 / 3,
        "false_positive_rate": 2 / 3, "false_negative_rate": 0, "f0_5": 0.3846153846, "f1": 0.5, "f2": 0.7142857143,
        "precision_best_constant_classifier": 0.25, "recall_best_constant_classifier": 1,
        "f0_5_best_constant_classifier": 0.2941176471, "f1_best_constant_classifier": 0.4,
        "f2_best_constant_classifier": 0.625, "accuracy_best_constant_classifier": 0.75,
    }  # fmt: skip
    found = values(metrics)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert set(found) == {*expected, "recall", "auc"}


def test_curves_are_scikit_learns_and_thinned_out() -> None:
    predictions = random_predictions(3000, 2)
    metrics = statistics(predictions, [0, 1], 1, NOW)["binary_classification_metrics"]
    positive, scores = predictions.targets == 1, predictions.probabilities[:, 1]
    assert metrics["auc"]["value"] == pytest.approx(sklearn.metrics.roc_auc_score(positive, scores), abs=1e-6)
    roc = metrics["receiver_operating_characteristic_curve"]
    false, true, _ = sklearn.metrics.roc_curve(positive, scores, drop_intermediate=False)
    points = set(zip(false.round(9).tolist(), true.round(9).tolist(), strict=True))
    thin = list(zip(*(np.round(roc[f"{kind}_positive_rates"], 9).tolist() for kind in ("false", "true")), strict=True))
    assert len(thin) == MOST_POINTS_OF_A_CURVE
    assert (thin[0], thin[-1]) == ((0, 0), (1, 1))
    assert set(thin) <= points
    precision, recall, _ = sklearn.metrics.precision_recall_curve(positive, scores)
    known = set(zip(precision.round(9).tolist(), recall.round(9).tolist(), strict=True))
    curve = metrics["precision_recall_curve"]
    assert set(zip(*(np.round(curve[name], 9).tolist() for name in ("precisions", "recalls")), strict=True)) <= known


def test_a_label_without_rows_leaves_out_what_is_not_defined() -> None:
    for matrix, missing in (([[0, 0], [2, 1]], {"true_negative_rate", "auc"}), ([[2, 1], [0, 0]], {"recall", "auc"})):
        metrics = statistics(of_matrix(matrix), [0, 1], 1, NOW)["binary_classification_metrics"]
        assert not missing & set(metrics)
        assert "receiver_operating_characteristic_curve" not in metrics
        assert {"accuracy", "confusion_matrix"} <= set(metrics)


@pytest.mark.parametrize(("rows", "known"), [(199, False), (200, True)])
@pytest.mark.parametrize("labels", [2, 3])
def test_standard_deviations_need_200_rows_and_are_the_same_every_time(rows: int, known: bool, labels: int) -> None:
    first, again = (
        [part for name, part in statistics(random_predictions(rows, labels), list(range(labels)), 1, NOW).items()
         if name.endswith("_classification_metrics")]
        for _ in "12"
    )  # fmt: skip
    assert first == again
    deviation = first[0]["accuracy"]["standard_deviation"]
    assert (0 < deviation < 0.05) if known else deviation == "NaN"


def test_of_many_labels_the_cells_that_are_not_zero_are_written() -> None:
    labels = evaluate.MOST_LABELS_OF_A_MATRIX + 1
    targets = np.array([0, 0, labels - 1], np.int32)
    probabilities = np.zeros((3, labels), np.float32)
    probabilities[np.arange(3), [0, 4, labels - 1]] = 1
    written = statistics(Predictions(probabilities, targets), [f"l{index}" for index in range(labels)], 1, NOW)
    assert written["multiclass_classification_metrics"]["confusion_matrix"] == {
        "l0": {"l0": 1, "l4": 1},
        f"l{labels - 1}": {f"l{labels - 1}": 1},
    }
