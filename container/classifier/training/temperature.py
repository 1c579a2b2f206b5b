"""The temperature that logits are divided by, so that probabilities say how often they are right."""

import numpy as np
import scipy.optimize
from numpy.typing import NDArray


def best_temperature(logits: NDArray[np.float32], targets: NDArray[np.int32], smallest: float, largest: float) -> float:
    """Return the temperature with the lowest loss on rows.

    As if there were one more row, whose label is not known, so that it stays above 0 where all answers are right.
    Source of that: Platt, "Probabilistic Outputs for Support Vector Machines" (1999).

    Args:
        logits: float32[rows, labels]; logarithms of probabilities are logits, too.
        targets: int32[rows], the index of each row's label.
        smallest: The smallest temperature to consider, above 0.
        largest: The largest.
    """
    unknown = 1 / (len(targets) + 1)
    wanted = (1 - unknown) * logits[np.arange(len(targets)), targets] + unknown * logits.mean(axis=1)

    def loss(log_temperature: float) -> float:
        divided = logits / np.float32(np.exp(log_temperature))
        highest = divided.max(axis=1)
        normalizers = highest + np.log(np.exp(divided - highest[:, np.newaxis]).sum(axis=1))
        return float(np.mean(normalizers - wanted / np.exp(log_temperature)))

    bounds = float(np.log(smallest)), float(np.log(largest))
    return float(np.exp(scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded").x))
