"""Texts in a file each, in a folder for each label: the layout of Keras's ``text_dataset_from_directory``."""

import csv
import gzip
import logging
import os
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

import pytest

from channels import load, read_channel
from classifier import modalities
from classifier.errors import UserError
from classifier.modalities import text_channel
from classifier.tabular.rows import ReadResult
from jobs import Job, check_data

Files = Mapping[str, str | bytes]
Pairs = list[tuple[object, str]]

REVIEWS: Files = {
    **{f"pos/{number}.txt": f"A good film, number {number}.\n\nI laughed, a lot.\n" for number in range(20)},
    **{f"neg/{number}.txt": f'A bad film, number {number}.\nHe said: "no", and left.\n' for number in range(20)},
}


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def pairs(folder: Path) -> Pairs:
    table = read_channel(folder, "training").table
    return list(zip(table["label"], table["record"], strict=True))


# What is there, and the labels and texts that come of it.
READ: Mapping[str, tuple[Files, Pairs]] = {
    "a file for each text": ({"pos/1.txt": "good", "neg/1.txt": "bad"}, [("neg", "bad"), ("pos", "good")]),
    "texts of several lines, with commas and quotes": (
        {"pos/1.txt": 'He said "yes", and\n\nstayed.\n', "neg/1.txt": '"No'},
        [("neg", '"No'), ("pos", 'He said "yes", and\n\nstayed.')],
    ),
    "a byte order mark, and line ends of Windows": (
        {"pos/1.txt": "\ufeffgood\r\nfilm\r\n", "neg/1.txt": "bad"},
        [("neg", "bad"), ("pos", "good\r\nfilm")],
    ),
    "folders in a label's folder": (
        {"pos/2024/a.txt": "good", "pos/b.txt": "fine", "neg/x/y/c.txt": "bad"},
        [("neg", "bad"), ("pos", "good"), ("pos", "fine")],
    ),
    "labels that are integers": (
        {"1/a.txt": "good", "0/a.txt": "bad", "10/a.txt": "x"},
        [(0, "bad"), (1, "good"), (10, "x")],
    ),
    "labels of any script and with spaces": (
        {"très bon/a.txt": "bien", "だめ/a.txt": "まずい"},
        [("très bon", "bien"), ("だめ", "まずい")],
    ),
    "files without an ending, as in 20 Newsgroups": (
        {"sci.space/60150": "From: a\nSubject: b\n\nOrbit, again", "rec.autos/101551": "From: c\nSubject: d\n\nBrakes"},
        [("rec.autos", "From: c\nSubject: d\n\nBrakes"), ("sci.space", "From: a\nSubject: b\n\nOrbit, again")],
    ),
    "compressed texts": (
        {"pos/1.txt.gz": gzip.compress(b"good"), "neg/1.TXT": "bad"},
        [("neg", "bad"), ("pos", "good")],
    ),
    "texts of one line with one comma each": (
        {f"{label}/{number}.txt": f"Film {number}, {label}" for number in range(3) for label in ("pos", "neg")},
        [(label, f"Film {number}, {label}") for label in ("neg", "pos") for number in range(3)],
    ),
    "texts by names like those of notices": (
        {"pos/source_1": "good", "pos/copyright_2": "fine", "neg/changes 3": "bad", "neg/LICENSE-MIT": "x"},
        [("neg", "bad"), ("pos", "fine"), ("pos", "good")],
    ),
    "a web page as a text": (
        {"spam/1.txt": "<html>buy</html>", "ham/1.txt": "hello"},
        [("ham", "hello"), ("spam", "<html>buy</html>")],
    ),
    "files that say something about the data": (
        {
            "pos/1.txt": "good",
            "neg/1.txt": "bad",
            "README": "a, b\nc, d",
            "README.md": "x",
            "NOTICE.txt": "x",
            "pos/LICENSE": "x",
            "pos/.DS_Store": "x",
            "imdb.vocab": "the\nand\n",
        },
        [("neg", "bad"), ("pos", "good")],
    ),
    "tables in folders": (
        {"2023/a.txt": "0,it smokes\n1,soft\n", "2024/a.txt": "0,it burns\n1,hard\n"},
        [(0, "it smokes"), (1, "soft"), (0, "it burns"), (1, "hard")],
    ),
    "a table at the top beside a folder of tables": (
        {"data.txt": "0,it smokes\n1,soft\n", "more/a.txt": "1,hot"},
        [(0, "it smokes"), (1, "soft"), (1, "hot")],
    ),
    "compressed tables in folders": (
        {"2023/a.txt.gz": gzip.compress(b"0,it smokes\n1,soft\n0,hot\n")},
        [(0, "it smokes"), (1, "soft"), (0, "hot")],
    ),
    "tables of long rows in folders": (
        {"2023/a.txt": "".join(f'{number % 2},"{"it smokes, " * 999}"\n' for number in range(4))},
        [(number % 2, "it smokes, " * 999) for number in range(4)],
    ),
    "tables in folders, the label last and under a header": (
        {
            "2023/a.txt": "text\tlabel\nit smokes\tfire\nsoft\tbrakes\n",
            "2024/a.txt": "text\tlabel\nhot\tfire\nhard\tbrakes\n",
        },
        [("fire", "it smokes"), ("brakes", "soft"), ("fire", "hot"), ("brakes", "hard")],
    ),
}

