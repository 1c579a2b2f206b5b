"""What ``serve`` makes of the bodies that people send: read, an error in a record's place, or refused with a cure."""

import base64
import gzip
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray
from werkzeug.test import TestResponse

import serving_helpers
from classifier.backends import Encoded
from classifier.tabular import csv_rows
from classifier.tabular.dialect import AS_WRITTEN
from classifier.tabular.files import Source
from classifier.tabular.rows import ReadResult
from serving_helpers import error_of

# The application sets up the root logger.
pytestmark = pytest.mark.usefixtures("own_logging")

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = ROOT / "local_test" / "test_dir" / "input" / "data" / "training" / "data.csv"
SHARED = ROOT.parent / "shared" / "data" / "text"
LABELS = ("body", "electrical", "fire")
MANIFEST = {"baseline": {"rows": 4, "labels": {}, "top_probability": 0.9, "tokens": 7.5}}

TEXT, CSV, JSON, JSON_LINES = "application/x-text", "text/csv", "application/json", "application/jsonlines"
OCTETS, NONE = "application/octet-stream", ""


@dataclass
class Backend:
    """Says the first label, and keeps what it was asked."""

    asked: list[str] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        self.asked += texts
        return [Encoded(text, len(text) + 2) for text in texts]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        return np.tile(np.array([0.5, 0.25, 0.25], np.float32), (len(batch), 1))


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def client(backend: Backend) -> FlaskClient:
    return serving_helpers.client_of(backend, LABELS, MANIFEST, {})


def ask(client: FlaskClient, body: str | bytes, content_type: str, **headers: str) -> TestResponse:
    named = {"Content-Type": content_type} if content_type else {}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/invocations", data=body, headers=named)


def answered(answer: TestResponse) -> list[str | None]:
    """Return the label of each line or record of an answer, and none where it is an error."""
    assert answer.status_code == 200, answer.text
    rows = [json.loads(line) for line in answer.text.split("\n")] if answer.text else []
    return ["error" if "error" in row else "label" for row in rows]


def message_of(answer: TestResponse) -> str:
    """Return the message of the one error in an answer of JSON Lines."""
    (error,) = (row["error"] for line in answer.text.split("\n") if "error" in (row := json.loads(line)))
    assert error["code"] == "invalid_record"
    return str(error["message"])


Refused = tuple[str, str | bytes, int, str]
"""Content-Type, body, status, and a part of the message."""

