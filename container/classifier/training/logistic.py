"""Multinomial logistic regression with an L2 penalty, solved by SciPy's L-BFGS."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Features = Any  # NDArray[np.float32] or scipy.sparse.csr_matrix, float32[rows, width]
ROWS_AT_ONCE = 1 << 16  # whose logits are in memory together
MEMORY = 6  # earlier gradients that L-BFGS keeps; with a million weights, they take most of its time
MOST_ITERATIONS = 200
# Of the loss in an iteration, relative; a smaller one ends the solution. With many weights the last steps take two
# thirds of the time, and change neither loss nor accuracy of held-out rows by more than chance.
SMALLEST_GAIN, SMALLEST_GAIN_OF_MANY, MANY = 1e-6, 1e-4, 20_000


@dataclass(frozen=True)
class Linear:
    """A linear layer.

    Attributes:
        kernel: float32[width, labels].
        bias: float32[labels].
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def zeros(cls, width: int, labels: int) -> "Linear":
        """Return a layer whose weights are all 0."""
        return cls(np.zeros((width, labels), np.float32), np.zeros(labels, np.float32))

    def logits(self, features: Features) -> NDArray[np.float32]:
        """Return the logits, float32[rows, labels]."""
        return np.asarray(features @ self.kernel) + self.bias


@dataclass(frozen=True)
class Examples:
    """Rows to learn from.

    Attributes:
        features: float32[rows, width], dense or sparse.
        targets: int32[rows], the index of each row's label.
        weights: float32[rows], the weight of each row in the loss.
    """

    features: Features
    targets: NDArray[np.int32]
    weights: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> "Examples":
        """Return some of the rows, int64[rows]."""
        return Examples(self.features[rows], self.targets[rows], self.weights[rows])


def fit(
    examples: Examples, inverse_penalty: float, start: Linear, prior: Linear | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Linear:  # fmt: skip
    """Return the layer that minimizes the sum of the rows' cross-entropies and the penalty.

    The penalty is half the squared distance of the kernel from zero, divided by ``inverse_penalty``, which is
    scikit-learn's ``C``. With a ``prior`` it is the distance from that, and the bias is penalized too, so that labels
    without rows keep their weights.

    Args:
        examples: The rows.
        inverse_penalty: The larger, the closer the layer fits the rows.
        start: The layer to start from; the solution does not depend on it, but the time does.
        prior: The layer that is trained further.
        stopped: Called after each iteration; if it returns True, the layer so far is returned.
    """
    shape = (len(start.kernel) + 1, len(start.bias))
    center = np.zeros(shape) if prior is None else _joined(prior)
    penalized = np.ones((shape[0], 1)) / inverse_penalty
    penalized[-1] *= prior is not None

    def loss_and_gradient(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = values.reshape(shape)
        away = weights - center
        loss, gradient = _cross_entropy(examples, _split(weights))
        return loss + 0.5 * float((penalized * away * away).sum()), (gradient + penalized * away).ravel()

    gain = SMALLEST_GAIN if center.size < MANY else SMALLEST_GAIN_OF_MANY

    def after_iteration(_: Any) -> None:
        if stopped():
            raise StopIteration

    # With a second thread, the two mostly wait for each other: of 8,000 rows and 384 values, 5 times as long.
    with threadpool_limits(1):
        result = scipy.optimize.minimize(
            loss_and_gradient, _joined(start).ravel(), jac=True, method="L-BFGS-B", callback=after_iteration,
            options={"maxiter": MOST_ITERATIONS, "maxcor": MEMORY, "ftol": gain, "gtol": 1e-5},
        )  # fmt: skip
    return _split(result.x.reshape(shape))


def _joined(layer: Linear) -> NDArray[np.float64]:
    return np.concatenate([layer.kernel, layer.bias[np.newaxis]]).astype(np.float64)


def _split(weights: NDArray[np.float64]) -> Linear:
    return Linear(weights[:-1].astype(np.float32), weights[-1].astype(np.float32))


def _cross_entropy(examples: Examples, layer: Linear) -> tuple[float, NDArray[np.float64]]:
    """Return the weighted sum of the rows' cross-entropies, and its gradient, float64[width + 1, labels]."""
    loss, gradient = 0.0, np.zeros((len(layer.kernel) + 1, len(layer.bias)))
    for first in range(0, len(examples.targets), ROWS_AT_ONCE):
        piece = slice(first, first + ROWS_AT_ONCE)
        features, targets, weights = examples.features[piece], examples.targets[piece], examples.weights[piece]
        rows = np.arange(len(targets))
        logits = layer.logits(features)
        logits -= logits.max(axis=1, keepdims=True)
        of_targets = logits[rows, targets]
        np.exp(logits, out=logits)
        sums = logits.sum(axis=1)
        loss += float((weights * (np.log(sums) - of_targets)).sum(dtype=np.float64))
        logits /= sums[:, np.newaxis]
        logits[rows, targets] -= 1
        logits *= weights[:, np.newaxis]
        gradient[:-1] += features.T @ logits
        gradient[-1] += logits.sum(axis=0)
    return loss, gradient
