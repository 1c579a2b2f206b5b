"""The metrics of a model, against scikit-learn's."""

import json
import tracemalloc

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf

from classifier.training import evaluate
from classifier.training.interruption import Interruption, StoppedError
from classifier.training.loop.batches import Inputs
from classifier.training.model import softmax


def test_the_figures_are_scikit_learns() -> None:
    generator = np.random.default_rng(2)
    probabilities = softmax(generator.standard_normal((300, 4)).astype(np.float32))
    targets = generator.integers(0, 4, 300).astype(np.int32)
    report = evaluate.report(probabilities, targets, ["a", "b", "c", "d"])
    predicted = probabilities.argmax(axis=1)
    expected = sklearn.metrics.classification_report(targets, predicted, output_dict=True)
    assert report["accuracy"] == pytest.approx(expected["accuracy"])
    assert report["macro_f1"] == pytest.approx(expected["macro avg"]["f1-score"], abs=1e-6)
    assert report["confusion_matrix_rows_are_true"] == sklearn.metrics.confusion_matrix(targets, predicted).tolist()
    assert [line["recall"] for line in report["by_label"]] == pytest.approx(
        [expected[str(i)]["recall"] for i in range(4)]
    )
    assert evaluate.cross_entropy(probabilities, targets) == pytest.approx(
        sklearn.metrics.log_loss(targets, probabilities), rel=1e-5
    )


def test_of_many_labels_the_cells_that_are_not_zero_are_written_and_little_memory_is_taken() -> None:
    labels, rows = 10_000, 300
    generator = np.random.default_rng(3)
    probabilities = np.zeros((rows, labels), np.float32)
    targets = generator.integers(0, labels, rows).astype(np.int32)
    predicted = np.where(generator.random(rows) < 0.5, targets, generator.integers(0, labels, rows))
    probabilities[np.arange(rows), predicted] = 1
    tracemalloc.start()
    report = evaluate.report(probabilities, targets, [f"label {number}" for number in range(labels)])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30e6
    assert "confusion_matrix_rows_are_true" not in report
    cells = report["confusion_matrix_cells"]
    assert sum(cell["rows"] for cell in cells) == rows
    right = sum(cell["rows"] for cell in cells if cell["label"] == cell["predicted_label"])
    assert right / rows == pytest.approx(report["accuracy"])
    assert report["macro_f1"] == pytest.approx(
        sklearn.metrics.f1_score(targets, predicted, labels=np.unique(targets), average="macro"), abs=1e-6
    )
    assert len(json.dumps(report)) < 2e6


@pytest.mark.parametrize("more", [0, 1])
def test_a_matrix_and_its_cells_say_the_same(more: int) -> None:
    count = evaluate.MOST_LABELS_OF_A_MATRIX + more
    targets = np.array([0, 0, count - 1, 7, 7], np.int32)
    probabilities = np.eye(count, dtype=np.float32)[[0, 7, count - 1, 7, 7]]
    report = evaluate.report(probabilities, targets, range(count))
    if not more:
        matrix = np.array(report["confusion_matrix_rows_are_true"])
        assert matrix.sum() == 5
        assert (matrix[0, 0], matrix[0, 7], matrix[7, 7], matrix[-1, -1]) == (1, 1, 2, 1)
        return
    assert report["confusion_matrix_cells"] == [
        {"label": 0, "predicted_label": 0, "rows": 1},
        {"label": 0, "predicted_label": 7, "rows": 1},
        {"label": 7, "predicted_label": 7, "rows": 2},
        {"label": count - 1, "predicted_label": count - 1, "rows": 1},
    ]


def test_a_wrong_certainty_costs_much_but_not_infinitely() -> None:
    assert 10 < evaluate.cross_entropy(np.array([[1.0, 0.0]], np.float32), np.array([1], np.int32)) < 20


def test_outputs_come_in_the_order_of_the_rows() -> None:
    inputs = Inputs([np.full(1 + index % 7, index + 1, np.int32) for index in range(200)])
    outputs = evaluate.compute(lambda rows: FakeTensor(rows[:, :1].astype(np.float32)), inputs)
    assert outputs[:, 0].tolist() == list(range(1, 201))


def test_computing_ends_when_the_job_is_told_to_stop() -> None:
    interruption = Interruption()
    interruption.request()
    with pytest.raises(StoppedError):
        evaluate.compute(FakeTensor, Inputs(np.ones((3, 2), np.float32)), interruption)


class FakeTensor:
    """An array with the one method of a tensor that is used."""

    def __init__(self, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
        self.values = values

    def numpy(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return self.values


def test_the_vector_of_a_row_is_computed_once_when_it_is_first_asked_for() -> None:
    asked: list[int] = []

    def encode(rows: np.ndarray) -> tf.Tensor:
        asked.extend(rows[:, 0].tolist())
        return tf.constant(rows * 10.0)

    vectors = evaluate.Vectors(encode, Inputs(np.arange(6, dtype=np.float32)[:, np.newaxis]))
    assert vectors.of(np.array([4, 1])).tolist() == [[40], [10]]
    assert vectors.of(np.array([1, 2, 4])).tolist() == [[10], [20], [40]]
    assert vectors.of(np.array([2])).tolist() == [[20]]
    assert sorted(asked) == [1, 2, 4]
