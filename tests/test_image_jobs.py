"""Whole jobs on images, in this process: what trains, what is written, and what answers."""

import csv
import json
import logging
import signal
from pathlib import Path
from shutil import copytree

import numpy as np
import openvino
import pandas as pd
import pytest
from safetensors.numpy import load_file

import drawn_images
import tiny_images
from classifier import DEFAULT_IMAGE_ENCODER, predictor
from classifier.backends import Computing
from classifier.backends.choice import FLOAT32, TENSORFLOW
from classifier.errors import UserError
from classifier.training import data, suspect_labels
from jobs import SHARED, Job

pytestmark = pytest.mark.usefixtures("own_logging")

MOBILENET = SHARED / "encoders" / "mobilenet_2_5_224_tf_no_top.h5"
FLOWERS = SHARED / "data" / "images" / "flowers5"
FROM_SCRATCH = {"model_id": "cnn"}
SETTINGS = {"epochs": "1", "batch_size": "8", "validation_split_ratio": "0.34"}


def job_of_images(base: Path, *, encoder: bool = False, **settings: str) -> Job:
    """Return a job on drawn images, whose encoder is a tiny SavedModel or begins from nothing."""
    job = Job(base)
    drawn_images.write(base / "input" / "data" / "training", range(6))
    if encoder:
        tiny_images.write_hub(base / "input" / "data" / "model")
    job.configure(hyperparameters={**SETTINGS, **({} if encoder else FROM_SCRATCH), **settings})
    return job


def test_folders_of_images_train_a_model_that_answers_as_it_did_in_training_T84(tmp_path: Path) -> None:
    job = job_of_images(tmp_path)
    job.train()
    assert job.manifest["modality"] == "image"
    assert job.manifest["labels"] == list(drawn_images.LABELS)
    assert set(job.manifest["encoder"]) == {"family", "name", "pooling", "height", "width"}
    assert job.manifest["engines"][FLOAT32]["accepted"]
    asked = [drawn_images.encoded(label, 50) for label in drawn_images.LABELS]
    slow, fast = (predictor.load(job.model, Computing(backend)).predict(asked) for backend in (TENSORFLOW, FLOAT32))
    np.testing.assert_allclose(slow, fast, atol=1e-3)


