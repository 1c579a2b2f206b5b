"""Rows to predictions: read, computed and passed on in blocks, as a pipeline that holds only a few blocks at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from classifier import explanation
from classifier.batch.records import Added, Answer, Record, Reject, Row
from classifier.predictor import Predictor

# Texts of similar lengths share a batch within a block. A block is about one second of work for a processor, whether of
# sentences or of long texts, so that a file of some hundred rows keeps all processors busy.
BLOCK_ROWS = 512
BLOCK_CHARACTERS = 1 << 17

Probabilities = NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class Block:
    """Consecutive rows, and the rejects between them.

    Attributes:
        rows: The rows, in order.
        rejects: The rejects, in order.
        characters: The number of characters in the rows.
    """

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    characters: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it should not be added to any more."""
        return len(self.rows) + len(self.rejects) >= BLOCK_ROWS or self.characters >= BLOCK_CHARACTERS

    def add(self, record: Record) -> None:
        """Append a row or a reject."""
        if isinstance(record, Reject):
            self.rejects.append(record)
            return
        self.rows.append(record)
        self.characters += record.size


def blocks(records: Iterable[Record]) -> Iterator[Block]:
    """Group the records of a file into blocks."""
    block = Block()
    for record in records:
        block.add(record)
        if block.is_full:
            yield block
            block = Block()
    if block.rows or block.rejects:
        yield block


def predicted(
    found: Iterable[Block], predictor: Predictor, pool: Executor, at_once: int
) -> Iterator[tuple[Block, Probabilities]]:
    """Yield the blocks in order, each with the probabilities, float32[rows, labels], of its rows.

    Args:
        found: The blocks; the next one is read while those before it are computed.
        predictor: The model.
        pool: The threads that compute, one per block.
        at_once: How many blocks are computed at the same time; one more is queued to keep the threads busy.
    """

    def with_probabilities(block: Block) -> tuple[Block, Probabilities]:
        return block, predictor.predict([row.text for row in block.rows])

    return in_order(with_probabilities, found, pool, at_once)


def answered(
    found: Iterable[Block], predictor: Predictor, added: Added, pool: Executor, at_once: int
) -> Iterator[tuple[Block, list[Answer]]]:
    """Yield the blocks as :func:`predicted` does, each with its rows and what is added to them."""

    def with_answers(block: Block) -> tuple[Block, list[Answer]]:
        probabilities = predictor.predict([row.text for row in block.rows])
        return block, [
            _answer(row, numbers, predictor, added) for row, numbers in zip(block.rows, probabilities, strict=True)
        ]

    return in_order(with_answers, found, pool, at_once)


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], pool: Executor, at_once: int
) -> Iterator[Result]:
    """Yield what a function returns for each item, in order, while the next ones are computed.

    Args:
        function: What is computed in threads.
        items: Its arguments; the next one is read while those before it are computed.
        pool: The threads.
        at_once: How many items are computed at the same time; one more is queued to keep the threads busy.
    """
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > at_once:
            yield waiting.popleft().result()
    for rest in waiting:
        yield rest.result()


def _answer(row: Row, probabilities: Probabilities, predictor: Predictor, added: Added) -> Answer:
    best, numbers = int(probabilities.argmax()), probabilities.tolist()
    words = None
    if added.words:
        text = predictor.decode(row.text)
        spans = explanation.spans(text, lambda part: bytes(predictor.encode([part])[0].content))
        words = explanation.explain(text, spans, probabilities, predictor.predict)
    return Answer(row, added.label(best, numbers[best]), [numbers[best], *(numbers if added.each else ())], words)
