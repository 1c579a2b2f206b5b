"""Which files of a channel are read, which of the others are warned of, and which nobody would miss."""

import gzip
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from channels import read_channel
from classifier import modalities
from classifier.errors import UserError
from classifier.modalities import text_channel
from classifier.tabular.rows import ReadResult
from jobs import check_data

Files = Mapping[str, str | bytes]

ROWS = "fire,it smokes\nbrakes,pedal goes soft\n"
LINES = '{"label": "fire", "text": "it smokes"}\n{"label": "brakes", "text": "pedal goes soft"}\n'
WORKBOOK = b"PK\x03\x04" + bytes(22) + b"\x13\0\0\0[Content_Types].xml" + bytes(30)
BMP = b"BM\x90\x00\x00\x00" + bytes(4) + b"\x36\x00\x00\x00\x28\x00\x00\x00" + b"\xff" * 99
NOBODY = 65534
MANIFEST = '[{"prefix": "s3://bucket/"}, "a.csv"]'
AUGMENTED = '{"source": "it smokes", "part": "fire", "part-metadata": {"class-name": "fire"}}\n'
ALONE = "beside a data.csv at the top no other file is read; give data.csv another name, and all tables are read"
HIDDEN = "names that begin with a dot or an underscore are treated as temporary or system files; give it another name"


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def found(folder: Path) -> tuple[list[str], ReadResult]:
    """Return the files that are read, by their names below the channel, and what is said of the others."""
    result = ReadResult()
    sources = text_channel.find(folder, "training", result)
    return [source.path.relative_to(folder).as_posix() for source in sources], result


