"""Limits on the requests that a process handles at the same time; a request beyond them is refused unread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from classifier.errors import RequestError

# Larger bodies that are read whole are read one at a time: as Python values they take several times their size.
LARGE_BYTES = 1 << 20
# Models. Each load that waits for another holds a thread of the server, which must have some left for pings.
LOADS_AT_MOST = 32


class Limits:
    """Admits requests up to a capacity, and large bodies up to an amount of memory.

    Args:
        capacity: The most requests that may be computed or waiting.
        body_bytes: The total size of bodies over :data:`LARGE_BYTES` that may be in memory at the same time; a single
            larger body is admitted alone.
        observe: Called with the number of admitted requests whenever it changes.
    """

    def __init__(self, capacity: int, body_bytes: int, observe: Callable[[int], None] = lambda _: None) -> None:
        self._free = threading.BoundedSemaphore(capacity)
        self._body_bytes = body_bytes
        self._held = 0
        self._freed = threading.Condition()
        self._reading = threading.Lock()
        self._lock = threading.Lock()
        self._admitted = 0
        self._observe = observe

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request against the capacity while the block runs.

        Raises:
            RequestError: 503, when the capacity is used up.
        """
        if not self._free.acquire(blocking=False):
            raise RequestError(503, "server_busy", "too many requests are waiting; try again", retry_after_seconds=1)
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)
            self._free.release()

    @contextmanager
    def memory(self, size: int) -> Iterator[AbstractContextManager[object]]:
        """Wait until there is room for a body of ``size`` bytes, and reserve it while the block runs.

        Yields a context manager to enter while the body is read: it lets only one large body be read at a time.
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
            self._admitted += change
            self._observe(self._admitted)
