import json
from itertools import pairwise

import numpy as np
import pytest

from classifier.artifact import Label
from classifier.errors import RequestError
from classifier.serving import codec
from classifier.serving.codec import Predictions, Records
from classifier.serving.media_types import ANSWER_NAMES, CSV, JSON, JSON_LINES, TEXT, named_answer

KINDS = (TEXT, JSON, JSON_LINES, CSV)


def texts(body: str | bytes, kind: str) -> list[str]:
    return list(codec.decode(body if isinstance(body, bytes) else body.encode(), kind).texts)


def refusal(body: str | bytes, kind: str) -> str:
    with pytest.raises(RequestError) as caught:
        texts(body, kind)
    assert (caught.value.status, caught.value.code) == (400, "invalid_body")
    return caught.value.message


def answer(name: str, rows: list[list[float]], labels: list[Label], *, single: bool = False) -> str:
    predictions = Predictions(np.array(rows, np.float32).reshape(-1, len(labels)), labels, single)
    return codec.encode(predictions, named_answer(name)).decode()


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_body_is_refused_H26(kind: str) -> None:
    assert "empty" in refusal(b"", kind)
    assert "empty" in refusal(b"\xef\xbb\xbf", kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_is_not_utf_8_is_refused_and_the_byte_named_H26(kind: str) -> None:
    assert "at byte 4" in refusal(b"\xef\xbb\xbfa\xff", kind)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("It works.", "It works."),
        ("two\nlines\n", "two\nlines"),
        ("one\r\n", "one"),
        ("two ends\n\n", "two ends\n"),
        ("\n", ""),
        ("\ufeffmarked", "marked"),
        ('{"not": "json"}', '{"not": "json"}'),
        ("a\0b", "a\0b"),
        ("x" * 1_000_000, "x" * 1_000_000),
    ],
)
def test_a_text_is_the_whole_body_without_one_last_line_break_H19(body: str, text: str) -> None:
    assert codec.decode(body.encode(), TEXT) == Records((text,), single=True)


@pytest.mark.parametrize(
    ("body", "records"),
    [
        ('"a"', Records(("a",), single=True)),
        ('{"inputs": "a"}', Records(("a",), single=True)),
        ('{"text": "a"}', Records(("a",), single=True)),
        ('{"features": ["a"]}', Records(("a",), single=True)),
        ('["a"]', Records(("a",))),
        ('["a", {"text": "b"}, {"features": ["c"]}, {"inputs": "d"}]', Records(("a", "b", "c", "d"))),
        ('{"instances": ["a", {"text": "b"}]}', Records(("a", "b"))),
        ('{"inputs": ["a", {"text": "b"}]}', Records(("a", "b"))),
        ("[]", Records(())),
        ('{"instances": []}', Records(())),
        (' "" ', Records(("",), single=True)),
        ('"\\u0000 \\ud83d\\ude00 \\ud83d"', Records(("\0 😀 \ufffd",), single=True)),
    ],
)
def test_json_is_a_text_or_a_list_of_them_in_the_forms_clients_send_H19(body: str, records: Records) -> None:
    assert codec.decode(body.encode(), JSON) == records


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("5", "the body must be a string"),
        ("null", "the body must be a string"),
        ("{}", "the body must be a string"),
        ('["a", 5]', "record 1 must be"),
        ('["a", ["b"]]', "record 1 must be"),
        ('{"instances": "a"}', '"instances" must be a list'),
        ('{"instances": ["a"], "signature_name": "x"}', "and nothing else"),
        ('{"text": "a", "inputs": "b"}', "and nothing else"),
        ('{"secret": "a"}', "and nothing else"),
        ('{"features": ["a", 5]}', "a list of one string"),
        ('{"features": "a"}', "a list of one string"),
        ('{"text": "a", "text": "b"}', "the same key twice"),
        ('{"text": {"a": 1, "a": 2}}', "the same key twice"),
        ("secret", "not JSON (line 1, column 1)"),
        ('["a",\n secret]', "not JSON (line 2, column 2)"),
        ('"a" secret', "not JSON"),
        ('"line\nbreak"', "not JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"text":' * 100_000, "nested too deep"),
        ("9" * 5_000, "send texts as strings"),
        ("NaN", "the body must be a string"),
    ],
)
def test_other_json_is_refused_without_repeating_it_H25(body: str, hint: str) -> None:
    message = refusal(body, JSON)
    assert hint in message
    assert "secret" not in message
    assert len(message) < 200


def test_json_lines_are_a_record_a_line_and_blank_lines_are_skipped_H19() -> None:
    body = '"a"\r\n\n{"text": "b"}\n  \n{"features": ["c"]}\n{"inputs": "d"}'
    assert texts(body, JSON_LINES) == texts(body + "\n", JSON_LINES) == ["a", "b", "c", "d"]
    assert not codec.decode(b'"a"', JSON_LINES).single
    assert texts("\n\n", JSON_LINES) == []


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ('"a"\n\nsecret\n', "line 3 is not JSON"),
        ('"a"\n["b"]', "line 2 must be"),
        ('{"text": "a"}{"text": "b"}', "line 1 is not JSON"),
        ('{"features":["text",5]}', "line 1 must be"),
    ],
)
def test_a_bad_json_line_is_named_H25(body: str, hint: str) -> None:
    assert hint in refusal(body, JSON_LINES)


