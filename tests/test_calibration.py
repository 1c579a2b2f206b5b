"""Temperatures: what they are fitted to, when they are used, and that everything that answers has them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from classifier import predictor
from classifier.backends import Computing
from classifier.backends.choice import FLOAT32, TENSORFLOW
from classifier.hyperparameters import Hyperparameters
from classifier.training import calibration, evaluate
from classifier.training.calibration import FEWEST_ROWS
from classifier.training.loop.progress import Run
from classifier.training.loop.scoring import Scores
from classifier.training.model import Network, softmax
from classifier.training.solving import ScoredNetwork
from jobs import Job, rows

Probabilities = NDArray[np.float32]
Targets = NDArray[np.int32]


def sampled(count: int, labels: int = 4, seed: int = 0) -> tuple[NDArray[np.float32], Targets]:
    """Return logits, and labels that have the probabilities of these."""
    generator = np.random.default_rng(seed)
    logits = (2 * generator.standard_normal((count, labels))).astype(np.float32)
    chances = softmax(logits).cumsum(axis=1)
    targets = (chances < generator.random((count, 1))).sum(axis=1)
    return logits, np.minimum(targets, labels - 1).astype(np.int32)


def calibrated(probabilities: Probabilities, targets: Targets, **settings: str) -> ScoredNetwork:
    scores = Scores(np.arange(len(targets)), probabilities)
    metrics: dict[str, float] = {} if not len(targets) else evaluate.metrics(probabilities, targets, "accuracy")
    nothing: Any = None  # of the network, only the temperature is set
    scored = ScoredNetwork(Network(nothing, nothing, nothing), Run(scores=scores, metrics=metrics), scores)
    return calibration.calibrated(scored, targets, Hyperparameters.parse(settings))


def test_the_error_is_the_mean_difference_of_confidence_and_accuracy_over_the_bins() -> None:
    probabilities = np.array([[0.95, 0.05], [0.05, 0.95], [0.94, 0.06], [0.55, 0.45], [0.5, 0.5]], np.float32)
    targets = np.array([0, 0, 0, 1, 0], np.int32)
    found = calibration.reliability(probabilities, targets)
    assert [(each["rows"], each["accuracy"]) for each in found["bins"]] == [
        (1, 1.0),
        (1, 0.0),
        (3, pytest.approx(2 / 3)),
    ]
    assert [each["confidence"] for each in found["bins"]] == pytest.approx([0.5, 0.55, 2.84 / 3])
    assert found["ece"] == pytest.approx((0.5 + 0.55 + abs(2.84 - 2)) / 5)
    assert [round(each["from"] * 15) for each in found["bins"]] == [7, 8, 14]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_probabilities_were_off_by_is_found(temperature: float) -> None:
    logits, targets = sampled(20_000)
    off = softmax(logits * np.float32(temperature))
    assert calibration.fit(off, targets) == pytest.approx(temperature, rel=0.05)
    np.testing.assert_allclose(calibration.scaled(off, temperature), softmax(logits), atol=1e-5)


def test_a_temperature_changes_no_label_not_even_where_probabilities_are_0_and_1() -> None:
    logits, _ = sampled(2_000)
    for factor in (1.0, 40.0, 1000.0):
        probabilities = softmax(logits * np.float32(factor))
        for temperature in (0.15, 0.9, 2.5, 4.9):
            scaled = calibration.scaled(probabilities, temperature)
            assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()
            np.testing.assert_allclose(scaled.sum(axis=1), 1, atol=1e-5)


def test_answers_that_are_all_right_do_not_become_certainties() -> None:
    probabilities = softmax(np.tile(np.array([2.0, 0.0], np.float32), (200, 1)))
    temperature = calibration.fit(probabilities, np.zeros(200, np.int32))
    top = calibration.scaled(probabilities, temperature)[0, 0]
    assert 0.99 < top < 1 - 1 / 500


@pytest.mark.parametrize(("labels", "factor"), [(2, 2.0), (4, 0.5), (40, 1.7)])
def test_a_network_that_is_off_is_calibrated_with_its_scores_and_loss(labels: int, factor: float) -> None:
    logits, targets = sampled(2_000, labels)
    probabilities = softmax(logits * np.float32(factor))
    found = calibrated(probabilities, targets)
    temperature = found.network.temperature
    assert temperature == pytest.approx(factor, rel=0.15)
    assert found.calibration["temperature"] == temperature
    before, after = (found.calibration["validation"][name]["ece"] for name in ("before", "after"))
    assert after < before / 2
    np.testing.assert_allclose(
        found.run.scores.probabilities, softmax(logits * np.float32(factor / temperature)), atol=1e-5
    )
    assert found.run.metrics["val_loss"] < evaluate.cross_entropy(probabilities, targets)
    assert found.run.metrics["val_accuracy"] == evaluate.accuracy(probabilities, targets)
    new_logits, new_targets = sampled(2_000, labels, seed=1)
    new = softmax(new_logits * np.float32(factor))
    errors = [calibration.reliability(each, new_targets)["ece"] for each in (new, calibration.scaled(new, temperature))]
    assert errors[1] < errors[0] / 2


def test_what_is_calibrated_already_stays_so() -> None:
    logits, targets = sampled(20_000)
    for seed in range(20):
        few_logits, few_targets = sampled(FEWEST_ROWS, seed=seed + 1)
        temperature = calibrated(softmax(few_logits), few_targets).network.temperature
        scaled = calibration.scaled(softmax(logits), temperature)
        before, after = (calibration.reliability(each, targets)["ece"] for each in (softmax(logits), scaled))
        assert after < before + 0.005


@pytest.mark.parametrize(
    ("count", "settings", "words"),
    [
        (0, {}, "there are no validation rows"),
        (FEWEST_ROWS - 1, {}, f"there are fewer than {FEWEST_ROWS} validation rows"),
        (2_000, {"calibrate": "False"}, "calibrate=False"),
    ],
)
def test_where_nothing_is_fitted_everything_stays_and_the_log_says_why(
    count: int, settings: dict[str, str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    logits, targets = sampled(2_000)
    probabilities = softmax(2 * logits)[:count]
    with caplog.at_level("INFO"):
        found = calibrated(probabilities, targets[:count], **settings)
    assert found.network.temperature == 1
    assert found.run.scores.probabilities is probabilities
    assert caplog.messages == [f"event=calibration temperature=1 note='not calibrated: {words}'"]
    assert found.calibration.get("method", "none") == "none"


def test_probabilities_that_tell_nothing_are_left_alone_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    generator = np.random.default_rng(0)
    probabilities = softmax((30 * generator.standard_normal((500, 3))).astype(np.float32))
    found = calibrated(probabilities, generator.integers(0, 3, 500).astype(np.int32))
    assert found.network.temperature == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "tell little of which answers are right" in caplog.text


def test_of_many_rows_with_many_labels_a_sample_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MOST_NUMBERS", 4 * 1_500)
    logits, targets = sampled(4_000)
    found = calibrated(softmax(2 * logits), targets)
    assert found.calibration["rows"] == 1_500
    assert len(found.run.scores.probabilities) == 4_000
    assert found.network.temperature == pytest.approx(2, rel=0.15)


# A network that is sure of itself, and validation rows of which a quarter have another label.
SURE = {"train_only_top_layer": "True", "epochs": "20", "learning_rate": "0.1", "ngram_features": "true"}
WORDS = ("good", "bad", "red", "new", "old", "hot")
TEXTS = [f"the {other} is {word}" for word in WORDS for other in ("car", "door", "light")]
PAIRS = [(WORDS.index(text.split()[-1]) % 2, text) for text in TEXTS * 12]


def sure(job: Job, **settings: str) -> Job:
    job.channel("training", rows(PAIRS))
    job.channel(
        "validation", rows([((label + (index % 4 == 0)) % 2, text) for index, (label, text) in enumerate(PAIRS)])
    )
    job.channel("test", rows(PAIRS))
    job.configure(hyperparameters={**SURE, **settings})
    job.train()
    return job


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> tuple[Job, Job]:
    """The same job, calibrated and not."""
    folder = tmp_path_factory.mktemp("calibrated")
    jobs = [Job.create(folder / name, encoder=tiny_encoder) for name in ("auto", "false")]
    return sure(jobs[0], target_precision="0.6"), sure(jobs[1], calibrate="False")


def evaluation(job: Job) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((job.base / "output" / "data" / "evaluation.json").read_text(encoding="utf-8"))
    return content


def test_every_backend_answers_with_the_temperature(trained: tuple[Job, Job]) -> None:
    job, plain = trained
    temperature = job.manifest["calibration"]["temperature"]
    assert temperature > 1.1
    for name in (TENSORFLOW, FLOAT32):
        answers, before = (predictor.load(each.model, Computing(name)).predict(TEXTS) for each in trained)
        np.testing.assert_allclose(answers, calibration.scaled(before, temperature), atol=1e-4)
        assert (answers.argmax(axis=1) == before.argmax(axis=1)).all()
        assert answers.max(axis=1).mean() < before.max(axis=1).mean() - 0.02
    assert plain.manifest["calibration"]["temperature"] == 1


def test_the_reports_have_the_errors_before_and_after(trained: tuple[Job, Job]) -> None:
    job, plain = trained
    written = evaluation(job)["calibration"]
    assert (written["method"], written["rows"]) == ("temperature", len(PAIRS))
    before, after = written["validation"]["before"], written["validation"]["after"]
    assert after["ece"] < before["ece"]
    assert sum(each["rows"] for each in after["bins"]) == len(PAIRS)
    assert job.manifest["calibration"] == {
        "temperature": written["temperature"], "ece_before": before["ece"], "ece_after": after["ece"],
    }  # fmt: skip
    errors = written["test"]
    assert errors["before"]["ece"] == pytest.approx(evaluation(plain)["calibration"]["test"]["after"]["ece"], abs=1e-4)
    assert errors["after"]["ece"] > errors["before"]["ece"]  # of the test rows, none has another label
    assert evaluation(plain)["calibration"]["method"] == "none"
    assert evaluation(job)["validation"] == evaluation(plain)["validation"]
    assert job.manifest["metrics"]["val_loss"] < plain.manifest["metrics"]["val_loss"]
    assert job.manifest["metrics"]["val_accuracy"] == plain.manifest["metrics"]["val_accuracy"]


def test_training_further_starts_from_the_weights_before_calibration(trained: tuple[Job, Job]) -> None:
    calibrated_layer, plain_layer = (load_file(job.model / "head.safetensors") for job in trained)
    assert calibrated_layer.keys() == plain_layer.keys()
    for name, weights in calibrated_layer.items():
        np.testing.assert_array_equal(weights, plain_layer[name])


def test_the_job_says_what_its_thresholds_reach(trained: tuple[Job, Job]) -> None:
    job, plain = trained
    written = evaluation(job)["abstention"]
    assert {key: written[key] for key in job.manifest["abstention"]} == job.manifest["abstention"]
    assert written["target_precision"] == 0.6
    assert written["precision"] >= 0.6
    assert written["test"]["rows"] == len(PAIRS)
    assert set(evaluation(plain)["abstention"]) == {"curve"}
    assert "abstention" not in plain.manifest


def test_probabilities_that_are_0_in_float32_are_scaled_as_their_logits_are() -> None:
    logits = np.full((1, 10_000), -1_000, np.float32)
    logits[0, :3] = 0, -10, -150
    probabilities = softmax(logits)
    assert (probabilities[0, 2:] == 0).all()
    exact = softmax(logits / np.float32(calibration.LARGEST))
    np.testing.assert_allclose(calibration.scaled(probabilities, calibration.LARGEST), exact, atol=5e-4)
