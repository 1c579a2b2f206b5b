"""Requests of images, from their bodies to their answers: whatever a text's may be, theirs may be, good and bad."""

import base64
import gc
import io
import json
import logging
import threading
import time
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray
from werkzeug.test import TestResponse

import serving_helpers
from classifier.backends import Encoded
from classifier.errors import RequestError, UserError
from classifier.predictor import Predictor
from classifier.serving import media_types, records, requests, urls
from classifier.serving.invocation import Invocation, Service, Usage, invoke
from classifier.serving.records import CHUNK_BYTES, Body, Bounds, Record
from classifier.serving.requests import BYTES, IMAGES, JSON, JSON_LINES, TEXT
from classifier.serving.settings import ServingSettings
from image_model_helpers import (
    HEIGHT,
    LABELS,
    MANIFEST,
    WIDTH,
    answers_of,
    b64,
    drawn,
    gif_of_frames,
    lines,
    noise,
    png_bomb,
    probabilities,
)
from record_helpers import BOUNDS, Made, Trickle, all_of
from serving_helpers import error_of, wait_until

# The application sets up the root logger.
pytestmark = pytest.mark.usefixtures("own_logging")

RED, GREEN, BLUE = (drawn(colour) for colour in LABELS)
BROKEN = drawn("red", "JPEG", (200, 200))[:-400]
BLACK, WHITE = drawn((0, 0, 0)), drawn((255, 255, 255))
SECRET = "secret"
LONGEST_LINE = IMAGES.longest_line


def read(body: bytes, kind: str, bounds: Bounds = BOUNDS) -> Body:
    return records.read(io.BytesIO(body), kind, bounds, IMAGES)


def refusal(body: bytes, kind: str, bounds: Bounds = BOUNDS, error: tuple[int, str] = (400, "invalid_body")) -> str:
    with pytest.raises(RequestError) as caught:
        read(body, kind, bounds)
    assert (caught.value.status, caught.value.code) == error
    return caught.value.message


def shown(found: Sequence[Record]) -> list[bytes | None]:
    """Return the images, and none for a record that is wrong."""
    for record in found:
        assert isinstance(record, bytes) or (record.status, record.code) == (400, "invalid_record")
    return [record if isinstance(record, bytes) else None for record in found]


def problems(found: Sequence[Record]) -> list[str]:
    return [record.message for record in found if isinstance(record, RequestError)]


# --- Content-Types


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/x-image", BYTES),
        ("image/jpeg", BYTES),
        ("image/jpg", BYTES),
        ("IMAGE/PNG", BYTES),
        ("image/gif; q=1", BYTES),
        ("image/bmp", BYTES),
        ("image/webp", BYTES),
        ("image/tiff", BYTES),
        ("image/jpeg; charset=binary", BYTES),
        ("application/octet-stream", BYTES),
        ("", BYTES),
        ("application/json; charset=utf-8", JSON),
        ("application/jsonlines", JSON_LINES),
        ("application/x-ndjson", JSON_LINES),
    ],
)
def test_a_model_of_images_reads_their_types_and_json_H18_H19(content_type: str, kind: str) -> None:
    assert media_types.request_type(content_type, must_name_one=False, requests=IMAGES) == kind


@pytest.mark.parametrize(
    "content_type",
    ["text/csv", "text/html", "image/heic", "image/svg+xml", "image/avif", "image/*", "multipart/form-data", ";"],
)
def test_another_type_is_415_and_says_that_images_are_read_H25(content_type: str) -> None:
    with pytest.raises(RequestError, match=r"reads images: use one of application/x-image, image/jpeg") as caught:
        media_types.request_type(content_type, must_name_one=False, requests=IMAGES)
    assert (caught.value.status, caught.value.code) == (415, "unsupported_media_type")
    assert "text/" not in caught.value.message
    with pytest.raises(RequestError, match=r"set the ContentType of the transform job"):
        media_types.request_type("", must_name_one=True, requests=IMAGES)