JSON_AS_A_TEXT: Mapping[str, Refused] = {
    "an object of no type": (NONE, '{"inputs": "Sunvisor droops"}', 415, "Content-Type: application/json"),
    "an object as octets": (OCTETS, '{"inputs": "Sunvisor droops"}', 415, "Content-Type: application/json"),
    "an object after white space": (OCTETS, '\n  {\n "inputs": "Sunvisor droops"}', 415, "application/json"),
    "an object after a byte order mark": (OCTETS, '\ufeff{"inputs": "Sunvisor droops"}', 415, "application/json"),
    "an object that is cut off": (OCTETS, '{"inputs": "Sunvisor dro', 415, "application/json"),
    "a list of five": (OCTETS, '["a", "b", "c", "d", "e"]', 415, "Content-Type: application/json"),
    "a list of one": (NONE, '["Sunvisor droops"]', 415, "application/json"),
    "a list of objects": (OCTETS, '[{"text": "a"}, {"text": "b"}]', 415, "application/json"),
    "a list of numbers": (OCTETS, "[0.1, 0.2]", 415, "application/json"),
    "an empty object": (OCTETS, "{}", 415, "application/json"),
    "JSON Lines": (OCTETS, '{"text": "a"}\n{"text": "b"}\n', 415, "Content-Type: application/jsonlines"),
    "a list of a large body": (OCTETS, json.dumps(["a" * 100] * 1000), 415, "application/json"),
    "a dict as Python prints it": (OCTETS, "{'inputs': 'Sunvisor droops'}", 415, "json.dumps"),
    "a list as Python prints it": (OCTETS, "['Sunvisor droops', 'Pedal']", 415, "json.dumps"),
    "JSON Lines as CSV": (CSV, '{"text": "a"}\n{"text": "b"}\n', 415, "send it as application/jsonlines"),
    "a list as CSV": (
        CSV,
        '["Sunvisor droops", "Pedal"]',
        415,
        "as application/json; if a text begins like this, put it in",
    ),
    "a list in a list as CSV": (
        CSV,
        '[["Sunvisor droops"]]',
        415,
        "as application/json; if a text begins like this, put it in",
    ),
    "a list as Python prints it, as CSV": (CSV, "['Sunvisor droops', 'Pedal']", 415, "json.dumps"),
    "a dict as Python prints it, as CSV": (CSV, "{'inputs': 'Sunvisor droops'}", 415, "json.dumps"),
    "JSON encoded twice as octets": (OCTETS, json.dumps('{"inputs": "Sunvisor"}'), 415, "application/json"),
    "a text as JSON": (JSON, "Sunvisor droops", 400, "a text by itself goes as application/x-text"),
    "an object after a mark as CSV": (CSV, '\ufeff{"inputs": "Sunvisor"}', 415, "as application/json"),
    "base64 of a text": (OCTETS, base64.b64encode(b"Sunvisor droops, and more"), 400, "base64"),
    "base64 of JSON as a text": (TEXT, base64.b64encode(b'{"inputs":"Sunvisor"}'), 400, "base64"),
}
FORMS: Mapping[str, Refused] = {
    "a form of curl's -d": ("application/x-www-form-urlencoded", "Sunvisor droops", 415, "curl -H 'Content-Type"),
    "a form of curl's -F": ("multipart/form-data; boundary=x", "--x\r\n\r\na\r\n--x--\r\n", 415, "--data-binary @FILE"),
}
ENCODED_TWICE: Mapping[str, Refused] = {
    "a body of instances": (JSON, json.dumps('{"instances": ["a", "b"]}'), 400, "encoded twice"),
    "a body of inputs": (JSON, json.dumps('{"inputs": "a"}'), 400, "encoded twice"),
    "a list": (JSON, json.dumps('["a", "b"]'), 400, "encoded twice"),
    "an object with an id": (JSON, json.dumps('{"id": 5, "text": "a"}'), 400, "encoded twice"),
    "a text, thrice": (JSON, json.dumps(json.dumps(json.dumps("a"))), 400, "encoded twice"),
    "an instance": (JSON, json.dumps({"instances": ['{"text": "a"}', "b"]}), 400, "record 0 is JSON that was encoded"),
    "a text of an object": (JSON, json.dumps({"text": '{"instances": ["a"]}'}), 400, "encoded twice"),
    "a proxy's body within it": (JSON, json.dumps('{"body": "a"}'), 400, "encoded twice"),
    "a long one": (JSON, json.dumps(json.dumps({"instances": ["a" * 100] * 1000})), 400, "encoded twice"),
    "base64 of JSON": (JSON, json.dumps(base64.b64encode(b'{"instances":["a"]}').decode()), 400, "base64"),
    "base64 that is the body": (JSON, base64.b64encode(b'{"instances": ["a"]}'), 400, "base64"),
    "a proxy's event": (JSON, json.dumps({"body": '{"instances": ["a"]}'}), 400, "a request wrapped by a proxy"),
}
BMP = b"BM\x90\x00\x00\x00" + bytes(4) + b"\x36\x00\x00\x00\x28\x00\x00\x00" + b"\xff" * 99
OTHER_FORMATS: Mapping[str, Refused] = {
    "gzip as CSV": (
        CSV,
        gzip.compress(b"a\nb\n", mtime=0),
        415,
        "compressed with gzip; send it with the header Content-Enc",
    ),
    "gzip as JSON Lines": (JSON_LINES, gzip.compress(b'"a"\n', mtime=0), 415, "Content-Encoding: gzip"),
    "gzip as JSON": (JSON, gzip.compress(b'"a"', mtime=0), 415, "Content-Encoding: gzip"),
    "gzip as a text": (TEXT, gzip.compress(b"a", mtime=0), 415, "Content-Encoding: gzip"),
    "gzip as octets": (OCTETS, gzip.compress(b"a", mtime=0), 415, "Content-Encoding: gzip"),
    "UTF-16 with its mark": (CSV, "good\nbad\n".encode("utf-16"), 415, "UTF-16"),
    "UTF-16 without a mark": (CSV, "good\nbad\n".encode("utf-16-le"), 415, "full of zero bytes: UTF-16"),
    "UTF-16 as a text": (TEXT, "good\n".encode("utf-16-be"), 415, "full of zero bytes: UTF-16"),
    "UTF-16 as JSON": (JSON, '["good"]'.encode("utf-16"), 415, "UTF-16"),
    "Chinese in UTF-16 as a text": (TEXT, "好用".encode("utf-16"), 415, "UTF-16"),
    "Parquet": (CSV, b"PAR1\x15\x04\x15\x00" * 9, 415, "a Parquet file"),
    "Parquet as octets": (OCTETS, b"PAR1\x15\x04\x15\x00" * 9, 415, "a Parquet file"),
    "an old Excel file": (CSV, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 99, 415, "an old Excel"),
    "a PDF": (OCTETS, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\x00", 415, "a PDF"),
    "an image for a model of texts": (OCTETS, b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d", 415, "an image"),
    "a BMP for a model of texts": (OCTETS, BMP, 415, "an image"),
    "fastText's format as CSV": (CSV, "__label__fire smoke\n__label__body droops\n", 415, "fastText"),
    "a web page as CSV": (CSV, "<!DOCTYPE html>\n<p>Sign in\n", 415, "a web page"),
    "rows that end with a carriage return": (CSV, "good\rbad\rugly\r", 400, "end them with a line feed"),
    "JSON Lines that end with a carriage return": (JSON_LINES, '"good"\r"bad"\r', 400, "end them with a line feed"),
    "JSON Lines as JSON": (JSON, '{"text": "a"}\n{"text": "b"}\n', 415, "JSON Lines, one record per line; send it as"),
    "strings a line as JSON": (JSON, '"a"\n"b"\n', 415, "send it as application/jsonlines"),
    "JSON over several lines as JSON Lines": (
        JSON_LINES,
        '{\n "instances": ["a"]\n}',
        415,
        "over several lines; send it",
    ),
    "a dict as Python prints it, as JSON": (JSON, "{'inputs': 'a'}", 400, "strings go in double quotes"),
}
HEADERS_OF_CSV: Mapping[str, Refused] = {
    "a header of label and text": (CSV, "label,text\nfire,Cranks slowly\n", 400, "names several columns"),
    "a header of an index and text": (CSV, ",text\n0,Cranks slowly\n", 400, "names several columns"),
    "pandas' column numbers": (CSV, "0,1\nfire,Cranks slowly\n", 400, "names several columns"),
    "pandas' header of a Series": (CSV, ",0\n0,Cranks slowly\n", 400, "names several columns"),
    "a header of id and text in tabs": (CSV, "ID\tText\n7\tCranks slowly\n", 400, "names several columns"),
    "a header of several columns, announced": (
        f"{CSV}; header=present", "claim,narrative\n7,Cranks slowly\n", 400, "names several columns"
    ),
    "a header with nothing below it": (f"{CSV}; header=present", "text\n", 400, "only a header"),
    "a header that is neither": (f"{CSV}; header=yes", "text\na\n", 415, "neither present nor absent"),
}  # fmt: skip
REFUSED = {
    "JSON taken for a text": JSON_AS_A_TEXT,
    "forms": FORMS,
    "JSON encoded twice": ENCODED_TWICE,
    "other formats": OTHER_FORMATS,
    "headers of CSV": HEADERS_OF_CSV,
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for kind in REFUSED.values() for name, case in kind.items()]
)
def test_a_body_that_is_not_what_its_type_says_is_refused_with_its_cure(
    client: FlaskClient, backend: Backend, case: Refused
) -> None:
    content_type, body, status, words = case
    answer = ask(client, body, content_type)
    code, message = error_of(answer)
    assert words in message
    assert (answer.status_code, code in ("unsupported_media_type", "invalid_body", "invalid_record")) == (status, True)
    assert "Sunvisor" not in message
    assert backend.asked == []


def test_an_excel_workbook_is_named(client: FlaskClient) -> None:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    answer = ask(client, file.getvalue(), CSV)
    assert (answer.status_code, "an Excel workbook or a ZIP archive" in answer.text) == (415, True)


Read = tuple[str, str, list[str]]
"""Content-Type, body, and the texts that the model reads."""

STILL_TEXTS: Mapping[str, Read] = {
    "JSON that is announced as a text": (TEXT, '{"inputs": "a"}', ['{"inputs": "a"}']),
    "JSON that is announced as plain text": ("text/plain", '["a", "b"]', ['["a", "b"]']),
    "a text in brackets": (OCTETS, "[deleted]", ["[deleted]"]),
    "a text that begins with a tag": (OCTETS, "[URGENT] brake [left]", ["[URGENT] brake [left]"]),
    "a text that begins with a footnote": (OCTETS, "[1] See the manual", ["[1] See the manual"]),
    "a text in braces": (NONE, "{smiles}", ["{smiles}"]),
    "a template": (NONE, "{{name}} has a fault", ["{{name}} has a fault"]),
    "a wiki's link": (NONE, "[[Brake]] is soft", ["[[Brake]] is soft"]),
    "a quotation": (NONE, '"Sunvisor" droops', ['"Sunvisor" droops']),
    "a web page that is a text": (TEXT, "<html>droops</html>", ["<html>droops</html>"]),
    "a long word": (TEXT, "Donaudampfschifffahrtsgesellschaft", ["Donaudampfschifffahrtsgesellschaft"]),
    "a hash": (TEXT, "d41d8cd98f00b204e9800998ecf8427e", ["d41d8cd98f00b204e9800998ecf8427e"]),
    "a text of many lines": (OCTETS, "one\rtwo\nthree", ["one\rtwo\nthree"]),
    "a string that is a log's line": (JSON, json.dumps('{"level": "error"}'), ['{"level": "error"}']),
    "a string in quotes": (JSON, json.dumps('"Great" film, "really"'), ['"Great" film, "really"']),
    "a string in brackets": (JSON, json.dumps("[deleted]"), ["[deleted]"]),
    "a CSV text in brackets": (CSV, "[deleted]\n{smiles}\n", ["[deleted]", "{smiles}"]),
    "a CSV text that is a list, in quotes": (CSV, '"[""a"", ""b""]"\n', ['["a", "b"]']),
    "a CSV text that is JSON, in quotes": (CSV, '"{""a"": 1}"\n', ['{"a": 1}']),
    "a CSV text that is a web page, in quotes": (CSV, '"<html>droops</html>"\n', ["<html>droops</html>"]),
    "commas": (CSV, "commas, and, more\n1,000 miles\n", ["commas, and, more", "1,000 miles"]),
    "a label that begins a sentence": (CSV, "fire, and smoke\nIt was fire\n", ["fire, and smoke", "It was fire"]),
    "a label between commas of a sentence": (
        CSV,
        "17, fire, and smoke\n5,fire, so\n",
        ["17, fire, and smoke", "5,fire, so"],
    ),
    "lists that are texts": (CSV, "[[Brake]] is soft\n['it\n", ["[[Brake]] is soft", "['it"]),
    "a label in quotes with its text": (CSV, '"fire,smoke"\n', ["fire,smoke"]),
    "speech": (CSV, 'He said, "go"\nA 5" bolt,so\n', ['He said, "go"', 'A 5" bolt,so']),
    "a quoted word and punctuation": (CSV, '"Great"; the rest\n"a" | b\n', ['"Great"; the rest', '"a" | b']),
    "an open quote after a comma": (CSV, 'so,"not closed\nb\n', ['so,"not closed', "b"]),
    "a carriage return in quotes": (CSV, '"over\rtwo"', ["over\rtwo"]),
    "a name of a column below the first line": (CSV, "a\ntext\n", ["a", "text"]),
    "a sentence that begins with a name": (CSV, "Text is cut off\n", ["Text is cut off"]),
    "the name of a column, announced as a text": (f"{CSV}; header=absent", "text\na\n", ["text", "a"]),
    "what is below the header": (f"{CSV}; header=present", "text\na\n", ["a"]),
    "what is below a quoted header": (f'{CSV}; header="present"', '"my, text"\r\na\r\n', ["a"]),
    "a list of lists of one": (JSON, '[["a"], ["b"]]', ["a", "b"]),
    "instances that are lists of one": (JSON, '{"instances": [["a"], ["b"]]}', ["a", "b"]),
    "a list of one, a line": (JSON_LINES, '["a"]\n["b"]', ["a", "b"]),
    "Ground Truth's source": (JSON_LINES, '{"source": "a"}\n{"source": "b"}\n', ["a", "b"]),
    "objects with an id": (JSON_LINES, '{"id": 7, "text": "a"}\n{"source": "b", "id": "x"}', ["a", "b"]),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in STILL_TEXTS.items()])