# What is there, what of it is read, and how the warning begins and ends.
WARNED: Mapping[str, tuple[Files, list[str], list[tuple[str, str]]]] = {
    "a table beside data.csv": (
        {"data.csv": ROWS, "data-2024.csv": ROWS}, ["data.csv"], [("training/data-2024.csv (38 bytes)", ALONE)],
    ),
    "tables in folders beside data.csv": (
        {"data.csv": ROWS, "2023/data.csv": ROWS, "2024/a.jsonl": LINES},
        ["data.csv"],
        [("training/2023/data.csv (38 bytes), training/2024/a.jsonl (86 bytes)", ALONE)],
    ),
    "a compressed table beside data.csv": (
        {"data.csv": ROWS, "data.csv.gz": b"?"}, ["data.csv"], [("training/data.csv.gz (1 bytes)", ALONE)],
    ),
    "a workbook beside tables": (
        {"a.csv": ROWS, "b.xlsx": WORKBOOK},
        ["a.csv"],
        [(f"training/b.xlsx ({len(WORKBOOK)} bytes)", "or unpack it and upload the files in it")],
    ),
    "Parquet beside tables": (
        {"a.csv": ROWS, "b.parquet": b"PAR1\x15\0"}, ["a.csv"],
        [("training/b.parquet (6 bytes): a Parquet file, not text; ", "to_csv('data.csv', index=False))")],
    ),
    "an archive beside tables": (
        {"a.csv": ROWS, "more.zip": b"PK\x03\x04" + bytes(22) + b"\x05\0\0\0b.csv"}, ["a.csv"],
        [("training/more.zip (35 bytes): a ZIP archive of tables or texts; ", "unpack it and upload the files in it")],
    ),
    "a name that begins with an underscore": (
        {"a.csv": ROWS, "_part-1.csv": ROWS}, ["a.csv"], [("training/_part-1.csv (38 bytes)", HIDDEN)],
    ),
    "a name that begins with a dot": (
        {"a.csv": ROWS, ".b.jsonl": LINES}, ["a.csv"], [("training/.b.jsonl (86 bytes)", HIDDEN)],
    ),
    "a folder whose name begins with an underscore": (
        {"a.csv": ROWS, "_2024/b.csv": ROWS}, ["a.csv"], [("training/_2024/b.csv (38 bytes)", HIDDEN)],
    ),
    "a hidden table without an ending": (
        {"a.csv": ROWS, "_part-00001": ROWS}, ["a.csv"], [("training/_part-00001 (38 bytes)", HIDDEN)],
    ),
    "a compressed copy": (
        {"a.csv": ROWS, "a.csv.gz": b"?"}, ["a.csv"],
        [("training/a.csv.gz (1 bytes)", "give one of them another name if they differ")],
    ),
    "rows in a .json beside a table": (
        {"a.csv": ROWS, "b.json": LINES}, ["a.csv"],
        [("training/b.json (86 bytes)", "let its name end in .jsonl, .csv or .tsv")],
    ),
    "an array of records in a .json": (
        {"a.csv": ROWS, "b.json": json.dumps([{"review": "x", "stars": 3}])}, ["a.csv"],
        [("training/b.json (29 bytes)", "let its name end in .jsonl, .csv or .tsv")],
    ),
    "rows in a .txt beside a table": (
        {"a.csv": ROWS, "b.txt": "fire\tit smokes\nbrakes\tsoft, then hard\n"}, ["a.csv"],
        [("training/b.txt (38 bytes)", "let its name end in .jsonl, .csv or .tsv")],
    ),
    "rows without an ending beside a table": (
        {"a.csv": ROWS, "part-00000": ROWS}, ["a.csv"],
        [("training/part-00000 (38 bytes): its name has no known suffix", "rename it to part-00000.csv")],
    ),
    "objects without an ending beside a table": (
        {"a.csv": ROWS, "part-00000": LINES}, ["a.csv"],
        [("training/part-00000 (86 bytes): its name has no known suffix", "rename it to part-00000.jsonl")],
    ),
    "a table that was renamed": (
        {"a.csv": ROWS, "b.csv.bak": ROWS},
        ["a.csv"],
        [("training/b.csv.bak (38 bytes)", "rename it to b.csv.bak.csv")],
    ),
    "compressed rows in a .json or a .txt beside a table": (
        {
            "a.csv": ROWS, "b.json.gz": gzip.compress(LINES.encode(), mtime=0),
            "c.txt.gz": gzip.compress(ROWS.encode(), mtime=0),
        },
        ["a.csv"],
        [("training/b.json.gz (", "no other table; let its name end in .jsonl.gz, .csv.gz or .tsv.gz")],
    ),
    "another program's format, compressed, and broken gzip": (
        {"a.csv": ROWS, "b.txt.gz": gzip.compress(b"PAR1\x15\0"), "c.json.gz": gzip.compress(LINES.encode())[:12]},
        ["a.csv"],
        [
            ("training/b.txt.gz (26 bytes): compressed, and in it a Parquet file", "index=False))"),
            ("training/c.json.gz (12 bytes)", "broken gzip; compress and upload the file again"),
        ],
    ),
    "hidden compressed rows": (
        {"a.csv": ROWS, "_part-0.gz": gzip.compress(ROWS.encode(), mtime=0)}, ["a.csv"],
        [("training/_part-0.gz (", HIDDEN)],
    ),
    "rows compressed under a name that does not tell": (
        {"a.csv": ROWS, "part-0.gz": gzip.compress(ROWS.encode(), mtime=0)}, ["a.csv"],
        [("training/part-0.gz (", "rename it to part-0.csv.gz")],
    ),
    "another program's format without an ending": (
        {"a.csv": ROWS, "b": b"SQLite format 3\0"}, ["a.csv"],
        [("training/b (16 bytes): an SQLite database, not text", "as CSV or JSON Lines")],
    ),
    "images beside a table": (
        {"labels.csv": ROWS, "a.png": b"\x89PNG\r\n\x1a\n", "b.bmp": BMP}, ["labels.csv"],
        [("training/a.png (8 bytes), training/b.bmp (117 bytes): an image, not", "give the folder that these are in")],
    ),
    "an augmented manifest beside a table": (
        {"a.csv": ROWS, "b.manifest": AUGMENTED}, ["a.csv"],
        [(f"training/b.manifest ({len(AUGMENTED)} bytes)", "let its name end in .jsonl")],
    ),
    "texts in folders beside a table": (
        {"a.csv": ROWS, **{f"{label}/{number}.txt": "It smokes." for label in ("x", "y") for number in range(5)}},
        ["a.csv"],
        [("training/x/0.txt (10 bytes), training/x/1.txt (10 bytes), ", "as tables, or give each a channel")],
    ),
    "names like those of notices, in other formats": (
        {
            "a.csv": ROWS, "source_data.parquet": b"PAR1\x15\0", "source.parquet": b"PAR1\x15\0",
            "changes 2024.xlsx": WORKBOOK, "credits.zip": WORKBOOK, "readme.xlsx": WORKBOOK,
            "source.jsonl.bz2": b"BZh91AY&SY",
        },
        ["a.csv"],
        [
            ("training/changes 2024.xlsx (", "or unpack it and upload the files in it"),
            ("training/source.jsonl.bz2 (", "compress it with gzip, or not at all"),
            ("training/source.parquet (6 bytes), training/source_data.parquet (6 bytes)", "index=False))"),
        ],
    ),
    "names like those of notices, with rows": (
        {"a.csv": ROWS, "source": ROWS, "changes_2024": LINES, "credits.txt": ROWS},
        ["a.csv"],
        [
            ("training/changes_2024 (86 bytes)", "rename it to changes_2024.jsonl"),
            ("training/credits.txt (38 bytes)", "let its name end in .jsonl, .csv or .tsv"),
            ("training/source (38 bytes)", "rename it to source.csv"),
        ],
    ),
    "files for several reasons": (
        {"a.csv": ROWS, "_b.csv": ROWS, "c.xlsx": WORKBOOK, ".d.tsv": ROWS}, ["a.csv"],
        [("training/.d.tsv (38 bytes), training/_b.csv (38 bytes)", HIDDEN), ("training/c.xlsx (", "files in it")],
    ),
}  # fmt: skip

