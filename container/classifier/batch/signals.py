"""SIGTERM and Ctrl-C end the program at once; unfinished files don't have a result's name yet."""

import signal
from types import FrameType
from typing import NoReturn

SIGNALLED = 128  # shells and platforms add a signal's number to it


def end_on_signals() -> None:
    """Make SIGTERM and SIGINT raise SystemExit, with the exit codes that platforms expect: 143 and 130."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(SIGNALLED + number)
