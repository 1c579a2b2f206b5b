"""Channels of images, good and bad: whatever is wrong is named by its path, all of it at once."""

import hashlib
import os
from pathlib import Path

import pytest

from classifier import modalities
from classifier.errors import UserError
from classifier.modalities import MODALITIES, image_channel
from classifier.pixels import ImageSource
from classifier.tabular.rows import BadDataError, ReadResult
from classifier.training import data
from jobs import check_data
from labelled_images import drawn, encoded, noise, png_that_says


def flowers(folder: Path, each: int = 3, *, first: int = 0) -> Path:
    """Write a channel of so many images of each of two labels."""
    for number, label in enumerate(("tulip", "rose")):
        for index in range(each):
            drawn(folder / label / f"{first + index}.png", 1000 * number + first + index)
    return folder


def tables(**channels: Path) -> data.Tables:
    return data.read(channels, modality=MODALITIES["image"])


def failure(**channels: Path) -> BadDataError:
    with pytest.raises(BadDataError) as error:
        tables(**channels)
    return error.value


def problems(**channels: Path) -> dict[str, str]:
    return {problem.file: problem.words for problem in failure(**channels).found}


# --- good ones ------------------------------------------------------------------------------------------------------


def test_the_folder_at_the_top_is_the_label_and_labels_are_in_the_order_of_the_alphabet_T84(tmp_path: Path) -> None:
    for number, label in enumerate(("tulip", "Rose", "2", "10", "ähre")):
        drawn(tmp_path / label / "a.png", number)
    read = tables(training=tmp_path)
    assert data.labels_of(read) == ("10", "2", "Rose", "tulip", "ähre")
    assert list(read.training["label"]) == ["10", "2", "Rose", "tulip", "ähre"]
    assert list(read.training["file"])[:2] == ["training/10/a.png", "training/2/a.png"]
    assert set(read.training["line"]) == {0}


def test_every_kind_of_file_is_read_in_either_case_and_at_any_depth_T84(tmp_path: Path) -> None:
    names = [
        "a.jpg",
        "b.JPG",
        "c.jpeg",
        "d.Jpeg",
        "e.png",
        "f.PNG",
        "deep/er/g.bmp",
        "deep/h.BMP",
        "i.gif",
        "j.GIF",
        "k.webp",
        "l.tif",
        "m.TIFF",
    ]
    for number, name in enumerate(names):
        drawn(tmp_path / "rose" / name, number)
    drawn(tmp_path / "tulip" / "_MG_1.jpg", 99)
    read = tables(training=tmp_path).training
    assert list(read["file"]) == [f"training/rose/{name}" for name in sorted(names)] + ["training/tulip/_MG_1.jpg"]


def test_a_row_is_its_file_and_the_hash_and_size_of_its_content(tmp_path: Path) -> None:
    channel = flowers(tmp_path)
    path = channel / "rose" / "a.jpg"
    path.write_bytes(encoded(noise(7).resize((50, 40)), "PNG"))  # whatever its name says
    record = tables(training=channel).training["record"][3]
    assert record == ImageSource(path, hashlib.sha256(path.read_bytes()).hexdigest(), 40, 50)


def test_what_platforms_and_programs_leave_behind_is_left_alone_T27(tmp_path: Path) -> None:
    channel = flowers(tmp_path)
    for name in (
        ".DS_Store", "rose/.DS_Store", "rose/._1.png", ".ipynb_checkpoints/rose/1.png", "__MACOSX/rose/._1.png",
        "rose/Thumbs.db", "tulip/desktop.ini", "x.manifest", "_SUCCESS", "rose_$folder$", ".hidden/a.png",
    ):  # fmt: skip
        (channel / name).parent.mkdir(parents=True, exist_ok=True)
        (channel / name).write_bytes(b"x")
    (channel / "marker").touch()
    result = ReadResult()
    assert len(image_channel.find(channel, "training", result)) == 6
    assert result.notes == ()
    assert result.problems == []


def test_other_files_are_left_out_and_warned_of(tmp_path: Path) -> None:
    channel = flowers(tmp_path)
    for name in ("LICENSE.txt", "rose/1.xml", "rose/1.json"):
        (channel / name).write_text("x")
    result = ReadResult()
    assert len(image_channel.find(channel, "training", result)) == 6
    assert result.notes == ()
    assert result.warnings == ["left out: rose/1.json (1 bytes), rose/1.xml (1 bytes): not an image"]


