"""A disk that is full: the job ends with the folder, the bytes that are free, and the setting that makes it larger."""

import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from classifier.errors import UserError
from classifier.resources import full_disk, room_for
from jobs import TRAIN, Job

SETTING = "give the job a larger disk by volume_size (VolumeSizeInGB"
Mount = Callable[[Path, str], None]
# Where the disk is, below the job's folder; its size; what could not be written.
TABLE: Mapping[str, tuple[str, str, str]] = {
    "a model whose SavedModel has no room": ("model", "128k", "the model could not be written"),
    "a model whose weights have no room": ("model", "512k", "the model could not be written"),
    "a model whose form for OpenVINO has no room": ("model", "1m", "the model could not be written"),
    "figures that have no room": ("output", "4k", "the model's metrics could not be written"),
    "an archive of the model channel that has no room": ("tmp", "64k", "what is in model.tar.gz could not be written"),
}


@pytest.fixture
def mount() -> Iterator[Mount]:
    mounted: list[Path] = []

    def on(folder: Path, size: str) -> None:
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False)
        if done.returncode:
            pytest.skip("needs the right to mount a small disk")
        mounted.append(folder)

    yield on
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize("kind", TABLE)
def test_a_full_disk_is_named_with_what_is_free_and_the_setting(
    deeper_job: Job, mount: Mount, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    job = deeper_job  # the sizes of the disks are for its files
    where, size, words = TABLE[kind]
    folder = job.base / where
    mount(folder, size)
    if where == "tmp":
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        channel = job.base / "input" / "data" / "model"
        with tarfile.open(job.base / "model.tar.gz", "w:gz") as archive:
            archive.add(channel, ".")
        for path in sorted(channel.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (job.base / "model.tar.gz").rename(channel / "model.tar.gz")
    with pytest.raises(UserError) as error, room_for("the job's files", Path(tempfile.gettempdir())):
        job.train()
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{folder}")
    assert re.search(r"the disk is full \(No space left on device\): [\d,]+ of [\d,]+ bytes are free; ", line)
    assert words in line
    assert SETTING in line
    kept = {path.name for path in folder.rglob("*") if path.is_file() and path.parent.name != "tensorboard"}
    assert kept <= {"evaluation.json"}  # which had room


def test_a_job_whose_files_may_not_be_large_says_so_in_its_failure_file_and_loses_only_checkpoints_before(
    deeper_job: Job,
) -> None:
    job = deeper_job
    process = job.start("bash", "-c", f"ulimit -f 100; exec {TRAIN}")
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 1, output
    assert job.failure.startswith(
        f"{job.model}: the model could not be written because the disk is full (File too large): "
    )
    assert SETTING in job.failure
    assert "Internal error" not in job.failure
    assert re.search(
        r"WARNING event=checkpoint note='not written: .*; the job continues without it; give the job a", output
    )


def test_another_error_is_no_full_disk(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another"), room_for("the model", tmp_path):
        raise ValueError("another")
    assert not full_disk(OSError(2, "No such file or directory"))
    assert full_disk(RuntimeError("IoError: No space left on device (os error 28)")) == "No space left on device"