@pytest.mark.parametrize("content_type", ["image/png", "application/x-image", "image/jpeg"])
def test_a_model_of_texts_says_that_it_reads_texts(content_type: str) -> None:
    with pytest.raises(RequestError, match=r"this model reads texts: use one of application/x-text"):
        media_types.request_type(content_type, must_name_one=False)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-text", "Text/Plain; charset=utf-8"])
def test_a_url_is_415_and_says_how_it_would_not_be_unless_hosts_are_allowed(content_type: str) -> None:
    with pytest.raises(RequestError, match=r"only if the server's variable ALLOW_IMAGE_URLS lists its host") as caught:
        media_types.request_type(content_type, must_name_one=False, requests=requests.OF["image"](()))
    assert caught.value.status == 415
    allowing = requests.OF["image"](("a.example",))
    assert media_types.request_type(content_type, must_name_one=False, requests=allowing) == TEXT


# --- bodies


@pytest.mark.parametrize("kind", [BYTES, JSON, JSON_LINES])
def test_an_empty_body_is_refused_before_a_record_is_asked_for_H26(kind: str) -> None:
    assert "empty" in refusal(b"", kind)


def test_an_image_is_the_whole_body_as_it_is_H19() -> None:
    for body in (RED, b"\xef\xbb\xbf", b"\n", b"\0", RED + b"\r\n"):
        read_body = records.read(Trickle(body), BYTES, BOUNDS, IMAGES)
        assert (all_of(read_body), read_body.single) == ([body], True)


@pytest.mark.parametrize("kind", [BYTES, JSON])
def test_a_body_that_is_read_whole_is_bounded_and_told_what_to_be_instead_A05(kind: str) -> None:
    bounds = Bounds(whole_bytes=10, records=1)
    body = {JSON: b"[]", BYTES: b"BM"}[kind]
    assert all_of(read(body + b" " * 8, kind, bounds)) in ([], [b"BM        "])
    message = refusal(body + b" " * 9, kind, bounds, (413, "payload_too_large"))
    assert "send many images as application/jsonlines, which" in message
    assert "SERVING_MAX_WHOLE_MB" in message
    with pytest.raises(RequestError, match="10 bytes"):
        records.read(Made(cycle([b"a" * 100_000])), kind, bounds, IMAGES)


def wrapped(content: bytes) -> str:
    """Base64 in lines, as the shell's ``base64`` writes it."""
    return base64.encodebytes(content).decode()


@pytest.mark.parametrize(
    ("value", "found", "single"),
    [
        (b64(RED), [RED], True),
        ({"b64": wrapped(RED)}, [RED], True),
        ({"b64": wrapped(RED).replace("\n", "\r\n")}, [RED], True),
        ({"b64": ""}, [b""], True),
        ([b64(RED)], [RED], False),
        ([b64(RED), b64(GREEN)], [RED, GREEN], False),
        ({"instances": [b64(RED), b64(GREEN)]}, [RED, GREEN], False),
        ({"inputs": [b64(RED)]}, [RED], False),
        ({"instances": []}, [], False),
    ],
)
def test_json_is_an_image_or_a_list_of_them_H19(value: Any, found: list[bytes], single: bool) -> None:
    read_body = read(json.dumps(value).encode(), JSON)
    assert (all_of(read_body), read_body.single) == (found, single)


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b'"secret"', 'an image is {"b64": "..."}'),
        (b"5", "the body must be an image"),
        (b"null", "the body must be an image"),
        (b"{}", "the body must be an image"),
        (b'{"b64": 5}', "the body must be an image"),
        (b'{"b64": null}', "the body must be an image"),
        (b'{"b64": ["aGk="]}', "the body must be an image"),
        (b'{"b64": "secret, not base64"}', "base64"),
        (b'{"b64": "aGk"}', "base64"),
        (b'{"b64": "aGk=="}', "base64"),
        (b'{"b64": "=aGk"}', "base64"),
        (b'{"b64": "aGk=aGk="}', "base64"),
        (b'{"b64": "-_-_"}', "base64"),
        ('{"b64": "\u00e9\u00e9\u00e9\u00e9"}'.encode(), "base64"),
        (b'{"b64": "\\ud800aaa"}', "base64"),
        (b'{"b64": "data:image/png;base64,aGk="}', "base64"),
        (b'{"b64": "aGk=", "text": "secret"}', "and nothing else"),
        (b'{"text": "secret"}', "the body must be an image"),
        (b'{"image_bytes": {"b64": "aGk="}}', "the body must be an image"),
        (b'{"b64": "aGk=", "b64": "aGk="}', "the same key twice"),
        (b'{"instances": {"b64": "aGk="}}', '"instances" must be a list'),
        (b"secret", "not JSON (line 1, column 1)"),
        (b'{"b64": "aGk=', "not JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"b64":' * 100_000, "nested too deep"),
        (b"9" * 5_000, "send images as strings"),
        (b'"{\\"b64\\": \\"aGk=\\"}"', "encoded twice"),
    ],
)
def test_other_json_is_refused_without_repeating_it_H25_B13(body: bytes, hint: str) -> None:
    message = refusal(body, JSON)
    assert hint in message
    assert "secret" not in message
    assert len(message) < 200


