"""The server that is soaked: the program itself or a container of the image; its processes, its log, and its end.

The processes of a container are looked at from outside: that takes a Docker engine on this machine, and root.
"""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from local_run import ROOT

SERVE = (str(ROOT / "container" / "serve"),)
READY_WITHIN_SECONDS = 120
ENDS_WITHIN_SECONDS = 60
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP; 0 where no whole answer came.
        body: Its content.
        headers: Its headers, their names in small letters.
        began: When the request was sent, by the monotonic clock.
        seconds: How long it took.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    began: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        port: Where it answers.
        root: Its first process.
        log: Returns all it wrote so far, to both streams.
        wait: Waits so many seconds for its end and returns the exit status, None where it does not end.
    """

    port: int
    root: psutil.Process
    log: Callable[[], str]
    wait: Callable[[float], int | None]

    def connection(self, timeout_seconds: float = 600) -> http.client.HTTPConnection:
        """Return a connection for :func:`ask`, to be opened by its first request and kept."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)

    def socket(self, timeout_seconds: float = 10) -> socket.socket:
        """Connect, for those who write bytes of their own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_seconds)

    def ping(self) -> Answer:
        """Ask on a new connection whether it is ready."""
        with contextlib.closing(self.connection(10)) as connection:
            return ask(connection, "GET", "/ping")

    def family(self) -> list[psutil.Process]:
        """Return its processes, the first one first; none where it has ended."""
        try:
            return [self.root, *self.root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def named(self, name: str) -> list[psutil.Process]:
        """Return the master and the workers of ``gunicorn`` or ``nginx``, the master first."""
        found = [process for process in self.family()[1:] if name in _command(process)]
        ids = {process.pid for process in found}
        return sorted(found, key=lambda process: _number(psutil.Process.ppid, process) in ids)

    def workers(self) -> set[int]:
        """Return the ids of the processes that work for a master."""
        return {process.pid for name in ("gunicorn", "nginx") for process in self.named(name)[1:]}

    def memory(self) -> int:
        """Return the resident bytes of all its processes."""
        return sum(_number(lambda process: process.memory_info().rss, process) for process in self.family())

    def descriptors(self) -> int:
        """Return how many files and sockets its processes hold open."""
        return sum(_number(psutil.Process.num_fds, process) for process in self.family())


Start = Callable[[], AbstractContextManager[Server]]


def _number(question: Callable[[psutil.Process], int], process: psutil.Process) -> int:
    try:
        return question(process)
    except psutil.NoSuchProcess:
        return 0


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask once, on a connection that is opened where it is closed, and closed where no whole answer comes."""
    began = time.monotonic()
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return Answer(0, began=began, seconds=time.monotonic() - began)
    named = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, content, named, began, time.monotonic() - began)


def wait_until(true: Callable[[], bool], seconds: float) -> float | None:
    """Return how many seconds it took until something was so, None where it was not in time."""
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > seconds:
            return None
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - started


def port_is_free(port: int) -> bool:
    """Say whether nothing listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def program(model: Path, command: Sequence[str] = SERVE, environ: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run ``serve`` with a model, and give the server once it is ready.

    Raises:
        SystemExit: It does not become ready.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        base, log = Path(name), Path(name, "log")
        (base / "model").symlink_to(model.resolve())
        variables = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            **(environ or {}),
        }
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=variables, stdout=output, stderr=output)
        server = Server(port, psutil.Process(process.pid), lambda: _text(log.read_bytes()), _waiter(process))
        family = server.family()
        try:
            _wait_for_ping(server)
            family = server.family()
            yield server
        finally:
            _end(server, {*family, *server.family()})


@contextmanager
def container(image: str, model: Path) -> Iterator[Server]:
    """Run a container of an image with a model, and give the server once it is ready.

    Raises:
        SystemExit: It does not become ready.
    """
    volume = f"{model.resolve()}:/opt/ml/model:ro"
    name = _docker("run", "--detach", "--publish", "127.0.0.1::8080", "--volume", volume, image, "serve")
    with subprocess.Popen(["docker", "wait", name], stdout=subprocess.PIPE) as waiting:
        try:
            port = int(_docker("port", name, "8080/tcp").splitlines()[0].rpartition(":")[2])
            root = psutil.Process(int(_docker("inspect", "--format", "{{.State.Pid}}", name)))
            server = Server(port, root, lambda: _docker("logs", name), _printed(waiting))
            _wait_for_ping(server)
            yield server
        finally:
            _docker("rm", "--force", "--volumes", name)


def _docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return _text(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True).stdout).strip()


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _waiter(process: "subprocess.Popen[bytes]") -> Callable[[float], int | None]:
    def wait(seconds: float) -> int | None:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    return wait


def _printed(process: "subprocess.Popen[bytes]") -> Callable[[float], int | None]:
    """Return the exit status that ``docker wait`` prints at the end."""
    ended = _waiter(process)
    status: list[int] = []

    def wait(seconds: float) -> int | None:
        if not status and ended(seconds) is not None:
            status.append(int(process.communicate()[0]))
        return status[0] if status else None

    return wait


def _wait_for_ping(server: Server) -> None:
    wait_until(lambda: server.ping().status == 200 or server.wait(0) is not None, READY_WITHIN_SECONDS)
    if server.ping().status != 200:
        raise SystemExit(f"the server did not become ready; the end of its log:\n{server.log()[-2000:]}")


def _end(server: Server, family: Collection[psutil.Process]) -> None:
    """Stop it, and what is left of its processes, those without a parent too."""
    if server.wait(0) is None:
        server.root.terminate()
        server.wait(ENDS_WITHIN_SECONDS)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    server.wait(ENDS_WITHIN_SECONDS)
