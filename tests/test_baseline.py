"""The baseline: n-grams alone on a job's validation rows, for every encoder of texts, and what is said of them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tiny_hub
from classifier.hyperparameters import Hyperparameters
from classifier.training import baseline
from classifier.training.baseline import Baseline, Texts
from jobs import ROWS, Job, rows

LINE = re.compile(r"event=baseline accuracy=[01]\.\d{6} macro_f1=[01]\.\d{6} seconds=\d+\.\d\n")
TARGETS = np.array([0, 1] * 10, np.int32)
RIGHT = np.eye(2, dtype=np.float32)[TARGETS]
HALF = np.tile(np.array([[0.6, 0.4]], np.float32), (20, 1))


def texts(count: int, length: int = 1) -> Texts:
    said = ("a good film ", "a bad car ")
    targets = (np.arange(count) % 2).astype(np.int32)
    return Texts([said[target] * length for target in targets], targets, np.ones(count, np.float32))


def test_a_model_that_is_better_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        found = Baseline(HALF, TARGETS, 1.23).report(RIGHT, Hyperparameters.parse({}))
    known = {"accuracy": 0.5, "macro_f1": pytest.approx(1 / 3), "rows": 20, "seconds": 1.2, "surpassed": True}
    assert found == known
    assert "event=baseline accuracy=0.500000 macro_f1=0.333333 seconds=1.2" in caplog.text
    assert "WARNING" not in caplog.text


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({}, "try more epochs; "),
        ({"train_only_top_layer": "True"}, "try train_only_top_layer=False; "),
        ({"ngram_features": "False"}, "try ngram_features=auto, which adds them to the model; more epochs; "),
    ],
)
def test_a_model_that_is_not_better_is_warned_of_with_what_to_try(
    given: dict[str, str], advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = Baseline(RIGHT[:, ::-1], TARGETS, 0).report(RIGHT[:, ::-1], Hyperparameters.parse(given))
    assert found["surpassed"] is False
    assert "not better than n-grams alone: accuracy 0.0000, and theirs 0.0000, on 20 validation rows" in found["note"]
    assert advice in found["note"]
    assert "model_id=linear" in found["note"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_model_as_good_as_perfect_n_grams_is_not_warned_of() -> None:
    assert Baseline(RIGHT, TARGETS, 0).report(RIGHT, Hyperparameters.parse({}))["surpassed"] is True


def test_the_metric_that_decides_is_the_jobs() -> None:
    mostly = np.where(np.arange(20) < 15, 0, 1)
    always_first, others = HALF, np.eye(2, dtype=np.float32)[np.where(np.arange(20) < 9, 1, mostly)]
    for metric, surpassed in (("accuracy", False), ("macro_f1", True)):
        found = Baseline(always_first, mostly, 0).report(others, Hyperparameters.parse({"eval_metric": metric}))
        assert found["surpassed"] is surpassed


def test_n_grams_of_texts_are_learnt(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        learned = baseline.learned(texts(60), texts(20), 2, Hyperparameters.parse({}), lambda: False)
    assert learned is not None
    found, judged = learned
    assert judged.tolist() == list(range(20))
    assert found.probabilities.argmax(axis=1).tolist() == found.targets.tolist()
    assert "event=baseline rows=60 of=60 validation_rows=20" in caplog.text


@pytest.mark.parametrize(("given", "perfect"), [({}, True), ({"max_sequence_length": "256"}, False)])
def test_n_grams_far_into_a_text_are_learnt_unless_the_job_reads_less(given: dict[str, str], perfect: bool) -> None:
    training, validation = (
        Texts([f"{'so ' * 300}{text}" for text in each.records], each.targets, each.weights)
        for each in (texts(60), texts(20))
    )
    learned = baseline.learned(training, validation, 2, Hyperparameters.parse(given), lambda: False)
    assert learned is not None
    found, _ = learned
    assert (found.probabilities.argmax(axis=1).tolist() == found.targets.tolist()) is perfect


def test_of_many_texts_the_same_part_is_read_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "MOST_CHARACTERS", 1000)
    found = [baseline.learned(texts(600), texts(300), 2, Hyperparameters.parse({}), lambda: False) for _ in "12"]
    (first, judged), (again, judged_again) = (each for each in found if each is not None)
    assert 50 < len(judged) < 110
    assert judged.tolist() == judged_again.tolist() == sorted(judged.tolist())
    np.testing.assert_array_equal(first.probabilities, again.probabilities)


def test_too_few_validation_rows_judge_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert baseline.learned(texts(60), texts(9), 2, Hyperparameters.parse({}), lambda: False) is None
    assert "not learnt: 9 validation rows are too few to judge by" in caplog.text


def test_too_few_texts_of_many_labels_are_no_baseline(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(baseline, "MOST_CHARACTERS", 50_000)
    with caplog.at_level("INFO"):
        assert baseline.learned(texts(600), texts(300), 1000, Hyperparameters.parse({}), lambda: False) is None
    assert "rows of 1000 labels would be too few" in caplog.text


def evaluation(job: Job) -> dict[str, dict[str, float]]:
    content: dict[str, dict[str, float]] = json.loads(
        (job.base / "output" / "data" / "evaluation.json").read_text(encoding="utf-8")
    )
    return content


@pytest.mark.parametrize("whole", [True, False])
def test_a_job_reports_the_baseline(job: Job, whole: bool, caplog: pytest.LogCaptureFixture) -> None:
    job.configure(
        hyperparameters={"epochs": "1", "validation_split_ratio": "0.34"} if whole else {"train_only_top_layer": "True"}
    )
    with caplog.at_level("INFO"):
        job.train()
    assert len(LINE.findall(caplog.text)) == 1
    assert {"accuracy", "macro_f1", "seconds", "surpassed"} <= set(evaluation(job)["baseline"])
    assert "baseline" not in evaluation(job)["top_layer"]


def test_an_encoder_that_tokenizes_in_its_own_graph_has_a_baseline_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job.create(tmp_path / "ml")
    job.channel("training", rows(ROWS * 6))
    tiny_hub.write_letters(job.base / "input" / "data" / "model")
    job.configure(hyperparameters={"train_only_top_layer": "True"})
    with caplog.at_level("INFO"):
        job.train()
    assert len(LINE.findall(caplog.text)) == 1
    assert evaluation(job)["baseline"]["accuracy"] > 0.9
    assert not any(text in caplog.text for _, text in ROWS)


def test_the_n_grams_of_a_linear_model_are_the_model_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    job = Job.create(tmp_path / "ml")
    job.configure(hyperparameters={"model_id": "linear"})
    with caplog.at_level("INFO"):
        job.train()
    assert len(LINE.findall(caplog.text)) == 1
    assert "surpassed" not in evaluation(job)["baseline"]
