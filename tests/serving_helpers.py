"""What the tests of ``serve`` share: a tiny real model, and the program run as SageMaker runs it.

The model's probabilities for a text of n characters are [n + 1, 2, 1] / (n + 4), so every length has its own answer
and Python can tell it; for the text ``sleep 3`` it first sleeps for 3 seconds.
"""

import atexit
import functools
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

import psutil
import requests

from classifier import artifact

SERVE = Path(__file__).resolve().parents[1] / "container" / "serve"
LABELS = ("negative", "neutral, or so", "positive")
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


def write_model(folder: Path) -> None:
    """Write the model, whole, in another process: TensorFlow stays out of the test's own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, str(folder / artifact.SAVED_MODEL_FOLDER)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(SERVE.parent)}, check=True, timeout=120)
    artifact.write_json(folder / artifact.MANIFEST_FILE, {"format_version": artifact.FORMAT_VERSION})
    artifact.write_json(folder / artifact.GOLDEN_FILE, {"probes": [probabilities(text) for text in artifact.PROBES]})
    artifact.write_labels(folder, LABELS)


def _save(folder: str) -> None:
    import tensorflow as tf
    from tensorflow.python.data.experimental.ops.testing import sleep

    def slow_zero(seconds: tf.Tensor) -> tf.Tensor:
        # A sleeping dataset sleeps once more before it ends, so nine elements make a second.
        second = tf.data.Dataset.range(9).apply(sleep(100_000))
        naps = tf.data.Dataset.range(seconds).flat_map(lambda _: second)
        return tf.cast(naps.reduce(tf.constant(0, tf.int64), lambda total, _: total), tf.float32)

    class Model(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])  # type: ignore[untyped-decorator]
        def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            asked = tf.strings.regex_replace(text, "^sleep ([0-9])$", "\\1")
            one_digit = tf.strings.regex_full_match(asked, "[0-9]")
            seconds = tf.strings.to_number(tf.where(one_digit, asked, "0"), tf.int64)
            most = tf.reduce_max(seconds)
            slept = tf.cond(most > 0, lambda: slow_zero(most), lambda: 0.0)
            length = tf.cast(tf.strings.length(text, unit="UTF8_CHAR"), tf.float32) + slept
            counts = tf.stack([length + 1, tf.fill(tf.shape(length), 2.0), tf.ones_like(length)], axis=1)
            return {"probabilities": counts / (length[:, tf.newaxis] + 4)}

    model = Model()
    tf.saved_model.save(model, folder, signatures={"serving_default": model.serve})


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
    _save(sys.argv[1])
