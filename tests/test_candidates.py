"""``model_id=auto`` and ``time_budget``: several candidates, the best of which is kept, within the time given."""

import csv
import itertools
import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

import drawn_images
from classifier import predictor
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters, remarks
from classifier.training import candidates, program, suspect_labels
from classifier.training import job as training
from classifier.training.interruption import Interruption, StoppedError, TimeLimit, WithinTime
from jobs import ROWS, Job, StopsAt, logged, rows

SETTINGS = {"model_id": "auto", "batch_size": "4", "validation_split_ratio": "0.34", "epochs": "2"}
COLUMNS = ["model", "hyperparameters", "val_loss", "val_accuracy", "val_macro_f1", "seconds", "chosen", "note"]


@pytest.fixture
def auto(job: Job) -> Job:
    job.channel("training", rows(ROWS * 4))
    job.configure(hyperparameters=SETTINGS)
    return job


def leaderboard(job: Job) -> list[dict[str, str]]:
    with (job.base / "output" / "data" / "leaderboard.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without_seconds(job: Job) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in leaderboard(job)]


@dataclass(frozen=True)
class Straight:
    """A job without a budget that nothing interrupted, and what it logged."""

    job: Job
    log: str


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, shallow_encoder: Path) -> Straight:
    job = Job.create(tmp_path_factory.mktemp("straight") / "ml")
    copytree(shallow_encoder, job.base / "input" / "data" / "model" / "my-bert")
    job.channel("training", rows(ROWS * 4))
    job.channel("test", rows(ROWS))
    job.configure(hyperparameters=SETTINGS)
    with pytest.MonkeyPatch.context() as patch, logged() as lines:
        patch.setattr(suspect_labels, "FEWEST_ROWS", 10)
        job.train()
    return Straight(job, "\n".join(lines))


def test_without_a_budget_every_candidate_is_trained_and_the_best_is_exported(straight: Straight) -> None:
    auto, log = straight.job, straight.log
    found = leaderboard(auto)
    assert [list(row) for row in found] == [COLUMNS] * 3
    assert [row["model"] for row in found] == ["linear", "my-bert", "my-bert"]
    assert [row["hyperparameters"] for row in found] == [
        "", "train_only_top_layer=True", "train_only_top_layer=False",
    ]  # fmt: skip
    assert all(row["note"] == "" and float(row["seconds"]) > 0 for row in found)
    best = max(found, key=lambda row: (float(row["val_accuracy"]), -float(row["val_loss"])))
    assert [row["chosen"] for row in found] == [str(row is best) for row in found]
    assert auto.manifest["encoder"]["name"] == best["model"]
    assert auto.manifest["metrics"]["val_loss"] == pytest.approx(float(best["val_loss"]))
    assert log.count("event=test rows=12") == 1  # of the chosen model only
    assert log.count("event=leaderboard") == 3
    for name in ("top layer", "whole network"):
        assert f"event=candidate name='{name}' encoder='my-bert' train_only_top_layer=" in log
        assert f"event=leaderboard model='{name}' encoder='my-bert' val_loss=" in log
    assert "all-minilm" not in log
    assert 'id="candidates"' in (auto.base / "output" / "data" / "report.html").read_text(encoding="utf-8")
    runs = {path.parent.name for path in (auto.base / "output" / "tensorboard").rglob("events.*")}
    assert runs == {"linear", "top-layer", "whole-network"}
    assert log.count("event=suspect_labels rows=48 of=48") == 2  # not before the whole network is trained
    assert (auto.base / "output" / "data" / "suspect_labels.csv").exists()
    assert predictor.load(auto.model).labels == (0, 1)


