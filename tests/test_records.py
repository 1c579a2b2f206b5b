import gc
import io
import json
import re
import tracemalloc
from itertools import cycle, islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.errors import RequestError
from classifier.serving import records
from classifier.serving.lines import LONGEST_LINE, LineReader
from classifier.serving.media_types import CSV, JSON, JSON_LINES, LINES, TEXT
from classifier.serving.records import CHUNK_BYTES, CHUNK_RECORDS, Body, Bounds, Record
from record_helpers import BOUNDS, Made, Trickle, all_of, problems, shown, texts

KINDS = (TEXT, JSON, JSON_LINES, CSV)
WHOLE = (TEXT, JSON)


def read(body: str | bytes, kind: str, bounds: Bounds = BOUNDS) -> Body:
    return records.read(io.BytesIO(body if isinstance(body, bytes) else body.encode()), kind, bounds)


def refusal(
    body: str | bytes, kind: str, bounds: Bounds = BOUNDS, error: tuple[int, str] = (400, "invalid_body")
) -> str:
    with pytest.raises(RequestError) as caught:
        read(body, kind, bounds)
    assert (caught.value.status, caught.value.code) == error
    return caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_body_is_refused_before_a_record_is_asked_for_H26(kind: str) -> None:
    assert "empty" in refusal(b"", kind)
    assert "empty" in refusal(b"\xef\xbb\xbf", kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_order_mark_is_dropped_at_the_start_only(kind: str) -> None:
    body = b'\xef\xbb\xbf"a\xef\xbb\xbf"'
    first = '"a\ufeff"' if kind == TEXT else "a\ufeff"
    assert texts(body, kind) == [first]
    assert all_of(records.read(Trickle(body), kind, BOUNDS)) == [first]


@pytest.mark.parametrize("kind", WHOLE)
def test_a_body_that_is_not_utf_8_is_refused_and_the_byte_named_H26_B13(kind: str) -> None:
    assert "at byte 4" in refusal(b"\xef\xbb\xbfa\xff", kind)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_body_that_is_read_whole_is_bounded_and_told_what_to_be_instead_A05(kind: str) -> None:
    bounds = Bounds(whole_bytes=10, records=1)
    assert all_of(read('"' + "a" * 8 + '"', kind, bounds))
    message = refusal('"' + "a" * 9 + '"', kind, bounds, (413, "payload_too_large"))
    assert "application/jsonlines or text/csv" in message
    assert "SERVING_MAX_WHOLE_MB" in message
    endless = Made(cycle([b"a" * 100_000]))
    with pytest.raises(RequestError, match="10 bytes"):
        records.read(endless, kind, bounds)


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
def test_a_text_is_the_whole_body_without_one_last_line_break_H19_B07(body: str, text: str) -> None:
    read_body = records.read(Trickle(body.encode()), TEXT, BOUNDS)
    assert (all_of(read_body), read_body.single) == ([text], True)


@pytest.mark.parametrize(
    ("body", "found", "single"),
    [
        ('"a"', ["a"], True),
        ('{"inputs": "a"}', ["a"], True),
        ('{"text": "a"}', ["a"], True),
        ('{"source": "a"}', ["a"], True),
        ('{"features": ["a"]}', ["a"], True),
        ('["a"]', ["a"], False),
        ('["a", {"text": "b"}, {"features": ["c"]}, {"inputs": "d"}]', ["a", "b", "c", "d"], False),
        ('{"instances": ["a", {"text": "b"}]}', ["a", "b"], False),
        ('{"inputs": ["a", {"text": "b"}]}', ["a", "b"], False),
        ("[]", [], False),
        ('{"instances": []}', [], False),
        (' "" ', [""], True),
        ('"\\u0000 \\ud83d\\ude00 \\ud83d"', ["\0 😀 \ufffd"], True),
        ('["\\udc00", "\\ud83d\\ude00"]', ["\ufffd", "😀"], False),
    ],
)
def test_json_is_a_text_or_a_list_of_them_in_the_forms_clients_send_H19(
    body: str, found: list[Record], single: bool
) -> None:
    read_body = read(body, JSON)
    assert (all_of(read_body), read_body.single) == (found, single)


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("5", "the body must be a text"),
        ("null", "the body must be a text"),
        ("{}", "the body must be a text"),
        ('{"instances": "a"}', '"instances" must be a list'),
        ('{"instances": null}', '"instances" must be a list'),
        ('{"instances": ["a"], "signature_name": "x"}', "and nothing else"),
        ('{"text": "a", "inputs": "b"}', "and nothing else"),
        ('{"text": ["a"]}', "and nothing else"),
        ('{"a": "secret"}', '"a" is not a known key; rename it to "text"'),
        ('{"features": ["a", 5]}', '"features"'),
        ('{"features": "a"}', '"features"'),
        ('{"text": "a", "text": "b"}', "the same key twice"),
        ('{"text": {"a": 1, "a": 2}}', "the same key twice"),
        ("secret", "not JSON (line 1, column 1)"),
        ('["a",\n secret]', "not JSON (line 2, column 2)"),
        ('"a" secret', "not JSON"),
        ('"line\nbreak"', "not JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"text":' * 100_000, "nested too deep"),
        ("9" * 5_000, "send texts as strings"),
        ("NaN", "the body must be a text"),
    ],
)
def test_other_json_is_refused_without_repeating_it_H25_B13(body: str, hint: str) -> None:
    message = refusal(body, JSON)
    assert hint in message
    assert "secret" not in message
    assert len(message) < 250


