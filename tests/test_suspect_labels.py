"""The search for suspect labels: what it finds, what it leaves alone, and when it is left out."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

from classifier import hashing
from classifier.encoders import ngrams
from classifier.hyperparameters import Hyperparameters
from classifier.training import suspect_labels
from classifier.training.interruption import Interruption
from classifier.training.solving import Task
from classifier.training.top_layer import Records

LABELS = 4
CODES = hashing.codes(50)


def records(count: int, *, noise: float = 0.3, seed: int = 1) -> Records:
    """Return rows of four labels that vectors and tokens tell apart."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, LABELS, count).astype(np.int32)
    vectors = generator.normal(size=(count, 8)).astype(np.float32) * noise
    vectors[np.arange(count), targets] += 1
    tokens = [np.array([1 + label, *generator.integers(10, 50, 4)], np.int32) for label in targets]
    return Records(vectors, ngrams.bags(tokens, CODES), targets, np.ones(count, np.float32))


def with_wrong_labels(found: Records, share: float, seed: int = 1) -> tuple[Records, NDArray[np.int64]]:
    """Return rows of which some have another label, and their indices."""
    generator = np.random.default_rng(seed)
    count = len(found.targets)
    wrong = generator.permutation(count)[: round(share * count)]
    targets = found.targets.copy()
    targets[wrong] = (targets[wrong] + generator.integers(1, LABELS, len(wrong))) % LABELS
    return Records(found.vectors, found.bags, targets, found.weights), wrong


def test_wrong_labels_are_found_with_the_right_ones_suggested() -> None:
    given = records(400)
    changed, wrong = with_wrong_labels(given, 0.1)
    found = suspect_labels.find(changed, LABELS)
    right = np.isin(found.rows, wrong)
    assert right.mean() >= 0.9
    assert right.sum() >= 0.9 * len(wrong)
    assert (found.suggested[right] == given.targets[found.rows[right]]).all()
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


def test_right_labels_leave_the_list_short() -> None:
    assert len(suspect_labels.find(records(400), LABELS).rows) <= 4


@pytest.mark.parametrize("without", ["vectors", "bags"])
def test_vectors_or_n_grams_alone_are_enough(without: str) -> None:
    changed, wrong = with_wrong_labels(records(400), 0.1)
    nothing: dict[str, Any] = {without: None}
    found = suspect_labels.find(replace(changed, **nothing), LABELS)
    assert np.isin(found.rows, wrong).sum() >= 0.7 * len(wrong)


def test_scores_are_those_of_a_regression_that_has_not_seen_the_row() -> None:
    given = records(60)
    inputs = suspect_labels.features(given)
    scores = suspect_labels.left_out(inputs, given.targets, LABELS)
    for row in (0, 31):
        others = np.arange(60) != row
        centered, mean = inputs[others] - inputs[others].mean(axis=0), inputs[others].mean(axis=0)
        wanted = np.eye(LABELS)[given.targets[others]]
        products = centered.T @ centered + suspect_labels.PENALTY * np.eye(inputs.shape[1])
        kernel = np.linalg.solve(products, centered.T @ (wanted - wanted.mean(axis=0)))
        expected = (inputs[row] - mean) @ kernel + wanted.mean(axis=0)
        np.testing.assert_allclose(scores[row], expected, atol=1e-3)


def test_scores_of_sparse_features_are_those_of_the_same_dense_ones() -> None:
    given = records(200)
    sparse: Any = suspect_labels.features(replace(given, vectors=None))
    assert scipy.sparse.issparse(sparse)
    one, other = (suspect_labels.left_out(each, given.targets, LABELS) for each in (sparse, sparse.toarray()))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_label_keeps_a_row_and_one_without_rows_is_never_suggested() -> None:
    given = records(200)
    targets = np.where(given.targets == 3, 2, given.targets).astype(np.int32)
    targets[0] = 3 if given.targets[0] != 3 else 0  # the only row of its label, and wrong
    found = suspect_labels.find(Records(given.vectors, given.bags, targets, given.weights), LABELS + 1)
    assert LABELS not in found.suggested
    for label in np.unique(targets):
        assert (targets[found.rows] == label).sum() < (targets == label).sum()


def test_of_too_many_rows_a_random_part_is_searched_and_few_rows_are_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    changed, wrong = with_wrong_labels(records(400), 0.1)
    monkeypatch.setattr(suspect_labels, "MOST_ROWS", 300)
    with caplog.at_level("INFO"):
        found = suspect_labels.search(400, changed.take, LABELS, seed=1)
        assert suspect_labels.search(49, changed.take, LABELS, seed=1) is None
        assert suspect_labels.search(400, replace(changed, vectors=None, bags=None).take, LABELS, seed=1) is None
    assert found is not None
    assert found.checked == 300
    assert np.isin(found.rows, wrong).mean() >= 0.9
    assert f"event=suspect_labels rows=300 of=400 suspects={len(found.rows)} seconds=" in caplog.text
    assert "event=suspect_labels note='not searched: 49 rows are too few'" in caplog.text
    assert "event=suspect_labels note='not searched: there are neither vectors nor n-grams to search by'" in caplog.text


def test_the_log_says_why_a_job_does_not_search(caplog: pytest.LogCaptureFixture) -> None:
    def searches(*, alone: bool = True, stopped: bool = False, wanted: bool = True) -> bool:
        cluster: Any = SimpleNamespace(alone=alone)
        interruption = Interruption()
        if stopped:
            interruption.request()
        settings = Hyperparameters.parse({"suspect_labels": str(wanted)})
        nothing: Any = None
        task = Task(
            training=nothing,
            sharded=False,
            validation=nothing,
            held_out=False,
            hyperparameters=settings,
            prior=None,
            cluster=cluster,
            interruption=interruption,
        )
        return task.searches_labels()

    with caplog.at_level("INFO"):
        assert searches()
        assert not searches(wanted=False)
        assert not caplog.records
        assert not searches(alone=False)
        assert not searches(stopped=True)
    assert [record.getMessage() for record in caplog.records] == [
        "event=suspect_labels note='not searched: the job has several hosts'",
        "event=suspect_labels note='not searched: the job was told to stop, or has no time left'",
    ]


@pytest.mark.parametrize("words", [4, 16])
def test_twenty_thousand_rows_of_one_text_end_the_search_well(words: int) -> None:
    bags = ngrams.bags([np.arange(1, words + 1, dtype=np.int32)] * suspect_labels.MOST_ROWS, CODES)
    targets = np.random.default_rng(1).integers(0, 2, suspect_labels.MOST_ROWS).astype(np.int32)
    rows = Records(None, bags, targets, np.ones(len(targets), np.float32))
    found = suspect_labels.search(len(targets), rows.take, 2, seed=1)
    assert found is not None
    assert len(found.rows) == 0
