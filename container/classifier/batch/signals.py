"""SIGTERM and Ctrl-C end the program where it stands; what it was writing has no result's name yet."""

import signal
from types import FrameType
from typing import NoReturn

SIGNALLED = 128  # shells and platforms add a signal's number to it


def end_on_signals() -> None:
    """From now on let SIGTERM and SIGINT raise SystemExit, with the exit code that platforms expect: 143, 130."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(SIGNALLED + number)