def test_a_wrong_record_of_a_json_list_spoils_no_other_B11() -> None:
    found = texts('["a", 5, {"instances": ["secret"]}, {"text": "b"}, ["c", "d"], {"a": "b", "c": "d"}, "e"]', JSON)
    assert shown(found) == ["a", None, None, "b", None, None, "e"]
    assert [message.split(" must be ")[0] for message in problems(found)] == [f"record {n}" for n in (1, 2, 4, 5)]
    assert "secret" not in str(problems(found))


def test_a_json_list_may_be_as_long_as_the_bound_says() -> None:
    assert texts_within('["a", "b"]', 2) == ["a", "b"]
    assert "exceeds 2 records" in refusal(
        '["a", "b", "c"]', JSON, Bounds(whole_bytes=100, records=2), (413, "too_many_records")
    )


def texts_within(body: str, most: int) -> list[Record]:
    return all_of(read(body, JSON, Bounds(whole_bytes=100, records=most)))


def test_json_lines_are_a_record_a_line_and_blank_lines_are_skipped_H19() -> None:
    body = '"a"\r\n\n{"text": "b"}\n  \n\u2028\n{"features": ["c"]}\n{"inputs": "d"}'
    assert texts(body, JSON_LINES) == texts(body + "\n", JSON_LINES) == ["a", "b", "c", "d"]
    assert not read(b'"a"', JSON_LINES).single
    assert texts("\n\n", JSON_LINES) == []
    assert texts("\r\n", JSON_LINES) == []


def test_a_record_may_be_an_empty_text_D05() -> None:
    assert texts('{"features": [""]}\n""\n', JSON_LINES) == ["", ""]
    assert texts('\n""\n', CSV) == ["", ""]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (b"secret", "line 3 is not JSON (column 1)"),
        (b'["b", "c"]', "line 3 must be"),
        (b'"unclosed', "line 3 is not JSON"),
        (b'{"text": "a"}{"text": "b"}', "line 3 is not JSON"),
        (b'{"features":["text",5]}', "line 3 must be"),
        (b'{"text": "a", "text": "b"}', "line 3 holds a JSON object with the same key twice"),
        (b"[" * 50_000, "line 3 is JSON that is nested too deeply"),
        (b"[" * 100_000, "line 3 must be"),
        (b"9" * 5_000, "line 3 is JSON that can't be parsed"),
        (b'"\xff"', "line 3 is not UTF-8 (at byte 1 of its text)"),
        (b"\xef\xbb\xbf", "line 3 is not JSON"),
    ],
)
def test_a_bad_json_line_is_named_in_its_place_and_spoils_no_other_B11_H25(line: bytes, hint: str) -> None:
    found = texts(b'"a"\n\n' + line + b'\n"\\ud800 b"\n', JSON_LINES)
    assert shown(found) == ["a", None, "\ufffd b"]
    assert hint in problems(found)[0]
    assert "secret" not in problems(found)[0]


