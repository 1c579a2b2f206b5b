"""Backends, which run an exported model: one module each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # supervising processes don't import numpy
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

# The most tokens of a batch of texts that are packed: larger packs are not computed faster, and are answered later.
PACK_TOKENS = 512

# Concurrent batches on a GPU: one is computed while another is transferred; not measured.
GPU_BATCHES = 2

VARIABLES: Mapping[str, str] = {"TOKENIZERS_PARALLELISM": "false"}
"""Environment variables for the backends' libraries.

By default, the `tokenizers` library distributes texts to threads of its own, one for each of the machine's processors,
of which the container may use fewer. All requests would compete for them, and a process that forks would log warnings.
"""


@dataclass(frozen=True)
class Encoded:
    """One encoded record, which only the backend that encoded it can run.

    Special tokens such as [CLS] and [SEP] are included in ``tokens``, as they cost as much as any. The share of unknown
    tokens in many texts is the sum of ``unknown`` divided by the sum of ``tokens``; so defined, it can be compared
    between training data and requests. A mean of each text's share can't, as short texts would count as much as long
    ones.

    Attributes:
        content: The input of the network: token ids, int32[tokens], a text's UTF-8 bytes, or an image's pixels,
            uint8[height, width, 3].
        tokens: The cost in a batch, in tokens, 1 or more; an estimate from the record's size if not ``counted``.
        unknown: The number of unknown tokens.
        counted: Whether the text was tokenized, so that ``tokens`` and ``unknown`` are exact.
        padded: Whether it costs as much as the longest record of its batch, and not only its own tokens.
    """

    content: Any
    tokens: int
    unknown: int = 0
    counted: bool = True
    padded: bool = True


@dataclass(frozen=True)
class Computing:
    """The backend that is wanted, and the resources it may use.

    Attributes:
        backend: One of :data:`classifier.backends.choice.ENGINES`, or ``auto``.
        threads: The number of threads; 0 leaves the choice to the backend.
        batches_at_once: The number of batches that will be run concurrently.
        gpu: Whether there is a GPU.
    """

    backend: str = "auto"
    threads: int = 0
    batches_at_once: int = 1
    gpu: bool = False


def cost(tokens: int, longest: int, count: int, *, padded: bool) -> int:
    """Return the cost of a batch in tokens.

    >>> cost(10, 6, 3, padded=True), cost(10, 6, 3, padded=False)
    (18, 10)

    Args:
        tokens: The sum of its records' tokens.
        longest: The tokens of its longest record.
        count: The number of its records.
        padded: Whether its records are padded to the longest one.
    """
    return longest * count if padded else tokens


class Backend(Protocol):
    """A loaded model; it may be called from several threads at once."""

    def encode(self, records: Sequence[Any], /) -> list[Encoded]:
        """Return decoded records, encoded for :meth:`run_batch`, in their order.

        Texts are temporarily padded to the longest one, so pass hundreds at a time at most.
        """
        ...

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch of at least one record."""
        ...