def test_what_is_a_text_is_read_as_it_is(client: FlaskClient, backend: Backend, case: Read) -> None:
    content_type, body, texts = case
    answer = ask(client, body, content_type)
    assert answer.status_code == 200, answer.text
    assert backend.asked == texts
    assert "error" not in answer.text


InPlace = tuple[str, str, list[str | None], str]
"""Content-Type, body, the text of each record or none for an error, and a part of the error's message."""

ERRORS_IN_PLACE: Mapping[str, InPlace] = {
    "a label before a text": (
        CSV, 'a\nfire,"Cranks slowly and dies, when"\nc\n', ["a", None, "c"], "CSV line 2 has a second column"
    ),
    "a label before a text of two lines": (
        CSV, 'a\nfire,"Cranks slowly\nand dies"\nc\n', ["a", None, "c"], "CSV line 2 has a second column"
    ),
    "a label before a text of two lines, with CRLF": (
        CSV, 'a\r\nfire,"Cranks slowly\r\nand dies"\r\nc\r\n', ["a", None, "c"], "CSV line 2 has a second column"
    ),
    "an id and a label before a text": (CSV, 'a\n7,fire,"Cranks"\nc', ["a", None, "c"], "CSV line 2"),
    "a label behind a text": (CSV, 'a\n"Cranks slowly",fire\nc', ["a", None, "c"], "CSV line 2"),
    "a quoted label behind a text": (CSV, 'a\n"Cranks","fi\nre"\nc', ["a", None, "c"], "CSV line 2"),
    "a quoted label before a text of two lines": (CSV, '"fire","Cranks\nslowly"\nc', [None, "c"], "CSV line 1"),
    "a text between an id and a label": (CSV, '7,"Cranks\nslowly",fire\nc', [None, "c"], "CSV line 1"),
    "an empty column": (CSV, ',"Cranks slowly"\nc', [None, "c"], "CSV line 1"),
    "a label before a text without quotes": (
        CSV, "a\nfire,Cranks slowly\nc", ["a", None, "c"], "CSV line 2 has a label"
    ),
    "a label between an index and a text without quotes": (
        CSV, "a\n17,fire,Cranks slowly\nc", ["a", None, "c"], "CSV line 2 has a label"
    ),
    "a label behind a text without quotes": (CSV, "Cranks, slowly,fire\nc", [None, "c"], "CSV line 1 has a label"),
    "a label and a tab": (CSV, "a\nfire\tCranks slowly\r\nc", ["a", None, "c"], "CSV line 2 has a label"),
    "columns with semicolons": (CSV, 'fire;"Cranks, slowly\nso"\nc', [None, "c"], "CSV line 1"),
    "columns with tabs": (CSV, 'fire\t"Cranks slowly"\nc', [None, "c"], "CSV line 1"),
    "quoted columns with bars": (CSV, '"fire"|"Cranks\nslowly"\nc', [None, "c"], "CSV line 1"),
    "the name of a column": (CSV, "text\na\nb\n", [None, "a", "b"], "CSV line 1 is a column name"),
    "the name of a column in quotes": (CSV, '"Review"\r\na\r\n', [None, "a"], "CSV line 1 is a column name"),
    "the name of a column after a byte order mark": (CSV, "\ufeffTEXT \na", [None, "a"], "CSV line 1 is a column name"),
    "Excel's line of a delimiter": (CSV, "sep=;\na\n", [None, "a"], "CSV line 1 declares a delimiter"),
    "a carriage return within a line": (CSV, "a\nb\rc\nd", ["a", None, "d"], "CSV line 2 contains a carriage return"),
    "a key that is too much": (
        JSON_LINES, '"a"\n{"text": "b", "lang": "en"}\n"c"', ["a", None, "c"], 'remove the key "lang"'
    ),
    "two keys of a text": (
        JSON_LINES, '{"text": "b", "inputs": "c"}\n"d"', [None, "d"], 'keep only one of the keys "text", "inputs"'
    ),
    "several keys of other names": (
        JSON_LINES, '{"a": "b", "c": "d"}\n"e"', [None, "e"], 'rename the key to read to "text"'
    ),
    "a key of another name": (JSON_LINES, '{"review": "b"}\n"d"', [None, "d"], 'rename it to "text"'),
    "instances a line": (JSON_LINES, '{"instances": ["b", "c"]}\n"d"', [None, "d"], "as application/json"),
    "a list a line": (JSON_LINES, '["b", "c"]\n"d"', [None, "d"], "of application/json"),
    "a line encoded twice": (JSON_LINES, '"{\\"text\\": \\"b\\"}"\n"d"', [None, "d"], "encoded twice"),
    "an id that is no id": (JSON_LINES, '{"id": [1], "text": "b"}\n"d"', [None, "d"], '"id" that is neither'),
}  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in ERRORS_IN_PLACE.items()])
def test_a_record_that_may_be_wrong_has_an_error_in_its_place_and_no_line_shifts(
    client: FlaskClient, backend: Backend, case: InPlace
) -> None:
    content_type, body, texts, words = case
    answer = ask(client, body, content_type)
    assert answered(answer) == ["label" if text else "error" for text in texts]
    assert backend.asked == [text for text in texts if text]
    assert words in message_of(answer)
    table = ask(client, body, content_type, Accept="text/csv").text.split("\n")
    assert [line == "," for line in table] == [text is None for text in texts]


