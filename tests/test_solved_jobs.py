"""Jobs whose top layer is solved, and jobs with n-grams beside a network, from data to served answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import tiny_bert
from classifier import predictor
from classifier.backends import Computing
from classifier.backends.choice import FLOAT32, TENSORFLOW
from classifier.environment import Environment
from classifier.training import program
from classifier.training.loop.scoring import ROWS_SCORED_WHEN_STOPPED
from jobs import Job, StopsAt, logged, rows

TOP = {"train_only_top_layer": "True"}
# The label is told by a pair of words, which the mean of an untrained encoder's vectors hardly knows.
PAIRS = [
    (index % 2, f"{('the film was', 'was the film')[index % 2]} {word} {other}")
    for index, (word, other) in enumerate(
        [(word, other) for word in ("good", "bad", "red", "new", "old", "hot") for other in ("car", "door", "light")]
        * 4
    )
]
TEST = [text for _, text in PAIRS[:20]] + ["", "an unknown text", "the film was was the film"]


def evaluation(job: Job) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((job.base / "output" / "data" / "evaluation.json").read_text())
    return content


def train(job: Job, data: list[tuple[int, str]] = PAIRS, settings: Mapping[str, str] = TOP) -> None:
    job.channel("training", rows(data))
    job.configure(hyperparameters=settings)
    job.train()


@dataclass(frozen=True)
class Solved:
    """A job whose top layer was solved, which nobody changes, and what it logged."""

    job: Job
    lines: list[str]


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Solved:
    """Of an encoder of two layers, whose vectors hardly know the order of words: n-grams do."""
    job = Job.create(tmp_path_factory.mktemp("solved") / "ml", encoder=tiny_encoder)
    with logged() as lines:
        train(job)
    return Solved(job, lines)


def test_a_frozen_encoder_without_settings_of_steps_is_solved(solved: Solved) -> None:
    job, lines = solved.job, solved.lines
    assert any(line.startswith("event=solved features=vectors width=32") for line in lines)
    assert any(line.startswith("event=solved features=ngrams") for line in lines)
    assert sum(line.startswith("event=epoch epoch=1/1 loss=") for line in lines) == 1
    assert any(line.startswith("Epoch 1 - loss: ") for line in lines)
    assert any(line.startswith("event=baseline accuracy=1.0") for line in lines)
    assert job.manifest["metrics"]["val_accuracy"] == 1.0
    assert job.manifest["top_layer"]["ngram_features"] is True
    assert job.manifest["top_layer"]["refit"] is True
    written = evaluation(job)
    assert {**written["top_layer"], "baseline": written["baseline"]} == job.manifest["top_layer"]


@pytest.mark.parametrize("setting", [{"epochs": "2"}, {"learning_rate": "0.01"}, {"dropout_rate": "0.1"}])
def test_a_job_that_says_how_to_train_in_steps_is_obeyed(
    job: Job, caplog: pytest.LogCaptureFixture, setting: dict[str, str]
) -> None:
    with caplog.at_level("INFO"):
        train(job, settings={**TOP, **setting, "ngram_features": "false"})
    assert "event=plan epochs=" in caplog.text
    assert "event=solved features=vectors" not in caplog.text
    assert not (job.model / "ngrams.safetensors").exists()
    assert "event=baseline accuracy=" in caplog.text


def test_every_backend_answers_what_was_trained(solved: Solved) -> None:
    assert solved.job.manifest["top_layer"]["ngram_features"] is True
    answers = [predictor.load(solved.job.model, Computing(name)).predict(TEST) for name in (TENSORFLOW, FLOAT32)]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-4)
    assert (answers[0][:20].argmax(axis=1) == [label for label, _ in PAIRS[:20]]).all()
    assert solved.job.manifest["engines"]["packed"]["ngrams_of"] == len(tiny_bert.VOCABULARY)


def test_without_n_grams_the_model_is_dropout_and_a_dense_layer(job: Job) -> None:
    train(job, settings={**TOP, "ngram_features": "false"})
    assert not (job.model / "ngrams.safetensors").exists()
    assert set(load_file(job.model / "head.safetensors")) == {"kernel", "bias"}
    assert job.manifest["top_layer"]["ngram_features"] is False


def test_n_grams_beside_a_network_that_was_trained_as_a_whole(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        train(job, settings={"epochs": "1", "learning_rate": "0"})
    assert "event=ngram_features ngram_features=True" in caplog.text
    assert job.manifest["metrics"]["val_accuracy"] == 1.0
    answers = predictor.load(job.model).predict(TEST)[:20]
    assert (answers.argmax(axis=1) == [label for label, _ in PAIRS[:20]]).all()


@pytest.mark.parametrize(("refit", "learns"), [("auto", False), ("true", True), ("false", False)])
def test_the_validation_channel_is_not_learnt_from_unless_asked_for(job: Job, refit: str, *, learns: bool) -> None:
    job.channel("validation", rows([(1 - label, text) for label, text in PAIRS]))
    train(job, settings={**TOP, "refit": refit})
    assert job.manifest["top_layer"]["refit"] is learns


def test_the_metrics_are_those_from_before_the_validation_rows_were_learnt(job: Job) -> None:
    coins = np.random.default_rng(1).integers(0, 2, 90).tolist()
    words = [(first, second) for first in "abcdefghi" for second in "0123456789"]
    data = [(label, f"{first} {second}") for label, (first, second) in zip(coins, words, strict=True)]
    reports, answers = [], []
    for refit in ("auto", "false"):
        train(job, data, settings={**TOP, "refit": refit})
        misclassified = (job.base / "output" / "data" / "misclassified.csv").read_text()
        reports.append([misclassified, evaluation(job)["validation"], job.manifest["metrics"]])
        answers.append(predictor.load(job.model, Computing(TENSORFLOW)).predict([text for _, text in data]))
    assert reports[0] == reports[1]
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


def test_without_validation_rows_everything_is_learnt_and_nothing_is_reported(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        train(job, settings={**TOP, "validation_split_ratio": "0"})
    assert "val_accuracy" not in caplog.text
    assert predictor.load(job.model).predict(TEST).shape == (len(TEST), 2)


def test_a_solved_model_is_trained_further_with_its_n_grams(solved: Solved, tmp_path: Path) -> None:
    further = Job.create(tmp_path / "further", encoder=solved.job.model)
    # Rows of one old label and a new one; the other old label must not be forgotten.
    train(further, [(label or 2, text.replace("the film was", "a car is")) for label, text in PAIRS])
    model = predictor.load(further.model)
    assert model.labels == (0, 1, 2)
    known = ["the film was good car", "the film was old door"]
    before = predictor.load(solved.job.model).predict(known)[:, 0]
    assert (before > 0.5).all()
    assert (model.predict(known)[:, 0] > 1e-4).all()
    new = model.predict(["a car is good car", "a car is old door"]).argmax(axis=1)
    assert (new == 2).all()


def test_the_kept_network_of_a_model_with_n_grams_starts_without_their_share(job: Job, tmp_path: Path) -> None:
    train(job, settings={"epochs": "1", "learning_rate": "0", "ngram_features": "true"})
    further = Job.create(tmp_path / "further", encoder=job.model)
    train(further, settings={"epochs": "1", "learning_rate": "0", "ngram_features": "false"})
    alone = Job.create(tmp_path / "alone", encoder=job.base / "input" / "data" / "model")
    train(alone, settings={"epochs": "1", "learning_rate": "0", "ngram_features": "false"})
    first, second = (predictor.load(each.model).predict(TEST) for each in (further, alone))
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_the_same_job_twice_gives_the_same_model(solved: Solved, tmp_path: Path, tiny_encoder: Path) -> None:
    job = Job.create(tmp_path / "ml", encoder=tiny_encoder)
    train(job)
    first, second = (predictor.load(each.model).predict(TEST) for each in (solved.job, job))
    np.testing.assert_array_equal(first, second)


def test_a_job_that_is_stopped_once_its_top_layer_is_solved_in_half_precision_has_a_model(job: Job) -> None:
    job.channel("training", rows(PAIRS * 2))
    job.channel("validation", rows(PAIRS * 2))
    job.configure(hyperparameters={**TOP, "mixed_precision": "bfloat16"})
    with logged() as lines:
        program.train(Environment.from_environ(job.environ), StopsAt("event=ngram_features", lambda: "\n".join(lines)))
    assert any("event=baseline" in line for line in lines)
    assert predictor.load(job.model)
    judged = sum(label["rows"] for label in evaluation(job)["validation"]["by_label"])
    assert judged == 2 * len(PAIRS) > ROWS_SCORED_WHEN_STOPPED


def test_class_weights_count_in_a_solved_top_layer(job: Job) -> None:
    data = [(0, f"good film {index}") for index in range(60)] + [(1, f"good film {index}") for index in range(12)]
    train(job, data, settings={**TOP, "validation_split_ratio": "0.2"})
    plain = predictor.load(job.model).predict(["good film 3"])[0, 1]
    train(job, data, settings={**TOP, "validation_split_ratio": "0.2", "class_weights": "balanced"})
    assert predictor.load(job.model).predict(["good film 3"])[0, 1] > plain
