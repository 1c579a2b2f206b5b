"""Other programs' files and folders: what each is comes first, then what to do; `train` and `batch` say the same."""

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from channels import read_channel
from classifier.batch import tables
from classifier.batch.options import Options
from classifier.batch.records import Added
from classifier.errors import UserError
from jobs import check_data


def zipped(name: str, content: str = "x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def numpy_file() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def numpy_archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.zeros(3))
    return file.getvalue()


def line(**item: object) -> str:
    return json.dumps(item) + "\n"


TFRECORD = struct.pack("<Q", 120) + b"\x12\x34\x56\x78" + b"\x0a\x76" + b"\x0a\x05label" + bytes(100)
CHOICES = line(text="a", _input_hash=1, options=[{"id": "x"}], accept=["x"], answer="accept")
CATEGORIES = line(text="a", cats={"fire": 1.0, "brakes": 0.0})
ANSWERS = line(File="a.csv", Line="0", Classes=[{"Name": "fire", "Score": 0.9}])
LABEL_STUDIO = json.dumps([{"id": 1, "annotations": [{"result": [{"from_name": "x"}]}], "data": {"text": "a"}}])
GROUND_TRUTH = line(**{"source-ref": "s3://b/1.jpg", "part": 1, "part-metadata": {"class-name": "fire"}})
XML = '<?xml version="1.0"?><rows/>'

# A file of another program: its usual name, what is in it, how the message begins, and its cure.
FILES: Mapping[str, tuple[str, bytes | str, str, str]] = {
    "Parquet": ("a.parquet", b"PAR1\x15\0\x15\0", "a Parquet file", "pandas.read_parquet('data.parquet').to_csv("),
    "Arrow's file format": ("a.arrow", b"ARROW1\0\0", "an Arrow file", "as CSV or JSON Lines"),
    "Arrow's stream format": ("a.arrow", b"\xff\xff\xff\xff\x70\1\0\0\x10\0\0\0", "an Arrow file", "Dataset.to_csv"),
    "Feather": ("a.feather", b"FEA1\0\0\0\0", "an Arrow file", "as CSV or JSON Lines"),
    "RecordIO": ("a.rec", b"\x0a\x23\xd7\xce\x10\0\0\0", "a RecordIO file", "as CSV or JSON Lines"),
    "a list of images of MXNet": (
        "a.lst",
        "0\t1.0\trose/1.jpg\n1\t0.0\tlily/2.jpg\n",
        "a list of images (.lst)",
        "as its",
    ),
    "TFRecord": ("a.tfrecord", TFRECORD, "a TFRecord file", "as CSV or JSON Lines"),
    "a NumPy array": ("a.npy", numpy_file(), "a NumPy array", "as CSV or JSON Lines"),
    "a NumPy archive": ("a.npz", numpy_archive(), "a NumPy archive", "as CSV or JSON Lines"),
    "a pickle": ("a.pkl", pickle.dumps(["a", 1]), "a pickle of Python", "DataFrame.to_csv"),
    "spaCy's DocBin": ("a.spacy", zlib.compress(b"x" * 99), "compressed with zlib, as spaCy's DocBin", "as CSV"),
    "a PyTorch file": ("a.pt", zipped("archive/data.pkl"), "a PyTorch file", "as CSV or JSON Lines"),
    "a download of Kaggle's": ("a.zip", zipped("train.csv"), "a ZIP archive of tables", "unpack it and upload"),
    "texts in a ZIP archive": ("a.zip", zipped("pos/1.txt"), "a ZIP archive of tables or texts", "unpack it"),
    "a workbook": ("a.xlsx", zipped("xl/workbook.xml"), "an Excel workbook or a ZIP archive", "save it as CSV"),
    "an old workbook": ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel or Office file", "save it as CSV"),
    "an OpenDocument spreadsheet": (
        "a.ods",
        zipped("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        "an OpenDocument file",
        "as CSV",
    ),
    "a Word document": ("a.docx", zipped("word/document.xml"), "a Word document", "as CSV or JSON Lines"),
    "a rich-text file": ("a.rtf", "{\\rtf1 a}", "a rich-text file", "as CSV or JSON Lines"),
    "a PDF": ("a.pdf", "%PDF-1.7", "a PDF", "as CSV or JSON Lines"),
    "XML": ("a.xml", XML, "an XML file", "as CSV or JSON Lines"),
    "an image": ("a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "an image, not a table", "in a folder that is called as its"),
    "a RAR archive": ("a.rar", b"Rar!\x1a\7\1\0", "a RAR archive", "unpack it"),
    "lz4": ("a.csv.lz4", b"\x04\x22\x4d\x18\x64", "compressed with lz4", "compress it with gzip"),
    "snappy": ("a.csv.sz", b"\xff\6\0\0sNaPpY", "compressed with snappy", "compress it with gzip"),
    "bzip2": ("a.csv.bz2", b"BZh91AY&SY", "compressed with bzip2", "compress it with gzip"),
    "a MATLAB file": ("a.mat", "MATLAB 5.0 MAT-file", "a MATLAB file", "as CSV or JSON Lines"),
    "a file of R": ("a.RData", b"RDX3\nX\n\0", "a file of R", "write.csv"),
    "a file of Stata": ("a.dta", "<stata_dta><header>", "a file of SPSS or Stata", "save it as CSV"),
    "an SQLite database": ("a.db", b"SQLite format 3\0", "an SQLite database", "as CSV or JSON Lines"),
    "libsvm's format": ("a.libsvm", "1 3:0.5 7:1\n-1 2:1 9:0.25\n", "libsvm's format", "as CSV or JSON Lines"),
    "fastText's format": ("a.ft", "__label__fire it smokes\n", "fastText's format", "label, a comma, and the text"),
    "a list of objects in S3": ("a.lst2", '[{"prefix": "s3://b/"}, "a"]', "a list of objects in S3", "S3DataType"),
    "Ground Truth's list of images": (
        "a.manifest",
        GROUND_TRUTH,
        "SageMaker Ground Truth's list of labelled images",
        "in a folder that is called as",
    ),
    "Prodigy's choices": ("a.jsonl", CHOICES, "Prodigy's annotations of choices", "{label: .accept[0], text}"),
    "spaCy's categories": ("a.jsonl", CATEGORIES, "spaCy's format for categories", "the one label that is true"),
    "Amazon Comprehend's answers": ("a.jsonl", ANSWERS, "Amazon Comprehend's answers", "give the texts with their"),
    "Label Studio's export": ("a.json", LABEL_STUDIO, "Label Studio's export in JSON", "export the project as CSV"),
}

# A folder of another program's: the names of its files, and the message of the channel.
SAVED_TO_DISK = (
    "channel training: a data set saved by Hugging Face's save_to_disk, in Arrow; write each of its splits as CSV"
)
FOLDERS: Mapping[str, tuple[Mapping[str, str], str, str]] = {
    "a data set saved by save_to_disk": (
        {"data-00000-of-00001.arrow": "ARROW", "dataset_info.json": '{\n"a": 1\n}', "state.json": '{\n"a": 1\n}'},
        SAVED_TO_DISK,
        "load_from_disk('folder').to_csv",
    ),
    "splits saved by save_to_disk": (
        {
            "dataset_dict.json": '{"splits": ["train"]}',
            "train/data-00000-of-00001.arrow": "ARROW",
            "train/dataset_info.json": "{}",
            "train/state.json": "{}",
        },
        SAVED_TO_DISK,
        "give it a channel of its own",
    ),
    "an encoder's checkpoint": (
        {"config.json": "{}", "vocab.txt": "a\nb\n", "model.safetensors": "x"},
        "channel training: an encoder's checkpoint and no rows",
        "give it the channel 'model'",
    ),
    "a SavedModel": (
        {"1/saved_model.pb": "x", "1/assets/vocab.txt": "a\nb\n"},
        "channel training: a SavedModel and no rows",
        "'model'",
    ),
    "a labelling job of Ground Truth": (
        {
            "job/manifests/output/output.manifest": line(source="a", x=1),
            "job/manifests/intermediate/1/output.manifest": "x",
            "job/annotations/worker-response/iteration-1/0/a.json": '{"answers": []}',
        },
        "channel training: what a labelling job of SageMaker Ground Truth leaves",
        "must lead to the folder manifests/output",
    ),
    "a table of Delta Lake": (
        {"_delta_log/0.json": "{}", "part-0.snappy.parquet": "PAR1"},
        "channel training: a table of Delta Lake",
        "as CSV",
    ),
}


@pytest.fixture
def options() -> Options:
    return Options.parse(["--model", "m", "--input", "i", "--output", "o"])


@pytest.mark.parametrize("kind", FILES)
def test_another_programs_file_is_named_first_and_then_what_to_do_T05(
    tmp_path: Path, options: Options, kind: str
) -> None:
    name, content, begin, cure = FILES[kind]
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as error:
        read_channel(tmp_path, "training")
    first = str(error.value).splitlines()[0]
    assert first.startswith(f"training/{name}: {begin}")
    assert cure in first
    with pytest.raises(UserError) as refused:
        tables.read(tables.source(path, name, options), options, Added((), each=False))
    assert str(refused.value).startswith(first.partition(": ")[2].partition(" (and ")[0])


@pytest.mark.parametrize("kind", FOLDERS)
def test_another_programs_folder_is_named_before_the_files_in_it_T05(tmp_path: Path, kind: str) -> None:
    files, begin, cure = FOLDERS[kind]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as error:
        read_channel(tmp_path, "training")
    (only,) = str(error.value).splitlines()
    assert only.startswith(begin)
    assert cure in only


def test_the_command_says_the_same_of_files_and_folders(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1\x15\0")
    assert check_data("check", path).stdout.startswith(f"{path}: a Parquet file, not text; ")
    (tmp_path / "b").mkdir()
    for name in ("state.json", "data-00000-of-00001.arrow"):
        (tmp_path / "b" / name).write_text("x")
    ended = check_data("check", tmp_path / "b")
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"channel {tmp_path}/b: a data set saved by Hugging Face's save_to_disk")


# What begins like one of these and is none.
GOOD: Mapping[str, tuple[str, str]] = {
    "a text of times": ("a.csv", "1,10:30 to 11:45\n0,it 3:4 lost\n"),
    "labels of numbers": ("a.csv", "1,3:0.5\n0,7:1\n"),
    "a label PAR1": ("a.csv", "PAR1,a\nPAR2,b\n"),
    "a label Obj": ("a.csv", "Obj1,a\nOrc,b\n"),
    "a label x": ("a.csv", "x,a\ny,b\n"),
    "a text with a score": ("a.jsonl", line(text="a", label="x", Score=1) + line(text="b", label="y", Score=2)),
    "a text with classes": ("a.jsonl", line(text='"Classes": [{"Name":', label="x") + line(text="b", label="y")),
    "a text with a prefix": ("a.jsonl", line(text='[{"prefix": "s3://"}]', label="x") + line(text="b", label="y")),
}


@pytest.mark.parametrize("kind", GOOD)
def test_rows_that_begin_like_another_format_are_read(tmp_path: Path, kind: str) -> None:
    name, content = GOOD[kind]
    (tmp_path / name).write_text(content)
    assert len(read_channel(tmp_path, "training").table) == 2