@pytest.mark.parametrize("body", [b"[" + b"[]," * 40 + b"[]]", b"[" + b"{}," * 40 + b"{}]", b"[" * 41])
def test_a_json_bomb_is_refused_before_it_is_parsed_H07(body: bytes) -> None:
    refusal(body, JSON, Bounds(whole_bytes=1 << 20, records=10), (413, "too_many_records"))


def test_a_wrong_record_of_a_json_list_spoils_no_other_B11() -> None:
    listed = [b64(RED), 5, {"b64": "secret!"}, "secret", b64(GREEN), {"b64": "aGk=", "c": "d"}, ["x"]]
    found = all_of(read(json.dumps(listed).encode(), JSON))
    assert shown(found) == [RED, None, None, None, GREEN, None, None]
    assert [message.split(" must be ")[0] for message in problems(found)] == [f"record {n}" for n in (1, 2, 3, 5, 6)]
    assert "secret" not in str(problems(found))


def test_json_lines_are_an_image_a_line_and_a_bad_one_is_named_in_its_place_B11_H25() -> None:
    wrong = [b"secret", b'"secret"', b'{"b64": "!"}', b"[" * 100_000, b"9" * 5_000, b'{"b64": "\xff"}', RED[:4]]
    for line in wrong:
        found = all_of(read(b"\n".join([lines(RED), b"", line, lines(GREEN)]), JSON_LINES))
        assert shown(found) == [RED, None, GREEN]
        assert problems(found)[0].startswith("line 3 ")
        assert "secret" not in problems(found)[0]