# --- obeyed messages


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ((CSV, 'fire,"Cranks"\n'), (CSV, '"fire,""Cranks"""\n'), 'fire,"Cranks"'),
        ((CSV, "text\n"), (f"{CSV}; header=absent", "text\n"), "text"),
        ((OCTETS, '{"inputs": "a"}'), (TEXT, '{"inputs": "a"}'), '{"inputs": "a"}'),
        ((OCTETS, '{"inputs": "a"}'), (JSON, '{"inputs": "a"}'), "a"),
        ((CSV, '{"text": "a"}\n'), (JSON_LINES, '{"text": "a"}\n'), "a"),
        ((CSV, '{"text": "a"}\n'), (CSV, '"{""text"": ""a""}"\n'), '{"text": "a"}'),
        ((JSON, '"{\\"text\\": \\"a\\"}"'), (TEXT, '{"text": "a"}'), '{"text": "a"}'),
        ((JSON_LINES, '["a", "b"]'), (JSON, '["a"]'), "a"),
    ],
)
def test_who_does_what_the_message_says_gets_an_answer(
    client: FlaskClient, backend: Backend, before: tuple[str, str], after: tuple[str, str], text: str
) -> None:
    assert "error" in ask(client, before[1], before[0]).text
    assert "error" not in ask(client, after[1], after[0]).text
    assert backend.asked == [text]


