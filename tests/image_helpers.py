"""What the tests of the image share: containers that do not outlive their test, and ways to ask them."""

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

IMAGE = os.environ.get("IMAGE", "text-classification:cpu")
PATIENCE_SECONDS = 120

# Run by the container's Python: prints the status and the body of an answer, or 0 where nothing listens.
_ASK = """
import sys, urllib.error, urllib.request
url, text, method = sys.argv[1:]
try:
    request = urllib.request.Request(
        url, data=text.encode() or None, method=method or None, headers={"Content-Type": "text/plain"}
    )
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
except OSError:
    sys.exit(print(0))
print(answer.status)
print(answer.read().decode())
"""
# Ends a child of the first process, by a part of its command line.
_KILL = """
import os, pathlib, signal, sys
for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
    parent = stat.read_text().rpartition(")")[2].split()[1]
    if parent == "1" and sys.argv[1] in stat.with_name("cmdline").read_text():
        os.kill(int(stat.parent.name), signal.SIGKILL)
"""


def require_image() -> None:
    """Skip where there is no Docker engine; fail where there is one without the image."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("needs a Docker engine")
    assert docker("images", "--quiet", IMAGE), f"there is no image {IMAGE}: make image-cpu"


def docker(*arguments: str) -> str:
    """Run a docker command that must succeed, and return what it printed."""
    command = ["docker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS + 30, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-2000:]}"
    return done.stdout


def inspect(name: str) -> dict[str, Any]:
    """Return what Docker knows of an image or a container."""
    (content,) = json.loads(docker("inspect", name))
    assert isinstance(content, dict)
    return content


def wait_until(true: Callable[[], bool], what: str, *, pause_seconds: float = 0.1) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s for {what} in vain"
        time.sleep(pause_seconds)


@dataclass(frozen=True)
class Ended:
    """What is left of a container that came to its end."""

    code: int
    log: str


@dataclass(frozen=True)
class Container:
    """A container, running or stopped."""

    name: str

    @property
    def running(self) -> bool:
        return bool(inspect(self.name)["State"]["Running"])

    @property
    def log(self) -> str:
        """All it wrote so far, to both streams."""
        command = ["docker", "logs", self.name]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS, check=True
        )
        return done.stdout.decode()

    def wait(self) -> Ended:
        """Wait for the end."""
        wait_until(lambda: not self.running, "the container's end")
        return Ended(int(inspect(self.name)["State"]["ExitCode"]), self.log)

    def wait_for(self, line: str) -> None:
        """Wait for a part of the log."""
        wait_until(lambda: line in self.log or not self.running, line)
        assert line in self.log, self.log[-3000:]

    def stop(self, seconds: int) -> float:
        """Stop it as the platform does: SIGTERM, and SIGKILL so many seconds later; return how long it took."""
        started = time.monotonic()
        docker("stop", "--time", str(seconds), self.name)
        return time.monotonic() - started

    def run(self, *command: str) -> str:
        """Run a command in it, and return what that printed."""
        return docker("exec", self.name, *command)

    def kill_child(self, name: str) -> None:
        """Kill the child of its first process that has this name, as root."""
        docker("exec", "--user", "0", self.name, "python3", "-c", _KILL, name)

    def ask(self, path: str, text: str = "", *, method: str = "", port: int = 8080) -> tuple[int, str]:
        """Ask it from inside, as no port of a container without a network can be asked from outside.

        Returns:
            The status, 0 where nothing listens, and the body.
        """
        printed = self.run("python3", "-c", _ASK, f"http://127.0.0.1:{port}{path}", text, method)
        status, _, body = printed.partition("\n")
        return int(status), body.removesuffix("\n")

    def wait_for_ping(self, *, port: int = 8080) -> None:
        """Wait until it says that it is ready."""
        # To ask takes a Python, out of the time that the container may compute.
        wait_until(lambda: not self.running or self.ask("/ping", port=port)[0] == 200, "ping", pause_seconds=1)
        assert self.running, self.log[-3000:]

    def url(self) -> str:
        """Where the host reaches port 8080; a restart may change it."""
        return f"http://{docker('port', self.name, '8080/tcp').splitlines()[0]}"


@contextmanager
def started(*arguments: str) -> Iterator[Container]:
    """Run a container beside the test.

    Args:
        arguments: Options of docker run; the word IMAGE; the command.
    """
    name = f"image-test-{uuid.uuid4().hex[:12]}"
    words = [IMAGE if word == "IMAGE" else word for word in arguments]
    try:
        docker("run", "--detach", "--name", name, *words)
        yield Container(name)
    finally:
        docker("rm", "--force", "--volumes", name)


def run(*arguments: str) -> Ended:
    """Run a container to its end; the arguments are those of :func:`started`."""
    with started(*arguments) as container:
        return container.wait()
