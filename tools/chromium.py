"""Pages in a headless Chromium, driven by its DevTools protocol over a pipe, so that no client library is needed.

Source: https://chromedevtools.github.io/devtools-protocol/; over a pipe, messages are JSON that ends in NUL.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

PROGRAM = "chromium"
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip
LOG_LEVELS = ("error", "warning")


@dataclass
class Browser:
    """A running browser with one page.

    Attributes:
        to: Where messages are written.
        answers: Where they are read.
        session: The page's session.
        errors: Console errors, exceptions and warnings so far, in words.
        requests: The addresses that were asked for so far.
    """

    to: BinaryIO
    answers: Iterator[dict[str, Any]]
    session: str = ""
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    number: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result.

        Raises:
            RuntimeError: The browser refuses.
        """
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        self.to.write(json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        self.to.flush()
        while (answer := self._next()).get("id") != self.number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer.get("result", {})
        return result

    def show(self, page: Path, width: int, *, dark: bool = False) -> None:
        """Load a file in a window of this width, in pixels, and wait until it is loaded."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.resolve().as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def picture(self) -> bytes:
        """Return the whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])

    def others(self, page: Path) -> list[str]:
        """Return the addresses that were asked for beside a page."""
        return [each for each in self.requests if each != page.resolve().as_uri() and not each.startswith("data:")]

    def _next(self) -> dict[str, Any]:
        """Return the next message, and remember what it reports."""
        message = next(self.answers)
        parameters = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(str(parameters["exceptionDetails"]["text"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in LOG_LEVELS:
                self.errors.append(str(parameters["entry"]["text"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in LOG_LEVELS:
                self.errors.append(str(parameters["args"]))
        return message


def is_installed() -> bool:
    """Return whether there is a Chromium."""
    return shutil.which(PROGRAM) is not None


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a Chromium with an empty page, and end it."""
    read_there, write_here = os.pipe()
    read_here, write_there = os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The protocol is at the file descriptors 3 and 4.
        script = f'exec "$0" "$@" 3<&{read_there} 4>&{write_there}'
        process = subprocess.Popen(
            ["bash", "-c", script, PROGRAM, *ARGUMENTS, f"--user-data-dir={profile}"],
            pass_fds=(read_there, write_there),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (read_there, write_there):
            os.close(end)
        with os.fdopen(write_here, "wb") as to, os.fdopen(read_here, "rb") as source:
            try:
                yield _with_page(Browser(to, _messages(source)))
            finally:
                process.terminate()
                process.wait()


def _with_page(found: Browser) -> Browser:
    target = found.call("Target.createTarget", url="about:blank")["targetId"]
    found.session = found.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Network", "Runtime", "Log"):
        found.call(f"{domain}.enable")
    return found


def _messages(source: BinaryIO) -> Iterator[dict[str, Any]]:
    rest = b""
    while content := os.read(source.fileno(), 1 << 16):
        *whole, rest = (rest + content).split(b"\0")
        yield from map(json.loads, whole)
    raise RuntimeError("the browser ended")
