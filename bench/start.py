"""Starts a server that is compared, says how long it took, and ends it with all its processes.

As `soak_server.program` does, but on a port below 32,768: the multi-model server takes no higher one.
"""

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from servers import Contender
from soak_server import ENDS_WITHIN_SECONDS, READY_WITHIN_SECONDS, Server, port_is_free, wait_until

PORTS = range(18_000, 32_000)


@dataclass(frozen=True)
class Started:
    """A server that is ready.

    Attributes:
        server: It.
        since: When it was started, by the monotonic clock.
        ready_seconds: How long it took to its first 200 of /ping.
    """

    server: Server
    since: float
    ready_seconds: float


@contextmanager
def running(contender: Contender, model: Path) -> Iterator[Started]:
    """Start a server with a model, and give it once it says that it is ready.

    Raises:
        ValueError: It is not set up here, or ends or does not become ready; the last line of its log is said.
    """
    if not Path(contender.command[0]).exists():
        raise ValueError("is not set up: run bench/setup.sh")
    port = next(port for port in random.sample(PORTS, len(PORTS)) if port_is_free(port))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        base, log = Path(name), Path(name, "log")
        (base / "model").symlink_to(model.resolve())
        variables = {**_variables(), "SAGEMAKER_BASE_DIR": name, "SAGEMAKER_BIND_TO_PORT": str(port)}
        since = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                contender.command, env={**variables, **contender.environ}, stdout=output, stderr=output
            )
        server = Server(port, psutil.Process(process.pid), lambda: log.read_text("utf-8", "replace"), process.wait)
        family = server.family()
        try:
            wait_until(lambda: server.ping().status == 200 or process.poll() is not None, READY_WITHIN_SECONDS)
            ready = time.monotonic() - since
            family = server.family()
            if process.poll() is not None or server.ping().status != 200:
                raise ValueError((server.log().strip().splitlines() or ["it did not become ready"])[-1])
            yield Started(server, since, ready)
        finally:
            _end(process, {*family, *server.family()})


def _variables() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def _end(process: "subprocess.Popen[bytes]", family: Collection[psutil.Process]) -> None:
    """Stop it, and what is left of its processes, those without a parent too."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(ENDS_WITHIN_SECONDS)
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
