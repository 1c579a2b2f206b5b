"""Run the two programs without Docker: train in a folder, serve it on a free port, ask it."""

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[1]
READY_WITHIN_SECONDS = 120


def _variables(base: Path, **more: str) -> Mapping[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SAGEMAKER_BASE_DIR": str(base),
        **more,
    }


def train(base: Path, log: Path | None = None) -> None:
    """Train in a folder laid out as /opt/ml; its log goes to a file, or is shown.

    Raises:
        CalledProcessError: The job failed.
    """
    command = [str(ROOT / "container" / "train")]
    if log is None:
        subprocess.run(command, env=_variables(base), check=True)
        return
    with log.open("w", encoding="utf-8") as file:
        subprocess.run(command, env=_variables(base), check=True, stdout=file, stderr=subprocess.STDOUT)


@contextmanager
def serving(base: Path) -> Iterator[str]:
    """Serve a folder's model, and give the server's address once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = _variables(base, SAGEMAKER_BIND_TO_PORT=str(port))
    server = subprocess.Popen(
        [str(ROOT / "container" / "serve")], env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(server, address)
        yield address
    finally:
        server.terminate()
        server.wait()


def _wait(server: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if requests.get(f"{address}/ping", timeout=2).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"the server did not become ready; run container/serve to see why (exit code {server.poll()})")


def image(path: Path) -> dict[str, str]:
    """Return an image file as a record of a JSON request."""
    return {"b64": base64.b64encode(path.read_bytes()).decode()}


def ask(address: str, records: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the verbose answers to texts, or to images as :func:`image` gives them, in their order."""
    headers = {"Accept": "application/json;verbose"}
    answer = requests.post(f"{address}/invocations", json=list(records), headers=headers, timeout=600)
    answer.raise_for_status()
    answers: list[dict[str, Any]] = answer.json()
    return answers
