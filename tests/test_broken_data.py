"""Broken data: whatever it is, the job's failure reason begins with the place and the cure, and there is no model."""

import gzip
import io
import random
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from classifier.errors import UserError
from jobs import ROWS, Job, rows

GOOD = rows(ROWS)
AFTER_GOOD = len(ROWS) + 1
NAMES = "".join(f"{('fire', 'brakes')[index % 2]},text {index}\n" for index in range(12))
LINES = "".join(f'{{"label": {index % 2}, "text": "text {index}"}}\n' for index in range(12))


def workbook() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return content.getvalue()


def tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("data.csv"))
    return content.getvalue()


PACKED = gzip.compress(GOOD.encode() * 500)


@dataclass(frozen=True)
class Broken:
    """A channel that can't be trained on.

    Attributes:
        content: What is in the file.
        place: How the message begins.
        cure: Words of its first line that say what to do.
        file: The file's name.
        channel: The file's channel.
        training: The training channel, where the file is another's.
    """

    content: str | bytes
    place: str
    cure: str
    file: str = "data.csv"
    channel: str = "training"
    training: str = GOOD


def csv(content: str | bytes, line: int, cure: str) -> Broken:
    """A row of ``data.csv`` is bad."""
    return Broken(content, f"training/data.csv:{line}: ", cure)


def json(line: str, cure: str) -> Broken:
    """The last of 13 lines of JSON is bad."""
    return Broken(LINES + line, "training/data.jsonl:13: ", cure, "data.jsonl")


def whole(content: str | bytes, file: str, cure: str) -> Broken:
    """A file is none that is read."""
    return Broken(content, f"training/{file}: ", cure, file)


