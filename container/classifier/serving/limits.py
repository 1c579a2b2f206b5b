"""What a process takes on at once; one request more is refused before its body is read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from classifier.errors import RequestError

# A body of more bytes that is read whole is read while no other is: as Python values it takes several times its size.
LARGE_BYTES = 1 << 20
# Models. Each load that waits for another takes a thread of the server, which must have some left for pings.
LOADS_AT_MOST = 32


class Limits:
    """The places for requests in a process.

    Args:
        places: Requests that are computed or wait.
        body_bytes: Of bodies over :data:`LARGE_BYTES` that are in memory at the same time, unless one alone is larger.
        observe: Told how many places are taken, when that changes.
    """

    def __init__(self, places: int, body_bytes: int, observe: Callable[[int], None] = lambda _: None) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._body_bytes = body_bytes
        self._held = 0
        self._freed = threading.Condition()
        self._reading = threading.Lock()
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
    def memory(self, size: int) -> Iterator[AbstractContextManager[object]]:
        """Wait until there is room for a body of so many bytes, and keep it while the block runs.

        Gives what to hold while the body is read: one that is large is read while no other large one is.
        """
        if size <= LARGE_BYTES:
            yield nullcontext()
            return
        with self._freed:
            self._freed.wait_for(lambda: not self._held or self._held + size <= self._body_bytes)
            self._held += size
        try:
            yield self._reading
        finally:
            with self._freed:
                self._held -= size
                self._freed.notify_all()

    def _count(self, change: int) -> None:
        with self._lock:
            self._taken += change
            self._observe(self._taken)
