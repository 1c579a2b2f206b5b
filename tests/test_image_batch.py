"""``batch`` on a folder of images: a row for each, as the model answers it; started again after any end."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import drawn_images
import tiny_images
from batch_helpers import hidden, objects, rows, run, start, visible
from classifier import predictor
from classifier.backends import Computing
from classifier.backends.choice import FLOAT32
from classifier.batch import images
from image_model_helpers import drawn
from jobs import Job
from labelled_images import encoded, noise
from serving_helpers import wait_until
from test_batch_s3 import address, environ, keys, s3

__all__ = ["address", "environ", "s3"]  # fixtures

COLOURS = ("red", "green", "blue")
Predict = Callable[..., int]

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three labels, trained on a tiny encoder."""
    job = Job(tmp_path_factory.mktemp("model"))
    drawn_images.write(job.base / "input" / "data" / "training", range(6))
    tiny_images.write_hub(job.base / "input" / "data" / "model")
    job.configure(hyperparameters={"train_only_top_layer": "True", "epochs": "1", "validation_split_ratio": "0.34"})
    job.train()
    return job.model


@pytest.fixture(scope="module")
def answers(model: Path) -> Callable[[Path], list[list[float]]]:
    """What `serve`'s predictor answers for the images of a folder, in the order of their names."""
    served = predictor.load(model, Computing(FLOAT32, threads=1))

    def of_folder(folder: Path) -> list[list[float]]:
        found: list[list[float]] = served.predict([(folder / name).read_bytes() for name in names_in(folder)]).tolist()
        return found

    return of_folder


