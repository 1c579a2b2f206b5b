"""Which channels are read by their names, which clash, and what is said of the others."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from channels import load
from classifier import modalities
from classifier.errors import UserError
from classifier.modalities import MODALITIES
from classifier.training import data
from jobs import Job
from labelled_images import drawn

TRAINING = "".join(f"{index % 2},text {index}\n" for index in range(30))
OTHER = "0,another\n1,text\n0,more\n"

# The channels that a job gives, and how many rows are trained, validated and tested on.
READ: Mapping[str, tuple[tuple[str, ...], tuple[int, int, int]]] = {
    "training alone": (("training",), (24, 6, 0)),
    "train alone": (("train",), (24, 6, 0)),
    "train and validation": (("train", "validation"), (30, 3, 0)),
    "train and eval": (("train", "eval"), (30, 3, 0)),
    "train and val": (("train", "val"), (30, 3, 0)),
    "train and valid": (("train", "valid"), (30, 3, 0)),
    "train and dev": (("train", "dev"), (30, 3, 0)),
    "train and evaluation": (("train", "evaluation"), (30, 3, 0)),
    "names in capitals": (("Train", "EVAL", "Test"), (30, 3, 3)),
    "train, dev and test": (("train", "dev", "test"), (30, 3, 3)),
    "training and testing": (("training", "testing"), (24, 6, 3)),
}

# The channels that a job gives, and what its message says.
REFUSED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "training and train": (("training", "train"), "the channels train and training are all for training; give one"),
    "validation and eval": (("train", "validation", "eval"), "the channels eval and validation are all for validation"),
    "val and dev": (("train", "val", "dev"), "the channels dev and val are all for validation; give one"),
    "validation, val and valid": (
        ("train", "validation", "val", "valid"),
        "the channels val, valid and validation are all for validation",
    ),
    "test and testing": (("train", "test", "testing"), "the channels test and testing are all for test; give one"),
    "two spellings": (("train", "Train"), "the channels Train and train are all for training; give one"),
    "no channel to train on": (("data", "eval"), "no channel 'training' (or 'train'); the job's channels: data, eval"),
}


def channels(folder: Path, *names: str) -> dict[str, Path]:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "data.csv").write_text(TRAINING if name.lower().startswith("train") else OTHER)
    return {name: folder / name for name in names}


@pytest.mark.parametrize("case", READ)
def test_a_channel_is_read_by_any_name_of_its_role_without_a_warning_T82(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    names, rows = READ[case]
    loaded = load(channels(tmp_path, *names), 0.2, 1)
    assert tuple(len(split.records) for split in (loaded.training, loaded.validation, loaded.test)) == rows
    assert "is not read" not in caplog.text


@pytest.mark.parametrize("case", REFUSED)
def test_channels_that_leave_a_doubt_are_refused_T82(tmp_path: Path, case: str) -> None:
    names, words = REFUSED[case]
    with pytest.raises(UserError) as error:
        load(channels(tmp_path, *names), 0.2, 1)
    assert words in str(error.value)


def test_all_clashes_are_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load(channels(tmp_path, "train", "training", "val", "dev"), 0.2, 1)
    assert len(error.value.problems) == 2


@pytest.mark.parametrize("name", ["validaton", "extra", "holdout", "train_lst", "data"])
def test_another_channel_is_warned_of_with_the_files_that_hold_rows_T82(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    loaded = load(channels(tmp_path, "training") | channels(tmp_path / "x", name), 0.2, 1)
    assert len(loaded.validation.records) == 6
    size = (tmp_path / "x" / name / "data.csv").stat().st_size
    words = f"the channel {name} is not read and holds {name}/data.csv ({size} bytes); the channels that are read are "
    assert words in caplog.text
    assert caplog.text.count("WARNING") == 1


def test_another_channel_of_images_or_of_nothing_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(12):
        drawn(tmp_path / "train" / ("rose", "tulip")[number % 2] / f"{number}.png", number)
    drawn(tmp_path / "more" / "rose" / "a.png", 99)
    (tmp_path / "empty").mkdir()
    given = {name: tmp_path / name for name in ("train", "more", "empty")}
    assert modalities.choose("auto", given)[0] is MODALITIES["image"]
    data.read(given, modality=MODALITIES["image"])
    assert "the channel more is not read and holds more/rose/a.png (" in caplog.text
    assert "the channel empty is not read; the channels that are read are" in caplog.text


@pytest.mark.parametrize("name", ["model", "code", "sm_drivers"])
def test_the_channels_of_the_platform_are_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    data.read(channels(tmp_path, "training", name))
    assert caplog.text == ""


def test_images_are_recognised_in_a_channel_by_any_name(tmp_path: Path) -> None:
    drawn(tmp_path / "rose" / "a.png", 1)
    assert modalities.choose("auto", {"Train": tmp_path})[0] is MODALITIES["image"]


def test_a_job_scores_the_rows_of_its_channel_eval_T82(job: Job) -> None:
    job.channel("eval", "0,the film was bad\n1,very good\n")
    job.train()
    evaluation = json.loads((job.base / "output" / "data" / "evaluation.json").read_text())
    assert sum(label["rows"] for label in evaluation["validation"]["by_label"]) == 2