def test_links_to_files_are_followed_and_names_may_be_in_any_script(tmp_path: Path) -> None:
    channel = flowers(tmp_path / "channel")
    elsewhere = drawn(tmp_path / "elsewhere" / "x.png", 77)
    (channel / "rose" / "link.png").symlink_to(elsewhere)
    drawn(channel / "バラ 🌹" / "写真 1.png", 78)
    drawn(channel / "rose" / "two\nlines.png", 79)
    read = tables(training=channel).training
    assert set(read["file"]) >= {
        "training/rose/link.png", "training/バラ 🌹/写真 1.png", "training/rose/two\\nlines.png"
    }  # fmt: skip
    assert "バラ 🌹" in data.labels_of(tables(training=channel))


def test_a_host_may_get_a_part_of_the_images_and_not_of_every_label(tmp_path: Path) -> None:
    channel = flowers(tmp_path)
    (channel / "daisy").mkdir()
    read = data.read({"training": channel}, sharded={"training"}, modality=MODALITIES["image"])
    assert data.labels_of(read, fewest=1) == ("rose", "tulip")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(BadDataError, match=r"^this host got no file of channel training: with ShardedByS3Key"):
        data.read({"training": tmp_path / "nothing"}, sharded={"training"}, modality=MODALITIES["image"])