@pytest.mark.parametrize(
    ("line", "is_read"),
    [
        ("1,Cranks", False),
        ("Cranks,0", False),
        ("1;Cranks", False),
        ("1,000 miles", True),
        ("after 1,0", True),
        ("1,2", True),
        ("1,2,0 go", True),
        ("1", True),
    ],
)
def test_a_label_that_is_an_integer_is_none_where_it_is_part_of_a_number(line: str, is_read: bool) -> None:
    client = serving_helpers.client_of(Backend(), (0, 1, 2), MANIFEST, {})
    assert answered(ask(client, line, CSV)) == ["label" if is_read else "error"]


# --- ids


def test_an_id_comes_back_with_its_answer_and_with_its_error(client: FlaskClient) -> None:
    lines = ['{"id": 7, "text": "a"}', '"b"', '{"source": "c", "id": "d\\u00e9"}', '{"id": 8, "text": 5}']
    answer = ask(client, "\n".join(lines), JSON_LINES).text.split("\n")
    rows = [json.loads(line) for line in answer]
    assert [row.get("id") for row in rows] == [7, None, "dé", 8]
    assert ["error" in row for row in rows] == [False, False, False, True]
    assert answer[0] == '{"id": 7, "predicted_label": "body", "probabilities": [0.5, 0.25, 0.25]}'
    assert ask(client, "\n".join(lines[:3]), JSON_LINES, Accept="text/csv").text.count("\n") == 2
    one = json.loads(ask(client, lines[0], JSON).data)
    assert one == {"id": 7, "probabilities": [0.5, 0.25, 0.25]}
    listed = json.loads(ask(client, f"[{lines[0]}, {lines[1]}]", JSON).data)
    assert [row.get("id") for row in listed] == [7, None]


