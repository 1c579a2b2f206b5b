"""Pages in a headless Chromium: read, typed into and clicked as by a person.

It is driven by its DevTools protocol over a pipe (``--remote-debugging-pipe``), which needs no client library: JSON,
with a zero byte after each message. Source: https://chromedevtools.github.io/devtools-protocol/.
"""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROGRAM = "chromium"
PATIENCE_SECONDS = 60
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip
REPORTED = ("error", "warning")
END = b"\0"
# The protocol's ends of the pipes must be the descriptors 3 and 4.
ON_3_AND_4 = 'exec "${@:3}" 3<&"$1" 4>&"$2"'


@dataclass(eq=False)
class Tab:
    """A tab of a browser.

    Attributes:
        commands: The descriptor that commands are written to.
        replies: The descriptor that replies and events are read from.
        session: The protocol's name for the tab; empty for the browser itself.
        problems: Exceptions, errors and warnings so far, in words.
        requests: The addresses that were asked for so far.
    """

    commands: int
    replies: int
    session: str = ""
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _loads: int = 0
    _received: bytearray = field(default_factory=bytearray)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a method of the protocol.

        Raises:
            RuntimeError: The browser refuses, is silent, or ended.
        """
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        os.write(
            self.commands, json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + END
        )
        while (reply := self._receive()).get("id") != number:
            pass
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']['message']}")
        result: dict[str, Any] = reply["result"]
        return result

    def open(self, url: str) -> None:
        """Load a page."""
        before = self._loads
        self.call("Page.navigate", url=url)
        while self._loads == before:
            self._receive()

    def look(self, width: int, *, dark: bool = False) -> None:
        """Show the page in a window of a width in pixels."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def value(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript.

        Raises:
            RuntimeError: It throws an exception.
        """
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def text(self, selector: str) -> str:
        """Return the text that an element shows; empty where it is hidden."""
        shown = "((element) => element.checkVisibility() ? element.innerText : '')"
        return str(self.value(f"{shown}(document.querySelector({json.dumps(selector)}))"))

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true.

        Raises:
            TimeoutError: It does not become true.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.value(expression):
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited in vain for {expression}")
            time.sleep(0.02)

    def write(self, selector: str, text: str) -> None:
        """Replace the content of a field, as from the keyboard or the clipboard."""
        self.value(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drop(self, selector: str, file: Path) -> None:
        """Drop a file on an element."""
        x, y = self._middle(selector)
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def screenshot(self, path: Path) -> None:
        """Write a screenshot of the whole page, a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def others(self, url: str) -> list[str]:
        """Return the addresses that were asked for beside a page."""
        return [each for each in self.requests if each != url and not each.startswith("data:")]

    def _middle(self, selector: str) -> tuple[float, float]:
        found = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{found}.scrollIntoView({{block: 'center'}})")
        box = self.value(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({found}.getBoundingClientRect())"
        )
        return box[0], box[1]

    def _receive(self) -> dict[str, Any]:
        """Return the next message, and remember what it reports."""
        while END not in self._received:
            if not select.select([self.replies], [], [], PATIENCE_SECONDS)[0]:
                raise RuntimeError("the browser is silent")
            piece = os.read(self.replies, 1 << 16)
            if not piece:
                raise RuntimeError("the browser ended")
            self._received += piece
        message, _, self._received = self._received.partition(END)
        received: dict[str, Any] = json.loads(message)
        self._note(received.get("method", ""), received.get("params", {}))
        return received

    def _note(self, event: str, parameters: dict[str, Any]) -> None:
        match event:
            case "Page.loadEventFired":
                self._loads += 1
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Runtime.exceptionThrown":
                self.problems.append(str(parameters["exceptionDetails"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in REPORTED:
                self.problems.append(str(parameters["entry"]["text"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in REPORTED:
                self.problems.append(str(parameters["args"]))


def is_installed() -> bool:
    """Return whether there is a Chromium."""
    return shutil.which(PROGRAM) is not None


@contextmanager
def browsing() -> Iterator[Tab]:
    """Run a Chromium with an empty profile, and give a tab."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [PROGRAM, *ARGUMENTS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            ["bash", "-c", ON_3_AND_4, "bash", str(theirs_in), str(theirs_out), *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield _opened(Tab(ours_out, ours_in))
        finally:
            os.close(ours_out)  # by which it ends
            os.close(ours_in)
            process.wait(PATIENCE_SECONDS)


def _opened(tab: Tab) -> Tab:
    target = tab.call("Target.createTarget", url="about:blank")["targetId"]
    tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Network", "Runtime", "Log"):
        tab.call(f"{domain}.enable")
    return tab