# --- bad ones -------------------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    channel = flowers(tmp_path / "training")
    validation = flowers(tmp_path / "validation", first=50)
    good = encoded(noise(1), "JPEG")
    for name, content in {
        "rose/cut.jpg": good[: len(good) // 2],
        "rose/empty.PNG": b"",
        "rose/bomb.png": png_that_says(10_000, 10_000),
        "rose/page.jpg": b"<!doctype html>",
        "rose/phone.jpg": b"\x00\x00\x00\x1cftypheic" + bytes(20),
        "rose/phone.heic": b"x",
        "tulip/scan.TIFF": b"x",
        "tulip/raw.DNG": b"x",
        "top.jpg": good,
    }.items():
        (channel / name).write_bytes(content)
    (channel / "daisy").mkdir()
    (channel / "lily" / "deep").mkdir(parents=True)
    (channel / "lily" / "notes.txt").write_text("x")
    (channel / "rose" / "nowhere.jpg").symlink_to(tmp_path / "nothing")
    (channel / "linked").symlink_to(channel / "rose")
    os.mkfifo(channel / "rose" / "pipe.jpg")
    (validation / "rose" / "cut.gif").write_bytes(encoded(noise(1), "GIF")[:50])
    found = problems(training=channel, validation=validation)
    assert {place: words.split(";")[0] for place, words in found.items()} == {
        "training/linked": "a link to a folder, which is not followed",
        "training/rose/nowhere.jpg": "not a file, or a broken link",
        "training/rose/phone.heic": "a .heic file is not read",
        "training/rose/pipe.jpg": "not a file, or a broken link",
        "training/top.jpg": "an image outside of the labels' folders",
        "training/tulip/raw.DNG": "a .dng file is not read",
        "training/tulip/scan.TIFF": "not a supported image",
        "training/daisy": "no image in this folder",
        "training/lily": "no image in this folder",
        "training/rose/bomb.png": "10,000 by 10,000 pixels",
        "training/rose/cut.jpg": "an image that is cut off or damaged",
        "training/rose/empty.PNG": "empty",
        "training/rose/page.jpg": "a web page, not an image",
        "training/rose/phone.jpg": "a HEIC image, as phones take them",
        "validation/rose/cut.gif": "an image that is cut off or damaged",
    }
    assert found["training/top.jpg"].endswith("put it in training/<its label>/")


def test_of_very_many_bad_images_the_message_names_some(tmp_path: Path) -> None:
    channel = flowers(tmp_path)
    for number in range(1500):
        (channel / "rose" / f"{number:04}.jpg").write_bytes(b"x")
    error = failure(training=channel)
    assert len(error.found) == 1500
    lines = str(error).splitlines()
    assert len(lines) == 21
    assert lines[0].startswith("training/rose/0000.jpg: not a supported image; ")
    assert lines[0].endswith(" (and 1499 more problems; nothing was trained)")
    assert lines[-1] == "... and 1480 more"


def test_one_label_only_is_refused(tmp_path: Path) -> None:
    drawn(tmp_path / "rose" / "a.png", 1)
    with pytest.raises(
        UserError,
        match=r"^training/rose/a.png: every row has the same label; a classifier needs two labels or more; all images",
    ):
        data.labels_of(tables(training=tmp_path))


@pytest.mark.parametrize("channel", ["empty", "missing", "texts", "markers"])
def test_a_channel_without_an_image_is_refused_with_a_cure(tmp_path: Path, channel: str) -> None:
    for name in ("empty", "texts", "markers"):
        (tmp_path / name).mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("x")
    (tmp_path / "markers" / ".DS_Store").write_text("x")
    words = {
        "empty": "no file in it; its S3 address must lead to the folder that the labels' folders are in",
        "missing": "the job names it, but it has no files; check its S3 address",
        "texts": "no image in it; its S3 address must lead to the folder that the labels' folders are in",
        "markers": "no file in it; its S3 address must lead to",
    }
    assert str(failure(training=tmp_path / channel)).startswith(f"channel training: {words[channel]}")


def test_a_folder_too_high_is_recognised(tmp_path: Path) -> None:
    flowers(tmp_path / "train")
    flowers(tmp_path / "Test", first=9)
    assert problems(training=tmp_path) == {
        "channel training": "its folders are called Test, train, which are no labels; its S3 address must lead to the "
        "folder that the labels' folders are in: give Test/ as the channel 'test', train/ as the channel 'training'"
    }


@pytest.mark.parametrize(
    ("label", "place", "words"),
    [
        ("ro\tse", "training/ro\\tse", "the label holds a tab"),
        ("rose\u200b", "training/rose\\u200b", "the label holds an invisible character"),
        (os.fsdecode(b"ros\xe9"), "training/ros\\xe9", "the folder's name is not UTF-8; give it another"),
    ],
)
def test_folders_that_can_be_no_labels_are_refused(tmp_path: Path, label: str, place: str, words: str) -> None:
    drawn(flowers(tmp_path) / label / "a.png", 1)
    found = problems(training=tmp_path)
    assert list(found) == [place]
    assert found[place].startswith(words)


def test_a_label_to_validate_on_that_training_lacks_is_refused(tmp_path: Path) -> None:
    validation = flowers(tmp_path / "validation", first=9)
    drawn(validation / "lily" / "a.png", 1)
    read = tables(training=flowers(tmp_path / "training"), validation=validation)
    with pytest.raises(BadDataError, match=r"^validation/lily/a.png: a label that no training row has"):
        data.prepare(read, data.labels_of(read), 0.2, 1)


# --- what is said, and what is held out -----------------------------------------------------------------------------


def test_labels_sizes_repeated_images_and_leaks_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training, validation = flowers(tmp_path / "training"), flowers(tmp_path / "validation", first=9)
    drawn(training / "rose" / "again.png", 0)  # tulip/0.png
    drawn(validation / "rose" / "leak.png", 1)  # tulip/1.png, and of another label
    (training / "tulip" / "long.png").write_bytes(encoded(noise(5).resize((300, 16)), "PNG"))
    with caplog.at_level("INFO"):
        read = tables(training=training, validation=validation)
        data.prepare(read, data.labels_of(read), 0.2, 1)
    lines = [message.removeprefix("event=data ") for message in caplog.messages]
    assert lines == [
        "training_rows=8 validation_rows=7 test_rows=0 labels=2 rows_of_rarest_label=4 rows_of_commonest_label=4",
        "rows_of_labels='rose: 4, tulip: 4'",
        "note='few rows: the rarest label has 4 rows to train on; more rows help most'",
        (
            "rows=training shorter_side_median=40 shorter_side_least=16 longer_side_greatest=300 "
            "smallest_at='training/tulip/long.png'"
        ),
        "rows=training note='images that an earlier row has: 1' examples='training/tulip/0.png'",
        (
            "rows=training note='images with more than one label: 1' "
            "examples='training/rose/again.png, training/tulip/0.png'"
        ),
        (
            "rows=validation shorter_side_median=40 shorter_side_least=40 longer_side_greatest=40 "
            "smallest_at='validation/rose/10.png'"
        ),
        (
            "rows=validation note='images that are in training too: 1' "
            "examples='validation/rose/leak.png is training/tulip/1.png'"
        ),
    ]


def test_an_image_stays_held_out_when_others_come(tmp_path: Path) -> None:
    def held_out(read: data.Tables) -> set[str]:
        return set(data.prepare(read, data.labels_of(read), 0.3, 1).validation.locations)

    channel = flowers(tmp_path, each=30)
    before = held_out(tables(training=channel))
    assert 5 <= len(before) <= 31
    flowers(tmp_path, each=20, first=100)
    after = held_out(tables(training=channel))
    assert before < after
    assert held_out(data.Tables(tables(training=channel).training, modality=MODALITIES["image"])) == after


def test_images_of_one_thing_are_held_out_together(tmp_path: Path) -> None:
    channel = flowers(tmp_path)
    for number in range(12):
        drawn(channel / "rose" / f"bush{number // 4}_nohash_{number}.png", number + 50)
    read = tables(training=channel).training
    buckets = read["hash_bucket"][read["file"].str.contains("_nohash_")].tolist()
    assert [buckets.count(bucket) for bucket in sorted(set(buckets))] == [4, 4, 4]
    assert read["hash_bucket"].between(0, 1, inclusive="left").all()


# --- which kind of records a job has --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "expected", "reason"),
    [
        (("data.csv",), "text", "there is a table to train on"),
        (("part/a.tsv", "logo.png"), "text", "there is a table to train on"),
        (("a.jsonl.gz",), "text", "there is a table to train on"),
        (("rose/a.jpg", "tulip/b.PNG"), "image", "channel training holds images and no table"),
        (("rose/a.jpg", "LICENSE.txt", "rose/a.json"), "image", "channel training holds images and no table"),
        (("texts.json", "logo.png"), "text", "there is a table to train on"),
        (("a.jpg", "b.jpg"), "image", "channel training holds images and no table"),
        (("notes.txt",), "text", "there are neither tables nor images to train on"),
        ((), "text", "there are neither tables nor images to train on"),
        ((".hidden/a.jpg", "__MACOSX/b.jpg"), "text", "there are neither tables nor images to train on"),
    ],
)
def test_what_a_job_trains_on_says_what_kind_it_is(
    tmp_path: Path, files: tuple[str, ...], expected: str, reason: str
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name in modalities.TRAINING:
        words = reason.replace("training holds", f"{name} holds")
        assert modalities.choose("auto", {"model": tmp_path / "x", name: tmp_path}) == (MODALITIES[expected], words)


def test_annotations_beside_images_make_no_job_of_texts(tmp_path: Path) -> None:
    channel = flowers(tmp_path)
    for path in list(channel.rglob("*.png")):
        path.with_suffix(".txt").write_text("0 0.5 0.4 0.2 0.3")
        (path.parent / "classes.txt").write_text("rose")
    assert modalities.choose("auto", {"training": channel})[0] is MODALITIES["image"]


def test_tables_beside_folders_of_images_are_in_doubt_unless_the_job_says(tmp_path: Path) -> None:
    channel = flowers(tmp_path)
    (channel / "labels.csv").write_text("x")
    with pytest.raises(
        UserError, match=r"as labels.csv and 0.png; set modality to text or image, or take one kind out"
    ):
        modalities.choose("auto", {"training": channel})
    for name in ("text", "image"):
        assert modalities.choose(name, {"training": channel}) == (MODALITIES[name], "modality was given")


def test_a_job_without_a_channel_to_train_on_is_one_of_texts_whose_words_are_good(tmp_path: Path) -> None:
    for channels in ({}, {"training": tmp_path / "missing"}, {"test": flowers(tmp_path)}):
        assert modalities.choose("auto", channels)[0] is MODALITIES["text"]


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_reports_on_folders_of_images(tmp_path: Path) -> None:
    ended = check_data("check", flowers(tmp_path / "a"), "--test", flowers(tmp_path / "b", first=9))
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert any(line.startswith("training_rows=") and " test_rows=6 labels=2 " in line for line in lines)
    assert lines[-1] == "problems: 0"


def test_the_command_names_all_that_is_wrong_with_images_and_ends_with_1(tmp_path: Path) -> None:
    channel, file = flowers(tmp_path), tmp_path / "rose" / "a.jpg"
    file.write_bytes(b"x")
    (channel / "lily").mkdir()
    ended = check_data("check", channel, "--test", file)
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[:4] == [
        f"{channel}/lily: no image in this folder; put some in, or take it out",
        f"{file}: not a supported image; save it as JPEG, PNG, BMP, GIF, WebP or TIFF",
        f"{file}: a file; give the folder that the labels' folders are in",
        "problems: 3",
    ]


def test_the_command_asks_for_the_kind_where_it_is_in_doubt(tmp_path: Path) -> None:
    channel = flowers(tmp_path)
    (channel / "data.csv").write_text("rose,a\ntulip,b\n")
    ended = check_data("check", channel)
    assert ended.returncode == 2
    assert "set modality to text or image" in ended.stderr
    assert check_data("check", channel, "--modality", "image").returncode == 0
    assert check_data("check", channel, "--modality", "text").returncode == 0
