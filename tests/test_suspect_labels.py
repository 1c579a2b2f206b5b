"""Suspect labels: found by confident learning, listed by a job, and by the check of files before one."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.encoders import ngrams
from classifier.training import suspect_labels
from classifier.training.top_layer import Records
from jobs import Job, check_data, rows

LABELS = 4
CODES = ngrams.codes(50)
TOP = {"train_only_top_layer": "True"}
WORDS = (("good", "fine"), ("bad", "cold"))
# Two labels, which one word tells, and two rows with the other's.
SWAPPED = (11, 40)
PAIRS = [
    (index % 2 if index not in SWAPPED else 1 - index % 2, f"the {WORDS[index % 2][index // 2 % 2]} {word} {other}")
    for index, (word, other) in enumerate(
        [(word, other) for word in ("car", "door", "light", "film", "engine", "smoke") for other in ("red", "new")] * 6
    )
]


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
    parts = {"vectors": changed.vectors, "bags": changed.bags, without: None}
    found = suspect_labels.find(Records(**parts, targets=changed.targets, weights=changed.weights), LABELS)
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
    assert found is not None
    assert found.checked == 300
    assert np.isin(found.rows, wrong).mean() >= 0.9
    assert f"event=suspect_labels rows=300 of=400 suspects={len(found.rows)} seconds=" in caplog.text
    assert "event=suspect_labels note='not searched: 49 rows are too few'" in caplog.text


# --- jobs


def evaluation(job: Job) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((job.base / "output" / "data" / "evaluation.json").read_text())
    return content


def listed(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


SETTINGS = {
    "solved": TOP,
    "steps on vectors": {**TOP, "epochs": "1", "batch_size": "32"},
    "whole network": {"epochs": "1", "batch_size": "32", "learning_rate": "0"},
    "linear": {"model_id": "linear"},
}


@pytest.mark.parametrize("way", SETTINGS)
def test_a_job_lists_the_rows_by_place_whatever_it_trains(job: Job, way: str, caplog: pytest.LogCaptureFixture) -> None:
    if way == "linear":
        (job.base / "input" / "data" / "model").rename(job.base / "unused")
    job.channel("training", rows(PAIRS))
    job.configure(hyperparameters=SETTINGS[way])
    with caplog.at_level("INFO"):
        job.train()
    found = listed(job.base / "output" / "data" / "suspect_labels.csv")
    places = {row["place"]: row for row in found}
    assert [list(row) for row in found[:1]] == [["place", "label", "suggested_label", "score"]]
    for index in SWAPPED:
        row = places[f"training/data.csv:{index + 1}"]
        assert (row["label"], row["suggested_label"]) == (str(PAIRS[index][0]), str(1 - PAIRS[index][0]))
    assert {row["place"] for row in found[:2]} == {f"training/data.csv:{index + 1}" for index in SWAPPED}
    assert evaluation(job)["suspect_labels"] == {"rows": len(found), "checked": 72, "file": "suspect_labels.csv"}
    assert f"event=suspect_labels rows=72 of=72 suspects={len(found)} " in caplog.text
    assert not any(text in (job.base / "output" / "data" / "suspect_labels.csv").read_text() for _, text in PAIRS)


def test_a_job_that_does_not_want_the_list_has_none(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    job.channel("training", rows(PAIRS))
    job.configure(hyperparameters={**TOP, "suspect_labels": "False"})
    with caplog.at_level("INFO"):
        job.train()
    assert not (job.base / "output" / "data" / "suspect_labels.csv").exists()
    assert "suspect_labels" not in evaluation(job)
    assert "event=suspect_labels" not in caplog.text


# --- files


def test_files_are_searched_before_any_training(tmp_path: Path, tiny_encoder: Path) -> None:
    path, list_path = tmp_path / "data.csv", tmp_path / "list.csv"
    path.write_text(rows(PAIRS), encoding="utf-8")
    ended = check_data("check", path, "--model", tiny_encoder, "--deep", "--suspects", list_path)
    assert ended.returncode == 0, ended.stderr
    for index in SWAPPED:
        label = PAIRS[index][0]
        assert f"{path}:{index + 1}: label {label}, which may be {1 - label} (score " in ended.stdout
    found = listed(list_path)
    assert {row["place"] for row in found[:2]} == {f"{path}:{index + 1}" for index in SWAPPED}
    assert f"event=suspect_labels rows=72 of=72 suspects={len(found)} " in ended.stdout
    assert "problems: 0" in ended.stdout


def test_files_with_problems_are_not_searched(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(rows(PAIRS) + "2\n", encoding="utf-8")
    ended = check_data("check", path, "--deep")
    assert ended.returncode == 1
    assert "problems: 1" in ended.stdout
    assert "suspect" not in ended.stdout


def test_a_list_without_a_search_is_wrong_usage(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(rows(PAIRS), encoding="utf-8")
    ended = check_data("check", path, "--suspects", tmp_path / "list.csv")
    assert ended.returncode == 2
    assert "--suspects needs --deep" in ended.stderr
