"""Child processes, each the leader of its own process group, so that all its descendants can be ended with it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

_POLL_SECONDS = 0.05

Process = subprocess.Popen[bytes]


class StopRequest:
    """Records that the platform, or Ctrl-C, asked this process to stop."""

    def __init__(self) -> None:
        self.received = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, _number: int, _frame: object) -> None:
        self.received = True


def start(command: Sequence[str], environ: Mapping[str, str]) -> Process:
    """Start a program in a session of its own: signals to our group don't reach it."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, env=environ)


def stop(process: Process, number: signal.Signals, deadline: float) -> None:
    """Send a signal and wait for the end, until a deadline of the monotonic clock."""
    process.send_signal(number)
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def kill_group(process: Process) -> None:
    """Kill a process and all its descendants that are still running."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