def test_a_line_may_be_longer_than_a_text_and_one_too_long_is_not_held_B11_H26() -> None:
    longest = b'{"b64": "%s"}' % (b"A" * (LONGEST_LINE - 12))
    assert shown(all_of(read(b"\n".join([longest, lines(RED)]), JSON_LINES))) == [
        bytes((LONGEST_LINE - 12) // 4 * 3),
        RED,
    ]
    long = cycle([b"secret" * 10_000])
    body = [lines(RED), b"\n", *islice(long, 2 * LONGEST_LINE // 60_000), b"\n", lines(GREEN), b"\n"]
    gc.collect()
    tracemalloc.start()
    try:
        found = all_of(records.read(Made(iter(body)), JSON_LINES, BOUNDS, IMAGES))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shown(found) == [RED, None, GREEN]
    assert problems(found) == ["line 2 is longer than 8 MB; send smaller images, or one image per request"]
    assert peak < 1.5 * LONGEST_LINE


@pytest.mark.parametrize("content", [RED, noise(200, 200)])
def test_memory_stays_small_however_many_images_come_A05(content: bytes) -> None:
    line = lines(content) + b"\n"
    gc.collect()
    tracemalloc.start()
    try:
        chunks = [len(chunk) for chunk in records.read(Made(iter([line] * 1000)), JSON_LINES, BOUNDS, IMAGES).chunks]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(chunks) == 1000
    assert max(chunks) <= CHUNK_BYTES // IMAGES.least_bytes, "of small images, too, few pixels are held"
    assert peak < 6 << 20


# --- the application


@dataclass
class FakeBackend:
    """Says how red, green and blue an image is; breaks at a black one, and waits at a white one."""

    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: list[list[int]] = field(default_factory=list)

    def encode(self, texts: Sequence[Any]) -> list[Encoded]:
        assert all((pixels.shape, pixels.dtype) == ((HEIGHT, WIDTH, 3), np.uint8) for pixels in texts)
        return [Encoded(pixels, 10, counted=False) for pixels in texts]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        self.asked += [encoded.content[0, 0].tolist() for encoded in batch]
        if [0, 0, 0] in self.asked[-len(batch) :]:
            raise ZeroDivisionError(SECRET)
        if [255, 255, 255] in self.asked[-len(batch) :]:
            assert self.may_answer.wait(20)
        return np.array([answers_of(encoded.content) for encoded in batch], np.float32)


def client_of(backend: FakeBackend, **environ: str) -> FlaskClient:
    return serving_helpers.client_of(backend, LABELS, MANIFEST, environ)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def client(backend: FakeBackend) -> FlaskClient:
    return client_of(backend)


def ask(client: FlaskClient, body: bytes, content_type: str = "", accept: str = "") -> TestResponse:
    headers = {"Content-Type": content_type, "Accept": accept}
    return client.post("/invocations", data=body, headers={name: text for name, text in headers.items() if text})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-image", GREEN),
        ("image/jpeg", drawn("green", "JPEG")),
        ("image/png", GREEN),
        ("image/png", drawn("green", "JPEG")),  # what the bytes are counts, not what they are called
        ("image/gif", drawn("green", "GIF")),
        ("image/bmp", drawn("green", "BMP")),
        ("image/webp", drawn("green", "WEBP")),
        ("image/tiff", drawn("green", "TIFF")),
        ("application/octet-stream", GREEN),
        ("", GREEN),
        ("application/json", json.dumps(b64(GREEN)).encode()),
    ],
)
def test_an_image_is_answered_as_a_text_is_H19_H20(client: FlaskClient, content_type: str, body: bytes) -> None:
    answer = ask(client, body, content_type, "application/json;verbose")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    content = json.loads(answer.data)
    assert (content["labels"], content["predicted_label"]) == (list(LABELS), "green")
    assert content["probabilities"] == pytest.approx(probabilities(GREEN), abs=0.02)


def test_images_are_answered_one_by_one_in_order_H19_B06(client: FlaskClient) -> None:
    listed = json.dumps({"instances": [b64(RED), b64(BLUE), b64(GREEN)]}).encode()
    for body, content_type in ((listed, "application/json"), (lines(RED, BLUE, GREEN), "application/jsonlines")):
        rows = json.loads(ask(client, body, content_type, "application/json;verbose").data)
        assert [row["predicted_label"] for row in rows] == ["red", "blue", "green"]
        table = ask(client, body, content_type, "text/csv").text
        assert [line.split(",")[0] for line in table.split("\n")] == ["red", "blue", "green"]


BAD = [
    (b"", "invalid_body", "empty"),
    (b"secret", "invalid_record", "not a supported image"),
    (b"\n", "invalid_record", "not a supported image"),
    (RED[:20], "invalid_record", "cut off or damaged"),
    (BROKEN, "invalid_record", "cut off or damaged"),
    (RED[:-30], "invalid_record", "cut off or damaged"),
    (noise(64, 64)[:2000], "invalid_record", "cut off or damaged"),
    (png_bomb(), "invalid_record", "10,000 by 10,000 pixels"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "invalid_record", "SVG"),
    (b"<!doctype html><title>secret</title>", "invalid_record", "web page"),
    (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "invalid_record", "cut off or damaged"),
    (b"\x00\x00\x00\x1cftypheic" + bytes(20), "invalid_record", "HEIC"),
    (b"%PDF-1.7", "invalid_record", "PDF"),
    (b"http://127.0.0.1/secret.png", "invalid_record", "not a supported image"),
    (b"[link](secret.png)", "invalid_record", "not a supported image"),
]


@pytest.mark.parametrize(("body", "code", "words"), BAD)
def test_what_is_no_image_is_400_and_says_what_it_is_H25_H26(
    client: FlaskClient, backend: FakeBackend, body: bytes, code: str, words: str
) -> None:
    answer = ask(client, body, "image/png")
    found, message = error_of(answer)
    assert (answer.status_code, found) == (400, code)
    assert words in message
    assert "secret" not in message
    assert backend.asked == []


def test_the_first_of_a_million_frames_is_answered(client: FlaskClient) -> None:
    answer = ask(client, gif_of_frames(), "image/gif", "text/csv")
    assert (answer.status_code, answer.text.split(",")[0]) == (200, "red")


@pytest.mark.parametrize(
    ("content_type", "accept", "body", "refused"),
    [
        ("text/csv", "image/png", RED, (406, "not_acceptable")),
        ("text/csv", "", b"a,b", (415, "unsupported_media_type")),
        ("text/plain", "", b"https://a.example/x.png", (415, "unsupported_media_type")),
        ("application/x-www-form-urlencoded", "", b"a=b", (415, "unsupported_media_type")),
        ("application/json", "", RED, (415, "unsupported_media_type")),
        ("", "", json.dumps(b64(RED)).encode(), (415, "unsupported_media_type")),
        ("image/png", "", json.dumps([b64(RED)]).encode(), (415, "unsupported_media_type")),
        ("application/json", "", json.dumps([b64(RED), 5]).encode(), (400, "invalid_record")),
        ("application/json", "", json.dumps([b64(RED), {"b64": "!"}]).encode(), (400, "invalid_record")),
    ],
)
def test_a_request_is_refused_before_the_model_is_asked_H25(
    client: FlaskClient, backend: FakeBackend, content_type: str, accept: str, body: bytes, refused: tuple[int, str]
) -> None:
    answer = ask(client, body, content_type, accept)
    assert (answer.status_code, error_of(answer)[0]) == refused
    assert backend.asked == []


LINES = lines(RED, BROKEN, GREEN)
LISTED = json.dumps([b64(RED), b64(BROKEN), b64(GREEN)]).encode()


@pytest.mark.parametrize(
    ("content_type", "body", "environ", "answered"),
    [
        ("application/jsonlines", LINES, {}, ["red", None, "green"]),
        ("application/jsonlines", lines(RED) + b'\n{"b64": 5}\n' + lines(GREEN), {}, ["red", None, "green"]),
        ("application/jsonlines", LINES, {"SERVING_BAD_RECORDS": "answer"}, ["red", None, "green"]),
        ("application/jsonlines", LINES, {"SERVING_BAD_RECORDS": "refuse"}, 400),
        ("application/json", LISTED, {}, 400),
        ("application/json", LISTED, {"SERVING_BAD_RECORDS": "answer"}, ["red", None, "green"]),
        ("image/jpeg", BROKEN, {}, 400),
        ("image/jpeg", BROKEN, {"SERVING_BAD_RECORDS": "answer"}, [None]),
        ("image/jpeg", RED, {"SAGEMAKER_BATCH": "true"}, ["red"]),
    ],
)
def test_a_bad_image_has_an_error_in_its_place_or_fails_the_request_B11(
    backend: FakeBackend, content_type: str, body: bytes, environ: dict[str, str], answered: list[str | None] | int
) -> None:
    answer = ask(client_of(backend, **environ), body, content_type, "application/jsonlines")
    if answered == 400:
        code, message = error_of(answer)
        assert (answer.status_code, code) == (400, "invalid_record")
        assert ("record 1: " in message) == (content_type != "image/jpeg")
        return
    assert isinstance(answered, list)
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row.get("predicted_label") for row in rows] == answered
    assert all((row["error"]["code"] == "invalid_record") for row in rows if "error" in row)