@pytest.fixture
def predict(model: Path) -> Predict:
    return lambda source, output, *more: run(model, source, output, *more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "in", 12)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make parts and blocks so small that a few images are several."""
    monkeypatch.setattr(images, "PART_IMAGES", 5)
    monkeypatch.setattr(images, "BLOCK_IMAGES", 2)


def write(folder: Path, count: int) -> Path:
    """Write so many images in folders of folders, whose names say nothing of their labels."""
    for number in range(count):
        path = folder / f"box {number % 2}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn(COLOURS[number % 3]))
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_each_image_has_a_row_with_its_path_its_label_and_what_the_model_answers(
    predict: Predict, answers: Callable[[Path], list[list[float]]], folder: Path, output: Path
) -> None:
    assert predict(folder, output) == 0
    header, *found = rows(output / "images_output.csv")
    assert header == ["path", "predicted_label", "probability"]
    assert [row[0] for row in found] == names_in(folder)
    for (_, label, probability), answer in zip(found, answers(folder), strict=True):
        assert label == drawn_images.LABELS[answer.index(max(answer))]
        assert float(probability) == pytest.approx(max(answer), abs=1e-5)
    assert visible(output) == ["images_output.csv"]
    assert hidden(output) == ["images_output.csv.json"], "no part is left"


def test_json_lines_and_the_probability_of_every_label_are_written_where_they_are_asked_for(
    predict: Predict, folder: Path, output: Path
) -> None:
    assert predict(folder, output, "--format", "jsonl", "--probabilities") == 0
    found = objects(output / "images_output.jsonl")
    assert len(found) == 12
    assert list(found[0]) == [
        "path",
        "predicted_label",
        "probability",
        *(f"probability_{label}" for label in drawn_images.LABELS),
    ]
    assert found[0]["probability"] == max(found[0][f"probability_{label}"] for label in drawn_images.LABELS)


def test_an_image_whose_label_is_not_probable_enough_has_a_row_without_one(
    predict: Predict, folder: Path, output: Path
) -> None:
    for threshold, answered in (("0", True), ("1", False)):  # the second job does not take the first one's result
        assert predict(folder, output, "--threshold", threshold) == 0
        found = rows(output / "images_output.csv")[1:]
        assert [bool(label) for _, label, _ in found] == [answered] * 12
        assert all(float(probability) > 0.3 for _, _, probability in found)
    assert predict(folder, output, "--threshold", "1", "--format", "jsonl") == 0
    assert {each["predicted_label"] for each in objects(output / "images_output.jsonl")} == {None}


def test_a_single_image_is_a_row_too_whatever_its_name(predict: Predict, tmp_path: Path, output: Path) -> None:
    path = tmp_path / "picture.of.red"
    path.write_bytes(drawn("red"))
    assert predict(path, output) == 0
    assert [row[0] for row in rows(output / "images_output.csv")] == ["path", "picture.of.red"]


@pytest.mark.parametrize(("form", "read"), [("csv", rows), ("jsonl", objects)])
def test_what_can_not_be_read_is_listed_with_the_reason_and_the_others_are_predicted(
    predict: Predict, folder: Path, output: Path, form: str, read: Any
) -> None:
    (folder / "box 0" / "broken.png").write_bytes(drawn()[:60])
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (folder / "empty.jpg").write_bytes(b"")
    assert predict(folder, output, "--format", form) == 3
    listed = read(output / f"images_rejects.{form}")
    pairs = [list(each.values()) for each in listed] if form == "jsonl" else listed[1:]
    assert [pair[0] for pair in pairs] == ["box 0/broken.png", "empty.jpg", "phone.heic"]
    assert [pair[1].partition(";")[0] for pair in pairs] == [
        "an image that is cut off or damaged", "empty", "a HEIC image, as phones take them"
    ]  # fmt: skip
    assert len(read(output / f"images_output.{form}")) == 12 + (form == "csv")


def test_a_list_of_rejects_goes_when_the_images_are_mended(predict: Predict, folder: Path, output: Path) -> None:
    (folder / "a.png").write_bytes(b"x")
    assert predict(folder, output) == 3
    (folder / "a.png").write_bytes(drawn("blue"))
    assert predict(folder, output) == 0
    assert visible(output) == ["images_output.csv"]


def test_nothing_is_predicted_of_a_folder_with_rejects_where_none_is_allowed(
    predict: Predict, folder: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.png").write_bytes(b"x")
    assert predict(folder, output, "--fail-on-rejects") == 1
    assert "1 images can't be read, and --fail-on-rejects is set" in "".join(capfd.readouterr())
    assert visible(output) == ["images_rejects.csv"]
    (folder / "a.png").unlink()
    assert predict(folder, output, "--fail-on-rejects") == 0
    assert visible(output) == ["images_output.csv"]


def test_files_that_are_no_images_are_left_out_with_a_warning_and_what_programs_leave_behind_without(
    predict: Predict, folder: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("labels.csv", "Thumbs.db", ".DS_Store", "README.md", "__MACOSX/._1.png", "0001"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(drawn("red") if name == "0001" else b"x")
    assert predict(folder, output) == 0
    log = "".join(capfd.readouterr())
    assert "left out: labels.csv (1 bytes): no image by its name" in log
    assert "Thumbs.db" not in log
    assert rows(output / "images_output.csv")[1][0] == "0001"


def test_readme_and_licence_files_without_a_suffix_are_no_images(
    predict: Predict, folder: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert predict(folder, output) == 0
    count = len(rows(output / "images_output.csv"))
    for name in ("LICENSE", "a/README", "License-MIT", "changelog", "NOTICE", "CITATION", "source"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    for name in ("source-01", "notice.1", "authors 3"):
        (folder / name).write_bytes(drawn("red"))
    capfd.readouterr()
    assert predict(folder, output) == 0
    assert len(rows(output / "images_output.csv")) == count + 3
    log = "".join(capfd.readouterr())
    assert "left out: CITATION (1 bytes), NOTICE (1 bytes), source (1 bytes): no image by its name; if it is one" in log
    assert not any(name in log for name in ("LICENSE", "README", "License-MIT", "changelog"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--text-column", "text"), "--text-column: the model classifies images, which have no columns"),
        (("--explain",), "--explain: the model classifies images, which have no columns and no words; leave it out"),
        (("--header", "true", "--delimiter", "tab"), "--header, --delimiter: the model classifies images"),
    ],
)
def test_options_for_tables_are_refused(
    predict: Predict, folder: Path, output: Path, more: Sequence[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert predict(folder, output, *more) == 1
    assert words in "".join(capfd.readouterr())


def test_a_folder_without_images_is_refused(
    predict: Predict, tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "claims.csv").write_text("text\nfine\n", encoding="utf-8")
    assert predict(tmp_path / "in", output) == 1
    assert "contains no image, and the model classifies images" in "".join(capfd.readouterr())
    assert visible(output) == []


def test_the_parts_of_several_jobs_are_the_whole(predict: Predict, folder: Path, tmp_path: Path, output: Path) -> None:
    assert predict(folder, output) == 0
    for number in range(3):
        assert predict(folder, tmp_path / "parts", "--shard", f"{number}/3") == 0
    names = visible(tmp_path / "parts")
    assert names == [f"images_output.0000{number}-of-00003.csv" for number in range(3)]
    joined = b"".join((tmp_path / "parts" / name).read_bytes() for name in names)
    assert joined == (output / "images_output.csv").read_bytes()


# --- started again


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that the names of all images that are decoded will be in."""
    decoded: list[str] = []
    whole = images._read

    def reading(job: Any, model: Any, name: str, path: Path) -> Any:
        decoded.append(name)
        return whole(job, model, name, path)

    monkeypatch.setattr(images, "_read", reading)
    return decoded


