"""An interrupted job is resumed: kill it, run it again, and compare it with one that ran without interruption."""

import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pytest
from safetensors.numpy import load_file

import tiny_bert
from classifier.environment import Environment
from classifier.training import program, recipe, solving
from classifier.training.interruption import Interruption
from jobs import ROWS, TRAIN, Job, many_labels, rows

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
    """Compare the models, and the metrics of all epochs except their speed."""
    mine, theirs = weights(job), weights(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        np.testing.assert_allclose(value, theirs[name], atol=1e-5, err_msg=name)
    histories = []
    for each in (job, other):
        evaluation = json.loads((each.base / "output" / "data" / "evaluation.json").read_text())
        histories.append([{**epoch, "examples_per_second": 0.0} for epoch in evaluation["epochs"]])
    assert histories[0] == [pytest.approx(epoch, abs=1e-5) for epoch in histories[1]]


class StopsWithinSecondEpoch(Interruption):
    """Is told to stop at the third look after the first checkpoint: one before the epoch, one before each step."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.looks = 0

    def requested(self) -> bool:
        self.looks += bool(checkpoints(self.job))
        return self.looks > 3


class StopsWithinScoring(Interruption):
    """Is told to stop while rows are scored after the second epoch's last step."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def told_to_stop(self) -> bool:
        if checkpoints(self.job):
            self.request()
        return super().told_to_stop()


def checkpoints(job: Job) -> list[Path]:
    return sorted((job.base / "checkpoints").glob("*.safetensors"))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, shallow_encoder: Path) -> Job:
    """A job that nothing interrupts."""
    job = new_job(tmp_path_factory.mktemp("straight") / "ml", shallow_encoder)
    job.train()
    return job


@pytest.fixture
def finished(tmp_path: Path, straight: Job) -> Job:
    """The same in a folder of its own."""
    copytree(straight.base, tmp_path / "finished")
    return Job(tmp_path / "finished")


@pytest.fixture
def interrupted(tmp_path: Path, shallow_encoder: Path) -> Callable[..., Job]:
    def make(**settings: str) -> Job:
        return new_job(tmp_path / "ml", shallow_encoder, **settings)

    return make


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_is_killed_after_its_first_epoch_goes_on_with_the_second_C03_C10_C12(
    straight: Job, interrupted: Callable[..., Job], number: signal.Signals
) -> None:
    job = interrupted()
    job.stop_at("-0001-00000000.safetensors", number)
    again = job.run()
    assert again.returncode == 0, again.stdout
    first = EPOCH.findall(again.stdout)[0]
    assert first in "23"
    assert EPOCH.findall(again.stdout)[-1] == "3"
    assert "resumed from it" in again.stdout
    assert_same_outcome(job, straight)


def test_the_same_job_twice_gives_the_same_model_U09(straight: Job, interrupted: Callable[..., Job]) -> None:
    job = interrupted()
    job.train()
    assert_same_outcome(job, straight)


def test_a_job_that_is_stopped_within_an_epoch_goes_on_with_its_next_step_C10(
    straight: Job, interrupted: Callable[..., Job]
) -> None:
    job = interrupted()
    program.train(Environment.from_environ(job.environ), StopsWithinSecondEpoch(job))
    assert checkpoints(job)[-1].name.endswith("-0001-00000003.safetensors")
    job.train()
    assert_same_outcome(job, straight)


def test_a_job_that_is_stopped_while_it_scores_goes_on_with_the_scoring_C10(
    straight: Job, interrupted: Callable[..., Job]
) -> None:
    job = interrupted()
    program.train(Environment.from_environ(job.environ), StopsWithinScoring(job))
    assert checkpoints(job)[-1].name.endswith("-0001-00000008.safetensors")
    job.train()
    assert_same_outcome(job, straight)


def test_a_broken_newest_checkpoint_costs_an_epoch_and_no_more_C08(
    straight: Job, finished: Job, caplog: pytest.LogCaptureFixture
) -> None:
    newest = checkpoints(finished)[-1]
    newest.write_bytes(newest.read_bytes()[:-1000])
    rmtree(finished.model)
    with caplog.at_level("INFO"):
        finished.train()
    assert "note='broken" in caplog.text
    assert EPOCH.findall(caplog.text) == ["3"]
    assert_same_outcome(finished, straight)


def test_a_finished_job_exports_its_model_again_without_training_C04(
    straight: Job, finished: Job, caplog: pytest.LogCaptureFixture
) -> None:
    rmtree(finished.model)
    with caplog.at_level("INFO"):
        finished.train()
    assert EPOCH.findall(caplog.text) == []
    assert_same_outcome(finished, straight)
    assert len(checkpoints(finished)) == 3