# --- batch transform


@pytest.fixture
def transform(backend: Backend) -> FlaskClient:
    return serving_helpers.client_of(backend, LABELS, MANIFEST, {"SAGEMAKER_BATCH": "true"})


TRANSFORM_REFUSES: Mapping[str, Refused] = {
    "an object as octets": (OCTETS, '{"inputs": "Sunvisor droops"}', 415, "Content-Type: application/json"),
    "JSON Lines as octets": (OCTETS, '{"text": "a"}\n{"text": "b"}\n', 415, "application/jsonlines"),
    "lines as octets": (OCTETS, "a\nb\n", 415, "set the ContentType of the transform job"),
    "a header that only the first part has": (f"{CSV}; header=present", "text\na\n", 415, "take the header out"),
    "gzip": (CSV, gzip.compress(b"a\n", mtime=0), 415, "CompressionType to Gzip"),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TRANSFORM_REFUSES.items()])
def test_a_transform_job_is_refused_what_would_be_a_wrong_answer(
    transform: FlaskClient, backend: Backend, case: Refused
) -> None:
    content_type, body, status, words = case
    answer = ask(transform, body, content_type)
    assert (answer.status_code, words in error_of(answer)[1]) == (status, True)
    assert backend.asked == []


def test_a_transform_job_of_octets_may_send_a_text_at_a_time(transform: FlaskClient, backend: Backend) -> None:
    assert ask(transform, "a, and b\n", OCTETS).status_code == 200
    assert backend.asked == ["a, and b"]


