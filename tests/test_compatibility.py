"""What an earlier version of this image left behind still serves, resumes, trains further and is skipped.

The files in ``data/format-1`` were written by version 0.1.0 (commit 6d438ee): a job on the tiny encoder with its
checkpoint of the first of three epochs, its finished model, and a result of ``batch`` of that model.
"""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from batch_helpers import run, visible
from classifier import predictor
from classifier.backends import Computing
from classifier.backends.choice import ENGINES
from jobs import Job
from serving_helpers import serving

ARCHIVES = Path(__file__).parent / "data" / "format-1"


def unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(ARCHIVES / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return unpacked("model", tmp_path / "old" / "model")


@pytest.mark.parametrize("backend", ENGINES)
def test_an_earlier_model_answers_as_it_did_after_its_training(model: Path, backend: str) -> None:
    loaded = predictor.load(model, Computing(backend))  # compares with the answers that training left
    assert loaded.labels == (0, 1)
    assert loaded.predict(["the film was good"]).shape == (1, 2)


def test_an_earlier_model_is_served(model: Path) -> None:
    with serving(model) as server:
        answer = server.ask("the film was good", Content_Type="application/x-text", Accept="application/json;verbose")
    assert answer.status_code == 200
    assert answer.json()["labels"] == [0, 1]


def test_an_earlier_checkpoint_is_gone_on_from_and_ends_in_the_same_weights(
    tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job(unpacked("job", tmp_path / "ml"))
    given = json.loads((job.base / "input" / "config" / "hyperparameters.json").read_text(encoding="utf-8"))
    job.configure(hyperparameters={**given, "ngram_features": "false"})  # which the earlier version did not have
    with caplog.at_level("INFO"):
        job.train()
    assert "checkpoint-b4df57b65d0ebd38-0001-00000000.safetensors note='resumed from it'" in caplog.text
    assert "event=epoch epoch=1/3" not in caplog.text
    for name in ("head.safetensors", "encoder/model.safetensors"):
        ours, theirs = load_file(job.model / name), load_file(model / name)
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            np.testing.assert_allclose(value, theirs[key], atol=1e-5, err_msg=key)


def test_an_earlier_model_is_trained_further(tmp_path: Path, model: Path) -> None:
    job = Job.create(tmp_path / "ml", encoder=model)
    job.train()
    assert job.manifest["labels"] == [0, 1]


@pytest.mark.usefixtures("own_logging")
def test_an_earlier_result_of_batch_is_skipped(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = unpacked("batch", tmp_path / "files")
    before = (folder / "out" / "claims_output.csv").stat().st_mtime_ns
    assert run(model, folder / "claims.csv", folder / "out") == 3  # a row of it was rejected
    assert "note='finished before'" in "".join(capsys.readouterr())
    assert visible(folder / "out") == ["claims_output.csv", "claims_rejects.csv"]
    assert (folder / "out" / "claims_output.csv").stat().st_mtime_ns == before