TABLE: Mapping[str, Broken] = {
    "too many columns": csv(GOOD + "0,one, two\n", AFTER_GOOD, "put a text that has commas in quotes"),
    "one column": csv(GOOD + "text\n", AFTER_GOOD, "a row is a label, a comma, and a text"),
    "a quote that is not closed": csv(GOOD + '0,"text\n', AFTER_GOOD, "write the text in quotes and"),
    "a quote that is not doubled": csv(GOOD + '0,"a "b" c"\n', AFTER_GOOD, "write the text in quotes and"),
    "Latin-1": csv(GOOD.encode() + "0,naïve\n".encode("latin-1"), AFTER_GOOD, "save the file as UTF-8"),
    "an empty label": csv(GOOD + ",text\n", AFTER_GOOD, "write one"),
    "labels of two kinds": csv(GOOD + "brakes,text\n", AFTER_GOOD, "use one kind"),
    "an integer among names": csv(NAMES + "7,text\n", 13, "use one kind"),
    "a label with a zero byte": csv(GOOD + "0\0,text\n", AFTER_GOOD, "take it out"),
    "one label only": csv("0,a\n0,b\n0,c\n", 1, "a classifier needs two labels or more"),
    "swapped columns": csv("".join(f"text {n},{n % 2}\n" for n in range(30)), 1, "the first column must be the label"),
    "a header that is not recognised": csv("mood,posting\n" + NAMES, 1, "call its columns label and text"),
    "such a header above integers": csv("mood,posting\n" + GOOD, 1, "call its columns label and text"),
    "a header in the middle": csv("label,text\n" + NAMES + "label,text\n", 14, "remove this line"),
    "a header with two texts": csv("label,review,title\n0,a,b\n1,c,d\n", 1, "rename the one to read to 'text'"),
    "three columns without a header": csv("1,0,a\n2,1,b\n", 1, "name them in a header, in their order"),
    "semicolons in some texts": csv("0;a\n1;b\n0;c\n1;d; e\n", 4, "put a text that has semicolons in quotes"),
    "lines that end in a comma": csv("0,a,\n1,b,\n", 1, "each line ends in a comma; take that off"),
    "such a header above a label of one row": csv(
        "mood,posting\n" + NAMES + "axle,text\n", 1, "if it is data, set header to false"
    ),
    "rows in an unclosed quote": csv(NAMES + 'fire,"a\nbrakes,b\nfire,c"\n', 13, "close the quote before them"),
    "a label with an invisible character": csv(NAMES + "fire\u200b,text\n", 13, "remove it, or retype the label"),
    "only a header": whole("label,text\n", "data.csv", "the file holds no rows; each is a label, a comma, and a text"),
    "blank lines": whole("\n\n\n", "data.csv", "the file holds no rows"),
    "an empty file": whole("", "data.csv", "the file is empty; write one row per line"),
    "UTF-16": whole(GOOD.encode("utf-16"), "data.csv", "UTF-16, not UTF-8; save the file as UTF-8"),
    "UTF-32": whole(GOOD.encode("utf-32"), "data.csv", "UTF-32, not UTF-8; save the file as UTF-8 (in a shell: iconv"),
    "UTF-32 without its mark": whole(GOOD.encode("utf-32-be"), "data.csv", "(in a shell: iconv -f UTF-32BE -t UTF-8)"),
    "UTF-16 without its mark": whole(GOOD.encode("utf-16-le"), "data.csv", "save the file as UTF-8"),
    "a workbook": whole(workbook(), "data.xlsx", "an Excel workbook or a ZIP archive, not text; save it as CSV"),
    "a workbook by another name": whole(workbook(), "data.csv", "an Excel workbook or a ZIP archive, not text"),
    "a Parquet file": whole(b"PAR1\x15\0\x15\0", "data.parquet", "write its labels and texts as CSV or JSON Lines"),
    "a tar archive": whole(gzip.compress(tar()), "data.csv.gz", "a tar archive, not a table; unpack it"),
    "another kind of file": whole("x", "data.dat", "use a .csv"),
    "JSON Lines by another name": whole(LINES, "data.csv", "let the file's name end in .jsonl"),
    "compressed by a name that does not tell": whole(PACKED, "part-0000.gz", "rename it to part-0000.csv.gz"),
    "a compressed tar archive": whole(gzip.compress(tar()), "data.tar.gz", "a tar archive, not a table; unpack it"),
    "an error of S3": whole("<?xml version='1.0'?><Error><Code/></Error>", "data.csv", "download the file again"),
    "a Git LFS pointer": whole("version https://git-lfs.github.com/spec/v1\n", "data.csv", "run git lfs pull"),
    "a web page": whole("<!doctype html><p>a, b</p>", "data.csv", "a web page, not a table"),
    "fastText's format": whole("__label__fire a\n", "data.txt", "write a row as: label, a comma, and the text"),
    "gzip by another name": whole(PACKED, "data.csv", "let its name end in .gz"),
    "no gzip, though it is called so": whole(GOOD, "data.csv.gz", "rename or compress the file"),
    "broken gzip": whole(PACKED[:40] + b"\xff\xff\xff" + PACKED[43:], "data.csv.gz", "compress and upload"),
    "gzip that ends too soon": whole(PACKED[:-40], "data.csv.gz", "compress and upload it again"),
    "random bytes": csv(random.Random(1).randbytes(5000), 1, "save the file as UTF-8"),  # noqa: S311
    "a line that is no JSON": json('{"label": 1, "text": "a\n', "write one object per line"),
    "a line that is no object": json("7\n", "write one object per line"),
    "an object without a label": json('{"text": "a"}\n', "write both, and call them label and text"),
    "an object with a text in it that is none": json('{"label": 1, "text": {"a": "b"}}\n', "write a string"),
    "a label that is null": json('{"label": null, "text": "a"}\n', "write an integer or a string"),
    "a label that is a fraction": json('{"label": 0.5, "text": "a"}\n', "write an integer or a string"),
    "a text elsewhere": json('{"source-ref": "s3://b/k", "a": 1, "a-metadata": {}}\n', "put the text in source"),
    "a manifest's row that is not labelled": Broken(
        '{"source": "a", "x": 1, "x-metadata": {"class-name": "b"}}\n{"source": "c", "dealer": "d"}\n',
        "training/a.manifest:2: ", "not labelled", "a.manifest",
    ),
    "a list on each line": Broken(
        '["fire", "text a"]\n["brakes", "text b"]\n',
        "training/data.jsonl:1: ",
        "a list for each row; write one object per line (jq -c '{label: .[0], text: .[1]}' does it)",
        "data.jsonl",
    ),
    "a list on each line, the text first": Broken(
        '["text a", "fire"]\n["text b, which is long", "brakes"]\n',
        "training/data.jsonl:1: ",
        "jq -c '{label: .[1], text: .[0]}' does it",
        "data.jsonl",
    ),
    "a JSON array of lists": Broken(
        '[["fire", "text a"], ["brakes", "text b"]]\n',
        "training/data.jsonl:1: ",
        "jq -c '.[] | {label: .[0], text: .[1]}' does it",
        "data.jsonl",
    ),
    "a JSON array of lists over several lines": Broken(
        '[["fire", "text a"],\n["brakes", "text b"]]\n',
        "training/data.jsonl:1: ",
        "jq -c '.[] | {label: .[0], text: .[1]}' does it",
        "data.jsonl",
    ),
    "a JSON array": Broken(
        f"[{LINES.replace('}', '},')[:-2]}]", "training/a.json:1: ", "write one object per line", "a.json"
    ),
    "JSON over several lines": Broken(
        '{\n"label": 1\n}\n', "training/a.json:1: ", "write one object per line", "a.json"
    ),
    "a header above the validation rows": Broken(
        "mood,posting\nfire,a\nbrakes,b\n", "validation/data.csv:1: ", "call its columns label and text",
        channel="validation", training=NAMES,
    ),
    "a validation label that training lacks": Broken(
        "0,a\n7,b\n", "validation/data.csv:2: ", "or add training rows with it", channel="validation"
    ),
    "validation labels of another kind": Broken("a,a\n", "validation/data.csv:1: ", "one kind", channel="validation"),
    "a test label that training lacks": Broken("7,b\n", "test/data.csv:1: ", "add training rows", channel="test"),
    "bad rows of another channel": Broken("0\n", "testing/data.csv:1: ", "a row is a label", channel="testing"),
}  # fmt: skip
CAFE = {"a": "caf\u00e9", "b": "cafe\u0301"}


