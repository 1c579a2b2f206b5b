"""The soak: each phase, small, passes on a good server, and fails on one that does what the phase looks for."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from serving_helpers import model_folder

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import soak
from soak_report import Row, Sizes
from soak_requests import texts
from soak_server import Server, Start, program

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")

TINY = Sizes(
    texts(8),
    [b"an image", b"another"],
    fuzz_requests=80,
    slow_connections=2,
    slow_seconds=0.6,
    resets=50,
    load_minutes=0.015,
    load_connections=4,
    image_minutes=0.015,
    busy_connections=100,
    busy_records=3,
)
# A server that is well but for one fault: it answers, pings, and tells of what it was sent as its name says.
STUB = """
import collections, http.server, json, os, signal, socket, struct, subprocess, sys, threading, time

fault, seen, kept = sys.argv[1], collections.Counter(), []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        if fault == "keeps descriptors":
            kept.append(os.dup(self.request.fileno()))

    def do_GET(self):
        if fault == "slow pings" and seen["POST"]:
            time.sleep(2.1)
        self.answer(200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen["POST"] += 1
        if fault == "drops at the stop" or (fault == "slow beside" and threading.active_count() > 3):
            time.sleep(0.3)
        if fault == "tells texts":
            print(body, flush=True)
        if fault == "grows":
            kept.append(b"x" * 1_000_000)
        if fault == "resets" and seen["POST"] % 10 == 9:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
            self.close_connection = True
            return
        if fault == "500" and seen["POST"] % 10 == 9:
            return self.answer(500, b"{}")
        if fault == "echoes":
            return self.answer(400, body)
        number = seen["POST"] if fault == "mixes answers up" else 1
        self.answer(200, json.dumps({"probabilities": [number]}).encode())

    def answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Stub(http.server.ThreadingHTTPServer):
    request_queue_size = 300
    daemon_threads = True

    def handle_error(self, *_):
        pass


if fault == "drops at the stop":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if fault in ("does not replace", "ends well"):
    worker = [sys.executable, "-c", "import time; time.sleep(20)", "gunicorn"]
    master = subprocess.Popen([sys.executable, "-c", f"import subprocess; subprocess.run({worker})", "gunicorn"])
    time.sleep(0.5)
if fault == "ends well":
    threading.Thread(target=lambda: os._exit(0 * master.wait())).start()

Stub(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soak_clients.BYTES_SECONDS", 0.1)
    monkeypatch.setattr("soak_clients.CALM_SECONDS", 0.5)


@pytest.fixture(scope="module")
def good() -> Iterator[Start]:
    """What starts a good server where none runs, else goes on with the one that does."""
    with contextlib.ExitStack() as stack:
        running: list[Server] = []

        @contextmanager
        def start() -> Iterator[Server]:
            if not running or running[-1].wait(0) is not None:
                environ = {"SERVING_QUEUE_LENGTH": "6", "SAGEMAKER_GUNICORN_THREADS": "2"}
                running.append(stack.enter_context(program(model_folder(), environ=environ)))
            yield running[-1]

        yield start


def bad(fault: str, folder: Path) -> Start:
    stub = folder / "stub.py"
    stub.write_text(STUB, encoding="utf-8")
    return partial(program, folder, command=(sys.executable, str(stub), fault))


def phase(name: str, start: Start, sizes: Sizes = TINY) -> Row:
    return soak.PHASES[name](start, sizes)


@needs_nginx
def test_a_good_server_refuses_what_does_not_fit_its_queue_H10(good: Start) -> None:
    row = phase("busy", good, replace(TINY, texts=["sleep 1"]))
    assert row.problems == [], row


@needs_nginx
@pytest.mark.parametrize("name", ["fuzz", "slow", "resets", "load", "kills"])
def test_a_good_server_passes_H25_H26_H28_H34_R03(good: Start, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # So few requests say little of memory and time; that the phases find both is shown below.
    monkeypatch.setattr("soak_load.LOAD_GROWTH", 0.5)
    monkeypatch.setattr("soak_clients.FUZZ_GROWTH", 0.5)
    monkeypatch.setattr("soak_clients.SLOW_RATIO", 100)
    row = phase(name, good)
    assert row.problems == [], row


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("500", "status 500: "),
        ("resets", "no answer: "),
        ("echoes", "a refusal that tells the text: "),
        ("tells texts", "the log holds texts"),
        ("grows", "memory grew by more than 15%"),
    ],
)
def test_what_odd_requests_do_to_a_bad_server_is_found(fault: str, problem: str, tmp_path: Path) -> None:
    assert any(found.startswith(problem) for found in phase("fuzz", bad(fault, tmp_path)).problems)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("500", "failed under load: "),
        ("resets", "failed under load: "),
        ("grows", "memory grew by more than 2%"),
        ("mixes answers up", "an answer was another record's"),
        ("drops at the stop", "lost at the stop: "),
        ("none", "ended with -15"),
    ],
)
def test_what_load_does_to_a_bad_server_is_found(fault: str, problem: str, tmp_path: Path) -> None:
    assert any(found.startswith(problem) for found in phase("load", bad(fault, tmp_path)).problems)


def test_images_are_asked_as_files_and_their_answers_compared(tmp_path: Path) -> None:
    assert "an answer was another record's" in phase("images", bad("mixes answers up", tmp_path)).problems
    assert any(found.startswith("failed under load: ") for found in phase("images", bad("500", tmp_path)).problems)


@pytest.mark.parametrize(
    ("name", "fault", "problem"),
    [
        ("resets", "keeps descriptors", "descriptors were left open"),
        ("slow", "slow pings", "a ping took more than 2 s"),
        ("slow", "slow beside", "the median took more than 3 times as long"),
        ("slow", "500", "a normal request failed"),
        ("busy", "none", "the queue was never full"),
        ("busy", "resets", "neither answered nor refused"),
        ("kills", "does not replace", "gunicorn's worker: neither back nor all ended within 1 s"),
        ("kills", "ends well", "gunicorn's master: it ended as if all were well, processes are left"),
        ("kills", "none", "gunicorn's worker: there is no such process"),
    ],
)
def test_other_faults_of_a_bad_server_are_found(
    name: str, fault: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soak_clients.CALM_WITHIN_SECONDS", 1)
    monkeypatch.setattr("soak_load.BACK_WITHIN_SECONDS", 1)
    assert problem in phase(name, bad(fault, tmp_path)).problems


def test_the_table_stands_between_its_marks_and_a_failed_phase_shows_in_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"fuzz": Row("odd", "5 requests", "seen", []), "load": Row("load", "1 minute", "seen", ["lost", "slow"])}
    monkeypatch.setattr(soak, "PHASES", {name: lambda *_, row=row: row for name, row in rows.items()})
    page = tmp_path / "operations.md"
    monkeypatch.setattr(soak, "PAGE", page)
    page.write_text("a\n<!-- soak -->\nold\n<!-- /soak -->\nb\n", encoding="utf-8")
    assert soak.main(["--model", str(tmp_path), "--only", "fuzz"]) == 0
    assert "old" in page.read_text(encoding="utf-8")
    assert soak.main(["--model", str(tmp_path), "--write"]) == 1
    table = capsys.readouterr().out.rpartition("| what |")[2]
    assert page.read_text(encoding="utf-8") == f"a\n<!-- soak -->\n| what |{table}<!-- /soak -->\nb\n"
    assert table.endswith("| load | 1 minute | seen | **failed**: lost; slow |\n")
    with pytest.raises(SystemExit):
        soak.main(["--only", "fuzz,nonsense"])
    page.write_text("no marks\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        soak.main(["--model", str(tmp_path), "--write"])
