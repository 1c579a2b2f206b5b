import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from classifier.serving import hooks, logs
from serving_helpers import SERVE, wait_until

own = logging.getLogger("classifier.serving.something")
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, own_logging: None) -> Iterator[Lines]:  # noqa: ARG001
    """The lines written since the last call, from a standard output that can hold ASCII only."""
    raw = io.BytesIO()
    ascii_only = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    logs.configure(logging.INFO)

    def read() -> list[dict[str, Any]]:
        text = raw.getvalue().decode("ascii")
        raw.seek(0)
        raw.truncate()
        return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]

    yield read
    ascii_only.detach()
    logging.captureWarnings(False)


def test_an_event_of_ours_is_one_json_object_with_its_fields_H34(lines: Lines) -> None:
    own.info("invocation", extra={"status": 200, "seconds": 0.25, "model": None, "single": True})
    own.debug("not written")
    (line,) = lines()
    written = line.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", written)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(written)).total_seconds()) < 60
    assert list(line.items()) == [
        ("level", "info"),
        ("event", "invocation"),
        ("status", 200),
        ("seconds", 0.25),
        ("model", None),
        ("single", True),
    ]


@pytest.mark.parametrize("name", ["gunicorn.error", "werkzeug", "absl", "tensorflow", "classifiers", "root"])
def test_what_a_library_writes_is_the_event_log_H34(lines: Lines, name: str) -> None:
    logging.getLogger(name).warning("%d things\nare odd", 2)
    (line,) = lines()
    assert list(line) == ["time", "level", "event", "logger", "message"]
    assert line["level"] == "warning"
    assert line["event"] == "log"
    assert line["logger"] == name
    assert line["message"] == "2 things\nare odd"


def test_a_traceback_is_a_text_in_the_same_line_H34(lines: Lines) -> None:
    try:
        int("first\nsecond")
    except ValueError:
        own.exception("internal_error", extra={"status": 500})
    (line,) = lines()
    assert line["level"] == "error"
    assert line["status"] == 500
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("'first\\nsecond'")
    assert "exc_info" not in line


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a\ud800b\u2028é", "a\ud800b\u2028é"),
        (float("nan"), "nan"),
        ([1.5, float("-inf")], [1.5, "-inf"]),
        ({("a", 1): {2}}, {"('a', 1)": "{2}"}),
        (Path("/a"), "/a"),
        (b"\xff", "b'\\xff'"),
    ],
)
def test_any_value_can_be_a_field_H34(lines: Lines, value: object, written: object) -> None:
    own.info("event", extra={"value": value})
    assert lines()[0]["value"] == written


def test_a_field_does_not_replace_what_every_line_has_H34(lines: Lines) -> None:
    own.info("event", extra={"event": "x", "time": "x", "level": "x", "kept": "x"})
    (line,) = lines()
    assert line["event"] == "event"
    assert line["level"] == "info"
    assert line["time"] != "x"
    assert line["kept"] == "x"


def test_a_warning_of_python_is_a_line_H34(lines: Lines) -> None:
    with warnings.catch_warnings():
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.simplefilter("always")
        warnings.warn("this is old", DeprecationWarning, stacklevel=1)
    (line,) = lines()
    assert line["logger"] == "py.warnings"
    assert "DeprecationWarning: this is old" in line["message"]


def test_a_second_configuration_replaces_the_first_H34(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.ERROR)
    own.warning("not written")
    own.error("written")
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == ["written"]
    assert lines() == []


APPLICATION = """
import logging
from classifier.serving import hooks, logs

def application(environ, start_response):
    if environ["PATH_INFO"] == "/break":
        raise ValueError("broken")
    start_response("200 OK", [])
    return [b""]

def create():
    logs.configure(logging.WARNING)
    logging.getLogger("classifier.app").warning("created", extra={"text": "\\ud800"})
    return application
"""
ASK = """
import socket, sys
for path in ("/", "/break"):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        connection.sendall(f"GET {path} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n".encode())
        while connection.recv(4096):
            pass
"""


def test_every_line_of_gunicorn_and_its_application_is_json_on_standard_output_H34(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(APPLICATION)
    listens, output = tmp_path / "socket", tmp_path / "output"
    command = [
        *(sys.executable, "-m", "gunicorn", "--no-control-socket", f"--bind=unix:{listens}", "--log-level=info"),
        *(f"--pythonpath={SERVE.parent},{tmp_path}", f"--logger-class={hooks.__name__}.GunicornLogger"),
        "application:create()",
    ]
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE, cwd=tmp_path, env=environ)
        try:
            wait_until(lambda: "created" in output.read_text())
            subprocess.run([sys.executable, "-c", ASK, str(listens)], check=True, timeout=30)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, b"")
    written = [json.loads(line) for line in output.read_text().splitlines()]
    messages = [line.get("message", "") for line in written]
    assert messages[0].startswith("Starting gunicorn")
    assert messages[-1] == "Shutting down: Master"
    assert sum("GET" in message for message in messages) == 1  # the request that broke; there is no access log
    assert [line["text"] for line in written if line["event"] == "created"] == ["\ud800"]
    (broken,) = [line for line in written if "exception" in line]
    assert broken["level"] == "error"
    assert broken["logger"] == "gunicorn.error"
    assert broken["exception"].endswith("ValueError: broken")
    for line in written:
        assert list(line)[:3] == ["time", "level", "event"]
