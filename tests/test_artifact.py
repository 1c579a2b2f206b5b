"""What training leaves and serving finds."""

import json
from pathlib import Path

import pytest

from classifier import artifact
from classifier.errors import UserError
from classifier.modalities.text import SMOKE_TEXTS


def write(folder: Path, **changes: object) -> Path:
    """Write a model folder of empty files, correct but for the changes."""
    labels = ["a", "b"]
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "saved_model.pb").write_bytes(b"")
    artifact.write_labels(folder, labels)
    artifact.write_json(folder / "golden.json", {"probes": [[0.5, 0.5]] * len(SMOKE_TEXTS)})
    artifact.write_json(folder / "manifest.json", {"format_version": 1, **changes})
    return folder


def test_a_whole_model_is_read(tmp_path: Path) -> None:
    model = artifact.load(write(tmp_path))
    assert model.labels == ("a", "b")
    assert model.saved_model == tmp_path / "1"
    assert model.smoke_predictions == [[0.5, 0.5]] * len(SMOKE_TEXTS)


def test_a_model_of_ours_without_its_manifest_is_incomplete_and_no_foreign_one_H08(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    (tmp_path / artifact.REFERENCE_FILE).write_text("{}")
    with pytest.raises(UserError, match=r"without manifest\.json"):
        artifact.load(tmp_path)


def test_labels_are_left_in_both_forms_that_programs_read_T37(tmp_path: Path) -> None:
    artifact.write_labels(tmp_path, [0, 3])
    assert json.loads((tmp_path / "labels_info.json").read_text()) == {"labels": [0, 3]}
    assert json.loads((tmp_path / "class_label_to_prediction_index.json").read_text()) == {"0": 0, "3": 1}


def test_one_folder_in_between_and_foreign_files_are_borne(tmp_path: Path) -> None:
    write(tmp_path / "my-model")
    (tmp_path / "code").mkdir()
    (tmp_path / "._manifest.json").write_bytes(b"\x00")
    (tmp_path / "__models_info__.json").write_text("{}")
    (tmp_path / "model.tar.gz").write_bytes(b"x")
    assert artifact.load(tmp_path).folder == tmp_path / "my-model"


@pytest.mark.parametrize("name", ["1/saved_model.pb", "labels_info.json", "golden.json"])
def test_a_missing_part_is_named_H08(tmp_path: Path, name: str) -> None:
    (write(tmp_path) / name).unlink()
    with pytest.raises(UserError, match=f"incomplete model, without {name}"):
        artifact.load(tmp_path)


@pytest.mark.parametrize("name", ["manifest.json", "labels_info.json", "golden.json"])
@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_part_is_named_H08(tmp_path: Path, name: str, content: str) -> None:
    (write(tmp_path) / name).write_text(content)
    with pytest.raises(UserError, match=name):
        artifact.load(tmp_path)


def test_parts_of_two_models_do_not_pass_for_one_H08(tmp_path: Path) -> None:
    artifact.write_labels(write(tmp_path), ["a", "b", "c"])
    with pytest.raises(UserError, match="not of the same model"):
        artifact.load(tmp_path)


def test_labels_in_another_order_than_the_models_are_refused_H08(tmp_path: Path) -> None:
    folder = write(tmp_path, labels=["a", "b"])
    assert artifact.load(folder).labels == ("a", "b")
    artifact.write_labels(folder, ["b", "a"])
    with pytest.raises(UserError, match=r"labels_info\.json and manifest\.json are not of the same model"):
        artifact.load(folder)


@pytest.mark.parametrize("probes", [7, [7] * 5, [["0.5", 0.5]] * 5, [[0.5, 0.5]] * 4, [[]] * 5, {"0": [0.5, 0.5]}])
def test_answers_that_are_none_are_refused_H08(tmp_path: Path, probes: object) -> None:
    artifact.write_json(write(tmp_path) / "golden.json", {"probes": probes})
    with pytest.raises(UserError, match="not of the same model"):
        artifact.load(tmp_path)


def test_an_empty_or_missing_folder_says_what_belongs_there_H15(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match=r"no model \(it holds nothing\)"):
            artifact.load(folder)


def test_a_model_of_a_later_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="model of format 2; this image reads 1"):
        artifact.load(write(tmp_path, format_version=2))


def test_a_model_appears_whole_with_the_savedmodel_last_T10(tmp_path: Path) -> None:
    with artifact.published(tmp_path) as work:
        write(work / "x").rename(work / "y")
        for path in (work / "y").iterdir():
            path.rename(work / path.name)
        (work / "y").rmdir()
        assert [path.name for path in tmp_path.iterdir()] == [work.parent.name]
    assert artifact.load(tmp_path).labels == ("a", "b")
    assert not list(tmp_path.glob(".unfinished-*"))


def test_a_failure_while_writing_leaves_the_earlier_model_T10(tmp_path: Path) -> None:
    write(tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))

    def fail() -> None:
        with artifact.published(tmp_path) as work:
            (work / "1").mkdir()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_what_a_killed_run_had_moved_away_comes_back_T10(tmp_path: Path) -> None:
    write(tmp_path)
    old = tmp_path / ".unfinished-killed" / "old"
    old.mkdir(parents=True)
    for name in ("1", "manifest.json"):
        (tmp_path / name).rename(old / name)
    artifact.clear_unfinished(tmp_path)
    assert artifact.load(tmp_path).labels == ("a", "b")
    assert not list(tmp_path.glob(".unfinished-*"))


def test_a_later_run_replaces_the_earlier_model_and_a_killed_ones_leavings_T16(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ".unfinished-killed").mkdir()
    (tmp_path / "kept.txt").write_text("the user's")
    (tmp_path / artifact.NGRAMS_FILE).write_text("of the earlier model")
    with artifact.published(tmp_path) as work:
        (work / "1").mkdir()
        (work / "1" / "new").write_text("")
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["new"]
    assert (tmp_path / "kept.txt").exists()
    assert not (tmp_path / artifact.NGRAMS_FILE).exists()
    assert not list(tmp_path.glob(".unfinished-*"))
