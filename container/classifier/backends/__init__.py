"""Ways to run an exported model: one module each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # the processes that only look after others need no numpy
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

# Batches at once on a GPU: one is computed while the other comes and goes; not measured.
GPU_BATCHES = 2

VARIABLES: Mapping[str, str] = {"TOKENIZERS_PARALLELISM": "false"}
"""What engines' libraries should find in the environment.

The `tokenizers` library would deal the texts of a call out to threads of its own, one for each of the machine's
processors, of which fewer may be ours; all requests would wait for the same ones, and a process that forks is warned of
them.
"""


@dataclass(frozen=True)
class Encoded:
    """One record, ready to compute; only the engine that prepared it can compute it.

    The first and last token that a network may want ([CLS], [SEP]) are among ``tokens``, for they cost as much as
    any. They are never unknown, so the share of unknown tokens is one of all tokens, over many texts together: the
    sum of ``unknown`` divided by the sum of ``tokens``. Taken like this of the training data and of requests, it can
    be compared; a mean of each text's share can't, as short texts would weigh as much as long ones.

    Attributes:
        content: What the engine computes with: token ids, int32[tokens], the text's UTF-8 bytes, or an image's pixels,
            uint8[height, width, 3].
        tokens: What it costs in a batch, 1 or more; an estimate from its size where they are not ``counted``.
        unknown: Tokens that stand for something the vocabulary lacks.
        counted: Whether the text was cut into tokens, and ``tokens`` and ``unknown`` are what was found.
    """

    content: Any
    tokens: int
    unknown: int = 0
    counted: bool = True


@dataclass(frozen=True)
class Computing:
    """What engines may use.

    Attributes:
        engine: The one that is wanted, of :data:`classifier.backends.choice.ENGINES`, or ``auto``.
        threads: Threads to compute with; 0 leaves that to the engine.
        batches_at_once: Batches that will be computed at the same time.
        gpu: Whether there is a GPU.
    """

    backend: str = "auto"
    threads: int = 0
    batches_at_once: int = 1
    gpu: bool = False


class Backend(Protocol):
    """An exported model, ready to compute; safe to call from several threads at once."""

    def encode(self, texts: Sequence[Any]) -> list[Encoded]:
        """Return the records as the engine computes with them, in their order.

        Texts are all padded to the longest for a moment, so give hundreds at once and no more.
        """
        ...

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch of one text or more."""
        ...
