"""``serve`` with a model of images, as SageMaker runs it: real processes, a real model, and whatever clients send."""

import json
import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

import serving_helpers
from image_model_helpers import LABELS, b64, drawn, gif_of_frames, lines, model_folder, noise, png_bomb, probabilities
from serving_helpers import PATIENCE_SECONDS, Server, code_of, serving

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")

MEGABYTE = 2**20
PAGE = Path(__file__).resolve().parents[1] / "docs" / "openapi.yaml"
RED, GREEN, BLUE = (drawn(colour) for colour in LABELS)
KINDS = ("JPEG", "PNG", "GIF", "BMP")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(model_folder()) as running:
        yield running


def label(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["predicted_label"])


def ask(server: Server, body: bytes, content_type: str = "application/x-image") -> requests.Response:
    return server.ask(body, Content_Type=content_type, Accept="application/json;verbose")


def test_an_image_is_answered_as_the_built_in_algorithm_answers_it_H19_H20_H22(server: Server) -> None:
    for kind in KINDS:
        content = noise(61, 35, kind)
        answer = ask(server, content)
        assert answer.headers["Content-Type"] == "application/json"
        assert list(answer.json()) == ["probabilities", "labels", "predicted_label"]
        assert answer.json()["probabilities"] == pytest.approx(probabilities(content), abs=1e-5)
        assert answer.json()["labels"] == list(LABELS)


def test_a_missing_content_type_is_an_image_H18(server: Server) -> None:
    answer = requests.post(f"{server.url}/invocations", data=GREEN, headers={"Accept": "text/csv"}, timeout=10)
    assert answer.text.startswith("green,")


BAD_INPUTS = [
    ("image/png", b""),
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff"),
    ("image/gif", b"GIF89a"),
    ("image/bmp", b"BM"),
    ("image/jpeg", drawn("red", "JPEG", (400, 300))[:600]),
    ("image/png", png_bomb()),
    ("application/x-image", b"secret"),
    ("application/json", b"{"),
    ("application/json", b"[" * 200_000),
    ("application/json", b'{"b64": 5}'),
    ("application/json", b'{"b64": "secret"}'),
    ("application/json", b'["secret", 5]'),
    ("application/json", b"9" * 100_000),
    ("application/json", json.dumps(b64(bytes(37 * MEGABYTE))).encode()),
    ("text/plain", b"http://169.254.169.254/latest/meta-data/secret"),
    ("text/csv", b"secret"),
    ("text/html", b"<html>secret"),
    ("image/webp", b"RIFF\x00\x00\x00\x00WEBPVP8 "),
    ("application/json; charset=utf-16", "{}".encode("utf-16")),
    *[("application/x-image", random.Random(seed).randbytes(5_000)) for seed in range(5)],  # noqa: S311
]
ODD_INPUTS = [
    ("image/png", drawn("red", size=(1, 1))),
    ("image/png", drawn("red", size=(20_000, 1))),
    ("image/gif", gif_of_frames()),
    ("image/jpeg", drawn("red", "JPEG", (7000, 7000))),
    ("image/jpeg", RED),
    ("image/png; q=1", noise(300, 300, "GIF")),
    ("application/json", b"[]"),
    ("application/jsonlines", b"\n" * 2_000),
    ("application/jsonlines", b'{"b64": "!"}'),
    ("application/jsonlines", lines(png_bomb()) + b"\n" + lines(RED)),
]


def test_no_input_harms_the_worker_and_bad_ones_are_4xx_H25_H26(server: Server) -> None:
    before = server.workers()
    for content_type, body in BAD_INPUTS:
        answer = ask(server, body, content_type)
        assert answer.status_code in (400, 413, 415), (content_type, body[:20])
        assert code_of(answer) in ("invalid_body", "invalid_record", "unsupported_media_type", "too_many_records")
        assert "secret" not in answer.text
    for content_type, body in ODD_INPUTS:
        assert ask(server, body, content_type).status_code == 200, (content_type, body[:20])
    assert server.workers() == before
    assert "secret" not in server.output()