# What is there, what of it is read, and what is noted without a warning.
NOT_MISSED: Mapping[str, tuple[Files, list[str], tuple[str, ...]]] = {
    "names that only sound like splits": (
        {"training_requests.csv": ROWS, "evaluation-forms.csv": ROWS, "latest.csv": ROWS, "trainers.csv": ROWS},
        ["evaluation-forms.csv", "latest.csv", "trainers.csv", "training_requests.csv"],
        (),
    ),
    "names that say what rows are about beside one to train on": (
        {"train.csv": ROWS, "blood_tests.csv": ROWS, "development-costs.csv": ROWS, "validate_address.csv": ROWS},
        ["blood_tests.csv", "development-costs.csv", "train.csv", "validate_address.csv"],
        (),
    ),
    "parts to train on": (
        {"train-00000-of-00002.csv": ROWS, "train-00001-of-00002.csv": ROWS, "more/train.csv": ROWS},
        ["more/train.csv", "train-00000-of-00002.csv", "train-00001-of-00002.csv"],
        (),
    ),
    "one table": ({"data.csv": ROWS}, ["data.csv"], ()),
    "several tables": ({"a.csv": ROWS, "b/c.jsonl": LINES, "D.TSV": ROWS}, ["D.TSV", "a.csv", "b/c.jsonl"], ()),
    "what systems and programs leave behind": (
        {
            "a.csv": ROWS, ".DS_Store": bytes(9), "._a.csv": bytes(9), "__MACOSX/._a.csv": "x,y\nz,y\n",
            "Thumbs.db": b"\xd0\xcf\x11\xe0", "desktop.ini": "[a]\nb=c\n", "~$a.xlsx": "x", ".~lock.a.csv#": ",x,y\n",
            "_SUCCESS": "x", ".a.csv.crc": b"crc", "_metadata": b"PAR1\0", "_committed_1": "{}", "b_$folder$": "x",
            ".ipynb_checkpoints/a-checkpoint.csv": ROWS, ".git/config": "x", "_temporary/0/a.csv": ROWS,
            ".cache/huggingface/a.csv.metadata": "x,y\nz,y\n",
        },
        ["a.csv"],
        (),
    ),
    "a list of objects in S3": ({"a.csv": ROWS, "a.manifest": MANIFEST}, ["a.csv"], ()),
    "a readme and a licence": (
        {"a.csv": ROWS, "README": ROWS, "LICENSE.txt": ROWS, "readme.csv.txt": ROWS, "NOTICE": "x"}, ["a.csv"],
        ("left out: LICENSE.txt, NOTICE, README, readme.csv.txt",),
    ),
    "a few texts in a folder beside a table": (
        {"a.csv": ROWS, "docs/a.txt": "It smokes.", "docs/b.txt": "It burns."}, ["a.csv"],
        ("left out: docs/a.txt, docs/b.txt",),
    ),
    "notices": (
        {
            "a.csv": ROWS, "NOTICE.md": "a, b\nc, d\n", "LICENSE-APACHE": "a, b\nc, d\n", "AUTHORS": "Ada Lovelace\n",
            "CHANGES.txt": "Version 2\nCorrected in May, by two, twice.\n", "source.pdf": b"%PDF-1.7",
        },
        ["a.csv"],
        ("left out: AUTHORS, CHANGES.txt, LICENSE-APACHE, NOTICE.md, source.pdf",),
    ),
    "notices beside .txt tables": (
        {"a.txt": ROWS, "changes.txt": "Corrected in May.\n", "license.en.txt": ROWS}, ["a.txt"],
        ("left out: changes.txt, license.en.txt",),
    ),
    "tables by names like those of notices": (
        {"a.txt": ROWS, "changes_2024.txt": ROWS, "source.txt": ROWS, "notice-1.txt": ROWS},
        ["a.txt", "changes_2024.txt", "notice-1.txt", "source.txt"],
        (),
    ),
    "a readme beside .txt tables": ({"a.txt": ROWS, "readme.txt": "Read me, please."}, ["a.txt"],
                                   ("left out: readme.txt",)),
    "documents and programs": (
        {"a.csv": ROWS, "paper.pdf": b"%PDF-1.7", "page.html": "<html>", "load.py": "a, b\nc, d\n", "x.yaml": "a: b"},
        ["a.csv"],
        ("left out: load.py, page.html, paper.pdf, x.yaml",),
    ),
    "notes": ({"a.csv": ROWS, "notes.txt": "Collected in May.\nChecked, by two, in June.\n"}, ["a.csv"],
              ("left out: notes.txt",)),
    "the labels' names": (
        {"a.csv": ROWS, "labels.json": '["fire", "brakes"]', "map.json": '[{"id": 0, "name": "fire"}]',
         "id2label.json": '{"0": "fire", "1": "brakes"}', "classes.txt": "fire\nbrakes\n",
         "labels_info.json": '{"labels": ["fire", "brakes"]}'},
        ["a.csv"],
        ("left out: classes.txt, id2label.json, labels.json, labels_info.json, map.json",),
    ),
    "settings": (
        {"a.csv": ROWS, "info.json": '{\n "description": "claims",\n "version": 1\n}', "x.toml": "a = 1"}, ["a.csv"],
        ("left out: info.json, x.toml",),
    ),
    "compressed notes": (
        {"a.csv": ROWS, "notes.txt.gz": gzip.compress(b"Collected in May.\nChecked, by two, in June.\n")}, ["a.csv"],
        ("left out: notes.txt.gz",),
    ),
    "a checksum": ({"a.csv": ROWS, "a.csv.md5": "0f3a a.csv\n"}, ["a.csv"], ("left out: a.csv.md5",)),
    "empty files": ({"a.csv": ROWS, "b.csv": "", "_SUCCESS": ""}, ["a.csv"], ()),
}  # fmt: skip