@pytest.mark.parametrize("change", ["data", "hyperparameters"])
def test_a_checkpoint_of_another_job_is_left_alone_and_the_job_starts_over_C08(
    interrupted: Callable[..., Job], change: str, caplog: pytest.LogCaptureFixture
) -> None:
    job = interrupted(epochs="1")
    job.train()
    before = checkpoints(job)
    if change == "data":
        job.channel("training", rows(ROWS * 3))
    else:
        job.configure(hyperparameters={**SETTINGS, "epochs": "1", "dropout_rate": "0.3"})
    job.train()
    assert "of other data, labels, encoder or hyperparameters; starting over" in caplog.text
    assert set(before) < set(checkpoints(job))


def test_checkpoints_go_to_the_folder_that_their_configuration_names_C02(
    interrupted: Callable[..., Job], tmp_path: Path
) -> None:
    job = interrupted(epochs="1")
    job.configure(checkpointconfig={"LocalPath": str(tmp_path / "elsewhere"), "S3Uri": "s3://b/p"})
    job.train()
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1
    assert not (job.base / "checkpoints").exists()


def test_the_top_layer_alone_goes_on_too_C12(tmp_path: Path, shallow_encoder: Path) -> None:
    whole = new_job(tmp_path / "whole", shallow_encoder, train_only_top_layer="True")
    whole.train()
    job = Job(copytree(whole.base, tmp_path / "interrupted"))
    for path in checkpoints(job)[1:]:
        path.unlink()
    rmtree(job.model)
    job.train()
    assert_same_outcome(job, whole)


def test_a_job_whose_top_layer_starts_solved_goes_on_without_solving_again_C12(
    tmp_path: Path, shallow_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    for name in ("straight", "interrupted"):
        job = new_job(tmp_path / name, shallow_encoder)
        job.channel("training", rows(many_labels(recipe.MANY_LABELS)))
        job.configure(hyperparameters={"epochs": "3", "batch_size": "16", "validation_split_ratio": "0.34"})
        jobs.append(job)
    straight, interrupted = jobs
    straight.train()
    program.train(Environment.from_environ(interrupted.environ), StopsWithinSecondEpoch(interrupted))
    assert checkpoints(interrupted)[-1].name.endswith("-0001-00000003.safetensors")
    monkeypatch.setattr(solving, "start", lambda *_: pytest.fail("the checkpoint has the top layer"))
    interrupted.train()
    assert_same_outcome(interrupted, straight)


# Runs `train`, which gets a signal once the encoder has computed two batches.
SIGNALLED = """
import os, runpy, sys

program, interval, number = sys.argv[1:]
sys.path.insert(0, os.path.dirname(program))
from classifier.training import vector_parts

vector_parts.SECONDS_BETWEEN_CHECKPOINTS = float(interval)
add, batches = vector_parts._Unsaved.add, []

def add_and_signal(self, vectors):
    add(self, vectors)
    batches.append(vectors)
    if len(batches) == 2:
        os.kill(os.getpid(), int(number))

vector_parts._Unsaved.add = add_and_signal
runpy.run_path(program, run_name="__main__")
"""


def frozen_job(base: Path, encoder: Path, settings: dict[str, str]) -> Job:
    """Return a job whose encoder reads 300 texts of several lengths once."""
    job = Job.create(base, encoder=encoder)
    words = [word for word in tiny_bert.VOCABULARY if word.isalpha()][:25]
    job.channel("training", rows([(label, f"{text} {word}") for word in words for label, text in ROWS]))
    job.configure(hyperparameters={"train_only_top_layer": "True", "validation_split_ratio": "0.34", **settings})
    return job


@pytest.mark.parametrize(
    ("settings", "stop"),
    [({}, (signal.SIGTERM, 600)), ({}, (signal.SIGKILL, -1)), ({"epochs": "2"}, (signal.SIGTERM, 600))],
    ids=["solved, told to stop", "solved, killed", "in steps, told to stop"],
)
def test_a_job_that_ends_while_its_encoder_reads_the_rows_goes_on_with_the_others_C03_C10_C12(
    tmp_path: Path,
    shallow_encoder: Path,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, str],
    stop: tuple[signal.Signals, int],
) -> None:
    number, interval = stop
    straight, job = (frozen_job(tmp_path / name, shallow_encoder, settings) for name in ("straight", "interrupted"))
    straight.train()
    process = job.start(sys.executable, "-c", SIGNALLED, str(TRAIN), str(interval), str(int(number)))
    output, _ = process.communicate(timeout=180)
    told = number == signal.SIGTERM
    assert process.returncode == (1 if told else -number), output
    assert ("stopped before its first training step" in job.failure) == told
    assert not job.model.exists()
    assert output.count("event=vectors file=vectors-") == len(checkpoints(job)) == (1 if told else 2)
    with caplog.at_level("INFO"):
        job.train()
    assert "event=vectors rows=128 of=198 note='read from checkpoints'" in caplog.text
    assert_same_outcome(job, straight)