# What is there, where the message begins, and its cure.
REFUSED: Mapping[str, tuple[Files, str, str]] = {
    "a folder of test texts beside the labels": (
        {**REVIEWS, "test/1.txt": "good"},
        "training/test: beside the labels' folders",
        "give it the channel test, or, if it is a label, another name",
    ),
    "a folder of validation texts beside the labels": (
        {**REVIEWS, "Val/1.txt": "good"},
        "training/Val: beside the labels' folders",
        "give it the channel validation",
    ),
    "a folder of held-out texts beside the labels": (
        {**REVIEWS, "holdout/1.txt": "good"},
        "training/holdout: beside the labels' folders",
        "give it the channel test, or, if it is a label, another name",
    ),
    "a folder of tests beside the labels": (
        {**REVIEWS, "tests/1.txt": "good"},
        "training/tests: beside the labels' folders",
        "give it the channel test, or, if it is a label, another name",
    ),
    "a folder of development texts beside the labels": (
        {**REVIEWS, "development/1.txt": "good"},
        "training/development: beside the labels' folders",
        "give it the channel validation, or, if it is a label, another name",
    ),
    "a folder of texts without labels": (
        {**REVIEWS, "unsup/1.txt": "good"},
        "training/unsup: texts without a label",
        "take it out, or, if it is a label",
    ),
    "a folder too high": (
        {f"{split}/{name}": content for split in ("train", "test") for name, content in REVIEWS.items()},
        "channel training: its folders are called test, train, which are no labels",
        "give each a channel of its own",
    ),
    "a folder too high, over splits with longer names": (
        {f"20news-bydate-{split}/{name}": content for split in ("train", "test") for name, content in REVIEWS.items()},
        "channel training: its folders are called 20news-bydate-test, 20news-bydate-train, which are no labels",
        "give each a channel of its own",
    ),
    "a folder too high, over splits in one word": (
        {f"{split}/{name}": content for split in ("trainset", "testset") for name, content in REVIEWS.items()},
        "channel training: its folders are called testset, trainset, which are no labels",
        "give each a channel of its own",
    ),
    "splits in the labels' folders": (
        {name.replace("/", f"/{split}/"): text for split in ("train", "test") for name, text in REVIEWS.items()},
        "channel training: its labels' folders have folders for several purposes in them (test, train)",
        "give each a channel of its own",
    ),
    "a test set beside the labels": (
        {**REVIEWS, "test_set/1.txt": "good"},
        "training/test_set: beside the labels' folders",
        "give it the channel test, or, if it is a label, another name",
    ),
    "unlabelled data beside the labels": (
        {**REVIEWS, "unlabelled_data/1.txt": "good"},
        "training/unlabelled_data: texts without a label",
        "take it out, or, if it is a label",
    ),
    "two folders too high": (
        {f"reviews/{name}": content for name, content in REVIEWS.items()},
        "training/reviews: all texts are in this folder, whose own folders (neg, pos) may be the labels",
        "its S3 address must lead to the folder that the labels' folders are in",
    ),
    "one label only": (
        {name: content for name, content in REVIEWS.items() if name.startswith("pos")},
        "training/pos/0.txt: every row has the same label",
        "a classifier needs two labels or more",
    ),
    "Latin-1": (
        {**REVIEWS, "pos/x.txt": b"ol\xe9 ol\xe9"},
        "training/pos/x.txt:1: not UTF-8",
        "save the file as UTF-8",
    ),
    "UTF-16": ({**REVIEWS, "pos/x.txt": "good".encode("utf-16")}, "training/pos/x.txt: UTF-16", "iconv -f UTF-16"),
    "a Git LFS pointer": (
        {**REVIEWS, "pos/x.txt": "version https://git-lfs.github.com/spec/v1\n"},
        "training/pos/x.txt: a Git LFS pointer",
        "run git lfs pull",
    ),
    "an image without an ending": (
        {**REVIEWS, "pos/x": b"\x89PNG\r\n\x1a\n"},
        "training/pos/x: an image, not a table",
        "in a folder",
    ),
    "labels of two kinds": (
        {"1/a.txt": "good", "0/a.txt": "bad", "other/a.txt": "x"},
        "training/other/a.txt: the label is not an integer where most are integers",
        "use one kind",
    ),
    "a label with an invisible character": (
        {**REVIEWS, "n\u200bo/a.txt": "x"},
        "training/n\\u200bo: the label holds an invisible character",
        "remove it",
    ),
    "a label that is not UTF-8": (
        {**REVIEWS, os.fsdecode(b"caf\xe9/a.txt"): "x"},
        "training/caf\\xe9: the folder's name is not UTF-8",
        "another",
    ),
}