# What is there, where the message begins, and its cure.
REFUSED: Mapping[str, tuple[Files, str, str]] = {
    "a table whose name begins with an underscore": (
        {"_data.csv": ROWS},
        "training/_data.csv: names that begin",
        "another name",
    ),
    "a table whose name begins with a dot": (
        {".data.csv": ROWS},
        "training/.data.csv: names that begin",
        "another name",
    ),
    "a table in a folder whose name begins with a dot": (
        {".a/b.csv": ROWS},
        "training/.a/b.csv: names",
        "another name",
    ),
    "an empty table": ({"data.csv": ""}, "training/data.csv: the file is empty", "write one row per line"),
    "an empty data.csv beside other tables": (
        {"data.csv": "", "old/data_2019.csv": ROWS},
        "training/data.csv: the file is empty; write one row per line",
        "or take it out, if the other files are to be read",
    ),
    "an empty data.csv beside texts in folders": (
        {"data.csv": "", "fire/1.txt": "It smokes.", "brakes/1.txt": "It is soft."},
        "training/data.csv: the file is empty; write one row per line",
        "or take it out",
    ),
    "rows without an ending": (
        {"part-00000": ROWS},
        "training/part-00000: its name has no known suffix",
        "rename it to part-00000.csv",
    ),
    "objects without an ending": (
        {"rows": LINES},
        "training/rows: its name has no known suffix",
        "rename it to rows.jsonl",
    ),
    "a list of objects in S3, as .manifest": (
        {"a.manifest": MANIFEST},
        "training/a.manifest: a list of objects in S3",
        "set the channel's S3DataType to",
    ),
    "a list of objects in S3, as .json": (
        {"list.json": MANIFEST},
        "training/list.json: a list of objects in S3",
        "or give the folder that the objects",
    ),
    "a list of objects in S3, over several lines and without an ending": (
        {"list": json.dumps(json.loads(MANIFEST), indent=1)},
        "training/list: a list of objects in S3",
        "S3DataType",
    ),
    "nothing but what a program leaves behind": (
        {"_SUCCESS": "x", ".DS_Store": "x", "Thumbs.db": "x"},
        "channel training: no file in it",
        "its S3 address must",
    ),
    "splits in folders of one channel": (
        {"train/data.csv": ROWS, "test/data.csv": ROWS},
        "channel training: by their names its files are for several purposes (for test test/data.csv; for training ",
        "give each a channel of its own",
    ),
    "splits in files of one channel": (
        {"train.csv": ROWS, "test.csv": ROWS, "valid.csv": ROWS},
        "channel training: by their names its files",
        "'training', 'validation' and 'test', or, if all are rows of this channel, give them other names",
    ),
    "splits in files by rarer words": (
        {"train.csv": ROWS, "holdout.csv": ROWS, "development.csv": ROWS},
        "channel training: by their names its files are for several purposes (for validation development",
        "or, if all are rows of this channel, give them other names",
    ),
    "splits in folders by rarer words": (
        {"trn/a.csv": ROWS, "tst/a.csv": ROWS},
        "channel training: by their names its files are for several purposes (for training trn/a.csv; for test tst/",
        "give each a channel of its own",
    ),
    "a word for a split that is written in two": (
        {"claims_train.csv": ROWS, "hold-out.csv": ROWS},
        "channel training: by their names its files are for several purposes (for training claims_train.csv; for tes",
        "give each a channel of its own",
    ),
    "longer words for splits beside a number": (
        {"training_2024.csv": ROWS, "testing_2024.csv": ROWS},
        "channel training: by their names its files are for several purposes (for test testing_2024.csv; for train",
        "give each a channel of its own",
    ),
    "splits in files, in words that are glued together": (
        {"trainData.csv": ROWS, "testData.csv": ROWS},
        "channel training: by their names its files are for several purposes (for test testData.csv; for training ",
        "give each a channel of its own",
    ),
    "splits in files, between points": (
        {"a.train.csv": ROWS, "a.test.csv": ROWS},
        "channel training: by their names its files are for several purposes (for test a.test.csv; for training a.tr",
        "give each a channel of its own",
    ),
    "splits in files, by longer words beside one that says nothing": (
        {"training_data.csv": ROWS, "testing_data.csv": ROWS},
        "channel training: by their names its files are for several purposes (for test testing_data.csv; for trainin",
        "give each a channel of its own",
    ),
    "splits in parts": (
        {"train-00000-of-00001.jsonl": LINES, "dev-00000-of-00001.jsonl": LINES},
        "channel training: by their",
        "a channel",
    ),
    "splits as partitions": (
        {"split=train/a.csv": ROWS, "split=test/a.csv": ROWS},
        "channel training: by their names",
        "give each a channel",
    ),
    "the label as a partition": (
        {"label=fire/a.csv": "1,it smokes\n", "label=brakes/a.csv": "2,soft\n"},
        "channel training: its folders are called label=..., as Spark's partitionBy writes",
        "write the table without partitionBy('label')",
    ),
}