def damaged(chance: random.Random, content: bytes) -> bytes:
    """An image with bytes that were changed, cut out, repeated or put in at random."""
    some = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 10, 100))):
        begin = chance.randrange(len(some)) if some else 0
        end = begin + chance.randrange(1, 40)
        some[begin:end] = chance.choice((b"", chance.randbytes(end - begin), bytes(some[begin:end]) * 3, b"\xff" * 9))
    return bytes(some)


def test_images_damaged_in_every_way_are_answered_or_400_H25_H26(server: Server) -> None:
    """Each is one image of four hundred, which differ in their kinds and their damage."""
    chance = random.Random(11)  # noqa: S311
    before, seen = server.workers(), set[int]()
    whole = [noise(40, 30, kind, seed) for seed, kind in enumerate(KINDS * 2)]
    with requests.Session() as session:
        for _ in range(400):
            body = damaged(chance, chance.choice(whole))
            answer = session.post(f"{server.url}/invocations", data=body, timeout=PATIENCE_SECONDS)
            seen.add(answer.status_code)
            assert answer.status_code == 200 or code_of(answer) in ("invalid_record", "invalid_body"), body.hex()
    assert seen == {200, 400}
    assert server.workers() == before


def test_bombs_and_floods_do_not_take_memory_H26_A05(server: Server) -> None:
    (worker,) = server.workers()
    process = psutil.Process(worker)
    peaks: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peaks.append(process.memory_info().rss)

    ask(server, drawn("red", "JPEG", (7000, 7000)))
    before = process.memory_info().rss
    watching = threading.Thread(target=watch)
    watching.start()
    bomb, many, frames = png_bomb(), lines(*[drawn("red", size=(2000, 2000))] * 40), gif_of_frames(200_000)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: ask(server, body), [bomb, frames] * 8))
    rows = server.ask(many, Content_Type="application/jsonlines", Accept="application/jsonlines").text.split("\n")
    done.set()
    watching.join()
    assert [answer.status_code for answer in answers] == [400, 200] * 8
    assert len(rows) == 40
    assert max(peaks) - before < 300 * MEGABYTE, "one of the sixteen bombs alone is as much as this in colours"


def test_thousands_of_images_come_back_in_order_H26(server: Server) -> None:
    before = server.workers()
    contents = [drawn((number % 251, 250 - number % 251, 100), size=(8, 8)) for number in range(3000)]
    answer = server.ask(lines(*contents), Content_Type="application/jsonlines", Accept="application/jsonlines")
    rows = answer.text.split("\n")
    assert len(rows) == len(contents)
    for number in (0, 1, 2, 7, 8, 1234, 2999):
        expected = pytest.approx(probabilities(contents[number]), abs=1e-5)
        assert json.loads(rows[number])["probabilities"] == expected
    assert server.workers() == before


def test_sixty_four_clients_get_the_answers_that_each_image_gets_alone_H39_H40(server: Server) -> None:
    contents = [noise(5 + number % 60, 5 + number % 41, KINDS[number % 4], number) for number in range(200)]
    alone = [ask(server, content).json()["probabilities"] for content in contents]

    def asked(number: int) -> Sequence[Sequence[float]]:
        if number % 3:
            return [ask(server, contents[number]).json()["probabilities"]]
        listed = json.dumps({"instances": [b64(content) for content in contents[number : number + 3]]}).encode()
        return [row["probabilities"] for row in ask(server, listed, "application/json").json()]

    with ThreadPoolExecutor(64) as pool:
        for number, rows in enumerate(pool.map(asked, range(len(contents)))):
            for index, row in enumerate(rows):
                assert row == pytest.approx(alone[number + index], abs=1e-5)


def test_the_largest_body_is_taken_whole_or_in_chunks_and_one_byte_more_is_413_H13_B04(server: Server) -> None:
    limit = 100 * MEGABYTE
    body = RED + bytes(limit - len(RED))  # what follows an image's end is no part of it
    assert label(ask(server, body)) == "red"
    refused = ask(server, body + b"x")
    assert (refused.status_code, code_of(refused)) == (413, "payload_too_large")
    pieces = (body[:MEGABYTE] for _ in range(101))
    chunked = requests.post(f"{server.url}/invocations", data=pieces, timeout=PATIENCE_SECONDS)
    assert (chunked.status_code, code_of(chunked)) == (413, "payload_too_large")
    whole = requests.post(f"{server.url}/invocations", data=iter([GREEN[:9], GREEN[9:]]), timeout=10)
    assert whole.json()["probabilities"] == pytest.approx(probabilities(GREEN), abs=1e-5)


