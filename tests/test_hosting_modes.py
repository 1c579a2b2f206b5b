"""``serve`` in each of SageMaker's hosting modes: real processes, real HTTP."""

import csv
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from serving_helpers import LABELS, SERVE, Server, code_of, model_folder, probabilities, serving, wait_until

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")

MEGABYTE = 2**20
LINES = "application/jsonlines"
# As many variables as the platform allows, which mean nothing here.
UNKNOWN = {
    **{f"UNKNOWN_{number}": "x" * 300 for number in range(80)},
    "SAGEMAKER_PROGRAM": "inference.py",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/code",
    "ENDPOINT": "x",
}


@pytest.fixture(scope="module")
def model() -> Path:
    return model_folder()


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    """A real-time or asynchronous endpoint; its tokens are characters, so that a batch may have more of them."""
    with serving(model, {"SERVING_BATCH_TOKENS": "65536"}) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def kept(server: Server) -> Iterator[Future[list[int]]]:
    """The statuses of two requests of one connection, a minute and more apart, asked while other tests run."""

    def ask_twice() -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        statuses = []
        for pause in (0, 66):
            time.sleep(pause)
            connection.request("POST", "/invocations", body="abc")
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        return statuses

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(ask_twice)


@pytest.fixture(scope="module")
def transform(model: Path) -> Iterator[Server]:
    """What a batch transform job that splits its files starts."""
    environ = {
        "SAGEMAKER_BATCH": "True",
        "SERVING_CSV_LINE_BREAKS": "False",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "",
        "OMP_NUM_THREADS": "3",
        **UNKNOWN,
    }
    with serving(model, environ) as running:
        yield running


def lengths(answer: str) -> list[int | None]:
    """How long the texts were that JSON Lines answer; None for an error."""
    lines = [json.loads(line) for line in answer.split("\n")]
    return [round(2 / line["probabilities"][1]) - 4 if "probabilities" in line else None for line in lines]


def resident(server: Server) -> int:
    """Bytes of memory of all the server's processes."""
    family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in family)


class Watch(threading.Thread):
    """Remembers the largest value of something until it is stopped."""

    def __init__(self, measure: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self._measure = measure
        self._over = threading.Event()
        self.largest = measure()

    def run(self) -> None:
        while not self._over.wait(0.1):
            self.largest = max(self.largest, self._measure())

    def stop(self) -> int:
        self._over.set()
        self.join()
        return self.largest


# --- asynchronous inference


def two_hundred_megabytes(path: Path) -> int:
    """Write JSON Lines, and return how many there are."""
    line = json.dumps({"text": "x" * 985}) + "\n"
    count = 200 * MEGABYTE // len(line) + 1
    with path.open("w", encoding="ascii") as file:
        for _ in range(count):
            file.write(line)
    assert path.stat().st_size >= 200 * MEGABYTE
    return count


def test_two_hundred_megabytes_are_answered_line_for_line_in_little_memory_A01_A02_A05_X27(
    server: Server, tmp_path: Path
) -> None:
    """More than nginx or gunicorn could hold, as the platform sends it: an ordinary request."""
    count = two_hundred_megabytes(tmp_path / "body")
    warm = b"\n".join([json.dumps({"text": "x" * 985}).encode()] * 2000)
    assert server.ask(warm, Content_Type=LINES).status_code == 200
    before = resident(server)
    watch = Watch(lambda: resident(server))
    watch.start()
    answered = 0
    with (tmp_path / "body").open("rb") as body:
        url, headers = f"{server.url}/invocations", {"Content-Type": LINES}
        with requests.post(url, data=body, headers=headers, timeout=300, stream=True) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines(MEGABYTE):
                answered += 1
                assert line.startswith(b'{"predicted_label": "negative", "probabilities": [0.99')
    grown = watch.stop() - before
    assert answered == count
    assert grown < 300 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"
    assert grown < 150 * MEGABYTE, f"a stream takes some chunks, not its size: {grown / MEGABYTE:.0f} MB"


def test_what_fails_is_a_short_json_that_can_be_kept_beside_the_input_A03(server: Server) -> None:
    answer = server.ask("[", Content_Type="application/json")
    assert (answer.status_code, code_of(answer)) == (400, "invalid_body")


def test_sixteen_at_once_wait_their_turn_and_none_is_refused_A04(server: Server) -> None:
    body = "\n".join(["x" * 20] * 3000)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: server.ask(body, Content_Type="text/csv"), range(16)))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert {len(answer.text.split("\n")) for answer in answers} == {3000}