# What is there beside two labels' folders, and how the warning of it begins and ends.
WARNED: Mapping[str, tuple[Files, str, str]] = {
    "another kind of file in a label's folder": (
        {"pos/a.pdf": b"%PDF-1.7"},
        "training/pos/a.pdf (8 bytes): in a folder of texts",
        "ends in .txt; write it so",
    ),
    "a text under another ending": ({"pos/a.md": "good"}, "training/pos/a.md (4 bytes): in a folder", "write it so"),
    "a text that is called as a notice may be": (
        {"pos/source": "good"},
        "training/pos/source (4 bytes): in a folder of texts",
        "ends in .txt; write it so",
    ),
    "a table at the top that is called so": (
        {"source.txt": "pos,good\nneg,bad\n"},
        "training/source.txt (17 bytes): tables and texts",
        "each a channel",
    ),
    "an empty text": (
        {"pos/a.txt": ""},
        "training/pos/a.txt (0 bytes): a text that is empty",
        "write it, or take it out",
    ),
    "a text outside of the labels' folders": (
        {"a.txt": "good"},
        "training/a.txt (4 bytes): outside of the labels' folders",
        "put it in that of its label",
    ),
    "a compressed text outside of the labels' folders": (
        {"a.txt.gz": gzip.compress(b"good")},
        "training/a.txt.gz (24 bytes): outside of the labels' folders",
        "put it in that of its label",
    ),
    "a compressed table at the top": (
        {"a.txt.gz": gzip.compress(b"pos,good\nneg,bad\n", mtime=0)},
        "training/a.txt.gz (",
        "each a channel",
    ),
    "a text whose name begins with a dot": (
        {"pos/.a.csv": "good"},
        "training/pos/.a.csv (4 bytes): names that begin with a dot",
        "give it another name",
    ),
    "a label that begins with a dot": (
        {".net/a.txt": "good"},
        "training/.net/a.txt (4 bytes): names that begin with a dot",
        "give it another name",
    ),
    "a table at the top": (
        {"a.json": '{"label": "pos", "text": "good"}\n'},
        "training/a.json (33 bytes): tables and texts",
        "each a channel",
    ),
    "a workbook at the top": (
        {"a.xlsx": b"PK\x03\x04"},
        "training/a.xlsx (4 bytes): an Excel workbook",
        "upload the files in it",
    ),
}


@pytest.mark.parametrize("case", READ)
def test_texts_in_the_folders_of_their_labels_are_read_T83(tmp_path: Path, case: str) -> None:
    files, expected = READ[case]
    assert pairs(write(tmp_path, files)) == expected


@pytest.mark.parametrize("case", REFUSED)
def test_folders_of_texts_that_leave_a_doubt_are_refused_T05(tmp_path: Path, case: str) -> None:
    files, begin, cure = REFUSED[case]
    with pytest.raises(UserError) as error:
        load({"training": write(tmp_path, files)}, 0.2, 1)
    first = str(error.value).splitlines()[0]
    assert first.startswith(begin)
    assert cure in first