def test_each_bad_image_is_named_by_its_number_however_many_there_are(client: FlaskClient) -> None:
    answer = ask(client, lines(*[RED, GREEN, BROKEN] * 10), "application/jsonlines", "application/jsonlines")
    rows = [json.loads(line) for line in answer.text.split("\n")]
    wrong = {number: row["error"]["message"] for number, row in enumerate(rows) if "error" in row}
    assert list(wrong) == list(range(2, 30, 3))
    assert all(message.startswith(f"record {number}: can't be read: ") for number, message in wrong.items())


def test_batch_transform_without_a_content_type_is_415_B16(backend: FakeBackend) -> None:
    client = client_of(backend, SAGEMAKER_BATCH="True")
    assert ask(client, RED).status_code == 415
    assert ask(client, RED, "image/png").status_code == 200


def test_a_failure_of_ours_is_500_without_details_and_its_traceback_is_logged_H25(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError(SECRET)

    logging.getLogger().addHandler(caplog.handler)
    answers = [ask(client, BLACK)]
    monkeypatch.setattr("classifier.pixels.decode", fails)
    answers.append(ask(client, RED))
    for answer in answers:
        assert (answer.status_code, error_of(answer)[0]) == (500, "internal_error")
        assert "secret" not in answer.text + caplog.text
    assert caplog.text.count("BackendError: ZeroDivisionError") == 2
    monkeypatch.undo()
    assert ask(client, RED).status_code == 200


def test_one_more_than_compute_and_wait_is_503_and_ping_still_answers_H07_A04(backend: FakeBackend) -> None:
    client = client_of(backend, SAGEMAKER_GUNICORN_THREADS="1", SERVING_QUEUE_LENGTH="1")
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(ask, client.application.test_client(), WHITE) for _ in range(2)]
        wait_until(lambda: ask(client, RED).status_code == 503 and bool(backend.asked))
        refused = ask(client, RED)
        assert (error_of(refused)[0], refused.headers["Retry-After"]) == ("server_busy", "1")
        assert client.get("/ping").status_code == 200
        backend.may_answer.set()
        assert [future.result().status_code for future in waiting] == [200, 200]


