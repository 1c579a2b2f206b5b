"""What the phases of the soak share: how much they do, what they report, and what they watch meanwhile."""

import contextlib
import math
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from soak_requests import INVOCATIONS, TEXT
from soak_server import Answer, Server, ask

Thing = TypeVar("Thing")

MEGABYTE = 2**20
PING_SECONDS = 2.0  # the platform's own limit
PING_EVERY_SECONDS = 0.2


@dataclass(frozen=True)
class Sizes:
    """How much is done, and with which texts and images; an image is a file's content."""

    texts: Sequence[str]
    images: Sequence[bytes] = ()
    fuzz_requests: int = 5_000
    slow_connections: int = 200
    slow_seconds: float = 30
    resets: int = 1_000
    load_minutes: float = 10
    load_connections: int = 32
    image_minutes: float = 4
    busy_connections: int = 200
    busy_records: int = 30
    seed: int = 0


class Timed(Protocol):
    """What took some time."""

    @property
    def seconds(self) -> float:
        """How long."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: What was done.
        amount: How much of it.
        result: What was seen.
        problems: What should not be; none where the phase passed.
    """

    what: str
    amount: str
    result: str
    problems: Sequence[str]


def say(text: str) -> None:
    """Tell the person who watches."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def problems(found: Mapping[str, bool]) -> list[str]:
    """Return the names of what is so."""
    return [name for name, is_so in found.items() if is_so]


def counts(things: Iterable[object]) -> str:
    """Return how often there is each of some things, in words."""
    return ", ".join(f"{count:,} x {name}" for name, count in sorted(Counter(map(str, things)).items())) or "none"


def percentile(answers: Sequence[Timed], share: float) -> float:
    """Return the seconds within which this share of the answers came."""
    seconds = sorted(answer.seconds for answer in answers)
    return seconds[math.ceil(share * len(seconds)) - 1] if seconds else math.inf


def slowest(pings: Sequence[Answer]) -> float:
    """Return the seconds of the slowest ping; without end where one was not answered with 200."""
    return max(ping.seconds if ping.status == 200 else math.inf for ping in pings)


def works(server: Server) -> bool:
    """Say whether it answers a text."""
    with contextlib.closing(server.connection(60)) as connection:
        return ask(connection, "POST", INVOCATIONS, b"Is all well?", TEXT).status == 200


def level(samples: Sequence[int]) -> float:
    """Return the median of the last dozen: what is allocated goes up and down all the time."""
    return statistics.median(samples[-12:])


@contextmanager
def repeating(action: Callable[[], Thing], every_seconds: float) -> Iterator[list[Thing]]:
    """Collect what an action returns, time after time, beside a block and at least once."""
    over = threading.Event()
    seen: list[Thing] = []

    def repeat() -> None:
        while True:
            seen.append(action())
            if over.wait(every_seconds):
                return

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(repeat)
        try:
            yield seen
        finally:
            over.set()
        work.result()
