"""A summary of a job's data for its report: rows of each label in each split, lengths of texts. No text is in it."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.encoders.texts import TokenPreprocessor
from classifier.hyperparameters import HEAD_TAIL
from classifier.training.data import Data, Split
from classifier.training.loop.batches import Inputs

BINS = 24  # of the histogram of lengths, at most and about
SPLITS = ("training", "validation", "test")


def summary(rows: Data, lengths: Mapping[str, Any], sharded: Collection[str] = ()) -> dict[str, Any]:
    """Return the summary, for ``evaluation.json``.

    Args:
        rows: The rows of this host; where hosts have rows of their own, the others' are not in the summary.
        lengths: What :func:`lengths` returned; may be empty.
        sharded: The splits of which other hosts have rows of their own.
    """
    splits: dict[str, Split] = {name: getattr(rows, name) for name in SPLITS}
    counts = {name: np.bincount(split.targets, minlength=len(rows.labels)) for name, split in splits.items()}
    return {
        "modality": rows.modality.name,
        "held_out": rows.held_out,
        **({"sharded": sorted(sharded)} if sharded else {}),
        "labels": [
            {"label": label, **{name: int(counts[name][index]) for name in SPLITS}}
            for index, label in enumerate(rows.labels)
        ],
        **({"lengths": dict(lengths)} if lengths else {}),
    }


def lengths(preprocessor: Any, inputs: Mapping[str, Inputs]) -> dict[str, Any]:
    """Return statistics of the texts' lengths in tokens; nothing for records that are not tokenized here.

    Args:
        preprocessor: The encoder's preprocessor.
        inputs: The token ids of this host's rows by split. Texts that are longer than what is read are truncated in
            them, so that their lengths are known to be at the limit or above only.

    Returns:
        ``limit``, the number of tokens of a text from which on not all of them are read, and ``long_texts``, how
        longer texts are read; ``edges``, the bins of the histograms; and for each split that has rows their number,
        the mean, median, 95th percentile and maximum, the number of texts ``at_limit`` or above, and the ``counts`` of
        the histogram.
    """
    found = {name: each.lengths() for name, each in inputs.items() if len(each)}
    if not isinstance(preprocessor, TokenPreprocessor) or not found:
        return {}
    reads = preprocessor.reads
    # Of head and tail, the token ids still hold the middle, which the network leaves out.
    limit = int(reads["max_sequence_length"]) if reads["long_texts"] == HEAD_TAIL else preprocessor.max_sequence_length
    longest = max(int(each.max()) for each in found.values())
    width = longest // BINS + 1  # whole, so that all bins are equally wide
    edges = np.arange(0, longest + width + 1, width)
    return {
        "limit": limit,
        "long_texts": reads["long_texts"],
        "edges": edges.tolist(),
        **{name: _statistics(each, limit, edges) for name, each in found.items()},
    }


def _statistics(found: NDArray[np.int64], limit: int, edges: NDArray[np.int64]) -> dict[str, Any]:
    median, high = np.percentile(found, [50, 95])
    return {
        "rows": len(found),
        "mean": round(float(found.mean()), 1),
        "median": float(median),
        "95th_percentile": float(high),
        "longest": int(found.max()),
        "at_limit": int((found >= limit).sum()),
        "counts": np.histogram(found, edges)[0].tolist(),
    }
