"""Which images are held out: those of one thing together, as many as were asked for, and the same ones tomorrow."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from classifier.modalities import MODALITIES, image_channel
from classifier.pixels import ImageSource
from classifier.tabular.rows import ReadResult, Row
from classifier.training import data

RATIO = 0.2


def tables(names: Sequence[str]) -> data.Tables:
    """Return the rows of images of these names, `label/path`, as a channel of them is read."""
    found = ReadResult()
    for number, name in enumerate(names):
        label, _, item = name.partition("/")
        found.rows.append(Row(f"training/{name}", 0, label, ImageSource(Path(name), str(number), 9, 9, item)))
    return data.Tables(image_channel.table_of(found), modality=MODALITIES["image"])


def held_out(names: Sequence[str], ratio: float = RATIO) -> set[str]:
    read = tables(names)
    rows = data.prepare(read, data.labels_of(read), ratio, 1)
    return {place.removeprefix("training/") for place in rows.validation.locations}


def named(pattern: str, *counts: int, labels: Sequence[str] = ("disc", "squares")) -> list[str]:
    """Return names of a pattern with `{label}`, and `{0}`, `{1}` that count."""
    return [pattern.format(*indices, label=label) for label in labels for indices in np.ndindex(*counts)]


# By what it is: the names, and what of a name says what it is an image of.
TOGETHER: Mapping[str, tuple[list[str], Callable[[str], str]]] = {
    "an item's views in a folder of its own": (
        named("{label}/item{0:03}/main.png", 20) + named("{label}/item{0:03}/side.png", 20),
        lambda name: name.split("/")[1],
    ),
    "an item's folder in a folder of its batch": (
        named("{label}/batch{0}/item{1:03}/{2}.png", 3, 20, 2),
        lambda name: "/".join(name.split("/")[1:3]),
    ),
    "names that go on after _nohash_": (
        named("{label}/bush{0}_nohash_{1}.png", 20, 3),
        lambda name: name.split("_nohash_")[0].split("/")[1],
    ),
    "the same item seen by a few cameras, a folder each": (
        named("{label}/camera{0}/item{1:03}.png", 3, 40),
        lambda name: name.split("/")[2],
    ),
    "the same name under two labels": (named("{label}/{0:04}.png", 60), lambda name: name.split("/")[1]),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_images_of_one_thing_are_on_one_side_and_about_the_share_is_held_out(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    names, thing = TOGETHER[name]
    held = held_out(names)
    sides = {thing(each): each in held for each in names}
    assert all((each in held) == sides[thing(each)] for each in names)
    assert RATIO / 2 < len(held) / len(names) < 2 * RATIO
    assert not [record for record in caplog.records if "held out" in record.getMessage()]


# What said nothing, and held all or nothing out, when the file's own name decided, or the folder alone would.
SPREAD: Mapping[str, list[str]] = {
    "an item in each folder, of one name in all": named("{label}/item{0:03}/main.png", 40),
    "all images of a label in one folder below it": named("{label}/train/{0:04}.png", 60),
    "all in one folder, deep below": named("{label}/2024/07/cam/{0:04}.png", 60),
    "two folders, one of few images": named("{label}/a/{0:04}.png", 4) + named("{label}/b/{0:04}.png", 60),
    "a few folders of images of the same few names": named("{label}/session{0}/{1}.png", 8, 9),
    "in the label's folder itself": named("{label}/{0:04}.png", 60),
    "a label with folders, and one without": named("disc/item{0:03}/main.png", 40) + named("squares/{0:04}.png", 40),
}


@pytest.mark.parametrize("name", SPREAD)
def test_about_the_share_is_held_out_however_the_files_are_called(name: str, caplog: pytest.LogCaptureFixture) -> None:
    names = SPREAD[name]
    held = held_out(names)
    for label in ("disc", "squares"):
        share = sum(each in held for each in names if each.startswith(label)) / sum(
            each.startswith(label) for each in names
        )
        assert RATIO / 2 <= share <= 2 * RATIO
    assert not [record for record in caplog.records if "held out" in record.getMessage()]


@pytest.mark.parametrize("name", ["an item in each folder, of one name in all", "in the label's folder itself"])
def test_an_image_stays_on_its_side_when_others_come(name: str) -> None:
    names = SPREAD[name]
    before = held_out(names)
    more = [each.replace("item0", "item1").replace("/00", "/10") for each in names] + named("dots/{0}.png", 30)
    after = held_out([*names, *more])
    assert before <= after
    assert not (after - before) & set(names)


def test_the_folders_decide_from_ten_on() -> None:
    few, enough = named("{label}/item{0}/{1}.png", 9, 20), named("{label}/item{0}/{1}.png", 10, 20)
    folders = [{each.rpartition("/")[0] for each in held_out(names)} for names in (few, enough)]
    assert len(folders[0]) == 18  # of each folder some: by the images' names
    assert 2 <= len(folders[1]) < 10


def test_of_an_image_in_its_labels_folder_the_name_without_its_ending_decides_as_before() -> None:
    files = ["disc/0001.png", "disc/0001.jpg", "dots/0001_nohash_2.png", "dots/b.png"]
    buckets = tables(files).training["hash_bucket"]
    assert buckets.tolist()[:3] == [buckets[0]] * 3
    assert buckets[0] == pytest.approx(0.5334, abs=1e-4)


def test_a_share_that_came_out_far_from_the_one_asked_for_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    names = named("{label}/part{0}_nohash_{1:03}.png", 2, 200)
    held = held_out(names)
    assert len(held) in (0, 400)
    caplog.clear()
    names = named("{label}/big/{0:03}.png", 400) + named("{label}/item{0}/{1}.png", 12, 2)
    held = held_out(names)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"{len(held)} of 848 rows are held out, where validation_split_ratio=0.2 asks for 170; images in one" in line
    assert line.endswith("folders or names, or add a channel 'validation'\"")


def test_who_gives_names_of_their_own_gets_the_share(caplog: pytest.LogCaptureFixture) -> None:
    names = named("{label}/{0:03}.png", 400) + named("{label}/item{0}/{1}.png", 12, 2)
    assert RATIO / 2 < len(held_out(names)) / len(names) < 2 * RATIO
    assert "held out" not in caplog.text


@pytest.mark.parametrize(
    ("held", "rows", "ratio", "far"),
    [
        (38, 40, 0.2, True), (2, 40, 0.2, True), (4, 40, 0.2, False), (16, 40, 0.2, False), (17, 40, 0.2, True),
        (0, 6, 0.34, False), (5, 12, 0.2, False), (50, 250, 0.2, False), (24, 250, 0.2, True), (0, 40, 0.0, False),
        (99, 100, 0.9, True), (94, 100, 0.9, False),
    ],
)  # fmt: skip
def test_what_is_far_is_twice_or_half_the_share_and_more_than_a_few_images(
    held: int, rows: int, ratio: float, far: bool
) -> None:
    is_held = np.arange(rows) < held
    assert bool(list(data.far_from(ratio, is_held, pd.Series(["a"] * rows)))) == far


def test_a_label_of_which_nothing_is_held_out_is_named() -> None:
    labels = pd.Series(["a"] * 60 + ["b"] * 60)
    is_held = np.arange(120) < 24
    (words,) = data.far_from(0.2, is_held, labels)
    assert words.startswith(
        "for these labels, the share of rows held out is far from 0.2: b (0 of 60); images in one folder"
    )


def test_every_label_keeps_the_images_of_one_thing_to_learn_from() -> None:
    buckets = pd.Series([0.1, 0.1, 0.15, 0.15, 0.5, 0.05])
    held = data.hold_out_by_hash(pd.Series(["a"] * 4 + ["b"] * 2), buckets, 0.2)
    assert held.tolist() == [True, True, False, False, False, True]
