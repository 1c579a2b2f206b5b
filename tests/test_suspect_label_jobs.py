"""Suspect labels as a job lists them, and the check of files before one."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from jobs import Job, check_data, rows

TOP = {"train_only_top_layer": "True"}
WORDS = (("good", "fine"), ("bad", "cold"))
# Two labels, which one word tells, and two rows with the other's.
SWAPPED = (11, 40)
PAIRS = [
    (index % 2 if index not in SWAPPED else 1 - index % 2, f"the {WORDS[index % 2][index // 2 % 2]} {word} {other}")
    for index, (word, other) in enumerate(
        [(word, other) for word in ("car", "door", "light", "film", "engine", "smoke") for other in ("red", "new")] * 6
    )
]


def evaluation(job: Job) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((job.base / "output" / "data" / "evaluation.json").read_text())
    return content


def listed(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


SETTINGS = {
    "solved": TOP,
    "steps on vectors": {**TOP, "epochs": "1", "batch_size": "32"},
    "whole network": {"epochs": "1", "batch_size": "32", "learning_rate": "0"},
    "linear": {"model_id": "linear"},
}


@pytest.mark.parametrize("way", SETTINGS)
def test_a_job_lists_the_rows_by_place_whatever_it_trains(
    deeper_job: Job, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    job = deeper_job
    if way == "linear":
        (job.base / "input" / "data" / "model").rename(job.base / "unused")
    job.channel("training", rows(PAIRS))
    job.configure(hyperparameters=SETTINGS[way])
    with caplog.at_level("INFO"):
        job.train()
    found = listed(job.base / "output" / "data" / "suspect_labels.csv")
    places = {row["place"]: row for row in found}
    assert [list(row) for row in found[:1]] == [["place", "label", "suggested_label", "score"]]
    for index in SWAPPED:
        row = places[f"training/data.csv:{index + 1}"]
        assert (row["label"], row["suggested_label"]) == (str(PAIRS[index][0]), str(1 - PAIRS[index][0]))
    assert {row["place"] for row in found[:2]} == {f"training/data.csv:{index + 1}" for index in SWAPPED}
    assert evaluation(job)["suspect_labels"] == {"rows": len(found), "checked": 72, "file": "suspect_labels.csv"}
    assert f"event=suspect_labels rows=72 of=72 suspects={len(found)} " in caplog.text
    assert not any(text in (job.base / "output" / "data" / "suspect_labels.csv").read_text() for _, text in PAIRS)


def test_a_job_that_does_not_want_the_list_has_none(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    job.channel("training", rows(PAIRS))
    job.configure(hyperparameters={**TOP, "suspect_labels": "False"})
    with caplog.at_level("INFO"):
        job.train()
    assert not (job.base / "output" / "data" / "suspect_labels.csv").exists()
    assert "suspect_labels" not in evaluation(job)
    assert "event=suspect_labels" not in caplog.text


# --- files


def test_files_are_searched_before_any_training(tmp_path: Path, tiny_encoder: Path) -> None:
    path, list_path = tmp_path / "data.csv", tmp_path / "list.csv"
    path.write_text(rows(PAIRS), encoding="utf-8")
    ended = check_data("check", path, "--model", tiny_encoder, "--deep", "--suspects", list_path)
    assert ended.returncode == 0, ended.stderr
    for index in SWAPPED:
        label = PAIRS[index][0]
        assert f"{path}:{index + 1}: label {label}, which may be {1 - label} (score " in ended.stdout
    found = listed(list_path)
    assert {row["place"] for row in found[:2]} == {f"{path}:{index + 1}" for index in SWAPPED}
    assert f"event=suspect_labels rows=72 of=72 suspects={len(found)} " in ended.stdout
    assert "problems: 0" in ended.stdout


def test_files_with_problems_are_not_searched(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(rows(PAIRS) + "2\n", encoding="utf-8")
    ended = check_data("check", path, "--deep")
    assert ended.returncode == 1
    assert "problems: 1" in ended.stdout
    assert "suspect" not in ended.stdout


def test_a_list_without_a_search_or_a_folder_is_wrong_usage(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(rows(PAIRS), encoding="utf-8")
    for arguments, words in [
        (("--suspects", tmp_path / "list.csv"), "--suspects needs --deep"),
        (("--deep", "--suspects", tmp_path / "none" / "list.csv"), "not a file in a folder that exists"),
    ]:
        ended = check_data("check", path, *arguments)
        assert ended.returncode == 2
        assert words in ended.stderr
