"""Dynamic batching: joins the records of waiting requests into batches for the backend.

There is no batching delay: an idle backend takes the records that are waiting, and those that arrive while it computes
make up the next batch. The cost of a batch is kept within a budget: the sum of its records' tokens where the backend
packs them, and where it pads them the length of its longest record times their number, so that records of similar
lengths are batched together. Requests contribute records in turn, so a request of a hundred thousand records takes no
more of a batch than a request of three.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from classifier.backends import PACK_TOKENS, Encoded, cost
from classifier.predictor import Predictor

logger = logging.getLogger(__name__)

# A batch's tokens with padding, as a multiple of those without. Measured with 32 concurrent requests of sentences:
# 1.3 times the throughput of batches that take whatever is waiting.
MOST_PADDED = 1.3
PADDED_ANYWAY = 8  # tokens; backends pad every text at least to this length

Observe = Callable[[int, int, float], None]


class BackendError(Exception):
    """An error in a backend: its type and its traceback, without its message, which may hold a record.

    Args:
        error: The error; it is not kept, because its frames refer to records and to the model.
    """

    def __init__(self, error: Exception) -> None:
        locations = "".join(traceback.format_tb(error.__traceback__))
        super().__init__(f"{type(error).__name__}\n{locations}")


@dataclass(frozen=True)
class Timing:
    """How long a request's records took.

    Attributes:
        queued_seconds: From their arrival until the backend started on the first of them.
        computed_seconds: From then until the last of them was done.
    """

    queued_seconds: float
    computed_seconds: float


@dataclass(eq=False)
class _Request:
    """The records of a request, and their state.

    Attributes:
        predictor: The model that was asked.
        records: The records.
        order: Their indices, shortest record first.
        probabilities: float32[records, labels], filled in as batches are computed.
        submitted: When the request arrived, by the monotonic clock.
        started: When its first batch started; 0 before that.
        taken: How many records, in ``order``, are in a batch.
        answered: How many records are computed, or have failed.
        error: Why the request failed.
        done: Set when the request is answered or has failed.
    """

    predictor: Predictor
    records: Sequence[Encoded]
    order: Sequence[int]
    probabilities: NDArray[np.float32]
    submitted: float = field(default_factory=time.monotonic)
    started: float = 0.0
    taken: int = 0
    answered: int = 0
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def waits(self) -> bool:
        """Whether some of its records are in no batch yet, and are still wanted."""
        return self.taken < len(self.order) and self.error is None

    @property
    def next(self) -> Encoded:
        """The shortest record that is in no batch yet."""
        return self.records[self.order[self.taken]]


_Rows = list[tuple[_Request, int]]
"""The rows of a batch: a request, and the index of one of its records."""


class Batcher:
    """Threads that compute batches, for all models of a process.

    Args:
        at_once: How many batches are computed at the same time.
        budget: The most tokens in a batch, with padding; of packed texts, :data:`classifier.backends.PACK_TOKENS` at
            most. A longer record is computed alone.
        observe: Called after every batch with its number of records, their tokens without padding, and the seconds it
            took.

    Example:
        >>> import numpy as np
        >>> from classifier.backends import Encoded
        >>> from classifier.predictor import Predictor
        >>> class Coin:  # a backend that finds both labels equally likely
        ...     def encode(self, records):
        ...         return [Encoded(record, tokens=len(record.split())) for record in records]
        ...     def run_batch(self, batch):
        ...         return np.full((len(batch), 2), 0.5, np.float32)
        >>> predictor = Predictor(Coin(), labels=("brakes", "engine"))
        >>> batcher = Batcher(at_once=1, budget=1024)
        >>> probabilities, timing = batcher.predict(predictor, predictor.encode(["Pedal goes soft", "Stalls"]))
        >>> probabilities.tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """

    def __init__(self, at_once: int, budget: int, observe: Observe = lambda *_: None) -> None:
        self._budget = budget
        self._observe = observe
        self._waiting: list[_Request] = []
        self._arrived = threading.Condition()
        for number in range(at_once):
            threading.Thread(target=self._work, name=f"engine-{number}", daemon=True).start()

    def predict(self, predictor: Predictor, records: Sequence[Encoded]) -> tuple[NDArray[np.float32], Timing]:
        """Return the probabilities, float32[len(records), labels], in the records' order, and how long they took.

        Raises:
            BackendError: The backend failed on one of these records; other requests are not affected.
        """
        probabilities = np.empty((len(records), len(predictor.labels)), np.float32)
        if not records:
            return probabilities, Timing(0.0, 0.0)
        order = sorted(range(len(records)), key=lambda index: records[index].tokens)
        request = _Request(predictor, records, order, probabilities)
        with self._arrived:
            self._waiting.append(request)
            self._arrived.notify()
        request.done.wait()
        if request.error is not None:
            raise request.error
        return probabilities, Timing(request.started - request.submitted, time.monotonic() - request.started)

    def _work(self) -> None:
        """Compute batches forever; an error is passed to the requests of the batch and never ends the thread."""
        while True:
            with self._arrived:
                while not self._waiting:
                    self._arrived.wait()
                rows = _take(self._waiting, self._budget)
                if self._waiting:
                    self._arrived.notify()
            try:
                self._compute(rows)
            except Exception:
                logger.exception("batch_failed")
                self._give_up(rows)
            del rows  # a thread that waits must not keep a model that is being unloaded

    def _compute(self, rows: _Rows) -> None:
        started = time.monotonic()
        for request, _ in rows:
            request.started = request.started or started
        for part in _computed(rows):
            self._finish(*part)
        tokens = sum(request.records[index].tokens for request, index in rows)
        self._observe(len(rows), tokens, time.monotonic() - started)

    def _finish(self, rows: _Rows, result: NDArray[np.float32] | Exception) -> None:
        with self._arrived:
            for row, (request, index) in enumerate(rows):
                request.answered += 1
                if isinstance(result, Exception):
                    request.error = result
                else:
                    request.probabilities[index] = result[row]
            for request in {request for request, _ in rows}:
                if request.error is not None and request in self._waiting:
                    self._waiting.remove(request)
                if request.answered == request.taken and not request.waits:
                    request.done.set()

    def _give_up(self, rows: _Rows) -> None:
        with self._arrived:
            for request in {request for request, _ in rows if not request.done.is_set()}:
                request.error = BackendError(RuntimeError())
                if request in self._waiting:
                    self._waiting.remove(request)
                request.done.set()


def _take(waiting: list[_Request], budget: int) -> _Rows:
    """Take a batch for the model of the longest-waiting request: one row of each request to that model, in turn.

    The first row is taken whatever its cost. Where texts are padded, rows of similar length follow, and a row that
    would add too much padding waits for a batch of similar rows. Requests that contributed move to the end of the
    queue, or leave it.
    """
    first = waiting[0]
    like, padded = first.next.tokens, first.next.padded
    budget = budget if padded else min(budget, PACK_TOKENS)
    sharing = [request for request in waiting if request.predictor is first.predictor]
    rows: _Rows = []
    longest = tokens = 0
    gave: set[_Request] = set()
    while sharing:
        still = []
        if padded:
            sharing.sort(key=lambda request: abs(request.next.tokens - like))
        for request in sharing:
            length, sum_of_lengths = max(longest, request.next.tokens), tokens + request.next.tokens
            if rows and not _fits(length, sum_of_lengths, len(rows) + 1, budget, padded=padded):
                continue
            longest, tokens = length, sum_of_lengths
            rows.append((request, request.order[request.taken]))
            request.taken += 1
            gave.add(request)
            if request.waits:
                still.append(request)
        sharing = still
    behind = [request for request in waiting if request in gave and request.waits]
    waiting[:] = [request for request in waiting if request not in gave] + behind
    return rows


def _fits(longest: int, tokens: int, count: int, budget: int, *, padded: bool) -> bool:
    """Return whether records may share a batch: within the budget, and with little padding."""
    expected = cost(tokens, longest, count, padded=padded)
    return expected <= budget and (longest <= PADDED_ANYWAY or expected <= MOST_PADDED * tokens)


def _computed(rows: _Rows) -> list[tuple[_Rows, NDArray[np.float32] | Exception]]:
    """Compute a batch; if it fails, compute each request's rows alone, so that only the request at fault fails."""
    result = _run(rows)
    parts = _by_request(rows)
    if not isinstance(result, Exception) or len(parts) == 1:
        return [(rows, result)]
    return [(part, _run(part)) for part in parts]


def _run(rows: _Rows) -> NDArray[np.float32] | Exception:
    predictor = rows[0][0].predictor
    try:
        return predictor.run_batch([request.records[index] for request, index in rows])
    except Exception as error:  # noqa: BLE001  the requests of the batch raise it again
        return BackendError(error)


def _by_request(rows: _Rows) -> list[_Rows]:
    parts: dict[_Request, _Rows] = {}
    for request, index in rows:
        parts.setdefault(request, []).append((request, index))
    return list(parts.values())
