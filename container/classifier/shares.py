"""The uncertainty of a share that was measured on a sample: of ``rows`` that were looked at, ``right`` were right.

Source: Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial" (1934).
"""

from typing import Any

import numpy as np
import scipy.special

CONFIDENCE = 0.95


def lower_limit(right: Any, rows: Any, confidence: float = CONFIDENCE) -> Any:
    """Return the share that is exceeded with a confidence, for numbers or arrays of numbers."""
    limit = scipy.special.betaincinv(np.maximum(right, 1), rows - right + 1, 1 - confidence)
    return np.where(right > 0, limit, 0.0)


def interval(right: int, rows: int) -> tuple[float, float]:
    """Return the two-sided 95 % interval of the share.

    Args:
        right: How many rows were right.
        rows: How many rows there were, one or more.
    """
    each_side = (1 + CONFIDENCE) / 2
    return float(lower_limit(right, rows, each_side)), 1 - float(lower_limit(rows - right, rows, each_side))