def test_slow_senders_of_images_keep_nobody_waiting_and_get_their_answers_H07(server: Server) -> None:
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(BLUE)}\r\n\r\n"
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10)) for _ in range(100)]
        for connection in slow:
            connection.sendall(head.encode() + BLUE[:20])
        assert [label(ask(server, RED)) for _ in range(20)] == ["red"] * 20
        assert server.ping() == 200
        for connection in slow[::2]:
            connection.sendall(BLUE[20:])
        for connection in slow[::2]:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert label(ask(server, GREEN)) == "green"


def test_pings_answer_while_large_images_are_read_H07(server: Server) -> None:
    large = noise(3000, 3000, "JPEG")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, server, large) for _ in range(16)]
        pings = 0
        while not all(future.done() for future in asked):
            assert server.ping() == 200  # within the two seconds that the platform waits
            pings += 1
            time.sleep(0.01)
    assert pings > 2
    assert all(future.result().status_code == 200 for future in asked)


def test_models_of_texts_and_of_images_stand_side_by_side_and_no_url_leads_inside_M03(tmp_path: Path) -> None:
    for name, folder in (("images", model_folder()), ("texts", serving_helpers.model_folder())):
        shutil.copytree(folder, tmp_path / "models" / name / "model", copy_function=shutil.copy)
    environ = {"SAGEMAKER_MULTI_MODEL": "true", "ALLOW_IMAGE_URLS": "localhost"}
    with serving(tmp_path / "model", environ) as server:
        for name in ("images", "texts"):
            load = {"model_name": name, "url": str(tmp_path / "models" / name / "model")}
            assert requests.post(f"{server.url}/models", json=load, timeout=PATIENCE_SECONDS).status_code == 200

        def invoke(name: str, body: bytes, content_type: str) -> requests.Response:
            headers = {"Content-Type": content_type, "Accept": "application/json;verbose"}
            return requests.post(f"{server.url}/models/{name}/invoke", data=body, headers=headers, timeout=20)

        assert label(invoke("images", GREEN, "image/png")) == "green"
        assert label(invoke("texts", b"It works.", "text/plain")) == "negative"
        refused = invoke("texts", GREEN, "image/png")
        assert (refused.status_code, "this model reads texts" in refused.text) == (415, True)
        inside = invoke("images", f"http://localhost:{server.port}/secret".encode(), "text/plain")
        assert (inside.status_code, code_of(inside)) == (403, "url_not_allowed")
        inside = invoke("images", b"http://localhost/secret", "text/plain")
        assert (inside.status_code, "public address" in inside.text) == (403, True)
        assert "secret" not in server.output()


# --- the page for programs


def described() -> dict[str, Any]:
    """The page as it is for a model of images."""
    page: dict[str, Any] = yaml.safe_load(PAGE.read_text(encoding="utf-8"))
    bodies = page["components"]["requestBodies"]
    bodies["Records"] = bodies.pop("Images")
    return page


IMAGES = ("jpeg", "png", "gif", "bmp", "webp", "tiff")


@schemathesis.serializer("application/x-image", *(f"image/{each}" for each in IMAGES), "application/jsonlines")
def plainly(_: object, value: object) -> bytes:
    """The body as it is; what is neither bytes nor a text, as JSON."""
    content = value if isinstance(value, bytes | str) else json.dumps(value, default=str)
    return content if isinstance(content, bytes) else content.encode("utf-8", "replace")


schema = schemathesis.openapi.from_dict(described())


@schema.include(path="/invocations").parametrize()
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_server_of_images_answers_as_the_page_for_programs_says_H25(
    case: schemathesis.Case[Any], server: Server
) -> None:
    # What is right by its form is hardly ever an image, and any bytes are a body of their own.
    wrong_is_wrong = () if case.media_type == "application/json" else (negative_data_rejection,)
    case.call_and_validate(base_url=server.url, excluded_checks=[positive_data_acceptance, *wrong_is_wrong])