@pytest.mark.parametrize("case", WARNED)
def test_a_file_that_is_not_read_and_may_hold_rows_is_a_warning_with_its_bytes_and_the_cure_T27_T83(
    tmp_path: Path, case: str
) -> None:
    files, read, warnings = WARNED[case]
    names, result = found(write(tmp_path, files))
    assert names == read
    assert result.problems == []
    assert len(result.warnings) == len(warnings)
    for warning, (begin, end) in zip(result.warnings, warnings, strict=True):
        assert warning.startswith(f"left out: {begin}")
        assert warning.endswith(end)


@pytest.mark.parametrize("case", NOT_MISSED)
def test_a_file_that_nobody_would_miss_is_no_warning_T26_T27(tmp_path: Path, case: str) -> None:
    files, read, notes = NOT_MISSED[case]
    names, result = found(write(tmp_path, files))
    assert (names, result.warnings, result.problems) == (read, [], [])
    assert result.notes == notes


@pytest.mark.parametrize("case", REFUSED)
def test_a_channel_that_is_not_read_is_refused_with_its_place_and_cure_T05_T27(tmp_path: Path, case: str) -> None:
    files, begin, cure = REFUSED[case]
    with pytest.raises(UserError) as error:
        read_channel(write(tmp_path, files), "training")
    first = str(error.value).splitlines()[0]
    assert first.startswith(begin)
    assert cure in first


