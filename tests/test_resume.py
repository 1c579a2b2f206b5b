"""An interrupted job goes on where it stopped: kill it, run it again, and compare with one that was left alone."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from jobs import ROWS, Job, rows

SETTINGS = {"epochs": "3", "batch_size": "4", "validation_split_ratio": "0.34", "learning_rate": "0.001"}
EPOCH = re.compile(r"event=epoch epoch=(\d)/3")


def new_job(base: Path, encoder: Path, **settings: str) -> Job:
    job = Job.create(base, encoder=encoder)
    job.channel("training", rows(ROWS * 4))
    job.configure(hyperparameters={**SETTINGS, **settings})
    return job


def weights(job: Job) -> dict[str, np.ndarray]:
    return {**load_file(job.model / "head.safetensors"), **load_file(job.model / "encoder" / "model.safetensors")}


def assert_same_outcome(job: Job, other: Job) -> None:
    """Compare the models, and the figures of all epochs but for how fast they were."""
    mine, theirs = weights(job), weights(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        np.testing.assert_allclose(value, theirs[name], atol=1e-5, err_msg=name)
    histories = []
    for each in (job, other):
        evaluation = json.loads((each.base / "output" / "data" / "evaluation.json").read_text())
        histories.append([{**epoch, "examples_per_second": 0.0} for epoch in evaluation["epochs"]])
    assert histories[0] == [pytest.approx(epoch, abs=1e-5) for epoch in histories[1]]


def kill_at(job: Job, words: str, number: signal.Signals) -> str:
    """Run the job, send it a signal at the first line with these words, and return the whole log."""
    process = job.start()
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            process.send_signal(number)
            break
    else:
        raise AssertionError("".join(lines))
    rest, _ = process.communicate(timeout=120)
    return "".join(lines) + rest


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Job:
    """A job that nothing interrupts."""
    job = new_job(tmp_path_factory.mktemp("straight") / "ml", tiny_encoder)
    job.train()
    return job


@pytest.fixture
def interrupted(tmp_path: Path, tiny_encoder: Path) -> Callable[..., Job]:
    def make(**settings: str) -> Job:
        return new_job(tmp_path / "ml", tiny_encoder, **settings)

    return make


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_is_killed_after_its_first_epoch_goes_on_with_the_second_C03_C10_C12(
    straight: Job, interrupted: Callable[..., Job], number: signal.Signals
) -> None:
    job = interrupted()
    kill_at(job, "-0001-00000000.safetensors", number)
    again = job.run()
    assert again.returncode == 0, again.stdout
    first = EPOCH.findall(again.stdout)[0]
    assert first in "23"
    assert EPOCH.findall(again.stdout)[-1] == "3"
    assert "going on from it" in again.stdout
    assert_same_outcome(job, straight)
