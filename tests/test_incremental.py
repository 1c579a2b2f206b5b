"""Training further, from a model of this image: the head is kept, extended or new, and metrics are compared."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from classifier import TEXT, predictor
from classifier.backends import Computing
from classifier.backends.choice import TENSORFLOW
from classifier.errors import UserError
from classifier.modalities import MODALITIES
from classifier.training import warm_start
from classifier.training.data import Data, Split
from jobs import ROWS, Job, rows

NO_TOP_LAYER = warm_start.TopLayerWeights(np.zeros((1, 2), np.float32), np.zeros(2, np.float32))
PLAIN = {"batch_size": "4", "validation_split_ratio": "0.34", "ngram_features": "false"}
STILL = {**PLAIN, "epochs": "1", "learning_rate": "0"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shallow_encoder: Path) -> Path:
    """A model of two labels that has learnt something."""
    job = Job.create(tmp_path_factory.mktemp("trained") / "ml", encoder=shallow_encoder)
    job.configure(hyperparameters={**PLAIN, "epochs": "3", "learning_rate": "0.01"})
    job.train()
    return job.model


@pytest.fixture
def further(tmp_path: Path, trained: Path) -> Callable[..., Job]:
    """A job on that model, packed as SageMaker packs it, that changes no weight unless told to."""

    def make(**settings: str) -> Job:
        job = Job.create(tmp_path / "further")
        (job.base / "input" / "data" / "model").mkdir()
        with tarfile.open(job.base / "input" / "data" / "model" / "model.tar.gz", "w:gz") as archive:
            archive.add(trained, ".")
        job.configure(hyperparameters={**STILL, **settings})
        return job

    return make


def earlier_model(reference_rows: tuple[warm_start.ReferenceRow, ...]) -> warm_start.Previous:
    return warm_start.Previous(
        family="bert",
        name="x",
        encoder=Path(),
        labels=("a", "b"),
        top_layer=NO_TOP_LAYER,
        max_sequence_length=16,
        salt="salt",
        reference_rows=reference_rows,
    )


def head(model: Path) -> dict[str, np.ndarray[Any, Any]]:
    weights: dict[str, np.ndarray[Any, Any]] = load_file(model / "head.safetensors")
    return weights


def test_with_the_same_labels_encoder_and_head_are_kept_T80_T81(
    trained: Path, further: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    job = further()
    with caplog.at_level("INFO"):
        job.train()
    np.testing.assert_array_equal(head(job.model)["kernel"], head(trained)["kernel"])
    before, after = (predictor.load(model, Computing(TENSORFLOW)) for model in (trained, job.model))
    texts = [text for _, text in ROWS]
    np.testing.assert_allclose(after.predict(texts), before.predict(texts), atol=1e-5)
    assert "event=top_layer kept_labels=2 new_labels=0: none" in caplog.text
    assert "event=golden rows=4" in caplog.text
    assert "note='not worse'" in caplog.text


def test_loose_files_of_a_model_in_a_folder_of_their_own_are_read_T80(
    trained: Path, further: Callable[..., Job]
) -> None:
    job = further()
    rmtree(job.base / "input" / "data" / "model")
    copytree(trained, job.base / "input" / "data" / "model" / "mine")
    job.train()
    np.testing.assert_array_equal(head(job.model)["kernel"], head(trained)["kernel"])


def test_a_new_label_gets_a_column_beside_the_old_ones_and_is_named(
    trained: Path, further: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    job = further()
    job.channel("training", rows([(index % 3 + 1, text) for index, (_, text) in enumerate(ROWS)]))
    with caplog.at_level("INFO"):
        job.train()
    assert predictor.load(job.model).labels == (0, 1, 2, 3)
    kernel = head(job.model)["kernel"]
    np.testing.assert_array_equal(kernel[:, :2], head(trained)["kernel"])
    assert np.abs(kernel[:, 2:]).max() > 0
    assert "event=top_layer kept_labels=2 new_labels=2: 2, 3" in caplog.text
    assert "no training row has these labels, so the model may forget them: 0'" in caplog.text


def test_true_makes_a_new_head_for_the_labels_of_the_data_alone(trained: Path, further: Callable[..., Job]) -> None:
    job = further(reinitialize_top_layer="True")
    job.channel("training", rows([(index % 2 + 1, text) for index, (_, text) in enumerate(ROWS)]))
    job.train()
    assert predictor.load(job.model).labels == (1, 2)
    assert np.abs(head(job.model)["kernel"] - head(trained)["kernel"]).max() > 0
    before = load_file(trained / "encoder" / "model.safetensors")
    after = load_file(job.model / "encoder" / "model.safetensors")
    assert all(np.array_equal(after[name], value) for name, value in before.items())


def test_false_keeps_the_head_of_a_model_and_is_refused_where_there_is_none_T81(
    further: Callable[..., Job], job: Job
) -> None:
    further(reinitialize_top_layer="False").train()
    job.configure(hyperparameters={"reinitialize_top_layer": "False"})
    with pytest.raises(UserError, match="there is no trained top layer to keep"):
        job.train()


@pytest.mark.parametrize(("judged", "answers"), [([1, 0], [1, 0]), (None, [0, 1])])
def test_the_answers_compared_are_those_before_the_earlier_model_learnt_the_rows_if_they_are_there(
    trained: Path, tmp_path: Path, judged: list[int] | None, answers: list[int]
) -> None:
    model = tmp_path / "model"
    copytree(trained, model)
    golden = json.loads((model / "golden.json").read_text(encoding="utf-8"))
    labels = json.loads((model / "labels_info.json").read_text(encoding="utf-8"))["labels"]
    golden["rows"] = [
        {"salted_sha256": str(row), "label": 0, "probabilities": [1.0 - row, row]}
        | ({} if judged is None else {"judged": judged[row]})
        for row in range(2)
    ]
    (model / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    previous = warm_start.read(model, MODALITIES[TEXT])
    assert previous is not None
    assert [row.answer for row in previous.reference_rows] == [labels[answer] for answer in answers]


def test_a_fall_on_the_rows_the_model_was_scored_on_is_said(caplog: pytest.LogCaptureFixture) -> None:
    texts = ("one", "two", "three")
    golden = tuple(warm_start.ReferenceRow(warm_start.salted_hash("salt", text), "a", "a") for text in texts[:2])
    before = earlier_model(golden)
    split = Split(texts, np.zeros(3, np.int32), ("f:1", "f:2", "f:3"))
    rows_now = Data(("a", "b"), split, split, split, "digest")
    judged = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]], np.float32)
    after_it_learnt_them = np.array([[0.9, 0.1], [0.9, 0.1]], np.float32)
    warm_start.compare(before, rows_now, split, judged, lambda _: after_it_learnt_them)
    assert "event=golden rows=2 trained_on=0 accuracy_before=1.000000 accuracy_after=0.500000" in caplog.text
    assert "the model is worse on them" in caplog.text


@pytest.mark.parametrize(
    ("known", "held_out", "warned"), [("two", True, True), ("two", False, False), ("x", True, False)]
)
def test_rows_that_the_earlier_model_may_have_learnt_are_warned_of_where_they_are_held_out(
    caplog: pytest.LogCaptureFixture, known: str, *, held_out: bool, warned: bool
) -> None:
    golden = (warm_start.ReferenceRow(warm_start.salted_hash("salt", known), "a", "a"),)
    before = earlier_model(golden)
    training, validation = (Split((text,), np.zeros(1, np.int32), ("f:1",)) for text in ("one", "two"))
    rows_now = Data(("a", "b"), training, validation, validation.take(np.zeros(0, np.int64)), "", held_out=held_out)
    warm_start.warn_of_known_rows(before, rows_now)
    assert ("provide rows that are new to it on a validation channel" in caplog.text) == warned


def test_a_new_label_that_may_be_a_text_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    labels = ("a", "b", "my brakes are gone", "c", "smoke " * 7)
    split = Split(("x",) * 7, np.array([0, 1, 2, 3, 3, 4, 4], np.int32), ("f:1",) * 7)
    with caplog.at_level("INFO"):
        warm_start.report_labels(("a", "b"), Data(labels, split, split, split, ""))
    assert "new_labels=3: c, and 2 not shown" in caplog.text
    assert "brakes" not in caplog.text
    assert "smoke" not in caplog.text


def test_model_id_must_be_of_the_kind_that_is_trained_further(further: Callable[..., Job]) -> None:
    with pytest.raises(UserError, match="model_id=cnn: the model channel holds a model with a bert encoder"):
        further(model_id="cnn").train()


def test_without_any_row_in_common_there_is_nothing_to_compare(
    further: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    job = further()
    job.channel("training", rows([(label, f"{text} again") for label, text in ROWS]))
    with caplog.at_level("INFO"):
        job.train()
    assert "nothing to compare" in caplog.text


def test_labels_of_another_kind_than_the_models_are_refused(further: Callable[..., Job]) -> None:
    job = further()
    job.channel("training", rows([(f"label {label}", text) for label, text in ROWS]))
    with pytest.raises(UserError, match=r"training/data.csv:1: the labels are names, and those of the model"):
        job.train()


@pytest.mark.parametrize("part", ["head.safetensors", "1/saved_model.pb", "golden.json"])
def test_a_model_that_lacks_a_part_is_refused(trained: Path, further: Callable[..., Job], part: str) -> None:
    job = further()
    rmtree(job.base / "input" / "data" / "model")
    copytree(trained, job.base / "input" / "data" / "model")
    (job.base / "input" / "data" / "model" / part).unlink()
    with pytest.raises(UserError, match=part.rpartition("/")[2]):
        job.train()


def test_a_bare_savedmodel_with_labels_is_served_and_not_trained(trained: Path, further: Callable[..., Job]) -> None:
    job = further()
    folder = job.base / "input" / "data" / "model"
    rmtree(folder)
    copytree(trained / "1", folder / "1")
    (folder / "labels_info.json").write_text(json.dumps({"labels": ["negative", "positive"]}))
    with pytest.raises(UserError, match="it can be served as it is, but training needs"):
        job.train()
    served = predictor.load(folder)
    assert served.labels == ("negative", "positive")
    expected = predictor.load(trained, Computing(TENSORFLOW)).predict(["good", "a bad film"])
    np.testing.assert_allclose(served.predict(["good", "a bad film"]), expected, atol=1e-6)