def written(label: str, validation: str, *cure: str, channel: str = "validation") -> list[Broken]:
    """A label to validate or test on is written in another way than in training."""
    training = f"{label},a\nbrakes,b\n" * 4
    place = f"{channel}/data.csv:2: "
    return [Broken(f"brakes,a\n{validation},b\n", place, words, channel=channel, training=training) for words in cure]


WRITTEN: Mapping[str, list[Broken]] = {
    "two Unicode forms": written(
        CAFE["a"],
        CAFE["b"],
        "the label cafe\u0301 (U+0301) differs from training's caf\u00e9 (U+00E9) only in Unicode form",
        "write both alike, or add training rows with it",
    ),
    "the other way round": written(
        CAFE["b"], CAFE["a"], "caf\u00e9 (U+00E9) differs from training's cafe\u0301 (U+0301)"
    ),
    "two cases": written("Fire", "fire", "the label fire differs from training's Fire only in case; write both alike"),
    "two cases to test on": written("Fire", "FIRE", "the label FIRE differs from training's Fire", channel="test"),
    "a space that does not break": written(
        "no fault", "no\u00a0fault", "the label no\u00a0fault (U+00A0) differs from training's no fault only in spaces"
    ),
    "two spaces": written("no fault", "no  fault", "only in spaces"),
    "letters of full width": written("ABC", "\uff21\uff22\uff23", "(U+FF21 U+FF22 U+FF23) differs from training's ABC"),
    "case and Unicode form": written("Caf\u00e9", "cafe\u0301", "only in case, spaces or Unicode form"),
    "an underscore for a space": written(
        "no_fault", "no fault", "only in case, spaces, dashes, quotes or Unicode form"
    ),
    "a long dash": written("A-1", "A\u20131", "A\u20131 (U+2013) differs from training's A-1"),
    "quotes of its own": written("fire", "'fire'", "the label 'fire' differs from training's fire"),
    "a full stop": written(
        "fire", "fire.", "only in case, spaces, punctuation, HTML's escapes, or characters that look"
    ),
    "an escape of HTML": written("R&D", "R&amp;D", "the label R&amp;D differs from training's R&D only in case"),
    "a letter that looks alike": written(
        "spam", "sp\u0430m", "the label sp\u0430m (U+0430) differs from training's spam"
    ),
    "a label that is another": written("C++", "C#", "a label that no training row has"),
    "a label of another grade": written("A-", "A", "a label that no training row has"),
    "a label of another accent": written("caf\u00e9", "cafe", "a label that no training row has"),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_label_that_is_written_otherwise_is_named_with_how_it_differs(tmp_path: Path, kind: str) -> None:
    for number, broken in enumerate(WRITTEN[kind]):
        with pytest.raises(UserError) as error:
            broken_job(tmp_path / str(number), broken).train()
        assert_told(str(error.value), broken)


def test_a_label_of_one_row_which_may_be_a_text_is_not_shown(tmp_path: Path) -> None:
    training = "fire,a\nbrakes,b\n" * 4 + "Secret,c\n"
    broken = Broken(
        "fire,a\nsecret,b\n", "validation/data.csv:2: ", "only in case", channel="validation", training=training
    )
    with pytest.raises(UserError) as error:
        broken_job(tmp_path, broken).train()
    assert "ecret" not in str(error.value)


AS_A_PROCESS = (
    "too many columns", "a workbook", "gzip that ends too soon", "a line that is no JSON",
    "a validation label that training lacks",
)  # fmt: skip


def broken_job(base: Path, broken: Broken) -> Job:
    job = Job.create(base)
    job.channel("training", broken.training)
    if broken.channel == "training":
        (base / "input" / "data" / "training" / "data.csv").unlink()
    job.channel(broken.channel, broken.content, broken.file)
    return job


def assert_told(message: str, broken: Broken) -> None:
    first = message.splitlines()[0]
    assert first.startswith(broken.place)
    assert broken.cure in first


def assert_no_model(job: Job) -> None:
    assert not job.model.exists() or not list(job.model.iterdir())


@pytest.mark.parametrize("kind", TABLE)
def test_broken_data_are_refused_with_their_place_and_cure_first_T05_T06(tmp_path: Path, kind: str) -> None:
    job = broken_job(tmp_path / "ml", TABLE[kind])
    with pytest.raises(UserError) as error:
        job.train()
    assert_told(str(error.value), TABLE[kind])
    assert_no_model(job)


@pytest.mark.parametrize("kind", AS_A_PROCESS)
def test_a_job_on_broken_data_is_code_1_with_the_place_and_cure_in_its_failure_file_T05_T06(
    tmp_path: Path, kind: str
) -> None:
    job = broken_job(tmp_path / "ml", TABLE[kind])
    ended = job.run()
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout
    assert_told(job.failure, TABLE[kind])
    assert_no_model(job)


def test_a_channel_without_a_file_is_a_failure_that_names_it_T05(tmp_path: Path) -> None:
    job = Job.create(tmp_path / "ml")
    (job.base / "input" / "data" / "training" / "data.csv").unlink()
    with pytest.raises(UserError, match=r"^channel training: no file in it; its S3 address must lead to the folder"):
        job.train()
