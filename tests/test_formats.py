"""The formats that tables come in, and which files of a channel are read."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from channels import Read, load, read_channel
from classifier.errors import UserError
from classifier.tabular.rows import Label

TEXTS = ["good", 'a "bad" film', "one, two", "three; four", "two\nlines", "日本語 ☕", " spaces ", "tab\there"]
PAIRS: list[tuple[Label, str]] = [(("fine", "broken")[index % 2], text) for index, text in enumerate(TEXTS * 3)]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def table(pairs: list[tuple[Label, str]], *, delimiter: str = ",", header: str = "") -> str:
    return header + "".join(f"{label}{delimiter}{quoted(text)}\n" for label, text in pairs)


def json_lines(pairs: list[tuple[Label, str]]) -> str:
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for label, text in pairs)


def augmented(pairs: list[tuple[Label, str]]) -> str:
    return "".join(
        json.dumps(
            {"source": text, "state": int(label == "fine"), "state-metadata": {"class-name": label, "confidence": 0.9}}
        )
        + "\n"
        for label, text in pairs
    )


def compressed(pairs: list[tuple[Label, str]]) -> bytes:
    return gzip.compress(table(pairs).encode())


FORMATS: Mapping[str, Mapping[str, str | bytes]] = {
    "plain": {"data.csv": table(PAIRS)},
    "header": {"claims.csv": table(PAIRS, header="label,text\n")},
    "carriage returns": {"data.csv": "\ufeff" + "".join(f"{label},{quoted(text)}\r\n" for label, text in PAIRS)},
    "other columns": {"data.csv": "text,id,label\n" + "".join(f"{quoted(text)},7,{label}\n" for label, text in PAIRS)},
    "semicolons": {"data.csv": table(PAIRS, delimiter=";")},
    "tabs": {"data.tsv": table(PAIRS, delimiter="\t")},
    "tabs in a .txt": {"data.txt": table(PAIRS, delimiter="\t")},
    "JSON Lines": {"data.jsonl": json_lines(PAIRS)},
    "JSON Lines in a .json": {"data.json": json_lines(PAIRS)},
    "JSON Lines, compressed": {"data.ndjson.gz": gzip.compress(json_lines(PAIRS).encode())},
    "an augmented manifest": {"output/output.manifest": augmented(PAIRS)},
    "three compressed files": {
        f"part-{number}.csv.gz": compressed(PAIRS[number * 8 : number * 8 + 8]) for number in range(3)
    },
    "three formats": {
        "a.csv": table(PAIRS[:8]),
        "b.jsonl": json_lines(PAIRS[8:16]),
        "c.tsv": table(PAIRS[16:], delimiter="\t", header="label\ttext\n"),
    },
}


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / "training" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / "training"


def read(folder: Path, files: Mapping[str, str | bytes]) -> Read:
    return read_channel(write(folder, files), "training")


def failure(folder: Path, files: Mapping[str, str | bytes]) -> str:
    with pytest.raises(UserError) as error:
        read(folder, files)
    return str(error.value)


def pairs(examples: Read) -> list[tuple[Label, str]]:
    return list(zip(examples.table["label"], examples.table["record"], strict=True))


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_is_the_same_rows_in_every_format_T83(tmp_path: Path, name: str) -> None:
    assert pairs(read(tmp_path, FORMATS[name])) == PAIRS


def test_the_same_rows_are_held_out_in_every_format_T83(tmp_path: Path) -> None:
    loaded = [load({"training": write(tmp_path / name, FORMATS[name])}, 0.25, 7) for name in FORMATS]
    assert {split.validation.records for split in loaded} == {loaded[0].validation.records}
    assert {split.digest for split in loaded} == {loaded[0].digest}


def test_lines_are_those_of_the_unpacked_file(tmp_path: Path) -> None:
    examples = read(tmp_path, {"data.csv.gz": gzip.compress(b'0,"a\nb"\n1,c\n')})
    assert list(zip(examples.table["file"], examples.table["line"], strict=True)) == [
        ("training/data.csv.gz", 1),
        ("training/data.csv.gz", 3),
    ]


def test_a_file_without_rows_beside_others_is_noted(tmp_path: Path) -> None:
    assert "training/b.csv holds no rows" in read(tmp_path, {"a.csv": "0,a\n1,b\n", "b.csv": "label,text\n"}).notes


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"Category": "a", "Review": "x"}, ("a", "x")),
        ({"label": 3, "text": "x", "day": None}, (3, "x")),
        ({"label": [3], "text": "x"}, (3, "x")),
        ({"label": "3", "text": "x"}, ("3", "x")),
        ({"label": " a ", "text": ""}, ("a", "")),
        ({"label": -1, "title": "y", "text": "x"}, (-1, "x")),
        ({"source": "x", "label": 3}, (3, "x")),
        ({"source": "x", "kind": 3, "kind-metadata": {"confidence": 1}}, (3, "x")),
        ({"source": "x", "id": 9, "kind": 3, "kind-metadata": {"class-name": "c"}}, ("c", "x")),
        ({"source": "x", "kind": 3, "title": "y", "label": 1, "kind-metadata": {"class-name": "c"}}, ("c", "x")),
        ({"source": "x", "text": "y", "label": 1, "label-metadata": {"class-name": "c"}}, ("c", "x")),
        ({"source": "web", "text": "x", "label": 3}, (3, "x")),
        ({"source": "web", "source-metadata": {"id": 1}, "text": "x", "label": 3}, (3, "x")),
        ({"text": "x", "label": "a", "source": "web", "crawl-metadata": {"day": 1}}, ("a", "x")),
        ({"Text": "x", "class": 3, "source": "web", "crawl": 7, "crawl-metadata": {"day": 1}}, (3, "x")),
        ({"text": "x", "label": 3, "source": "web", "a-metadata": {}, "b-metadata": None}, (3, "x")),
        ({"title": "x", "label": 3, "source": "web", "crawl-metadata": {"day": 1}}, (3, "x")),
        ({"source": "x", "text": "y", "label": 1, "kind-metadata": {"class-name": "c"}}, ("c", "x")),
        (
            {"source": "x", "text": "y", "class": 1, "topic": 2, "kind": 3, "kind-metadata": {"class-name": "c"}},
            ("c", "x"),
        ),
    ],
)
def test_objects_are_read_by_their_keys_T83(
    tmp_path: Path, line: Mapping[str, object], expected: tuple[Label, str]
) -> None:
    assert pairs(read(tmp_path, {"a.jsonl": json.dumps(line) + "\n\n"})) == [expected]


def test_an_augmented_manifest_is_noted(tmp_path: Path) -> None:
    (note,) = read(tmp_path, {"output.manifest": augmented(PAIRS)}).notes
    assert note.startswith(
        "training/output.manifest is an augmented manifest: label is the key 'state' (the class name "
    )
    assert note.endswith(" in its metadata, if there is one), text is the key 'source'")


def test_keys_by_other_names_are_noted(tmp_path: Path) -> None:
    content = '{"Category": 0, "review": "a"}\n{"label": 1, "text": "b"}\n{"source": "c", "topic": 1}\n'
    assert read(tmp_path, {"a.jsonl": content}).notes == (
        "training/a.jsonl has keys by other names: label is the key 'Category', text is the key 'review'",
        "training/a.jsonl has keys by other names: label is the key 'topic', text is the key 'source'",
    )


@pytest.mark.parametrize(("label", "name"), [([1], "brakes"), (0, "fire"), ([0], "fire"), ("fire", "fire")])
def test_a_class_id_of_a_manifest_is_read_by_its_name(tmp_path: Path, label: object, name: str) -> None:
    row = {"source": "x", "job": label, "job-metadata": {"class-map": {"0": "fire", "1": "brakes"}}}
    assert pairs(read(tmp_path, {"a.manifest": f"{json.dumps(row)}\n"})) == [(name, "x")]


def test_the_label_of_a_manifest_is_the_same_key_in_every_row(tmp_path: Path) -> None:
    """Of a row that was not labelled no other key is taken for the label."""
    good = augmented(PAIRS)
    failed = '{"source": "secret", "dealer": "north", "state-metadata": {"failure-reason": "x"}}\n'
    bare = '{"source": "secret", "dealer": "north"}\n'
    message = failure(tmp_path, {"a.manifest": failed + good + bare})
    assert [line.split(": ")[0] for line in message.splitlines()] == ["training/a.manifest:1", "training/a.manifest:26"]
    assert message.count("not labelled: this object lacks the label that others have") == 2
    assert "secret" not in message
    assert "north" not in message


def test_rows_with_and_without_a_source_stay_in_their_order(tmp_path: Path) -> None:
    lines = '{"source": "a", "label": 0}\n{"label": 1, "text": "b"}\n{"source": "c", "label": 0}\n'
    assert pairs(read(tmp_path, {"a.jsonl": lines})) == [(0, "a"), (1, "b"), (0, "c")]


def test_two_attributes_with_metadata_are_one_problem(tmp_path: Path) -> None:
    line = '{"source": "x", "a": 1, "a-metadata": {}, "b": 1, "b-metadata": {}}\n'
    message = failure(tmp_path, {"a.manifest": line * 9})
    assert message.startswith("training/a.manifest:1: several attributes have metadata")
    assert len(message.splitlines()) == 1


def test_byte_order_marks_of_joined_files_are_no_part_of_a_row(tmp_path: Path) -> None:
    mark = "\ufeff"
    table = f'{mark}fire,a\nbrakes,b\n{mark}"fire","c"\n'
    lines = f'{mark}{{"label": "fire", "text": "d"}}\n{mark}{{"label": "brakes", "text": "e"}}\n'
    examples = read(tmp_path, {"a.csv": table, "b.jsonl": lines})
    assert pairs(examples) == [("fire", "a"), ("brakes", "b"), ("fire", "c"), ("fire", "d"), ("brakes", "e")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("0,a\n1,b\n", "which looks like text; rename it to part-0000.csv.gz"),
        ('{"label": 1, "text": "a"}\n', "which looks like text; rename it to part-0000.jsonl.gz"),
        ("PAR1\0", "compressed, and in it a Parquet file"),
    ],
)
def test_a_compressed_file_is_looked_into_where_its_name_does_not_tell(
    tmp_path: Path, content: str, words: str
) -> None:
    assert words in failure(tmp_path, {"part-0000.gz": gzip.compress(content.encode())})


@pytest.mark.parametrize(
    ("second", "wrong"),
    [
        ("b,0\na,1\n", "training/part-2.csv:1: no header"),
        ("7,0,b\n", "training/part-2.csv:1: "),
        ("text,label\nb,0\n", ""),
    ],
)
def test_a_part_without_the_header_of_another_part_is_refused(tmp_path: Path, second: str, wrong: str) -> None:
    files = {"part-1.csv": "text,label\na,0\nb,1\n", "part-2.csv": second}
    if not wrong:
        assert len(pairs(read(tmp_path, files))) == 3
        return
    message = failure(tmp_path, files)
    assert message.startswith(wrong)
    assert "no header, where training/part-1.csv has one of label in column 2, text in column 1" in message


def test_a_part_may_lack_a_header_that_changes_nothing(tmp_path: Path) -> None:
    assert len(pairs(read(tmp_path, {"a.csv": "label,text\n0,a\n", "b.csv": "1,b\n"}))) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"label": 1, "text": "secret"', "not JSON (Expecting ',' delimiter, column 30); write one object per line"),
        ('"secret"', "JSON, but not an object"),
        ('{"label": 1, "label": 2, "text": "secret"}', "has the same key twice"),
        ('{"text": "secret"}', "write both, and call them label and text"),
        ('{"label": true, "text": "secret"}', "the label is true or false; write an integer or a string"),
        ('{"label": 1.0, "text": "secret"}', "the label is a number with a point"),
        ('{"label": null, "text": "secret"}', "the label is null"),
        ('{"label": [1, 2], "text": "secret"}', "the label is a list of 2; one label per row is read"),
        ('{"label": "", "text": "secret"}', "the label is empty"),
        ('{"label": "a\\tb", "text": "secret"}', "the label holds a tab"),
        ('{"label": 9999999999999999999, "text": "secret"}', "more than 18 digits"),
        ('{"label": 1, "text": ["secret"]}', "the text is a list; write a string"),
        ('{"label": 1, "text": null}', "the text is null"),
        ('{"label": 1, "text": 7}', "the text is a number; write a string"),
        ('{"label": 1, "text": "\\ud800"}', "half a character"),
        ('{"label": 1, "text": "a", "x": ' + "9" * 5000 + "}", "JSON that can't be read"),
        ('{"label": 1, "review": "secret", "tweet": "b"}', "keys 2 and 3 may each be the text"),
        ('{"source-ref": "s3://secret", "a": 1, "a-metadata": {}}', "which is not downloaded; put the text in source"),
        ('{"source": "secret", "a-metadata": {"failure-reason": "x"}}', "not labelled: this object lacks the label"),
        ('{"source": "secret", "label": 1, "crawl-metadata": {}, "id": 1}', "write both, and call them label and text"),
        ('{"source": "secret", "a": 1}', "write both, and call them label and text"),
        ('{"source": "secret", "label": 1, "review_text": "secret"}', "write both, and call them label and text"),
        ('{"label": "a\\u200bb", "text": "secret"}', "the label holds an invisible character"),
        ('{"source": "secret", "a": [0, 1], "a-metadata": {"class-map": {}}}', "the label is a list"),
        (
            '{"source": "secret", "a": [0, 1], "a-metadata": {"class-map": {"0": "x", "1": "y"}}}',
            "the label is a list of 2 class ids, which are several labels; one label per row is read: keep one id, or",
        ),
        (
            '{"source": "secret", "a": [], "a-metadata": {"class-map": {}}}',
            "the label is an empty list; label this object, or remove the line",
        ),
        (
            '{"source": "secret", "a": 2, "a-metadata": {"class-map": {"0": "x", "1": "y"}}}',
            "the label is a class id that the class-map in its metadata lacks; add its name there",
        ),
    ],
)
def test_a_bad_object_is_named_by_file_line_and_cure_T05(tmp_path: Path, line: str, words: str) -> None:
    message = failure(tmp_path, {"a.jsonl": f'{{"label": 0, "text": "x"}}\n\n{line}\n'})
    assert message.startswith("training/a.jsonl:3: ")
    assert words in message
    assert "secret" not in message


def test_names_and_integers_in_two_files_are_a_mix(tmp_path: Path) -> None:
    message = failure(tmp_path, {"a.csv": "0,a\n1,b\n", "b.jsonl": '{"label": "1", "text": "c"}'})
    assert message == "training/b.jsonl:1: the label is not an integer where most are integers; use one kind"


def test_files_that_are_no_tables_are_each_named_with_their_kind(tmp_path: Path) -> None:
    message = failure(tmp_path, {"a.xlsx": b"PK\x03\x04", "b.parquet": b"PAR1\x15\x04\x00", "c.dat": "x"})
    lines = message.splitlines()
    assert lines[0].startswith("training/a.xlsx: an Excel workbook or a ZIP archive, not text; save it as CSV")
    assert lines[1].startswith("training/b.parquet: a Parquet file")
    assert lines[2].startswith("training/c.dat: unsupported file; use a .csv")
