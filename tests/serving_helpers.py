"""What the tests of ``serve`` share: a tiny real model, and the program run as SageMaker runs it.

The model's probabilities for a text of n characters are [n + 1, 2, 1] / (n + 4), so every length has its own answer
and Python can tell it; for the text ``sleep 3`` it first sleeps for 3 seconds. Its tokens are the characters, 4,096 at
most and one more for the rest; the replacement character is the unknown one. It sleeps in ``classify``.
"""

import atexit
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from classifier import artifact
from classifier.modalities.text import SMOKE_TEXTS
from classifier.predictor import Predictor
from classifier.serving.app import create_app
from classifier.serving.settings import ServingSettings

SERVE = Path(__file__).resolve().parents[1] / "container" / "serve"
LABELS = ("negative", "neutral, or so", "positive")
LONGEST_IN_FULL = 4096  # characters; so that a megabyte beside 500 short texts is not padded to a gigabyte
UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"
PATIENCE_SECONDS = 60


def probabilities(text: str) -> list[float]:
    """What the model answers."""
    return [(len(text) + 1) / (len(text) + 4), 2 / (len(text) + 4), 1 / (len(text) + 4)]


@functools.cache
def model_folder() -> Path:
    """Return a folder with the model, made once a test run; every user may read it and none may write it."""
    home = Path(tempfile.mkdtemp(prefix="serving-test-"))
    folder = home / "model"
    write_model(folder)
    for path in (home, folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    atexit.register(_remove, home)
    return folder


def _remove(home: Path) -> None:
    for path in (home, *home.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(home)


def write_model(folder: Path, *, two_steps: bool = True) -> None:
    """Write the model, whole, in another process: TensorFlow stays out of the test's own.

    Args:
        folder: Where to.
        two_steps: Tokenize and classify apart; otherwise as models were before there was such a thing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps = "two" if two_steps else "one"
    command = [sys.executable, __file__, str(folder / artifact.SAVED_MODEL_FOLDER), steps]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(SERVE.parent)}, check=True, timeout=120)
    artifact.write_json(folder / artifact.MANIFEST_FILE, {"format_version": artifact.FORMAT_VERSION})
    artifact.write_json(folder / artifact.REFERENCE_FILE, {"probes": [probabilities(text) for text in SMOKE_TEXTS]})
    artifact.write_labels(folder, LABELS)


def _save(folder: str, *, two_steps: bool) -> None:
    import tensorflow as tf
    from tensorflow.python.data.experimental.ops.testing import sleep

    texts_spec = tf.TensorSpec([None], tf.string, "texts")
    asks_to_sleep = tf.constant([ord(character) + 1 for character in "sleep "])

    def slow_zero(seconds: tf.Tensor) -> tf.Tensor:
        # A sleeping dataset sleeps once more before it ends, so nine elements make a second.
        second = tf.data.Dataset.range(9).apply(sleep(100_000))
        naps = tf.data.Dataset.range(seconds).flat_map(lambda _: second)
        return tf.cast(naps.reduce(tf.constant(0, tf.int64), lambda total, _: total), tf.float32)

    def seconds_asked_for(token_ids: tf.Tensor) -> tf.Tensor:
        first = tf.pad(token_ids, [[0, 0], [0, 8]])[:, :8]
        digit = first[:, 6] - (ord("0") + 1)
        asked = tf.reduce_all(first[:, :6] == asks_to_sleep, axis=1) & (first[:, 7] == 0) & (digit >= 0) & (digit < 10)
        return tf.cast(tf.where(asked, digit, 0), tf.int64)

    class Model(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
        @tf.function(input_signature=[texts_spec])  # type: ignore[untyped-decorator]
        def tokenize(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
            characters = tf.strings.unicode_decode(texts, "UTF-8")
            lengths = tf.cast(characters.row_lengths(), tf.int32)
            longer = lengths > LONGEST_IN_FULL
            # A token is a character's number and 1, as 0 is padding; the last of a long text is its length, negative.
            ends = tf.RaggedTensor.from_row_lengths(-tf.boolean_mask(lengths, longer), tf.cast(longer, tf.int64))
            token_ids = tf.concat([characters[:, :LONGEST_IN_FULL] + 1, ends], axis=1).to_tensor()
            unknown = tf.cast(token_ids == ord(UNKNOWN_CHARACTER) + 1, tf.int32)
            return {"token_ids": token_ids, "unknown_tokens": tf.reduce_sum(unknown, axis=1)}

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([None, None], tf.int32, "token_ids")]
        )
        def classify(self, token_ids: tf.Tensor) -> dict[str, tf.Tensor]:
            most = tf.reduce_max(seconds_asked_for(token_ids))
            slept = tf.cond(most > 0, lambda: slow_zero(most), lambda: 0.0)
            there = tf.reduce_sum(tf.cast(token_ids != 0, tf.int32), axis=1)
            longer = tf.maximum(-tf.reduce_min(tf.pad(token_ids, [[0, 0], [0, 1]]), axis=1), 0)
            length = tf.cast(tf.maximum(there, longer), tf.float32) + slept
            counts = tf.stack([length + 1, tf.fill(tf.shape(length), 2.0), tf.ones_like(length)], axis=1)
            return {"probabilities": counts / (length[:, tf.newaxis] + 4)}

        @tf.function(input_signature=[texts_spec])  # type: ignore[untyped-decorator]
        def serve(self, texts: Any) -> Any:
            return self.classify(self.tokenize(texts)["token_ids"])

    model = Model()
    signatures = {"serving_default": model.serve}
    if two_steps:
        signatures |= {"tokenize": model.tokenize, "classify": model.classify}
    tf.saved_model.save(model, folder, signatures=signatures)


@dataclass(frozen=True)
class Server:
    """A running ``serve``.

    Attributes:
        process: The program.
        url: Where it answers.
        log: The file its output goes to.
        temporary: The only folder it may write in.
    """

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    temporary: Path

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    def ping(self) -> int:
        """Return the status of a ping, 0 where there is no answer."""
        try:
            return requests.get(f"{self.url}/ping", timeout=2).status_code
        except requests.RequestException:
            return 0

    def ask(self, body: bytes | str, **headers: str) -> requests.Response:
        """Post an invocation; ``Content_Type="text/csv"`` sets that header."""
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.post(f"{self.url}/invocations", data=data, headers=named, timeout=PATIENCE_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def output(self) -> str:
        """Return all it wrote so far, to both streams."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def events(self) -> list[dict[str, Any]]:
        """Return what it logged so far."""
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]

    def children(self, name: str) -> list[psutil.Process]:
        """Return the master and the workers of ``gunicorn`` or ``nginx``, the master first."""
        return [
            process
            for master in psutil.Process(self.process.pid).children()
            if name in " ".join(master.cmdline())
            for process in (master, *master.children())
        ]

    def workers(self) -> set[int]:
        """Return the process ids of gunicorn's workers."""
        return {process.pid for process in self.children("gunicorn")[1:]}


def code_of(answer: requests.Response) -> str:
    """The short name of an error, after a look at the answer's form."""
    assert answer.headers["Content-Type"] == "application/json"
    assert len(answer.content) < 2048
    content = answer.json()
    assert set(content["error"]) == {"code", "message"}
    assert "<" not in answer.text
    assert "Traceback" not in answer.text
    return str(content["error"]["code"])


def client_of(
    backend: Any, labels: tuple[artifact.Label, ...], manifest: Mapping[str, Any], environ: Mapping[str, str]
) -> FlaskClient:
    """A client of the application in this process, ready to answer with an engine."""
    settings = ServingSettings.from_environ(environ)
    client = create_app(settings, lambda _: Predictor(backend, labels, manifest)).test_client()
    wait_until(lambda: client.get("/ping").status_code == 200)
    return client


def error_of(answer: TestResponse) -> tuple[str, str]:
    """The short name of an error of that application and its words, after a look at the answer's form."""
    assert answer.content_type == "application/json"
    content = json.loads(answer.data)
    assert list(content) == ["error"]
    assert set(content["error"]) == {"code", "message"}
    assert "Traceback" not in content["error"]["message"]
    return content["error"]["code"], content["error"]["message"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@contextmanager
def serving(
    model: Path, environ: Mapping[str, str] | None = None, command: Sequence[str] = (str(SERVE),), *, ready: bool = True
) -> Iterator[Server]:
    """Run ``serve`` as a program.

    Args:
        model: The model folder; its name must be "model".
        environ: Variables for it.
        command: The program, or one that runs it, such as one that takes privileges away.
        ready: Wait until it answers pings.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="serving-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        temporary = folder / "tmp"
        temporary.mkdir()
        temporary.chmod(0o1777)
        log = folder / "log"
        variables = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CLASSIFIER_BASE_DIR": str(model.parent),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "TMPDIR": str(temporary),
            **(environ or {}),
        }
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=variables, stdout=output, stderr=output, cwd="/")
        server = Server(process, f"http://127.0.0.1:{port}", log, temporary)
        try:
            if ready:
                wait_until(lambda: server.ping() == 200 or process.poll() is not None)
                assert process.poll() is None, server.output()[-3000:]
            yield server
        finally:
            if process.poll() is None:
                server.stop()


if __name__ == "__main__":
    _save(sys.argv[1], two_steps=sys.argv[2] == "two")
