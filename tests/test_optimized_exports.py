"""A faster form of a model is kept only where it was seen to give the model's labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from classifier import predictor
from classifier.backends import Computing, Encoded, openvino_model
from classifier.backends.choice import BFLOAT16, FLOAT32
from classifier.modalities.text import SMOKE_TEXTS
from classifier.predictor import Predictor
from classifier.training import optimized_exports
from classifier.training.data import Split
from classifier.training.interruption import Interruption
from classifier.training.optimized_exports import Checked
from jobs import Job, rows


def checked(count: int, *, right: float = 1.0) -> tuple[Checked, Any]:
    """Return rows that the model answers with label 0, and its answers; some of the rows are of label 1."""
    answers = np.tile(np.array([[0.6, 0.4]], np.float32), (count, 1))
    targets = (np.arange(count) >= right * count).astype(np.int32)
    split = Split(("a",) * count, targets, tuple(map(str, range(count))))
    return Checked(split, answers, np.zeros((0, 2), np.float32), held_out=True), answers.copy()


def changed(answers: Any, *places: int) -> Any:
    answers = answers.copy()
    for place in places:
        answers[place] = [0.4, 0.6]
    return answers


@pytest.mark.parametrize(("count", "most"), [(100, 1), (499, 1), (500, 1), (1000, 2), (1499, 2), (10_000, 20)])
def test_998_labels_of_a_thousand_must_stay_or_all_but_one_of_fewer_than_500(count: int, most: int) -> None:
    known, answers = checked(count, right=0.5)  # what changes is right as often as it was
    half = count // 2
    places = [place for pair in zip(range(half, count), range(half), strict=False) for place in pair]
    kept = optimized_exports.judged(BFLOAT16, changed(answers, *places[:most]), known, 0.0)
    lost = optimized_exports.judged(BFLOAT16, changed(answers, *places[: most + 1]), known, 0.0)
    assert kept.accepted
    assert kept.equal_labels == pytest.approx(1 - most / count)
    assert not lost.accepted
    assert f"{most + 1} of {count} labels" in lost.reason


def test_accuracy_may_fall_by_two_rows_of_a_thousand() -> None:
    known, answers = checked(1000)
    assert optimized_exports.judged(BFLOAT16, changed(answers, 1, 2), known, 0.0).accuracy_change == pytest.approx(
        -0.002
    )
    assert optimized_exports.judged(BFLOAT16, changed(answers, 1, 2), known, 0.0).accepted
    assert not optimized_exports.judged(BFLOAT16, changed(answers, 1, 2, 3), known, 0.0).accepted


def test_a_form_in_float32_must_give_the_probabilities_and_not_only_the_labels() -> None:
    known, answers = checked(10)
    assert optimized_exports.judged(FLOAT32, answers + np.float32(5e-4), known, 0.0).accepted
    assert not optimized_exports.judged(FLOAT32, answers + np.float32(2e-3), known, 0.0).accepted
    assert not optimized_exports.judged(FLOAT32, answers, known, 0.1).accepted  # the probes' difference
    assert optimized_exports.judged(BFLOAT16, answers + np.float32(2e-3), known, 0.1).accepted


class Shifted:
    """An engine whose every probability is off by as much."""

    precision = "bfloat16"

    def __init__(self, off: float) -> None:
        self.off = off

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return [Encoded(text, 1) for text in texts]

    def run_batch(self, batch: Sequence[Encoded]) -> Any:
        return np.tile(np.array([[0.6 - self.off, 0.4 + self.off]], np.float32), (len(batch), 1))


@pytest.mark.parametrize(("off", "accepted"), [(0.02, True), (0.04, False)])
def test_a_form_that_serve_might_take_for_a_damaged_model_is_not_accepted(
    monkeypatch: pytest.MonkeyPatch, off: float, accepted: bool
) -> None:
    known, _ = checked(100)
    known = replace(known, smoke_predictions=np.tile(np.array([[0.6, 0.4]], np.float32), (len(SMOKE_TEXTS), 1)))
    monkeypatch.setattr(openvino_model, "load", lambda *_, **__: Shifted(off))
    exported = Predictor(Shifted(0), ("a", "b"), {"encoder": {}})
    evidence = optimized_exports._evidence(BFLOAT16, Path(), exported, known, Interruption(), {"folds_case": False})
    assert (evidence.accepted, evidence.equal_labels) == (accepted, 1.0)
    assert accepted or "by 0.040" in evidence.reason


@pytest.mark.parametrize("count", [5, 1000])
def test_a_sample_of_rows_is_spread_over_all_of_them(count: int) -> None:
    known, _ = checked(count, right=0.5)
    some = known.sample(100)
    assert len(some.answers) == len(some.rows.records) == min(count, 100)
    assert some.rows.locations[:: len(some.answers) - 1] == ("0", str(count - 1))
    assert abs(float(some.rows.targets.mean()) - float(known.rows.targets.mean())) < 0.02


def test_without_validation_rows_no_form_that_rounds_is_accepted_and_the_manifest_says_why(job: Job) -> None:
    job.configure(hyperparameters={"epochs": "1", "validation_split_ratio": "0"})
    job.train()
    backends = job.manifest["engines"]
    assert backends[FLOAT32]["accepted"]
    assert not backends[BFLOAT16]["accepted"]
    assert "no validation rows" in backends[BFLOAT16]["reason"]


def test_a_transformer_that_can_not_be_converted_packed_is_exported_padded(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = openvino.convert_model

    def convert_padded(network: Any) -> Any:
        if len(network.inputs) - len(network.captured_inputs) > 1:
            raise RuntimeError
        return convert(network)

    monkeypatch.setattr(openvino, "convert_model", convert_padded)
    job.train()
    backends = job.manifest["engines"]
    assert backends[FLOAT32]["accepted"]
    assert "packed" not in backends
    predictor.load(job.model, Computing(FLOAT32))  # compares with the answers that training left


def test_a_word_network_has_the_faster_forms_too(tmp_path: Path) -> None:
    job = Job.create(tmp_path / "ml")
    job.channel("training", rows([(index % 2, f"word{index % 2} common tail {index}") for index in range(40)]))
    job.configure(hyperparameters={"model_id": "cnn", "epochs": "1", "embed_size": "8", "hidden_size": "6"})
    job.train()
    assert job.manifest["engines"][FLOAT32]["accepted"]
    assert job.manifest["engines"]["folds_case"]
    assert "packed" not in job.manifest["engines"]


def test_a_text_network_of_tensorflow_hub_that_takes_texts_has_none(tmp_path: Path) -> None:
    import tiny_hub

    job = Job.create(tmp_path / "ml", encoder=tiny_hub.write_letters(tmp_path / "hub"))
    job.train()
    assert "engines" not in job.manifest
