"""The figures of a model, against scikit-learn's."""

import numpy as np
import pytest
import sklearn.metrics

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
