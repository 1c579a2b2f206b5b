"""Rows to answers: read, computed and handed on in blocks, all at the same time, of which only a few are held."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from classifier.batch.records import Added, Answer, Record, Reject, Row
from classifier.predictor import Predictor

# Texts of like lengths share a batch within a block. A block is about a second's work of a processor, be it of
# sentences or of long texts, so that a file of some hundred rows keeps all of them at work.
BLOCK_ROWS = 512
BLOCK_CHARACTERS = 1 << 17

Probabilities = NDArray[np.float32]


@dataclass
class Block:
    """Some rows, and what could not be read between them.

    Attributes:
        rows: The rows, in order.
        rejects: What could not be read, in order.
        characters: What the rows come to.
    """

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    characters: int = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more should come into it."""
        return len(self.rows) + len(self.rejects) >= BLOCK_ROWS or self.characters >= BLOCK_CHARACTERS

    def add(self, record: Record) -> None:
        """Put in what comes next."""
        if isinstance(record, Reject):
            self.rejects.append(record)
            return
        self.rows.append(record)
        self.characters += record.size


def blocks(records: Iterable[Record]) -> Iterator[Block]:
    """Cut up what a file is made of."""
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
        found: The blocks; the next is asked for while those before it are computed.
        predictor: The model.
        pool: Threads to compute in, one a block.
        at_once: Blocks that are computed at the same time; one more waits, so that no thread does.
    """
    waiting: deque[tuple[Block, Future[Probabilities]]] = deque()
    for block in found:
        waiting.append((block, pool.submit(predictor.predict, [row.text for row in block.rows])))
        if len(waiting) > at_once:
            first, probabilities = waiting.popleft()
            yield first, probabilities.result()
    for rest, probabilities in waiting:
        yield rest, probabilities.result()


def answers(block: Block, probabilities: Probabilities, added: Added) -> Iterator[Answer]:
    """Yield a block's rows with what is written beside them."""
    for row, numbers, best in zip(
        block.rows, probabilities.tolist(), probabilities.argmax(axis=1).tolist(), strict=True
    ):
        yield Answer(row, added.labels[best], [numbers[best], *(numbers if added.each else ())])
