"""What a process takes on at once; one request more is refused before its body is read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from classifier.errors import RequestError

# A body of more bytes that is read whole is one of few at a time: as Python values it takes several times its size.
LARGE_BYTES = 1 << 20


class Limits:
    """The places for requests in a process.

    Args:
        places: Requests that are computed or wait.
        large: Bodies over :data:`LARGE_BYTES` that are in memory at the same time.
        observe: Told how many places are taken, when that changes.
    """

    def __init__(self, places: int, large: int, observe: Callable[[int], None] = lambda _: None) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._large = threading.BoundedSemaphore(large)
        self._lock = threading.Lock()
        self._taken = 0
        self._observe = observe

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises:
            RequestError: 503, when there is none.
        """
        if not self._places.acquire(blocking=False):
            raise RequestError(503, "server_busy", "too many requests wait; try again", retry_after_seconds=1)
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)
            self._places.release()

    @contextmanager
    def memory(self, size: int) -> Iterator[None]:
        """Wait until a body of so many bytes may be read whole, and keep others out while the block runs."""
        if size <= LARGE_BYTES:
            yield
            return
        with self._large:
            yield

    def _count(self, change: int) -> None:
        with self._lock:
            self._taken += change
            self._observe(self._taken)
