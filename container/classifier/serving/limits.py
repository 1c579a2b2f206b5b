"""How many requests a process computes at once and lets wait; one more is refused before its body is read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from classifier.errors import RequestError


class Limits:
    """The places in a process's queue.

    Args:
        at_once: Requests computed at the same time.
        waiting: Requests that may wait for their turn.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._places = threading.BoundedSemaphore(at_once + waiting)
        self._turns = threading.BoundedSemaphore(at_once)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn to compute, and hold it while the block runs.

        Raises:
            RequestError: 503, when too many wait already.
        """
        if not self._places.acquire(blocking=False):
            raise RequestError(503, "server_busy", "too many requests wait; try again", retry_after_seconds=1)
        try:
            with self._turns:
                yield
        finally:
            self._places.release()
