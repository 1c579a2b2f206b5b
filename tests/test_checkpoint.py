"""Checkpoint files: the newest whole one of this run is found, whatever else is in the folder."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.training.loop import checkpoint
from classifier.training.loop.checkpoint import Checkpoint, Folder

RUN = "0123456789abcdef"


def at(epoch: int, step: int = 0) -> Checkpoint:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "scalar": np.array(epoch, np.int64),
        "empty": np.zeros((0, 3), np.float32),
        "matrix": np.full((2, 3), step + 0.5, np.float32).T,
    }
    return Checkpoint({"epoch": epoch, "step": step, "history": [{"loss": 0.25}]}, arrays)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "checkpoints", RUN)


def test_a_checkpoint_comes_back_as_it_was_saved_C12(folder: Folder) -> None:
    folder.save(at(2, 7))
    found = folder.newest()
    assert found is not None
    assert found.state == {"epoch": 2, "step": 7, "history": [{"loss": 0.25}]}
    for name, array in at(2, 7).arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].shape == array.shape


def test_without_a_folder_or_with_an_empty_one_there_is_none_C01(folder: Folder) -> None:
    assert folder.newest() is None
    folder.path.mkdir()
    assert folder.newest() is None


def test_the_newest_goes_before_the_others_and_a_step_after_its_epoch_C03(folder: Folder) -> None:
    for epoch, step in ((9, 0), (10, 0), (10, 3)):
        folder.save(at(epoch, step))
    found = folder.newest()
    assert found is not None
    assert (found.state["epoch"], found.state["step"]) == (10, 3)


@pytest.mark.parametrize("damage", ["truncated", "one byte changed", "emptied"])
def test_a_broken_one_falls_back_to_the_one_before_C08(
    folder: Folder, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder.save(at(1))
    folder.save(at(2))
    path = folder.path / f"checkpoint-{RUN}-0002-00000000.safetensors"
    content = path.read_bytes()
    damaged = {
        "truncated": content[:-5],
        "one byte changed": content[:-1] + bytes([content[-1] ^ 1]),
        "emptied": b"",
    }
    path.write_bytes(damaged[damage])
    found = folder.newest()
    assert found is not None
    assert found.state["epoch"] == 1
    assert "0002-00000000.safetensors note='broken" in caplog.text


def test_markers_and_unfinished_files_of_a_newer_epoch_are_not_taken_for_it_C06(folder: Folder) -> None:
    folder.save(at(1))
    newer = f"checkpoint-{RUN}-0009-00000000.safetensors"
    for suffix in (".sagemaker-uploading", ".sagemaker-uploaded", ".sagemaker-ignore", ".tmp"):
        (folder.path / (newer + suffix)).write_bytes(b"")
    found = folder.newest()
    assert found is not None
    assert found.state["epoch"] == 1


def test_the_last_three_are_kept_and_one_that_is_being_uploaded_C06_C07(folder: Folder) -> None:
    folder.save(at(1))
    marker = folder.path / f"checkpoint-{RUN}-0001-00000000.safetensors.sagemaker-uploading"
    marker.write_bytes(b"")
    for epoch in range(2, 7):
        folder.save(at(epoch))
    kept = [name for name in names(folder.path) if name.endswith(".safetensors")]
    assert [name.split("-")[2] for name in kept] == ["0001", "0004", "0005", "0006"]


def test_checkpoints_of_another_run_are_left_alone_and_mentioned_C08(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    Folder(folder.path, "f" * 16).save(at(5))
    assert folder.newest() is None
    assert "not used: 1 of other data, labels, encoder or hyperparameters; starting over" in caplog.text
    for epoch in range(1, 6):
        folder.save(at(epoch))
    assert len(names(folder.path)) == 3 + 1


def test_a_folder_that_cannot_be_written_ends_no_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    Folder(tmp_path / "file", RUN).save(at(1))
    assert "the job continues without it" in caplog.text


def test_a_full_disk_ends_no_job_and_leaves_no_part(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    folder.save(at(1))
    assert names(folder.path) == []


def test_the_digest_follows_everything_that_decides_the_outcome() -> None:
    weights = [np.ones(3, np.float32)]
    digests = {
        checkpoint.run_digest({"epochs": 3}, ["data"], weights=weights),
        checkpoint.run_digest({"epochs": 4}, ["data"], weights=weights),
        checkpoint.run_digest({"epochs": 3}, ["other"], weights=weights),
        checkpoint.run_digest({"epochs": 3}, ["data"], weights=[np.zeros(3, np.float32)]),
    }
    assert len(digests) == 4
    assert checkpoint.run_digest({"epochs": 3}, ["data"], weights=weights) in digests
