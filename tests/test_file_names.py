"""Names of files that are no UTF-8, or hold line breaks: read, and shown on one line wherever they are shown."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from batch_helpers import run as run_batch
from batch_helpers import start
from channels import read_channel
from classifier.environment import shown
from classifier.errors import UserError
from jobs import Job, check_data
from labelled_images import drawn

LATIN_1 = os.fsdecode(b"caf\xe9.csv")
GOOD = "0,the film was good\n1,a bad film\n" * 6

NAMES: Mapping[str, tuple[str, str]] = {
    "a name in Latin-1": (LATIN_1, "caf\\xe9.csv"),
    "a name in Shift-JIS": (os.fsdecode("データ.csv".encode("shift-jis")), "\\x83f\\x81[\\x83^.csv"),
    "a line break": ("two\nlines.csv", "two\\nlines.csv"),
    "a control character": ("a\x1b[31m.csv", "a\\x1b[31m.csv"),
    "a name of any script": ("données 価格 ☕.csv", "données 価格 ☕.csv"),
    "a plain name": ("data-1.csv", "data-1.csv"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_is_shown_on_one_line_of_good_utf_8(tmp_path: Path, case: str) -> None:
    name, expected = NAMES[case]
    assert shown(name) == expected
    (tmp_path / name).write_text(GOOD)
    assert set(read_channel(tmp_path, "training").table["file"]) == {f"training/{expected}"}


def test_bad_rows_of_such_a_file_are_named_by_it(tmp_path: Path) -> None:
    (tmp_path / LATIN_1).write_text(GOOD + "0,a,b\n")
    with pytest.raises(UserError, match=r"^training/caf\\xe9.csv:13: 3 columns"):
        read_channel(tmp_path, "training")


def test_a_job_on_such_files_trains_and_names_them_in_what_it_writes(job: Job) -> None:
    (job.base / "input" / "data" / "training" / "data.csv").unlink()
    job.channel("training", GOOD, LATIN_1)
    job.channel("training", GOOD, os.fsdecode(b"_caf\xe9.csv"))
    job.channel("validation", "1,the film was good\n0,a bad film\n0,the film was good\n1,a bad film\n", LATIN_1)
    ended = job.run()
    assert ended.returncode == 0, ended.stdout
    assert "Logging error" not in ended.stdout
    assert "files read: training/caf\\\\xe9.csv (12 rows)" in ended.stdout
    assert "left out: training/_caf\\\\xe9.csv" in ended.stdout
    with (job.base / "output" / "data" / "misclassified.csv").open(encoding="utf-8") as file:
        places = [row["place"] for row in csv.DictReader(file)]
    assert places
    assert all(place.startswith("validation/caf\\xe9.csv:") for place in places)
    assert "validation/caf\\\\xe9.csv:" in (job.model / "golden.json").read_text(encoding="utf-8")


def test_a_job_that_fails_on_such_a_file_says_why(job: Job) -> None:
    (job.base / "input" / "data" / "training" / "data.csv").unlink()
    job.channel("training", GOOD + "0,a,b\n", LATIN_1)
    ended = job.run()
    assert ended.returncode == 1
    assert "Logging error" not in ended.stdout
    assert job.failure.startswith("training/caf\\xe9.csv:13: 3 columns; put a text that has commas in quotes")


def test_the_command_names_such_files(tmp_path: Path) -> None:
    (tmp_path / LATIN_1).write_text(GOOD)
    for given in (tmp_path, tmp_path / LATIN_1):
        ended = check_data("check", given)
        assert ended.returncode == 0, ended.stderr
        assert "caf\\\\xe9.csv (12 rows)" in ended.stdout
    (tmp_path / LATIN_1).write_text("0,a,b\n1,c\n")
    assert check_data("check", tmp_path).stdout.startswith(f"{tmp_path}/caf\\xe9.csv:1: 3 columns")


def test_images_of_such_names_are_read(tmp_path: Path) -> None:
    for number in range(4):
        drawn(tmp_path / ("rose", "tulip")[number % 2] / os.fsdecode(f"caf\xe9{number}.png".encode("latin-1")), number)
    ended = check_data("check", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "caf\\\\xe9" in ended.stdout


@pytest.mark.usefixtures("own_logging")
def test_batch_predicts_such_files(tmp_path: Path, tiny_model: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / LATIN_1).write_text("text\nthe film was good\na bad film\n")
    assert run_batch(tiny_model, source, tmp_path / "out") == 0
    assert (tmp_path / "out" / os.fsdecode(b"caf\xe9_output.csv")).read_text().count("\n") == 3
    (source / LATIN_1).write_bytes(b"PK\x03\x04")
    process = start("--model", str(tiny_model), "--input", str(source), "--output", str(tmp_path / "out"))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "caf\\\\xe9.csv: an Excel workbook or a ZIP archive" in output
    assert "Logging error" not in output