def test_the_error_of_a_record_holds_no_text() -> None:
    (error,) = texts('["secret", "secret"]', JSON_LINES)
    assert isinstance(error, RequestError)
    assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


@pytest.mark.parametrize("kind", LINES)
def test_a_line_too_long_is_an_error_in_its_place_and_is_not_held_B11_H26(kind: str) -> None:
    long = cycle([b"secret" * 10_000])
    body = [b'"a"\n', *islice(long, 2 * LONGEST_LINE // 60_000), b'\n"b"\n', *islice(long, LONGEST_LINE // 50_000)]
    gc.collect()
    tracemalloc.start()
    try:
        found = all_of(records.read(Made(iter(body)), kind, BOUNDS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shown(found) == ["a", None, "b", None]
    assert problems(found) == [f"line {number} is longer than 4 MB; send shorter texts" for number in (2, 4)]
    assert peak < 1.5 * LONGEST_LINE


@pytest.mark.parametrize("kind", LINES)
def test_the_longest_line_is_read(kind: str) -> None:
    text = "é" * (LONGEST_LINE // 2 - 1)
    assert texts(f'"a"\n"{text}"\n"b"', kind) == ["a", text, "b"]


@pytest.mark.parametrize("line", [b'"a text"\n', b'"over\ntwo"\n', b'"never closed\n', b'"a text", b\n', b"e\xff\n"])
@pytest.mark.parametrize("kind", LINES)
def test_memory_stays_small_however_long_the_body_is_A05(kind: str, line: bytes) -> None:
    piece = line.replace(b"e", b"e" * 2000) * 10
    gc.collect()
    tracemalloc.start()
    try:
        count = sum(len(chunk) for chunk in records.read(Made(iter([piece] * 1000)), kind, BOUNDS).chunks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count in (10_000, 20_000)
    assert peak < 6 << 20


@pytest.mark.parametrize("kind", LINES)
def test_records_come_while_the_body_still_arrives_A05(kind: str) -> None:
    chunks = records.read(Made(cycle([b'"a"\n'])), kind, BOUNDS).chunks
    assert [len(chunk) for chunk in islice(chunks, 3)] == [CHUNK_RECORDS] * 3


@pytest.mark.parametrize("kind", [JSON, *LINES])
def test_chunks_are_of_some_records_and_some_bytes(kind: str) -> None:
    found = [json.dumps("a" * size) for size in [1] * (CHUNK_RECORDS + 1) + [CHUNK_BYTES // 2] * 3 + [CHUNK_BYTES] * 2]
    body = f"[{','.join(found)}]" if kind == JSON else "\n".join(found)
    assert [len(chunk) for chunk in read(body, kind).chunks] == [CHUNK_RECORDS, 3, 2, 1]


@pytest.mark.parametrize("kind", LINES)
def test_lines_are_not_counted_unless_a_bound_says_so(kind: str) -> None:
    body = '"a"\n' * (CHUNK_RECORDS + 1)
    assert len(texts(body, kind)) == CHUNK_RECORDS + 1
    bounds = Bounds(whole_bytes=1, records=1, lines=CHUNK_RECORDS)
    assert len(all_of(read(body.removesuffix('"a"\n'), kind, bounds))) == CHUNK_RECORDS
    chunks = read(body, kind, bounds).chunks
    assert len(next(chunks)) == CHUNK_RECORDS
    with pytest.raises(RequestError, match="exceeds 512 records") as caught:
        next(chunks)
    assert (caught.value.status, caught.value.code) == (413, "too_many_records")


def test_records_keep_their_order_however_many_there_are_H26() -> None:
    found = texts("\n".join(str(number) for number in range(100_000)), CSV)
    assert len(found) == 100_000
    assert all(int(str(first)) < int(str(second)) for first, second in pairwise(found))


JSON_PARTS = [b'"a"', b'"', b" ", b"\n", b"\r\n", b"5", b"\xff", b'"bcd"']


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.sampled_from(JSON_PARTS), max_size=30).map(b"".join), st.integers(1, 9))
def test_json_lines_read_as_a_stream_are_what_they_are_read_at_once_B06(content: bytes, piece: int) -> None:
    lines_with_text = [line for line in content.split(b"\n") if line.strip()]
    expected = [json.loads(line) if re.fullmatch(rb'\s*"[a-d5 ]*"\s*', line) else None for line in lines_with_text]
    lines = LineReader(io.BytesIO(content), piece=piece)
    assert shown(list(records._of_json_lines(lines))) == expected


@pytest.mark.parametrize("body", [b"[" + b"[]," * 40 + b"[]]", b"[" + b"{}," * 40 + b"{}]", b"[" * 41])
def test_more_lists_and_objects_than_records_can_have_are_refused_before_they_are_parsed_H07(body: bytes) -> None:
    refusal(body, JSON, Bounds(whole_bytes=1 << 20, records=10), error=(413, "too_many_records"))


def test_more_numbers_than_records_can_have_are_refused_before_they_are_parsed_H07() -> None:
    refusal("[" + "1," * 70_000, JSON, Bounds(whole_bytes=1 << 20, records=10), error=(413, "too_many_records"))
    lines = b"[" + b"1," * 70_000 + b'1]\n"x"'
    wrong, short = (
        record for chunk in records.read(io.BytesIO(lines), JSON_LINES, Bounds(1 << 20, 10)).chunks for record in chunk
    )
    assert isinstance(wrong, RequestError)
    assert short == "x"


def test_commas_within_texts_are_not_counted_and_records_with_many_keys_are_told_which() -> None:
    written = [", " * 50_000, ",\\", "x"]
    body = records.read(io.BytesIO(json.dumps(written).encode()), JSON, Bounds(whole_bytes=1 << 20, records=3))
    assert [record for chunk in body.chunks for record in chunk] == written
    many = json.dumps([{"text": "a", **{f"k{key}": key for key in range(100)}}] * 3)
    found = [str(each) for each in all_of(read(many, JSON, Bounds(whole_bytes=1 << 20, records=3)))]
    assert all("remove the keys" in each for each in found)


def test_brackets_within_texts_and_around_records_are_not_counted() -> None:
    written = ["[{" * 50, '\\"[', "\\\\", "{"]
    listed = {"instances": [{"features": [text]} for text in written]}
    body = records.read(io.BytesIO(json.dumps(listed).encode()), JSON, Bounds(whole_bytes=1 << 20, records=4))
    assert [record for chunk in body.chunks for record in chunk] == written


def test_a_long_line_of_lists_has_an_error_in_its_place_and_a_long_text_of_brackets_its_answer_H07() -> None:
    lines = ["[" + "[]," * 40_000 + "[]]", json.dumps({"features": ["[" * 100_000]}), '"x"']
    body = records.read(io.BytesIO("\n".join(lines).encode()), JSON_LINES, Bounds(1 << 20, 10))
    wrong, long, short = (record for chunk in body.chunks for record in chunk)
    assert isinstance(wrong, RequestError)
    assert (len(str(long)), short) == (100_000, "x")