@pytest.mark.parametrize(
    ("body", "records"),
    [
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\nb", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\n\nb\n\n", ["a", "", "b", ""]),
        ("\n", [""]),
        ("commas, and, more\n,\n", ["commas, and, more", ","]),
        ('"quoted, with comma"\n', ["quoted, with comma"]),
        ('"says ""yes"""\n"b"', ['says "yes"', "b"]),
        ('"over\ntwo\r\nlines"\r\nb', ["over\ntwo\r\nlines", "b"]),
        ('""\n""', ["", ""]),
        ('in the "middle", so\n', ['in the "middle", so']),
        ('"Great" film\nb', ['"Great" film', "b"]),
        ('"never closed\nb\n', ['"never closed', "b"]),
        ('"never closed\nhe said "no"\n', ['"never closed', 'he said "no"']),
        ('"', ['"']),
        ('"""\nb', ['"""', "b"]),
        ('"ends at the end"', ["ends at the end"]),
        ("\ufeffmarked\nb", ["marked", "b"]),
        ("alone\rno end", ["alone\rno end"]),
        ("line\u2028separator\x0b\x85", ["line\u2028separator\x0b\x85"]),
        ("nul\0\nb", ["nul\0", "b"]),
    ],
)
def test_csv_is_one_column_of_texts_a_line_each_unless_properly_quoted_B06_B10(body: str, records: list[str]) -> None:
    assert texts(body, CSV) == records


@pytest.mark.parametrize(
    ("body", "line"), [('"a",5', 1), ('b\n\n"a","secret"\n', 3), ('"two\nlines"\n"secret",\n', 3), ('"",""', 1)]
)
def test_a_second_csv_column_is_refused_and_its_line_named_D03(body: str, line: int) -> None:
    message = refusal(body, CSV)
    assert f"CSV line {line} has a second column" in message
    assert "secret" not in message


@pytest.mark.parametrize("line", ['"', '""', '"""', 'a"b', '"a""', '"a"b', ""])
def test_a_hundred_thousand_odd_quotes_are_read_once_each_H26(line: str) -> None:
    assert len(texts(f"{line}\n" * 100_000, CSV)) in (50_000, 100_000)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_as_many_lines_come_out_as_went_in_B06_B12(end: str, last: bool) -> None:
    lines = ["first", "", "third, with a comma", "four"]
    records = texts(end.join(lines) + (end if last else ""), CSV)
    assert records == lines
    rows = [[0.2, 0.8]] * len(records)
    for name in ("text/csv", "application/jsonlines"):
        assert answer(name, rows, ["no", "yes"]).count("\n") == len(lines) - 1


def test_one_record_is_answered_as_the_built_in_algorithm_answers_it_H20() -> None:
    assert answer("application/json", [[0.25, 0.75]], ["no", "yes"], single=True) == '{"probabilities": [0.25, 0.75]}'
    assert answer("application/json;verbose", [[0.25, 0.75]], ["no", "yes"], single=True) == (
        '{"probabilities": [0.25, 0.75], "labels": ["no", "yes"], "predicted_label": "yes"}'
    )


def test_a_list_is_answered_as_a_list_even_of_one_or_none() -> None:
    assert json.loads(answer("application/json", [[0.25, 0.75]], ["no", "yes"])) == [{"probabilities": [0.25, 0.75]}]
    assert [answer(name, [], ["no", "yes"]) for name in ANSWER_NAMES] == ["[]", "[]", "", "", ""]


def test_labels_keep_the_type_they_had_in_training() -> None:
    assert answer("application/jsonlines;verbose", [[0.75, 0.25], [0.25, 0.75]], [0, 1]) == (
        '{"predicted_label": 0, "probabilities": [0.75, 0.25], "labels": [0, 1]}\n'
        '{"predicted_label": 1, "probabilities": [0.25, 0.75], "labels": [0, 1]}'
    )
    assert answer("application/jsonlines", [[0.75, 0.25]], ["no", "1"]) == (
        '{"predicted_label": "no", "probabilities": [0.75, 0.25]}'
    )


def test_csv_answers_quote_labels_that_need_it_and_write_plain_decimals_D02() -> None:
    rows = np.eye(4).tolist()
    assert answer("text/csv", rows, ["plain", "with, comma", 'with "quotes"', 7]) == (
        'plain,1.00000000\n"with, comma",1.00000000\n"with ""quotes""",1.00000000\n7,1.00000000'
    )
    wide = answer("text/csv", [[1e-7] * 3], [1, 2, 3])
    assert wide == "1,0.00000010"


@pytest.mark.parametrize("name", ANSWER_NAMES)
def test_answers_are_of_one_line_a_record_whatever_the_labels_hold(name: str) -> None:
    labels: list[Label] = ["naïve", "line\u2028separator"]
    written = answer(name, [[0.0, 1.0], [1.0, 0.0]], labels)
    assert len(written.split("\n")) == (1 if name.startswith("application/json;") or name == "application/json" else 2)
    assert not written.endswith("\n")
    if name.startswith("application/jsonlines"):
        first, second = (json.loads(line) for line in written.splitlines())
        assert (first["predicted_label"], second["predicted_label"]) == (labels[1], labels[0])


def test_records_keep_their_order_however_many_there_are_H26() -> None:
    decoded = texts("\n".join(str(number) for number in range(100_000)), CSV)
    assert len(decoded) == 100_000
    assert all(int(first) < int(second) for first, second in pairwise(decoded))