@pytest.mark.parametrize(
    ("lines", "more", "warned"),
    [(5, {}, True), (40, {}, True), (4, {}, False), (40, {"pos/b.txt": "good"}, False), (40, {"a/b.txt": "x"}, False)],
)
def test_a_single_file_of_each_label_may_be_a_text_per_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lines: int, more: Files, *, warned: bool
) -> None:
    files = {
        f"{label}/all.txt": "".join(f"It was {label} on day {day}.\n" for day in range(lines))
        for label in ("pos", "neg")
    }
    load({"training": write(tmp_path, {**files, **more})}, 0, 1)
    words = "training/neg/all.txt: the only file of its label, as of every other, and each has 5 lines or more; a file"
    assert (words in caplog.text) == warned


def test_the_same_folders_in_each_folder_at_the_top_may_be_the_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(
        {
            "training": write(
                tmp_path, {f"{year}/{name}": text for year in (2019, 2020) for name, text in REVIEWS.items()}
            )
        },
        0,
        1,
    )
    assert (
        "are taken for the labels, and have the same folders in them (neg, pos); if these are the labels" in caplog.text
    )


@pytest.mark.parametrize("case", WARNED)
def test_what_is_not_read_beside_texts_in_folders_is_warned_of_T27(tmp_path: Path, case: str) -> None:
    files, begin, end = WARNED[case]
    result = ReadResult()
    assert len(text_channel.find(write(tmp_path, {**REVIEWS, **files}), "training", result)) == len(REVIEWS)
    (warning,) = result.warnings
    assert warning.startswith(f"left out: {begin}")
    assert warning.endswith(end)


def test_the_layout_is_in_the_log_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    channels = {"training": write(tmp_path, REVIEWS)}
    assert modalities.choose("auto", channels) == (
        modalities.MODALITIES["text"],
        "there are texts in folders to train on",
    )
    with caplog.at_level("INFO"):
        loaded = load(channels, 0.2, 1)
    assert "each file is a text, whose label is the folder it is in: 40 in 2 folders" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert loaded.labels == ("neg", "pos")
    assert (len(loaded.training.records), len(loaded.validation.records)) == (32, 8)
    assert loaded.training.locations[0] == "training/neg/0.txt"


def test_every_label_may_have_few_texts(tmp_path: Path) -> None:
    files = {f"label {number}/a.txt": f"text {number}" for number in range(30)}
    assert len(load({"training": write(tmp_path, files)}, 0, 1).labels) == 30


def test_a_validation_channel_may_be_laid_out_so_where_training_is_a_table(tmp_path: Path) -> None:
    training = write(tmp_path / "training", {"data.csv": "pos,good\nneg,bad\n" * 3})
    loaded = load({"training": training, "validation": write(tmp_path / "validation", REVIEWS)}, 0.2, 1)
    assert len(loaded.validation.records) == 40


@pytest.mark.parametrize("name", ["sst2", "trec6", "banking77", "clinc150_imbalanced", "20news4", "imdb_polarity2k"])
def test_real_rows_are_the_same_as_a_table_and_as_folders_of_texts(
    tmp_path: Path, shared: Callable[[str], Path], name: str
) -> None:
    with shared(f"data/text/{name}/train/data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(islice(csv.reader(file), 400))
    texts = {f"label {label}/{number:03}.txt": each for number, (label, each) in enumerate(rows)}
    assert sorted(pairs(write(tmp_path / "texts", texts)), key=str) == sorted(
        ((f"label {label}", each.rstrip("\r\n")) for label, each in rows), key=str
    )
    for part in (rows[:200], rows[200:]):
        path = tmp_path / "table" / str(len(part[0][1])) / "a.txt"
        path.parent.mkdir(parents=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(part)
    read = pairs(tmp_path / "table")
    assert sorted(read, key=str) == sorted(((int(label), each) for label, each in rows), key=str)


def test_the_command_says_the_same(tmp_path: Path) -> None:
    ended = check_data("check", write(tmp_path / "a", REVIEWS))
    assert ended.returncode == 0, ended.stdout
    assert "rows_of_labels='neg: 16, pos: 16'" in ended.stdout
    assert "warning" not in ended.stdout
    ended = check_data("check", write(tmp_path / "b", REFUSED["a folder of test texts beside the labels"][0]))
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"{tmp_path}/b/test: beside the labels' folders; give it the channel test")


def test_a_job_trains_on_them_T83(job: Job) -> None:
    (job.base / "input" / "data" / "training" / "data.csv").unlink()
    write(job.base / "input" / "data" / "training", REVIEWS)
    job.train()
    assert job.manifest["labels"] == ["neg", "pos"]
