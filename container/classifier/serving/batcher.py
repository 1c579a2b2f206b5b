"""Joins the texts of requests that wait for the engine into batches.

Nothing waits for company: an idle engine takes what there is, and what arrives while it computes makes up the next
batch. A batch costs its longest text times its rows: it is cut at a budget of that, and texts of like lengths share it.
The requests give a row in turn, so one of a hundred thousand records takes no more of a batch than one of three.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from classifier.backends import Encoded
from classifier.predictor import Predictor

logger = logging.getLogger(__name__)

# A batch's tokens with its padding, as a multiple of those without. Measured with 32 requests of sentences at a time:
# 1.3 times the texts a second of batches that take whatever waits.
MOST_PADDED = 1.3
PADDED_ANYWAY = 8  # tokens; engines make every text as long as this

Observe = Callable[[int, int, float], None]


class BackendError(Exception):
    """What went wrong in an engine, and where; without the words of the error, which may hold a text.

    Args:
        error: What was raised; it is not kept, for with its frames it would keep texts and model.
    """

    def __init__(self, error: Exception) -> None:
        places = "".join(traceback.format_tb(error.__traceback__))
        super().__init__(f"{type(error).__name__}\n{places}")


@dataclass(frozen=True)
class Timing:
    """How long a request's texts took.

    Attributes:
        queued_seconds: Until the engine began with the first of them.
        computed_seconds: From then until the last was done.
    """

    queued_seconds: float
    computed_seconds: float


@dataclass(eq=False)
class _Task:
    """One request's texts, shortest first, and what is known of them so far."""

    predictor: Predictor
    texts: Sequence[Encoded]
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
        """Whether some of its texts are in no batch yet, and are still asked for."""
        return self.taken < len(self.order) and self.error is None

    @property
    def next(self) -> Encoded:
        return self.texts[self.order[self.taken]]


_Rows = list[tuple[_Task, int]]


class Batcher:
    """Threads that compute batches, of all models of a process.

    Args:
        at_once: Batches computed at the same time.
        budget: Tokens of a batch, padding among them; a text of more is a batch of its own.
        observe: Told of every batch: its texts, their tokens without padding, and the seconds it took.
    """

    def __init__(self, at_once: int, budget: int, observe: Observe = lambda *_: None) -> None:
        self._budget = budget
        self._observe = observe
        self._waiting: list[_Task] = []
        self._arrived = threading.Condition()
        for number in range(at_once):
            threading.Thread(target=self._work, name=f"engine-{number}", daemon=True).start()

    def predict(self, predictor: Predictor, texts: Sequence[Encoded]) -> tuple[NDArray[np.float32], Timing]:
        """Return the probabilities, float32[len(texts), labels], in the order of the texts, and how long they took.

        Raises:
            EngineError: The engine failed on one of these texts; other requests don't see it.
        """
        probabilities = np.empty((len(texts), len(predictor.labels)), np.float32)
        if not texts:
            return probabilities, Timing(0.0, 0.0)
        order = sorted(range(len(texts)), key=lambda index: texts[index].tokens)
        task = _Task(predictor, texts, order, probabilities)
        with self._arrived:
            self._waiting.append(task)
            self._arrived.notify()
        task.done.wait()
        if task.error is not None:
            raise task.error
        return probabilities, Timing(task.started - task.submitted, time.monotonic() - task.started)

    def _work(self) -> None:
        """Compute batches for ever: whatever goes wrong, the requests of a batch learn of it and the thread goes on."""
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
        for task, _ in rows:
            task.started = task.started or started
        for part in _computed(rows):
            self._finish(*part)
        tokens = sum(task.texts[index].tokens for task, index in rows)
        self._observe(len(rows), tokens, time.monotonic() - started)

    def _finish(self, rows: _Rows, result: NDArray[np.float32] | Exception) -> None:
        with self._arrived:
            for place, (task, index) in enumerate(rows):
                task.answered += 1
                if isinstance(result, Exception):
                    task.error = result
                else:
                    task.probabilities[index] = result[place]
            for task in {task for task, _ in rows}:
                if task.error is not None and task in self._waiting:
                    self._waiting.remove(task)
                if task.answered == task.taken and not task.waits:
                    task.done.set()

    def _give_up(self, rows: _Rows) -> None:
        with self._arrived:
            for task in {task for task, _ in rows if not task.done.is_set()}:
                task.error = BackendError(RuntimeError())
                if task in self._waiting:
                    self._waiting.remove(task)
                task.done.set()


def _take(waiting: list[_Task], budget: int) -> _Rows:
    """Take a batch: of all requests to the model of the one that waits longest, a row of each in turn.

    Its first row is taken whatever it costs, and those nearest to it in length come next; one that would be mostly
    padding, or make the others so, waits for a batch of its like. Requests that gave a row go to the end of the line,
    or leave it.
    """
    first = waiting[0]
    like = first.next.tokens
    sharing = [task for task in waiting if task.predictor is first.predictor]
    rows: _Rows = []
    longest = tokens = 0
    gave: set[_Task] = set()
    while sharing:
        still = []
        for task in sorted(sharing, key=lambda task: abs(task.next.tokens - like)):
            length, sum_of_lengths = max(longest, task.next.tokens), tokens + task.next.tokens
            if rows and not _fits(length, sum_of_lengths, len(rows) + 1, budget):
                continue
            longest, tokens = length, sum_of_lengths
            rows.append((task, task.order[task.taken]))
            task.taken += 1
            gave.add(task)
            if task.waits:
                still.append(task)
        sharing = still
    behind = [task for task in waiting if task in gave and task.waits]
    waiting[:] = [task for task in waiting if task not in gave] + behind
    return rows


def _fits(longest: int, tokens: int, count: int, budget: int) -> bool:
    """Say whether texts may share a batch: within the budget, and with little padding."""
    padded = longest * count
    return padded <= budget and (longest <= PADDED_ANYWAY or padded <= MOST_PADDED * tokens)


def _computed(rows: _Rows) -> list[tuple[_Rows, NDArray[np.float32] | Exception]]:
    """Compute a batch; where that fails, each request's rows by themselves, so that only the one at fault fails."""
    result = _asked(rows)
    parts = _by_task(rows)
    if not isinstance(result, Exception) or len(parts) == 1:
        return [(rows, result)]
    return [(part, _asked(part)) for part in parts]


def _asked(rows: _Rows) -> NDArray[np.float32] | Exception:
    predictor = rows[0][0].predictor
    try:
        return predictor.run_batch([task.texts[index] for task, index in rows])
    except Exception as error:  # noqa: BLE001  the requests of the batch raise it again
        return BackendError(error)


def _by_task(rows: _Rows) -> list[_Rows]:
    parts: dict[_Task, _Rows] = {}
    for task, index in rows:
        parts.setdefault(task, []).append((task, index))
    return list(parts.values())