def test_a_refused_request_gives_its_place_back(backend: FakeBackend) -> None:
    client = client_of(backend, SAGEMAKER_GUNICORN_THREADS="1", SERVING_QUEUE_LENGTH="0")
    for body in (BROKEN, b"", BLACK, png_bomb(), RED, BLACK):
        ask(client, body)
    assert ask(client, RED).status_code == 200


def test_the_log_has_a_line_an_invocation_and_nothing_of_an_image_H34(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    ask(client, lines(RED, b"secret", GREEN), "application/jsonlines")
    ask(client, b"secret", "image/png")
    ask(client, b"https://secret.example/x.png", "text/plain")
    assert caplog.messages == ["invocation"] * 3
    first, second, third = (vars(record) for record in caplog.records)
    assert (first["status"], first["records"], first["bad_records"]) == (200, 3, 1)
    assert (second["status"], second["bad_records"], third["status"]) == (400, 1, 415)
    assert "secret" not in str([first, second, third])
    assert "c2VjcmV0" not in str([first, second, third])


def invoked(backend: FakeBackend, parts: Invocation, usage: Usage, **environ: str) -> None:
    service = Service.of(ServingSettings.from_environ(environ))
    invoke(parts, Predictor(backend, LABELS, MANIFEST), service, usage).body.close()


def test_a_body_that_breaks_off_is_no_request_for_its_first_part_A05_H26(backend: FakeBackend) -> None:
    listed = json.dumps([b64(RED)]).encode()
    for content_type, body in (("application/jsonlines", lines(RED)), ("application/json", listed), ("", RED)):
        with pytest.raises(RequestError) as caught:
            invoked(backend, Invocation(io.BytesIO(body), len(body) + 1, content_type), Usage())
        assert (caught.value.status, caught.value.code) == (400, "incomplete_body")


def test_nothing_is_computed_for_a_client_that_has_gone(backend: FakeBackend) -> None:
    body = lines(*[RED] * 100)
    parts = Invocation(io.BytesIO(body), len(body), "application/jsonlines", "", lambda: len(backend.asked) > 20)
    with pytest.raises(RequestError) as caught:
        invoked(backend, parts, Usage())
    assert caught.value.code == "client_gone"
    assert 20 < len(backend.asked) < 50


def test_a_body_too_large_to_be_read_whole_is_refused_before_it_is_read_H13(backend: FakeBackend) -> None:
    class Unread(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("read")

    for content_type in ("image/jpeg", "application/json", ""):
        with pytest.raises(RequestError) as caught:
            invoked(backend, Invocation(Unread(), 101 << 20, content_type), Usage())
        assert (caught.value.status, caught.value.code) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("variable", "content_type", "good", "bad", "code"),
    [
        ("SERVING_MAX_RECORDS", "application/json", [RED] * 3, [RED] * 4, "too_many_records"),
        ("SERVING_MAX_LINES", "application/jsonlines", [RED] * 3, [RED] * 4, "too_many_records"),
        ("SERVING_MAX_TOKENS", "application/json", [], [RED], "too_many_tokens"),
    ],
)
def test_more_than_is_allowed_is_413_H13(
    backend: FakeBackend, variable: str, content_type: str, good: list[bytes], bad: list[bytes], code: str
) -> None:
    def body(images: list[bytes]) -> bytes:
        listed = json.dumps([b64(content) for content in images]).encode()
        return listed if content_type == "application/json" else lines(*images)

    client = client_of(backend, **{variable: "3"})
    assert ask(client, body(good), content_type).status_code == 200
    answer = ask(client, body(bad), content_type)
    assert (answer.status_code, error_of(answer)[0]) == (413, code)


def test_a_list_of_small_files_that_are_large_images_is_not_held_as_pixels_A05() -> None:
    content = drawn("red", "PNG", (1000, 100))
    body = json.dumps([b64(content)] * 520).encode()
    wide = {**MANIFEST, "encoder": {**MANIFEST["encoder"], "height": 200, "width": 200}}

    class Counting(FakeBackend):
        def encode(self, texts: Sequence[Any]) -> list[Encoded]:
            return [Encoded(pixels[:HEIGHT, :WIDTH].copy(), 10) for pixels in texts]

    service = Service.of(ServingSettings.from_environ({}))
    tracemalloc.start()
    try:
        invocation = Invocation(io.BytesIO(body), len(body), "application/json")
        invoke(invocation, Predictor(Counting(), LABELS, wide), service, Usage()).body.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 << 20, "60 MB of pixels"


@pytest.fixture(scope="module")
def heavy() -> Sequence[tuple[str, bytes, bool]]:
    """Requests that a process is busy with for long, and whether they are answered."""
    large = drawn((9, 200, 9), "JPEG", (7000, 7000))
    return [
        ("image/jpeg", large, True),
        ("image/gif", gif_of_frames(), True),
        ("application/json", json.dumps(b64(bytes(37 << 20))).encode(), False),
        ("application/json", json.dumps([b64(RED)] * 5000).encode(), True),
    ]


def test_what_is_heavy_does_not_keep_other_threads_from_running_H07(
    backend: FakeBackend, heavy: Sequence[tuple[str, bytes, bool]]
) -> None:
    service = Service.of(ServingSettings.from_environ({}))
    predictor = Predictor(backend, LABELS, MANIFEST)
    for content_type, body, answered in heavy:
        invocation = Invocation(io.BytesIO(body), len(body), content_type)
        longest, last = 0.0, time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(invoke, invocation, predictor, service, Usage())
            while not future.done():
                time.sleep(0.01)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
        if answered:
            future.result().body.close()
        else:
            assert isinstance(future.exception(), RequestError)
        assert longest < 2.0, content_type  # the contract's own limit for a ping


# --- URLs


def test_the_image_of_a_url_is_answered_where_its_host_is_allowed(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(url: str, hosts: frozenset[str]) -> bytes:
        asked.append(url)
        assert hosts == {"a.example"}
        return BLUE if url.endswith("png") else b"<html>secret"

    monkeypatch.setattr(urls, "fetch", fetch)
    client = client_of(backend, ALLOW_IMAGE_URLS="A.example")
    for content_type in ("text/plain", "application/x-text", "text/plain; charset=utf-8"):
        answer = ask(client, b"https://a.example/x.png\n", content_type, "text/csv")
        assert answer.text.split(",")[0] == "blue"
    assert asked == ["https://a.example/x.png"] * 3
    code, message = error_of(ask(client, b"https://a.example/x.html", "text/plain"))
    assert code == "invalid_record"
    assert "web page" in message
    assert "secret" not in message
    assert ask(client, RED, "image/png").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_body"),
        (b"\xff", 400, "invalid_body"),
        (b"http://169.254.169.254/latest/meta-data/iam/security-credentials/", 403, "url_not_allowed"),
        (b"http://[fd00:ec2::254]/latest/meta-data/", 403, "url_not_allowed"),
        (b"http://localhost:8080/ping", 403, "url_not_allowed"),
        (b"https://a.example@127.0.0.1/", 403, "url_not_allowed"),
        (b"file:///etc/passwd", 403, "url_not_allowed"),
        (b"secret", 403, "url_not_allowed"),
        (b"http://localhost/secret", 403, "url_not_allowed"),
        (b"https://a.example/\nhttps://a.example/", 403, "url_not_allowed"),
        (RED, 415, "unsupported_media_type"),
    ],
)
def test_a_url_to_the_inside_is_refused_and_not_repeated(
    backend: FakeBackend, caplog: pytest.LogCaptureFixture, body: bytes, status: int, code: str
) -> None:
    client = client_of(backend, ALLOW_IMAGE_URLS="a.example, localhost")
    logging.getLogger().addHandler(caplog.handler)
    answer = ask(client, body, "text/plain")
    found, message = error_of(answer)
    assert (answer.status_code, found) == (status, code)
    assert "secret" not in message + str([vars(record) for record in caplog.records])
    assert backend.asked == []


