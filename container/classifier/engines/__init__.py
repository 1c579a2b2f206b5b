"""Ways to run an exported model: one module each."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """An exported model, ready to compute; safe to call from several threads at once."""

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(texts), labels], of one batch of texts."""
        ...