def test_a_message_does_what_it_says(tmp_path: Path) -> None:
    write(tmp_path, {"data.csv": ROWS, "data-2024.csv": ROWS, "_b.csv": ROWS, "part-00000": ROWS})
    (tmp_path / "data.csv").rename(tmp_path / "data-1.csv")
    (tmp_path / "_b.csv").rename(tmp_path / "b.csv")
    (tmp_path / "part-00000").rename(tmp_path / "part-00000.csv")
    names, result = found(tmp_path)
    assert names == ["b.csv", "data-1.csv", "data-2024.csv", "part-00000.csv"]
    assert result.warnings == []


@pytest.mark.parametrize(
    ("channel", "name", "warned"),
    [
        ("training", "validation/a.csv", True),
        ("training", "data/test/a.csv", True),
        ("training", "train/a.csv", False),
        ("test", "test/a.csv", False),
        ("eval", "validation/a.csv", False),
        ("validation", "test/a.csv", True),
        ("training", "contest/a.csv", False),
    ],
)
def test_a_folder_for_another_channel_is_warned_of(tmp_path: Path, channel: str, name: str, *, warned: bool) -> None:
    result = ReadResult()
    assert len(text_channel.find(write(tmp_path, {name: ROWS, "b.csv": ROWS}), channel, result)) == 2
    assert result.warnings == [
        f"read although the folder's name indicates another purpose: {channel}/{name}; give it its own channel"
    ] * int(warned)
    assert result.problems == []


