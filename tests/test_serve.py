"""The program ``serve`` as SageMaker runs it: real processes, real HTTP, real signals."""

import gzip
import json
import os
import random
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from serving_helpers import (
    LABELS,
    PATIENCE_SECONDS,
    SERVE,
    Server,
    code_of,
    model_folder,
    probabilities,
    serving,
    wait_until,
)

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def model() -> Path:
    return model_folder()


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    """The one most tests share, as it comes."""
    with serving(model) as running:
        yield running


def raw(server: Server, sent: bytes) -> bytes:
    """What comes back for these bytes, until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_it_runs_as_a_program_and_answers_on_all_addresses_of_the_port_it_is_told_H01_H02(server: Server) -> None:
    assert os.access(SERVE, os.X_OK)
    listening = [
        connection.laddr
        for child in psutil.Process(server.process.pid).children(recursive=True)
        for connection in child.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {("0.0.0.0", server.port)}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ping_is_200_and_empty_H05(server: Server, method: str) -> None:
    answer = requests.request(method, f"{server.url}/ping", timeout=2)
    assert (answer.status_code, answer.content) == (200, b"")


def test_hundreds_of_pings_do_not_cost_memory_nor_log_lines_H09_H34(server: Server) -> None:
    (worker,) = server.workers()
    with requests.Session() as session:
        session.get(f"{server.url}/ping", timeout=2)
        before, log = psutil.Process(worker).memory_info().rss, server.output()
        assert all(session.get(f"{server.url}/ping", timeout=2).status_code == 200 for _ in range(500))
    assert psutil.Process(worker).memory_info().rss - before < 20 * MEGABYTE
    assert server.output() == log


def test_two_hundred_connections_at_once_are_taken_H10(server: Server) -> None:
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=2) for _ in range(200)]
    for connection in connections:
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    for connection in connections:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.close()


@pytest.mark.parametrize("host", ["model.aws.local:8080", "169.254.255.131:8080", "localhost", "x"])
def test_the_host_header_does_not_matter_H11(server: Server, host: str) -> None:
    headers = {"Host": host, "User-Agent": "AHC/2.0"}
    assert requests.get(f"{server.url}/ping", headers=headers, timeout=2).status_code == 200


def test_a_text_is_answered_as_the_built_in_algorithm_answers_it_H19_H20_H22(server: Server) -> None:
    answer = server.ask("It works.", Content_Type="application/x-text", Accept="application/json;verbose")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    content = answer.json()
    assert list(content) == ["probabilities", "labels", "predicted_label"]
    assert content["probabilities"] == pytest.approx(probabilities("It works."))
    assert (tuple(content["labels"]), content["predicted_label"]) == (LABELS, "negative")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv; charset=utf-8", "a\n\nthree\n"),
        ("TEXT/CSV", 'a\r\n""\r\n"three"'),
        ("application/json", '{"instances": ["a", "", {"text": "three"}]}'),
        ("application/jsonlines", '"a"\n{"inputs": ""}\n\n{"features": ["three"]}\n'),
    ],
)
def test_records_are_answered_one_by_one_in_order_whatever_their_form_H18_H19_B06(
    server: Server, content_type: str, body: str
) -> None:
    expected = [pytest.approx(probabilities(text)) for text in ("a", "", "three")]
    answer = server.ask(body, Content_Type=content_type, Accept="application/json")
    assert [row["probabilities"] for row in answer.json()] == expected
    lines = server.ask(body, Content_Type=content_type, Accept="application/jsonlines")
    assert [json.loads(line)["probabilities"] for line in lines.text.split("\n")] == expected
    table = server.ask(body, Content_Type=content_type, Accept="text/csv, application/json;q=0.5")
    assert table.headers["Content-Type"] == "text/csv"
    assert table.text == 'negative,0.40000001\n"neutral, or so",0.50000000\nnegative,0.66666669'


def test_a_compressed_body_is_read_and_a_bomb_is_refused_behind_nginx_H18(server: Server) -> None:
    body = gzip.compress(b"a\nbc\n")
    answer = server.ask(body, Content_Type="text/csv", Content_Encoding="gzip", Accept="application/jsonlines")
    assert [json.loads(line)["probabilities"] for line in answer.text.split("\n")] == [
        pytest.approx(probabilities(text)) for text in ("a", "bc")
    ]
    bomb = gzip.compress(bytes(200 << 20))
    answer = server.ask(bomb, Content_Type="application/x-text", Content_Encoding="gzip")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")
    assert server.ask(body, Content_Type="text/csv").status_code == 415


def test_a_missing_accept_or_any_is_json_and_a_missing_content_type_is_a_text_H18_H21(server: Server) -> None:
    sent = b"POST /invocations HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\nContent-Length: 1\r\n\r\na"
    for accept in (b"", b"Accept: */*\r\n", b"Accept:\r\n"):
        head, _, body = raw(server, sent % accept).partition(b"\r\n\r\n")
        assert b"Content-Type: application/json\r\n" in head
        assert json.loads(body)["probabilities"] == pytest.approx(probabilities("a"))


def test_custom_attributes_come_back_and_other_headers_do_not_matter_H23_H24(server: Server) -> None:
    answer = server.ask(
        "a",
        X_Amzn_SageMaker_Custom_Attributes="trace=1",
        X_Amzn_SageMaker_Inference_Id="abc",
        X_Amzn_SageMaker_Target_Variant="v",
        X_Unknown="x",
    )
    assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=1"
    assert [name for name in answer.headers if name.lower().startswith("x-")] == ["X-Amzn-SageMaker-Custom-Attributes"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/invocations", 405, "method_not_allowed"),
        ("PUT", "/invocations", 405, "method_not_allowed"),
        ("POST", "/ping", 405, "method_not_allowed"),
        ("FROBNICATE", "/ping", 405, "method_not_allowed"),
        ("A", "/ping", 405, "method_not_allowed"),
        ("TRACE", "/ping", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", "/favicon.ico", 404, "not_found"),
        ("POST", "/models", 404, "not_found"),
        ("GET", "/invocations/", 404, "not_found"),
        ("GET", "/errors/413", 404, "not_found"),
    ],
)
def test_other_paths_are_404_and_other_methods_405_H39(
    server: Server, method: str, path: str, status: int, code: str
) -> None:
    answer = requests.request(method, server.url + path, data=b"x" * 3 * MEGABYTE, timeout=10)
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\n\r\n", 400),
        (b"get /ping HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /ping HTTP/9.9\r\nHost: x\r\n\r\n", 505),
        (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20000 + b"\r\n\r\n", 431),
        (b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_broken_http_is_answered_in_json_too_H25(server: Server, sent: bytes, status: int) -> None:
    head, _, body = raw(server, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/json" in head
    assert set(json.loads(body)["error"]) == {"code", "message"}


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"X-Forwarded-Proto: http\r\nX-Forwarded-Ssl: on", 200),
        (b"X-A: a\x7fb", 200),
        (b"X-Amzn-SageMaker-Custom-Attributes: a\x01b", 200),
        (b"Accept: a\x01b", 406),
        (b"Content-Type: text/\x01csv", 415),
        (b"Content-Encoding: g\x01zip", 415),
        (b"Content-Encoding: br", 415),
    ],
)
def test_headers_that_are_odd_are_left_out_or_refused_in_json_H23_H25(
    server: Server, header: bytes, status: int
) -> None:
    sent = (
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n" + header + b"\r\n\r\na"
    )
    answer = raw(server, sent)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/json\r\n" in answer


def test_an_address_of_raw_bytes_is_refused_without_repeating_it_H25(server: Server) -> None:
    answer = raw(server, b"GET /models/\xffsecret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"secret" not in answer
    assert b"application/json" in answer


def test_hundreds_of_headers_are_read(server: Server) -> None:
    headers = b"".join(b"A%d: b\r\n" % number for number in range(400))
    assert raw(server, b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n").startswith(
        b"HTTP/1.1 200"
    )


BAD_INPUTS = [
    ("application/x-text", b""),
    ("application/x-text", b"\xff\xfe"),
    ("application/json", b"{"),
    ("application/json", b"[" * 200_000),
    ("application/json", b'{"text": 5}'),
    ("application/json", b'["secret", 5]'),
    ("application/json", b"9" * 100_000),
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("text/csv; charset=utf-16", "text".encode("utf-16")),
    *[("application/json", random.Random(seed).randbytes(5_000)) for seed in range(5)],  # noqa: S311
]
ODD_INPUTS = [
    ("application/x-text", b"\x00"),
    ("application/x-text", b"x" * 3 * MEGABYTE),
    ("application/json", b'"\\ud800"'),
    ("application/json", b"[]"),
    ("text/csv", b'"' * 99_999),
    ("text/csv", b"\n" * 2_000),
    ("text/csv", b'"a",5'),
]


def test_no_input_harms_the_worker_and_bad_ones_are_4xx_H25_H26(server: Server) -> None:
    before = server.workers()
    for content_type, body in BAD_INPUTS:
        answer = server.ask(body, Content_Type=content_type)
        assert answer.status_code in (400, 415), (content_type, body[:20])
        assert code_of(answer) in ("invalid_body", "invalid_record", "unsupported_media_type")
    for content_type, body in ODD_INPUTS:
        assert server.ask(body, Content_Type=content_type).status_code == 200, (content_type, body[:20])
    assert server.workers() == before
    assert "secret" not in server.output()


def test_a_hundred_thousand_records_come_back_in_order_H26(server: Server) -> None:
    before = server.workers()
    texts = ["x" * (number % 7) for number in range(100_000)]
    answer = server.ask("\n".join(texts) + "\n", Content_Type="text/csv", Accept="application/jsonlines")
    rows = answer.text.split("\n")
    assert len(rows) == len(texts)
    for number in (0, 1, 2, 6, 12_345, 99_999):
        assert json.loads(rows[number])["probabilities"] == pytest.approx(probabilities(texts[number]))
    assert server.workers() == before


def test_many_clients_at_once_get_their_own_answers_and_keep_their_connections_H39_H40(server: Server) -> None:
    def ask_often(client: int) -> None:
        with requests.Session() as session:
            for number in range(20):
                text = "x" * (20 * client + number)
                answer = session.post(f"{server.url}/invocations", data=text or "\n", timeout=20)
                assert answer.json()["probabilities"] == pytest.approx(probabilities(text))
                assert answer.headers["Connection"] == "keep-alive"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask_often, range(8)))


def test_a_hundred_megabytes_are_taken_whole_or_in_chunks_and_one_byte_more_is_413_H13_B04(server: Server) -> None:
    limit = 100 * MEGABYTE
    body = b"x" * limit
    assert server.ask(body).status_code == 200
    refused = server.ask(body + b"x")
    assert (refused.status_code, code_of(refused)) == (413, "payload_too_large")
    pieces = (body[:MEGABYTE] for _ in range(101))
    chunked = requests.post(f"{server.url}/invocations", data=pieces, timeout=PATIENCE_SECONDS)
    assert (chunked.status_code, code_of(chunked)) == (413, "payload_too_large")


def test_a_chunked_body_is_read_B04(server: Server) -> None:
    answer = requests.post(f"{server.url}/invocations", data=iter([b"ab", b"c"]), timeout=10)
    assert answer.json()["probabilities"] == pytest.approx(probabilities("abc"))


def test_it_writes_in_its_temporary_folder_only_H14_S04(server: Server) -> None:
    family = [psutil.Process(server.process.pid), *server.children("gunicorn"), *server.children("nginx")]
    files = [
        link
        for process in family
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir()
        if (link := str(descriptor.readlink())).startswith("/") and opened_for_writing(process.pid, descriptor.name)
    ]
    elsewhere = [link for link in files if not link.startswith((str(server.temporary), str(server.log), "/dev/null"))]
    assert any(link.startswith(str(server.temporary)) for link in files)
    assert elsewhere == []


def opened_for_writing(process: int, descriptor: str) -> bool:
    flags = Path(f"/proc/{process}/fdinfo/{descriptor}").read_text(encoding="ascii").split("flags:")[1].split()[0]
    return bool(int(flags, 8) & (os.O_WRONLY | os.O_RDWR))


def test_a_killed_nginx_worker_is_replaced_H28(server: Server) -> None:
    (before,) = server.children("nginx")[1:]
    before.kill()
    wait_until(lambda: server.ping() == 200)
    assert server.process.poll() is None