@pytest.fixture(scope="module")
def by_default(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job without hyperparameters."""
    job = job_of_images(tmp_path_factory.mktemp("by-default"))
    job.configure(hyperparameters={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suspect_labels, "FEWEST_ROWS", 18)
        job.train()
    return job


def test_a_job_without_hyperparameters_trains_the_top_layer_of_the_encoder_in_the_image(by_default: Job) -> None:
    manifest = by_default.manifest
    assert {name: manifest["encoder"][name] for name in ("family", "name", "height")} == {
        "family": "efficientnet", "name": DEFAULT_IMAGE_ENCODER, "height": 256
    }  # fmt: skip
    assert manifest["hyperparameters"]["train_only_top_layer"] is True
    assert manifest["engines"][FLOAT32]["accepted"]
    asked = [drawn_images.encoded(label, number) for label in drawn_images.LABELS for number in range(50, 54)]
    slow, fast = (
        predictor.load(by_default.model, Computing(backend)).predict(asked) for backend in (TENSORFLOW, FLOAT32)
    )
    np.testing.assert_allclose(slow, fast, atol=1e-3)
    assert np.mean(slow.argmax(axis=1) == np.repeat([0, 1, 2], 4)) >= 0.9


def test_a_damaged_model_of_images_is_not_said_to_need_texts(by_default: Job, tmp_path: Path) -> None:
    model = copytree(by_default.model, tmp_path / "model")
    manifest = {**by_default.manifest, "encoder": {**by_default.manifest["encoder"], "height": 8}}
    (model / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UserError, match=r"inputs, which are images \(.*\); its files are damaged .* deploy all that"):
        predictor.load(model)


def test_images_with_labels_that_may_be_wrong_are_sought(by_default: Job) -> None:
    report = json.loads((by_default.base / "output" / "data" / "evaluation.json").read_text(encoding="utf-8"))
    assert report["suspect_labels"]["checked"] == 18


def test_a_job_that_trains_the_whole_encoder_in_the_image_further_is_killed_and_goes_on(
    tmp_path: Path, by_default: Job
) -> None:
    job = job_of_images(tmp_path)
    job.configure(hyperparameters={**SETTINGS, "epochs": "2", "train_only_top_layer": "False"})
    copytree(by_default.model, tmp_path / "input" / "data" / "model")
    job.stop_at("-0001-00000000.safetensors", signal.SIGKILL)
    ended = job.run()
    assert ended.returncode == 0, ended.stdout
    assert "resumed from it" in ended.stdout
    assert job.manifest["encoder"] == by_default.manifest["encoder"]
    ours, theirs = (load_file(each.model / "encoder" / "model.safetensors") for each in (job, by_default))
    changed = {name.rpartition(".")[2] for name in ours if not np.array_equal(ours[name], theirs[name])}
    assert changed == {"weight", "bias"}, "means and variances are kept"


def test_the_wrong_ones_of_the_images_held_out_are_listed_by_their_files_the_surest_first(tmp_path: Path) -> None:
    job = job_of_images(tmp_path, encoder=True)
    job.train()
    with (tmp_path / "output" / "data" / "misclassified.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    report = json.loads((tmp_path / "output" / "data" / "evaluation.json").read_text(encoding="utf-8"))["validation"]
    held_out = sum(label["rows"] for label in report["by_label"])
    assert len(rows) == round(held_out * (1 - report["accuracy"]))
    for row in rows:
        assert row["place"].startswith(f"training/{row['label']}/")
        assert row["label"] != row["predicted_label"]
    chances = [float(row["probability"]) for row in rows]
    assert chances == sorted(chances, reverse=True)


@pytest.mark.parametrize("only_top", ["True", "False"])
def test_a_saved_model_of_tensorflow_hub_trains_and_has_a_faster_form(tmp_path: Path, only_top: str) -> None:
    job = job_of_images(tmp_path, encoder=True, train_only_top_layer=only_top)
    job.train()
    assert job.manifest["encoder"]["family"] == "hub_image"
    assert job.manifest["engines"][FLOAT32]["accepted"]


@pytest.mark.parametrize("augmentation", ["True", "False"])
def test_a_frozen_encoder_computes_once_unless_each_image_is_another_every_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, augmentation: str
) -> None:
    caplog.set_level(logging.INFO)
    job = job_of_images(tmp_path, encoder=True, train_only_top_layer="True", augmentation=augmentation)
    job.train()
    log = caplog.text
    assert ("event=encoded" in log) == (augmentation == "False")
    trainable = (tiny_images_width(job) + 1) * len(drawn_images.LABELS)
    assert f"trainable_parameters={trainable}" in log


def tiny_images_width(job: Job) -> int:
    return int(load_file(job.model / "head.safetensors")["kernel"].shape[0])


def test_a_model_of_images_is_trained_further_on_images_only(tmp_path: Path) -> None:
    first = job_of_images(tmp_path / "first", encoder=True)
    first.train()
    again = job_of_images(tmp_path / "again")
    again.configure(hyperparameters=SETTINGS)
    copytree(first.model, tmp_path / "again" / "input" / "data" / "model")
    again.train()
    assert again.manifest["encoder"] == first.manifest["encoder"]
    other = Job.create(tmp_path / "other", encoder=first.model)
    with pytest.raises(UserError, match="holds a model of images, and the training data are texts"):
        other.train()


def test_when_a_model_can_not_be_converted_the_log_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)

    def refuse(_: object) -> None:
        logging.getLogger().setLevel(logging.ERROR)  # as the library does
        raise RuntimeError

    monkeypatch.setattr(openvino, "convert_model", refuse)
    job = job_of_images(tmp_path, encoder=True, train_only_top_layer="True")
    job.train()
    assert "not converted: RuntimeError" in caplog.text
    assert "event=exported" in caplog.text
    assert job.manifest["engines"] == {}


def test_an_image_stays_on_its_side_when_others_are_added() -> None:
    buckets = pd.Series(np.random.default_rng(1).random(400))
    labels = pd.Series(["a", "b"] * 200)
    held_out = data.hold_out_by_hash(labels, buckets, 0.2)
    more = data.hold_out_by_hash(pd.concat([labels, labels]), pd.concat([buckets, 1 - buckets]), 0.2)
    assert 0.15 < held_out.mean() < 0.25
    assert (more[:400] == held_out).all()


def test_every_label_keeps_an_image_to_learn_from_whatever_their_names_say() -> None:
    buckets = pd.Series([0.01, 0.02, 0.03, 0.5])
    held_out = data.hold_out_by_hash(pd.Series(["a", "a", "b", "b"]), buckets, 0.9)
    assert held_out.tolist() == [True, False, True, False]


@pytest.mark.skipif(not MOBILENET.exists(), reason="needs shared/encoders and shared/data")
def test_photographs_are_told_apart_with_a_pretrained_network_of_keras(tmp_path: Path) -> None:
    job = Job(tmp_path)
    for role, channel in (("training", "train"), ("test", "test")):
        (tmp_path / "input" / "data").mkdir(parents=True, exist_ok=True)
        (tmp_path / "input" / "data" / role).symlink_to(FLOWERS / channel)
    (tmp_path / "input" / "data" / "model").mkdir()
    (tmp_path / "input" / "data" / "model" / MOBILENET.name).symlink_to(MOBILENET)
    job.configure(hyperparameters={"train_only_top_layer": "True", "validation_split_ratio": "0"})
    job.train()
    served = predictor.load(job.model)
    files = sorted((FLOWERS / "test").rglob("*.jpg"))
    answers = served.predict([served.decode(file.read_bytes()) for file in files]).argmax(axis=1)
    right = [served.labels[answer] == file.parent.name for answer, file in zip(answers, files, strict=True)]
    assert np.mean(right) >= 0.75  # logistic regression on the same vectors: 0.79 to 0.80