def test_a_transform_job_gets_as_many_lines_as_it_sends(transform: FlaskClient) -> None:
    lines = ["text", "a", "", 'fire,"Cranks"', "sep=,", "b, c", '"d"', "[e]", '"f",g', "h"]
    for content_type in (CSV, f"{CSV}; header=absent"):
        for end in ("\n", "\r\n"):
            for accept in ("text/csv", "application/jsonlines"):
                answer = ask(transform, end.join(lines) + end, content_type, Accept=accept)
                assert len(answer.text.split("\n")) == len(lines)


FILTERED: Mapping[str, tuple[str, list[str]]] = {
    "a column, quoted as CSV": (CSV, ['"Pedal goes soft, then firm"', '"says ""stop"""', "Stalls"]),
    "a column as it is": (CSV, ["Pedal goes soft, then firm", 'says "stop"', "Stalls"]),
    "a string": (JSON_LINES, ['"Pedal goes soft, then firm"', '"says \\"stop\\""', '"Stalls"']),
    "some of an object's keys": (
        JSON_LINES,
        [
            '{"id": 1, "text": "Pedal goes soft, then firm"}',
            '{"id": "b", "text": "says \\"stop\\""}',
            '{"text": "Stalls"}',
        ],
    ),
    "a key's list": (JSON_LINES, ['["Pedal goes soft, then firm"]', '["says \\"stop\\""]', '["Stalls"]']),
}


@pytest.mark.parametrize("name", FILTERED)
def test_what_a_transform_jobs_input_filter_leaves_of_a_line_is_a_record_B12(
    transform: FlaskClient, backend: Backend, name: str
) -> None:
    content_type, lines = FILTERED[name]
    answer = ask(transform, "\n".join(lines), content_type, Accept=content_type)
    assert answer.status_code == 200
    assert len(answer.text.split("\n")) == len(lines)
    assert backend.asked == ["Pedal goes soft, then firm", 'says "stop"', "Stalls"]


def test_a_transform_jobs_line_that_is_not_filtered_is_an_error_of_its_own_or_one_text_B12(
    transform: FlaskClient, backend: Backend
) -> None:
    body = '{"claim": 17, "text": "Pedal goes soft"}'
    assert "claim" in message_of(ask(transform, body, JSON_LINES, Accept=JSON_LINES))
    assert ask(transform, '17,"Pedal goes soft"', CSV, Accept=CSV).text == ","
    assert backend.asked == []
    ask(transform, "17,Pedal goes soft", CSV, Accept=CSV)
    assert backend.asked == ["17,Pedal goes soft"]