def test_a_small_request_does_not_wait_for_a_huge_one_A04_H40(server: Server) -> None:
    huge = "\n".join(["x" * 500] * 60_000)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(server.ask, huge, Content_Type="text/csv")
        time.sleep(0.5)
        waits = []
        while not future.done():
            started = time.monotonic()
            assert server.ask("x").status_code == 200
            waits.append(time.monotonic() - started)
        assert future.result().status_code == 200
    assert len(waits) >= 5
    assert sorted(waits)[len(waits) // 2] < 0.5, "half of the small ones are answered at once"


# --- batch transform

CSV_BODIES = {
    "a final line break": ("a\nbb\nccc\n", [1, 2, 3]),
    "none": ("a\nbb\nccc", [1, 2, 3]),
    "CRLF": ("a\r\nbb\r\nccc\r\n", [1, 2, 3]),
    "a blank line": ("a\n\nccc\n", [1, 0, 3]),
    "commas": ("a, b\nb\n", [4, 1]),
    "quotes": ('"a, ""b"""\nb\n', [6, 1]),
    "a quote within": ('5" nail\n"so" he said\nx', [7, 12, 1]),
    "a quote that does not close": ('"abc\nx\ny', [4, 1, 1]),
    "a quote that closes on a later line": ('x\n"abc\nyy\n5"\nz', [1, 4, 2, 2, 1]),
    "a column too many": ('"abc",5\nx', [None, 1]),
    "no UTF-8": ("\udcff\nx", [None, 1]),
}


@pytest.mark.parametrize("name", CSV_BODIES)
def test_a_csv_body_has_a_line_out_for_every_line_in_B06_B10_B11_B12_X26(transform: Server, name: str) -> None:
    body, expected = CSV_BODIES[name]
    sent = body.encode("utf-8", "surrogateescape")
    lines = transform.ask(sent, Content_Type="text/csv", Accept=LINES)
    assert lengths(lines.text) == expected
    columns = transform.ask(sent, Content_Type="text/csv", Accept="text/csv")
    assert columns.headers["Content-Type"] == "text/csv"
    rows = list(csv.reader(io.StringIO(columns.text)))
    assert [bool(row[0]) for row in rows] == [length is not None for length in expected]
    assert {len(row) for row in rows} == {2}


def test_json_lines_have_a_line_out_for_every_line_in_B06_B11_B12(transform: Server) -> None:
    body = '{"text": "a"}\n{"txt": "b"}\nno JSON\n{"features": ["ccc"]}\r\n"dd"'
    answer = transform.ask(body, Content_Type=LINES, Accept=LINES)
    assert answer.headers["Content-Type"] == LINES
    assert lengths(answer.text) == [1, None, None, 3, 2]


@pytest.mark.parametrize("body", ["abc\n", "abc", "abc\r\n"])
@pytest.mark.parametrize("accept", ["text/csv", LINES])
def test_one_record_a_request_is_one_line_without_a_break_after_it_B07_B08(
    transform: Server, body: str, accept: str
) -> None:
    answer = transform.ask(body, Content_Type="text/csv", Accept=accept)
    assert answer.status_code == 200
    assert "\n" not in answer.text


def test_answers_of_requests_put_one_below_the_other_are_the_answers_of_all_records_B08(transform: Server) -> None:
    parts = ["a\nbb\n", "ccc\n", "dddd\neeeee"]
    assembled = "\n".join(transform.ask(part, Content_Type="text/csv", Accept=LINES).text for part in parts)
    assert lengths(assembled) == [1, 2, 3, 4, 5]


def test_a_whole_object_is_a_request_and_record_io_is_refused_B09_B13(transform: Server) -> None:
    whole = json.dumps({"instances": ["a", "bb"]})
    answer = transform.ask(whole, Content_Type="application/json", Accept="application/json")
    assert len(answer.json()) == 2
    for content_type in ("application/x-recordio-protobuf", "application/x-tfexample", "application/x-gzip", ""):
        refused = transform.ask(b"\x1f\x8b\x08 a model.tar.gz below the prefix", Content_Type=content_type)
        assert (refused.status_code, code_of(refused)) == (415, "unsupported_media_type")


def test_the_same_request_again_has_the_same_answer_B05_D04(transform: Server) -> None:
    first, second = (transform.ask("a\nbb\n", Content_Type="text/csv", Accept="text/csv") for _ in range(2))
    assert first.content == second.content


def test_a_chunked_body_of_any_size_is_read_B04(transform: Server) -> None:
    pieces = (b'"%s"\n' % (b"x" * number) for number in range(3000))
    answer = requests.post(
        f"{transform.url}/invocations", data=pieces, headers={"Content-Type": LINES, "Accept": LINES}, timeout=60
    )
    assert lengths(answer.text) == list(range(3000))


def test_transform_jobs_are_told_what_fits_B02_B03(transform: Server) -> None:
    answer = requests.get(f"{transform.url}/execution-parameters", timeout=10)
    assert answer.headers["Content-Type"] == "application/json"
    parameters = answer.json()
    assert parameters["BatchStrategy"] == "MULTI_RECORD"
    assert parameters["MaxPayloadInMB"] == 0
    assert parameters["MaxConcurrentTransforms"] >= 1
    assert requests.post(f"{transform.url}/execution-parameters", timeout=10).status_code == 405


# --- pipelines, data capture, Clarify


def test_two_containers_on_one_host_keep_to_their_ports_and_pass_the_type_on_P01_P02_H02_H03(model: Path) -> None:
    common = {"SAGEMAKER_SAFE_PORT_RANGE": "30000-30010", "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": LINES}
    with serving(model, common) as first, serving(model, common) as second:
        assert first.port != second.port
        for running in (first, second):
            url = running.url
            answer = requests.post(f"{url}/invocations", data="a\nbb", headers={"Content-Type": "text/csv"}, timeout=20)
            assert (answer.headers["Content-Type"], len(answer.text.split("\n"))) == (LINES, 2)
            family = psutil.Process(running.process.pid).children(recursive=True)
            listening = {
                connection.laddr.port
                for process in family
                for connection in process.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN
            }
            assert listening == {running.port}


def test_clarify_and_data_capture_get_flat_records_in_order_and_an_answer_to_an_empty_text_D01_D03_D04_D05_D06(
    model: Path,
) -> None:
    with serving(model, {"SAGEMAKER_INFERENCE_OUTPUT": "predicted_label,probabilities"}) as server:
        body = "\n".join(['"some, text"', '""', *['"x"'] * 98])
        answer = server.ask(body, Content_Type="text/csv", Accept="text/csv")
        assert answer.headers["Content-Type"] == "text/csv"
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert len(rows) == 100
        assert [json.loads(row[1]) for row in rows[:2]] == [
            pytest.approx(probabilities("some, text")),
            pytest.approx(probabilities("")),
        ]
        lines = server.ask('{"features": ["some, text"]}\n{"features": [""]}', Content_Type=LINES, Accept=LINES)
        assert lines.headers["Content-Type"] == LINES
        assert [set(json.loads(line)) for line in lines.text.split("\n")] == [{"predicted_label", "probabilities"}] * 2


# --- a model of another program


@pytest.mark.parametrize("name", ["labels_info.json", "class_label_to_prediction_index.json"])
def test_a_savedmodel_alone_serves_with_labels_of_either_file_H17(model: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model / "1", folder / "1")
    shutil.copy(model / name, folder / name)
    with serving(folder) as server:
        answer = server.ask("abc", Accept="application/json;verbose").json()
    assert answer["labels"] == list(LABELS)
    assert answer["probabilities"] == pytest.approx(probabilities("abc"))


def test_of_two_versions_the_higher_serves_and_a_script_beside_them_is_not_run(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for version in ("1", "2"):
        shutil.copytree(model / "1", folder / "export" / "Servo" / version)
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text("raise SystemExit")
    (folder / "labels.txt").write_text("\n".join(LABELS))
    with serving(folder, {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}) as server:
        answer = server.ask("abc", Accept="application/json;verbose").json()
        notes = [event for event in server.events() if event["level"] == "warning"]
    assert answer["labels"] == list(LABELS)
    assert answer["probabilities"] == pytest.approx(probabilities("abc"))
    assert [(note["event"], note["note"].partition(",")[0]) for note in notes] == [
        ("model_note", "export/Servo/2 is used"),
        ("model_note", "code/inference.py: not run"),
    ]


# --- pings, connections, sizes


def test_ping_answers_while_the_engine_is_busy_and_the_queue_full_and_hundreds_connect_H05_H07_H10(
    model: Path,
) -> None:
    environ = {"SAGEMAKER_GUNICORN_THREADS": "1", "SERVING_QUEUE_LENGTH": "2"}
    with serving(model, environ) as server, ThreadPoolExecutor(250) as pool:
        asked = [pool.submit(server.ask, "sleep 6") for _ in range(3)]
        wait_until(lambda: "classifier_queue_depth 3.0" in requests.get(f"{server.url}/metrics", timeout=2).text)
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        started = time.monotonic()
        pings = list(pool.map(lambda _: server.ping(), range(200)))
        assert pings == [200] * 200
        assert time.monotonic() - started < 5
        refused = server.ask("x")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        for connection in held:
            connection.close()
        assert [future.result().status_code for future in asked] == [200] * 3


def test_the_log_says_how_large_everything_was_made_and_why_H31(transform: Server) -> None:
    sized = next(event for event in transform.events() if event["event"] == "sized")
    assert sized["why"]["engine_threads"] == "OMP_NUM_THREADS"
    assert sized["why"]["workers"].startswith("default")
    assert sized["processors"] == len(os.sched_getaffinity(0)) or sized["processors"] < sized["machine_processors"]
    assert sized["predictions_at_once"] == max(1, sized["processors"] // 2)
    (worker,) = transform.workers()
    assert psutil.Process(worker).num_threads() < 40 + sized["queue_length"]


def test_unknown_variables_of_the_platform_do_not_matter_H29(transform: Server) -> None:
    (worker,) = transform.workers()
    assert psutil.Process(worker).environ().items() >= UNKNOWN.items()
    assert transform.ask("x", Content_Type="text/csv").status_code == 200


def test_it_serves_where_there_is_no_network_H35(model: Path) -> None:
    if os.geteuid() or subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs the right to take the network away")
    command = ("unshare", "--net", "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh")
    with serving(model, {}, (*command, str(SERVE)), ready=False) as server:
        wait_until(lambda: "model_loaded" in server.output())
        assert server.stop() == 0


def test_a_client_may_keep_its_connection_for_longer_than_a_minute_X29_H40(kept: Future[list[int]]) -> None:
    assert kept.result() == [200, 200]