def test_a_finished_folder_is_skipped_and_one_that_changed_is_not(
    predict: Predict,
    answers: Callable[[Path], list[list[float]]],
    folder: Path,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert predict(folder, output) == 0
    decoded = counted(monkeypatch)
    assert predict(folder, output) == 0
    assert decoded == []
    (folder / "box 0" / "000.png").write_bytes(drawn("blue"))
    assert predict(folder, output) == 0
    assert len(decoded) == 12
    assert [float(row[2]) for row in rows(output / "images_output.csv")[1:]] == pytest.approx(
        [max(answer) for answer in answers(folder)], abs=1e-5
    )


def test_a_job_that_broke_off_goes_on_with_the_part_that_it_was_at(
    predict: Predict, folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert predict(folder, tmp_path / "whole") == 0
    whole = images._predict_part

    def until_the_second(part: Any, watch: Any, total: int) -> None:
        if part.name.endswith("000002"):
            raise OSError(28, "No space left on device")
        whole(part, watch, total)

    monkeypatch.setattr(images, "_predict_part", until_the_second)
    assert predict(folder, output) == 1
    assert visible(output) == []
    monkeypatch.setattr(images, "_predict_part", whole)
    decoded = counted(monkeypatch)
    assert predict(folder, output) == 0
    assert decoded == names_in(folder)[10:]
    assert (output / "images_output.csv").read_bytes() == (tmp_path / "whole" / "images_output.csv").read_bytes()
    assert hidden(output) == ["images_output.csv.json"]


def test_parts_of_more_images_than_there_are_now_are_removed(
    predict: Predict, folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_join", lambda *_: (_ for _ in ()).throw(OSError(5, "x")))
    assert predict(folder, output) == 1
    monkeypatch.undo()
    monkeypatch.setattr(images, "PART_IMAGES", 5)
    shutil.rmtree(folder / "box 1")
    assert predict(folder, output) == 0
    assert len(rows(output / "images_output.csv")) == 7
    assert hidden(output) == ["images_output.csv.json"]


def test_a_job_that_is_killed_leaves_no_result_and_its_successor_writes_the_whole(
    model: Path, tmp_path: Path, output: Path
) -> None:
    source = tmp_path / "many"
    source.mkdir()
    content = encoded(noise(1).resize((500, 500)), "PNG")
    for number in range(600):
        (source / f"{number:04}.png").write_bytes(content)
    places = ("--model", str(model), "--input", str(source), "--output", str(output), "--engine", FLOAT32)
    process = start(*places)
    wait_until((output / ".batch" / "parts" / "images_output.csv.000000").exists)
    process.terminate()
    assert process.communicate(timeout=60)[0] is not None
    assert process.returncode == 143
    assert visible(output) == []
    again = start(*places)
    log = again.communicate(timeout=120)[0]
    assert again.returncode == 0, log
    assert len(rows(output / "images_output.csv")) == 601


# --- from S3


def test_a_prefix_of_images_is_predicted_and_its_parts_and_rejects_are_objects_that_come_and_go(
    predict: Predict, s3: Any, folder: Path, output: Path
) -> None:
    for name in names_in(folder):
        s3.put_object(Bucket="claims", Key=f"in/{name}", Body=(folder / name).read_bytes())
    s3.put_object(Bucket="claims", Key="in/broken.png", Body=b"x")
    assert predict("s3://claims/in/", "s3://results/out/") == 3
    assert keys(s3, "results") == ["out/images_output.csv", "out/images_rejects.csv"]
    assert predict(folder, output) == 0
    theirs = s3.get_object(Bucket="results", Key="out/images_output.csv")["Body"].read()
    assert theirs == (output / "images_output.csv").read_bytes()
    s3.delete_object(Bucket="claims", Key="in/broken.png")
    assert predict("s3://claims/in/", "s3://results/out/") == 0
    assert keys(s3, "results") == ["out/images_output.csv"]