def test_what_does_not_fit_is_skipped(auto: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_timed", lambda *_: (1e6, 1.0))
    auto.configure(hyperparameters={**SETTINGS, "time_budget": "100000"})
    auto.train()
    linear, *others = leaderboard(auto)
    assert linear["chosen"] == "True"
    assert others[0]["note"].startswith("skipped: would take about 480000")
    assert others[1]["note"].startswith("skipped: an epoch would take about 128000000 s, and 999")
    assert [row["val_accuracy"] for row in others] == ["", ""]
    assert [row["model"] for row in others] == ["model channel"] * 2


def test_a_whole_network_gets_as_many_epochs_as_fit_and_after_a_restart_as_many(
    auto: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto.configure(hyperparameters={**SETTINGS, "epochs": "10", "time_budget": "1000000"})
    for seconds, expected in ((3000, 2), (6000, 2)):
        monkeypatch.setattr(candidates, "_timed", lambda *_, each=seconds: (each, 1.0))
        auto.train()
        assert leaderboard(auto)[2]["hyperparameters"] == f"train_only_top_layer=False epochs={expected}"


def test_a_time_that_is_measured_is_that_of_a_text(auto: Job, caplog: pytest.LogCaptureFixture) -> None:
    auto.configure(hyperparameters={**SETTINGS, "time_budget": "100000"})
    with caplog.at_level("INFO"):
        auto.train()
    assert [row["note"] for row in leaderboard(auto)] == ["", "", ""]


def test_the_top_layers_trial_says_more_about_an_epoch_than_a_sample_of_texts() -> None:
    linear, tried, failed = (
        candidates.Trial(name, {}, Hyperparameters.parse({}), "linear", seconds=10.0, metrics=metrics)
        for name, metrics in (("linear", {"val_loss": 1.0}), ("top layer", {"val_loss": 1.0}), ("top layer", {}))
    )
    assert candidates._at_most(0.5, [linear, tried], read=100) == pytest.approx(0.1)
    assert candidates._at_most(0.05, [linear, tried], read=100) == pytest.approx(0.05)
    assert candidates._at_most(0.5, [linear, failed], read=100) == pytest.approx(0.5)


def test_n_grams_that_are_unwanted_leave_the_linear_model_out(auto: Job) -> None:
    auto.configure(hyperparameters={**SETTINGS, "ngram_features": "False"})
    auto.train()
    first, *others = leaderboard(auto)
    assert (first["note"], first["chosen"]) == ("skipped: ngram_features=False", "False")
    assert "True" in [row["chosen"] for row in others]


def test_a_training_step_reads_one_window_of_a_text() -> None:
    short, long = (candidates.Costs(0.1, windows, training=1000, scored=100, linear=0.0) for windows in (1.0, 4.0))
    assert short.epoch == pytest.approx(0.1 * (3.5 * 1000 + 100))
    assert long.epoch == pytest.approx(0.1 * (3.5 * 1000 / 4 + 100))
    assert short.top_layer == long.top_layer


def test_where_no_candidate_can_be_trained_the_reasons_are_said(auto: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_timed", lambda *_: (1e6, 1.0))
    auto.configure(hyperparameters={**SETTINGS, "ngram_features": "False", "time_budget": "100000"})
    with pytest.raises(
        UserError, match=r"no candidate was trained \(linear: skipped: ngram_features=False; top layer: "
    ):
        auto.train()


def test_a_candidate_that_fails_leaves_the_others(auto: Job) -> None:
    auto.configure(hyperparameters={**SETTINGS, "optimizer": "sgd", "learning_rate": "1", "momentum": "1",
                                    "regularizers_l2": "1", "epochs": "30"})  # fmt: skip
    auto.train()
    found = leaderboard(auto)
    assert [row["note"] for row in found][:2] == ["", ""]
    assert "True" in [row["chosen"] for row in found]


def test_a_candidate_with_an_error_of_the_program_leaves_the_others(
    auto: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train = training.train

    def too_large(rows: Any, kept: Any, hyperparameters: Hyperparameters, context: Any) -> Any:
        if hyperparameters.model_id == "linear":
            return train(rows, kept, hyperparameters, context)
        raise MemoryError

    monkeypatch.setattr(training, "train", too_large)
    auto.configure(hyperparameters=SETTINGS)
    auto.train()
    assert [row["note"] for row in leaderboard(auto)] == ["", *["failed: MemoryError, see the log"] * 2]
    assert auto.manifest["hyperparameters"]["model_id"] == "linear"
    assert "Traceback" in caplog.text


def test_a_job_that_is_killed_ends_as_one_that_was_not(
    straight: Straight, tmp_path: Path, shallow_encoder: Path
) -> None:
    killed = Job.create(tmp_path / "killed")
    copytree(shallow_encoder, killed.base / "input" / "data" / "model" / "my-bert")
    killed.channel("training", rows(ROWS * 4))
    killed.configure(hyperparameters=SETTINGS)
    killed.stop_at("event=candidate name='whole network'", signal.SIGKILL)
    again = killed.run()
    assert again.returncode == 0, again.stdout
    for mine, theirs in zip(without_seconds(killed), without_seconds(straight.job), strict=True):
        figures = COLUMNS[2:5]
        assert [float(mine[name]) for name in figures] == pytest.approx([float(theirs[name]) for name in figures])
        assert mine["chosen"] == theirs["chosen"]


def test_a_job_that_is_told_to_stop_exports_the_best_so_far(auto: Job, caplog: pytest.LogCaptureFixture) -> None:
    auto.channel("test", rows(ROWS))
    with caplog.at_level("INFO"):
        program.train(Environment.from_environ(auto.environ), StopsAt("name='top layer'", lambda: caplog.text))
    assert [row["note"] for row in leaderboard(auto)] == [
        "", "stopped: the job was told to stop", "skipped: the job was told to stop",
    ]  # fmt: skip
    assert auto.manifest["hyperparameters"]["model_id"] == "linear"
    assert "event=stop note='the test rows are not scored'" in caplog.text
    assert "event=test " not in caplog.text


def test_a_job_whose_time_is_over_keeps_the_best_epoch_so_far(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def passed(_: TimeLimit) -> bool:
        return any((job.base / "checkpoints").glob("*.safetensors"))

    monkeypatch.setattr(TimeLimit, "passed", property(passed))
    job.configure(hyperparameters={"epochs": "5", "batch_size": "4", "time_budget": "100000"})
    with caplog.at_level("INFO"):
        job.train()
    assert "event=time_budget seconds=100000 note='stopped after 1 of 5 epochs, the best of which" in caplog.text
    assert job.manifest["engines"]["openvino-float32"]["accepted"]  # what comes after training is done as always
    assert predictor.load(job.model)


def test_a_job_whose_time_is_over_within_its_first_epoch_is_judged_on_all_validation_rows(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = itertools.count()
    monkeypatch.setattr(TimeLimit, "passed", property(lambda _: "event=plan" in caplog.text and next(looks) > 0))
    job.channel("validation", rows(ROWS * 10))
    job.configure(hyperparameters={"epochs": "5", "batch_size": "4", "time_budget": "100000"})
    with caplog.at_level("INFO"):
        job.train()
    evaluation = json.loads((job.base / "output" / "data" / "evaluation.json").read_text(encoding="utf-8"))
    assert sum(label["rows"] for label in evaluation["validation"]["by_label"]) == len(ROWS) * 10 > 64
    assert len(evaluation["epochs"]) == 1
    assert not list((job.base / "checkpoints").glob("*-0001-*"))  # the epoch was not finished


def test_a_time_that_is_over_before_the_first_step_is_an_error(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimeLimit, "passed", property(lambda _: True))
    job.configure(hyperparameters={"time_budget": "1"})
    with pytest.raises(UserError, match="time_budget=1: is over before the first training step; give more seconds"):
        job.train()


def test_more_time_than_the_budget_is_warned_of(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    job.configure(hyperparameters={"time_budget": "1", "train_only_top_layer": "True"})
    job.train()
    assert "event=time_budget seconds=1 note='took" in caplog.text


def test_a_budget_changes_no_checkpoint() -> None:
    assert "time_budget" in training.OF_OTHER_STEPS


def test_a_limit_is_requested_by_the_time_and_checked_without_it() -> None:
    outer = Interruption()
    over, endless = TimeLimit(outer, time.monotonic() - 1), TimeLimit(outer, float("inf"))
    assert (over.requested(), endless.requested()) == (True, False)
    over.check()
    with pytest.raises(StoppedError):
        WithinTime(over).check()
    WithinTime(endless).check()
    outer.request()
    assert endless.requested()
    with pytest.raises(StoppedError):
        endless.check()


def test_several_candidates_need_validation_rows(auto: Job) -> None:
    auto.configure(hyperparameters={"model_id": "auto", "validation_split_ratio": "0"})
    with pytest.raises(UserError, match="model_id=auto: candidates are compared on validation rows, and there are no"):
        auto.train()


def test_images_have_no_candidates(tmp_path: Path) -> None:
    job = Job(tmp_path / "ml")
    drawn_images.write(job.base / "input" / "data" / "training", range(4))
    job.configure(hyperparameters={"model_id": "auto"})
    with pytest.raises(UserError, match="model_id=auto: is for texts, not for images; leave model_id out"):
        job.train()


def test_a_trained_model_has_no_candidates(tiny_model: Path, tmp_path: Path) -> None:
    further = Job.create(tmp_path / "further")
    copytree(tiny_model, further.base / "input" / "data" / "model")
    further.configure(hyperparameters={"model_id": "auto"})
    with pytest.raises(UserError, match="the model channel holds a trained model; leave model_id out to train it"):
        further.train()


def test_several_hosts_have_no_candidates(auto: Job) -> None:
    auto.configure(resourceconfig={"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]})
    with pytest.raises(UserError, match="model_id=auto: tries candidates on one host"):
        auto.train()


def test_the_choice_between_whole_and_frozen_is_the_candidates() -> None:
    given = {"model_id": "auto", "train_only_top_layer": "True"}
    assert remarks(given, Hyperparameters.parse(given)) == [
        "train_only_top_layer has no effect: model_id=auto tries both"
    ]