def test_a_manifest_in_capitals_is_one_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^training/A.MANIFEST: a list of objects in S3"):
        read_channel(write(tmp_path, {"A.MANIFEST": MANIFEST}), "training")


def test_links_that_are_not_followed_are_warned_of(tmp_path: Path) -> None:
    folder = write(tmp_path / "training", {"a.csv": ROWS})
    write(tmp_path / "elsewhere", {"b.csv": ROWS})
    (folder / "2024").symlink_to(tmp_path / "elsewhere")
    (folder / "c.csv").symlink_to(tmp_path / "nowhere.csv")
    (folder / "d.csv").symlink_to(tmp_path / "elsewhere" / "b.csv")
    names, result = found(folder)
    assert names == ["a.csv", "d.csv"]
    assert result.warnings == [
        "left out: training/2024 (0 bytes): a link to a folder, which is not followed; put the folder itself there",
        "left out: training/c.csv (0 bytes): a broken link; put the file itself there",
    ]


def test_of_very_many_files_that_are_left_out_some_are_named_and_all_are_counted(tmp_path: Path) -> None:
    _, result = found(write(tmp_path, {"a.csv": ROWS, **{f"_{number}.csv": ROWS for number in range(50)}}))
    (warning,) = result.warnings
    assert f"and 30 more ({30 * len(ROWS):,} bytes): names that begin with" in warning


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder of one who is not root, who may not read everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "training"
        folder.mkdir()
        before = os.geteuid()
        if before == 0:
            for path in (folder.parent, folder):
                os.chown(path, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield folder
        os.seteuid(before)


def test_what_may_not_be_read_is_a_problem_with_a_cure(nobodys_folder: Path) -> None:
    write(nobodys_folder, {"data.csv": ROWS, "more/a.csv": ROWS})
    (nobodys_folder / "data.csv").chmod(0)
    with pytest.raises(UserError, match=r"^training/data.csv: can't be read \(Permission denied\); make it readable"):
        read_channel(nobodys_folder, "training")
    (nobodys_folder / "data.csv").unlink()
    (nobodys_folder / "more").chmod(0)
    with pytest.raises(UserError, match=r"^training/more: can't be listed \(Permission denied\); make it readable"):
        read_channel(nobodys_folder, "training")
    (nobodys_folder / "more").chmod(0o700)


def test_the_command_warns_of_the_same_files_and_refuses_the_same(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", {"a.csv": ROWS * 5, "_b.csv": ROWS, "train.xlsx": WORKBOOK})
    ended = check_data("check", folder)
    assert ended.returncode == 0
    assert f"{folder}/_b.csv (38 bytes): names that begin with a dot" in ended.stdout
    assert "warning: rows=training note=" in ended.stdout
    split = write(tmp_path / "b", {"train.csv": ROWS * 5, "test.csv": ROWS})
    for given in ((split,), (split / "train.csv", split / "test.csv")):
        ended = check_data("check", *given)
        assert ended.returncode == 1
        assert "by their names its files are for several purposes" in ended.stdout


def test_real_data_sets_load_without_a_word_of_files(shared_sets: list[Path]) -> None:
    for folder in shared_sets:
        modality = modalities.choose("auto", {"training": folder})[0]
        result = ReadResult()
        assert modality.channel.find(folder, "training", result)
        assert (result.warnings, result.notes, result.problems) == ([], (), [])


@pytest.fixture
def shared_sets(shared: Callable[[str], Path]) -> list[Path]:
    folder = shared("data")
    return sorted(path for kind in ("text", "images") for path in folder.glob(f"{kind}/*/*") if path.is_dir())