# --- compressed bodies


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", " gzip "])
@pytest.mark.parametrize(
    ("content_type", "body", "texts"),
    [
        (CSV, "a\nb\n", ["a", "b"]),
        (JSON_LINES, '"a"\n"b"', ["a", "b"]),
        (JSON, '["a", "b"]', ["a", "b"]),
        (TEXT, "a", ["a"]),
        (NONE, "a", ["a"]),
        (f"{CSV}; header=present", "text\na\n", ["a"]),
    ],
)
def test_a_body_may_be_compressed_where_its_header_says_so(
    client: FlaskClient, backend: Backend, encoding: str, content_type: str, body: str, texts: list[str]
) -> None:
    halves = gzip.compress(body.encode()[:3], mtime=0) + gzip.compress(body.encode()[3:], mtime=0)
    for compressed in (gzip.compress(body.encode(), mtime=0), halves):
        backend.asked.clear()
        assert ask(client, compressed, content_type, Content_Encoding=encoding).status_code == 200
        assert backend.asked == texts


WHOLE = gzip.compress(b"one\ntwo\n" * 1000, mtime=0)


@pytest.mark.parametrize(
    ("body", "encoding", "status", "words"),
    [
        (b"a\nb\n", "gzip", 400, "not valid gzip"),
        (WHOLE[:-9], "gzip", 400, "in the middle of its gzip data"),
        (WHOLE[:20] + b"x" + WHOLE[21:], "gzip", 400, "gzip"),
        (b"", "gzip", 400, "empty"),
        (gzip.compress(b"", mtime=0), "gzip", 400, "empty"),
        (gzip.compress(WHOLE, mtime=0), "gzip", 415, "compressed with gzip"),
        (b"a\nb\n", "br", 415, "compress the body with gzip or not at all"),
        (b"a\nb\n", "deflate", 415, "compress the body with gzip or not at all"),
        (b"a\nb\n", "gzip, gzip", 415, "compress the body with gzip or not at all"),
    ],
)
def test_a_body_that_is_not_compressed_as_its_header_says_is_refused(
    client: FlaskClient, body: bytes, encoding: str, status: int, words: str
) -> None:
    answer = ask(client, body, CSV, Content_Encoding=encoding)
    assert (answer.status_code, words in error_of(answer)[1]) == (status, True), answer.text


def test_identity_is_no_encoding(client: FlaskClient) -> None:
    assert ask(client, b"a\nb\n", CSV, Content_Encoding="identity").status_code == 200


@pytest.mark.parametrize("content_type", [TEXT, JSON, CSV, JSON_LINES, OCTETS])
def test_a_decompression_bomb_is_413_and_is_never_held_whole(backend: Backend, content_type: str) -> None:
    client = serving_helpers.client_of(backend, LABELS, MANIFEST, {"SERVING_MAX_WHOLE_MB": "1"})
    bomb = gzip.compress(b'"a"\n' * (8 << 20), 9, mtime=0)
    answer = ask(client, bomb, content_type, Content_Encoding="gzip")
    assert (answer.status_code, error_of(answer)[0]) == (413, "payload_too_large")
    assert "exceeds 1048576 bytes (SERVING_MAX_WHOLE_MB); send it in parts" in answer.text


# --- no false alarm


def test_the_texts_of_the_claims_are_read_in_every_form(client: FlaskClient, backend: Backend) -> None:
    every_text_is_read(client, backend, CLAIMS)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data sets")
@pytest.mark.parametrize("name", ["banking77/test", "sst2/test", "trec6/test", "imdb_polarity2k/test"])
def test_the_texts_of_the_shared_data_are_read_in_every_form(client: FlaskClient, backend: Backend, name: str) -> None:
    every_text_is_read(client, backend, SHARED / name / "data.csv")


def every_text_is_read(client: FlaskClient, backend: Backend, path: Path) -> None:
    found = ReadResult()
    csv_rows.read(Source(path, path.name), AS_WRITTEN, found)
    texts = [row.record for row in found.rows]
    assert texts
    flat = [" ".join(text.split()) for text in texts]
    quoted = "".join('"' + text.replace('"', '""') + '"\r\n' for text in texts)
    for body, content_type, expected in (
        (quoted, CSV, texts),
        ("\n".join(flat), CSV, flat),
        (json.dumps(texts), JSON, texts),
        ("\n".join(json.dumps({"text": text}) for text in texts), JSON_LINES, texts),
    ):
        backend.asked.clear()
        answer = ask(client, body, content_type)
        assert '{"error"' not in answer.text
        assert backend.asked == expected
    for text in flat[:200]:
        for content_type in (TEXT, OCTETS, NONE):
            assert ask(client, text, content_type).status_code == 200