def test_urls_come_alone_and_never_in_json(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "fetch", lambda *_: RED)
    client = client_of(backend, ALLOW_IMAGE_URLS="a.example")
    for value in ("https://a.example/x.png", {"url": "https://a.example/x.png"}, {"b64": "https://a.example/x.png"}):
        assert ask(client, json.dumps([value]).encode(), "application/json").status_code == 400
    answer = ask(client, b'"https://a.example/x.png"', "application/jsonlines")
    assert json.loads(answer.data)["error"]["code"] == "invalid_record"


def test_a_slow_host_keeps_no_other_request_from_being_read(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, begun = threading.Event(), threading.Event()

    def fetch(*_: Any, **__: Any) -> bytes:
        begun.set()
        assert may_end.wait(20)
        return BLUE

    monkeypatch.setattr(urls, "fetch", fetch)
    client = client_of(backend, ALLOW_IMAGE_URLS="a.example", SAGEMAKER_GUNICORN_THREADS="1")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, client.application.test_client(), b"https://a.example/x.png", "text/plain")
        assert begun.wait(20)
        assert ask(client, RED).status_code == 200
        may_end.set()
        assert slow.result().status_code == 200


@pytest.mark.parametrize("value", ["*", "http://a.example", "a.example/x", "a example"])
def test_hosts_that_are_none_end_serve_with_a_line_that_names_the_variable(value: str) -> None:
    with pytest.raises(UserError, match=r"ALLOW_IMAGE_URLS: must be a comma-separated list of host names"):
        ServingSettings.from_environ({"ALLOW_IMAGE_URLS": value})
