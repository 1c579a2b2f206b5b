"""What a job trains and validates on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from channels import load
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.modalities.text import LONGEST
from classifier.tabular.dialect import Dialect
from classifier.training import data

ROWS = "".join(f'{index % 3},"text {index}"\n' for index in range(30))


def channels(folder: Path, **files: str) -> dict[str, Path]:
    for name, content in files.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "data.csv").write_text(content, encoding="utf-8")
    return {name: folder / name for name in files}


@pytest.mark.parametrize("name", ["training", "train"])
def test_either_name_of_the_training_channel_is_read_T82(tmp_path: Path, name: str) -> None:
    loaded = load(channels(tmp_path, **{name: ROWS}), 0.2, 1)
    assert len(loaded.training.records) == 24
    assert len(loaded.validation.records) == 6


def test_a_validation_channel_goes_before_the_split_T82(tmp_path: Path) -> None:
    loaded = load(channels(tmp_path, training=ROWS, validation='2,"x"\n0,"y"\n'), 0.2, 1)
    assert len(loaded.training.records) == 30
    assert loaded.validation.records == ("x", "y")
    assert loaded.validation.targets.tolist() == [2, 0]
    assert loaded.validation.locations == ("validation/data.csv:1", "validation/data.csv:2")


def test_no_training_channel_is_an_error_that_names_the_jobs_channels_T82(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no channel 'training'.*validation"):
        load(channels(tmp_path, validation=ROWS), 0.2, 1)


def test_both_names_at_once_are_refused_T82(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the channels train and training are all for training; give one"):
        load(channels(tmp_path, training=ROWS, train=ROWS), 0.2, 1)


def test_one_label_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two labels or more"):
        load(channels(tmp_path, training="0,a\n0,b\n"), 0.2, 1)


def test_swapped_columns_are_recognised(tmp_path: Path) -> None:
    content = "".join(f'"text number {index}",{index % 2}\n' for index in range(30))
    with pytest.raises(UserError, match="the first column must be the label"):
        load(channels(tmp_path, training=content), 0.2, 1)


GOOD_PART = "fire,smoke came out from under the dash\nbrakes,the pedal goes soft when I stop\n" * 30
SWAPPED_PART = "".join(f"the horn is broken on car {index},{{}}\n" for index in range(30))


@pytest.mark.parametrize(
    "part",
    {
        "many rows": SWAPPED_PART.format(*["brakes"] * 30),
        "a label of its own": SWAPPED_PART.format(*["horn"] * 30),
        "few rows": "the horn is broken,brakes\nit smells of gas,fire\n",
        "a single row of a label of its own": "the horn is broken,horn\n",
        "more rows than the others": SWAPPED_PART.format(*["brakes", "fire"] * 15) * 5,
        "a header in the wrong order": "label,text\nthe horn is broken,brakes\nit smells of gas,fire\n",
    }.items(),
    ids=lambda part: part[0],
)
@pytest.mark.parametrize("name", ["a.csv", "c.csv"])
def test_swapped_columns_of_one_file_are_recognised_beside_good_ones(
    tmp_path: Path, part: tuple[str, str], name: str
) -> None:
    (tmp_path / "b.csv").write_text(GOOD_PART)
    (tmp_path / name).write_text(part[1])
    line = 1 + part[1].startswith("label")
    with pytest.raises(UserError, match=f"^training/{name}:{line}: the columns of this file look swapped") as error:
        load({"training": tmp_path}, 0, 1)
    assert "horn" not in str(error.value)


@pytest.mark.parametrize(
    "part",
    {
        "labels of its own": "horn,it does not make a sound\nlights,one of them is out\n" * 5,
        "a row of each": "".join(f"part {index},it does not make a sound\n" for index in range(30)),
        "labels longer than the texts": "horn assembly,loud\nhorn cable,loose\nhorn relay,loud\n" * 5,
        "a label like a text": "other things that customers complain about,too loud\n" * 5,
        "a text that is a label": "horn assembly,fire\nhorn cable,loose\nhorn relay,loud\n" * 5,
        "labels that a header calls so": "label,text\nwho pays for the horn,horn\nwhere is the horn,horn\n",
        "sentences as in the other file": "who pays for the horn,horn\n" * 2 + "where is my horn now,light\n",
    }.items(),
    ids=lambda part: part[0],
)
def test_a_file_of_new_labels_is_read_beside_others(tmp_path: Path, part: tuple[str, str]) -> None:
    good = GOOD_PART.replace("fire,", "what to do in a fire,").replace("brakes,", "how to mend the brakes,")
    (tmp_path / "a.csv").write_text(good if part[0].startswith("sentences") else GOOD_PART)
    (tmp_path / "b.csv").write_text(part[1])
    assert len(load({"training": tmp_path}, 0, 1).labels) > 2


def test_a_validation_channel_may_have_a_row_a_label(tmp_path: Path) -> None:
    training = "".join(f"{index % 40},text {index}\n" for index in range(200))
    validation = "".join(f"{index},text {index}\n" for index in range(40))
    loaded = load(channels(tmp_path, training=training, validation=validation), 0.2, 1)
    assert len(loaded.validation.records) == 40


def test_a_header_that_is_not_recognised_is_no_label(tmp_path: Path) -> None:
    content = "mood,posting\ngood,a\nbad,b\ngood,c\nbad,d\n"
    with pytest.raises(UserError) as error:
        load(channels(tmp_path, training=content), 0.2, 1)
    assert "training/data.csv:1: " in str(error.value)
    assert "if it is a header, call its columns label and text" in str(error.value)


def test_a_header_that_is_not_recognised_is_found_in_each_file_and_above_a_rare_label(tmp_path: Path) -> None:
    given = channels(tmp_path, training="")
    (given["training"] / "data.csv").unlink()
    for name, content in {
        "a.csv": "good,x\nbad,y\n" * 3, "b.csv": "mood,posting\n" + "good,a\nbad,b\n" * 2, "c.csv": "bad,z\nrare,z\n",
    }.items():  # fmt: skip
        (given["training"] / name).write_text(content)
    with pytest.raises(UserError) as error:
        load(given, 0.2, 1)
    assert str(error.value).startswith("training/b.csv:1: a label that no row below has")
    assert "if it is data, set header to false" in str(error.value)
    assert load(given, 0.2, 1, dialect=Dialect("false")).labels == ("bad", "good", "mood", "rare")


def test_a_validation_channel_may_begin_with_its_only_row_of_a_label(tmp_path: Path) -> None:
    training = "good,a\nbad,b\nrare,c\n" * 3
    loaded = load(channels(tmp_path, training=training, validation="rare,x\n" + "good,y\nbad,z\n" * 2), 0.2, 1)
    assert len(loaded.validation.records) == 5


def test_a_header_above_a_validation_channel_is_named(tmp_path: Path) -> None:
    training, validation = "good,a\nbad,b\n" * 2, "mood,posting\ngood,a\nbad,b\n"
    with pytest.raises(
        UserError, match=r"validation/data.csv:1: a label that no training row has; .*; if it is a header"
    ):
        load(channels(tmp_path, training=training, validation=validation), 0.2, 1)


def test_too_few_rows_to_hold_any_out_are_mentioned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = load(channels(tmp_path, training="0,a\n1,b\n"), 0.9, 1)
    assert loaded.validation.records == ()
    assert "there will be no val_accuracy" in caplog.text
    assert "a label needs two or more, one of which is always trained on" in caplog.text


@pytest.mark.parametrize(
    ("ratio", "cure"), [("0", "set validation_split_ratio above 0"), ("0.5", "a label needs two or more")]
)
def test_a_job_that_needs_validation_rows_is_told_how_to_get_some(tmp_path: Path, ratio: str, cure: str) -> None:
    asked = Hyperparameters.parse({"early_stopping": "True", "validation_split_ratio": ratio})
    loaded = load(channels(tmp_path, training="0,a\n1,b\n"), asked.validation_split_ratio, 1)
    with pytest.raises(
        UserError, match=f"validation rows, and there are none; add a channel 'validation', or .*{cure}"
    ):
        data.check_validation(len(loaded.validation.records), asked)


def test_a_validation_label_without_training_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"validation/data.csv:2: a label that no training row has"):
        load(channels(tmp_path, training=ROWS, validation="0,x\n7,y\n"), 0.2, 1)


@pytest.mark.parametrize("name", ["test", "testing"])
def test_a_test_channel_is_read_beside_the_others(tmp_path: Path, name: str) -> None:
    loaded = load(channels(tmp_path, training=ROWS, **{name: '2,"x"\n0,"y"\n'}), 0.2, 1)
    assert loaded.test.records == ("x", "y")
    assert loaded.test.targets.tolist() == [2, 0]
    assert len(loaded.validation.records) == 6
    assert load(channels(tmp_path / "training", train=ROWS), 0.2, 1).test.records == ()


def test_a_test_channel_changes_neither_the_rows_held_out_nor_the_digest(tmp_path: Path) -> None:
    with_test = channels(tmp_path, training=ROWS, test=ROWS)
    loaded, without = load(with_test, 0.2, 1), load({"training": with_test["training"]}, 0.2, 1)
    assert loaded.validation.locations == without.validation.locations
    assert loaded.digest == without.digest


def test_rows_are_held_out_as_they_ever_were(tmp_path: Path) -> None:
    loaded = load(channels(tmp_path, training=ROWS), 0.2, 1)
    assert [place.split(":")[1] for place in loaded.validation.locations] == ["3", "4", "5", "15", "20", "22"]
    assert loaded.digest == "2496806ab560530af8bb991a85524f928f3ff521b10f638a63ffbe021990fb6a"


def test_bad_rows_of_all_channels_are_in_one_message_T06(tmp_path: Path) -> None:
    given = channels(tmp_path, training=ROWS + "0,a,b\n", validation="0\n", test=",x\n")
    with pytest.raises(UserError) as error:
        load(given, 0.2, 1)
    assert [line.split(": ")[0] for line in str(error.value).splitlines()] == [
        "training/data.csv:31",
        "validation/data.csv:1",
        "test/data.csv:1",
    ]


def test_a_host_without_a_part_of_the_files_is_told_why_T33(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    for folder in (tmp_path / "training", tmp_path / "none"):
        with pytest.raises(UserError) as error:
            data.read({"training": folder}, sharded=frozenset({"training"}))
        assert str(error.value) == (
            "this host got no file of channel training: with ShardedByS3Key each host gets a part of the objects; "
            "use at least as many files as hosts, or FullyReplicated"
        )


def test_labels_of_another_kind_than_training_has_are_one_problem(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load(channels(tmp_path, training=ROWS, validation="a,x\nb,y\n"), 0.2, 1)
    assert str(error.value) == (
        "validation/data.csv:1: the labels are names here and integers in training; use one kind"
    )


def test_known_labels_keep_their_places_and_new_ones_follow(tmp_path: Path) -> None:
    given = channels(tmp_path, training="fire,a\nbrakes,b\naxle,c\nbrakes,d\n")
    loaded = load(given, 0, 1, known_labels=("no fault", "brakes"))
    assert loaded.labels == ("no fault", "brakes", "axle", "fire")
    assert loaded.training.targets.tolist() == [3, 1, 2, 1]


def test_one_label_is_enough_where_others_are_known(tmp_path: Path) -> None:
    tables = data.read(channels(tmp_path, training="1,a\n1,b\n"))
    assert data.labels_of(tables, (0, 1)) == (0, 1)


def test_a_known_label_above_others_is_no_header(tmp_path: Path) -> None:
    tables = data.read(channels(tmp_path, training="rare,a\ngood,b\ngood,c\n"))
    assert data.labels_of(tables, ("bad", "rare")) == ("bad", "rare", "good")


def test_labels_of_another_kind_than_the_known_ones_are_refused(tmp_path: Path) -> None:
    tables = data.read(channels(tmp_path, training=ROWS))
    with pytest.raises(UserError, match=r"training/data.csv:1: the labels are integers, and those of the model"):
        data.labels_of(tables, ("a", "b"))


def test_labels_keep_their_type_and_order(tmp_path: Path) -> None:
    assert load(channels(tmp_path, training="10,a\n9,b\n10,c\n"), 0.0, 1).labels == (9, 10)
    (tmp_path / "names").mkdir()
    named = channels(tmp_path / "names", training="fire,a\nbrakes,b\n")
    assert load(named, 0.0, 1).labels == ("brakes", "fire")


def test_the_same_seed_holds_out_the_same_rows() -> None:
    labels = pd.Series(["a", "b"] * 50)
    first, again, other = (data.hold_out(labels, 0.2, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_where_not_every_label_can_have_a_row_held_out_those_that_do_are_drawn() -> None:
    labels = pd.Series(np.repeat(np.arange(150), 3))
    first, other = (set(labels[data.hold_out(labels, 0.2, seed)]) for seed in (1, 2))
    assert len(first) == len(other) == 90
    assert first != other
    assert {label // 50 for label in first} == {0, 1, 2}


@pytest.mark.parametrize(("sizes", "ratio"), [((50, 50), 0.2), ((90, 9, 1), 0.2), ((7, 7, 7), 0.1), ((1000, 3), 0.333)])
def test_every_label_is_held_out_alike_and_none_wholly(sizes: tuple[int, ...], ratio: float) -> None:
    labels = pd.Series(np.repeat(np.arange(len(sizes)), sizes))
    held_out = data.hold_out(labels, ratio, 3)
    counts = labels[held_out].value_counts().reindex(range(len(sizes)), fill_value=0)
    for count, size in zip(counts, sizes, strict=True):
        assert abs(count - size * ratio) <= 1
        assert count < size
    assert abs(held_out.sum() - sum(sizes) * ratio) <= 1


def test_a_ratio_of_zero_holds_out_none() -> None:
    assert not data.hold_out(pd.Series([0, 1, 0, 1]), 0.0, 1).any()


def test_a_text_is_cut_to_what_requests_may_have_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    longest = "x" * LONGEST
    tables = data.read(channels(tmp_path, training=f"0,a\n1,{longest}\n1,{longest}yz\n"))
    assert list(tables.training["record"]) == ["a", longest, longest]
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert "training/data.csv:3 has more than 131,072 characters" in warning


def test_the_digest_tells_different_data_apart(tmp_path: Path) -> None:
    digests = set()
    for number, content in enumerate(["0,ab\n1,c\n", "0,a\n1,bc\n", "1,ab\n0,c\n"]):
        (tmp_path / str(number)).mkdir()
        digests.add(load(channels(tmp_path / str(number), training=content), 0.0, 1).digest)
    assert len(digests) == 3
