"""Multinomial logistic regression with an L2 penalty, solved by SciPy's Newton-CG.

The method needs products of the Hessian, each of which costs as much as a gradient and no memory to speak of, and works
in float32. With a million weights, the vectors that L-BFGS keeps in float64 took most of its time.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Features = Any  # NDArray[np.float32] or scipy.sparse.csr_matrix, float32[rows, width]
MOST_ITERATIONS = 50  # of Newton's method, each with a few products of the Hessian
# Of the loss in an iteration, relative; a smaller one ends the solution. With many weights the last iterations take a
# third of the time, and change neither loss nor accuracy of held-out rows by more than chance.
SMALLEST_GAIN, SMALLEST_GAIN_OF_MANY, MANY = 1e-4, 1e-2, 20_000
# Logits that are computed at once, 64 MB, unless there are more weights: each time, an array of their size is added.
LOGITS_AT_ONCE, LOGITS_AT_ONCE_PER_WEIGHT = 1 << 24, 4


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

    def take(self, rows: NDArray[np.int64] | slice) -> "Examples":
        """Return some of the rows, int64[rows] or a slice."""
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
        examples: The rows to learn from.
        inverse_penalty: The larger, the closer the layer fits the rows.
        start: The layer to start from; the solution does not depend on it, but the time does.
        prior: The layer that is trained further.
        stopped: Called after the first iteration and within the others; if it returns True, the layer so far is
            returned.
    """
    problem = _Problem(examples, inverse_penalty, start, prior)
    values = reached = _joined(start).ravel()
    before = problem.loss(values)
    enough = SMALLEST_GAIN if values.size < MANY else SMALLEST_GAIN_OF_MANY

    def after_iteration(intermediate_result: Any) -> None:  # SciPy looks at the name of the parameter
        nonlocal before, reached
        now, reached = float(intermediate_result.fun), intermediate_result.x
        gain, before = before - now, now
        if gain <= enough * now:
            raise StopIteration

    def hessian_product(at: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.float32]:
        if reached is not values and stopped():
            raise _StoppedError
        return problem.hessian_product(at, direction)

    # With a second thread, the two mostly wait for each other: of 8,000 rows and 384 values, 5 times as long. In
    # float32, SciPy's largest step overflows to infinity, which serves as well.
    with threadpool_limits(1), np.errstate(over="ignore"), suppress(_StoppedError):
        reached = scipy.optimize.minimize(
            problem.loss, values, jac=problem.gradient, hessp=hessian_product, method="Newton-CG",
            callback=after_iteration, options={"maxiter": MOST_ITERATIONS},
        ).x  # fmt: skip
    return _split(reached.reshape(problem.shape))


class _StoppedError(Exception):
    """The job was told to stop."""


class _Problem:
    """What :func:`fit` minimizes, of weights as one vector, float32[(width + 1) * labels], the bias last.

    Beside the examples, it keeps the probabilities of all rows; all else is computed for a part of the rows at a time.

    Attributes:
        shape: The weights' shape as a matrix.
    """

    def __init__(self, examples: Examples, inverse_penalty: float, start: Linear, prior: Linear | None) -> None:
        self.shape = (len(start.kernel) + 1, len(start.bias))
        width, labels = self.shape
        at_once = max(LOGITS_AT_ONCE, LOGITS_AT_ONCE_PER_WEIGHT * width * labels) // labels
        slices = [slice(start, start + at_once) for start in range(0, len(examples.targets), at_once)]
        self._parts = [(rows, examples if len(slices) == 1 else examples.take(rows)) for rows in slices]
        self._center = np.zeros((1, 1), np.float32) if prior is None else _joined(prior)
        self._penalties = np.full((self.shape[0], 1), 1 / inverse_penalty, np.float32)
        self._penalties[-1] *= prior is not None
        self._at: NDArray[np.float32] | None = None  # the weights that the following belong to
        self._loss = 0.0
        self._gradient = np.zeros(self.shape, np.float32)
        self._probabilities = np.zeros((len(examples.targets), labels), np.float32)

    def loss(self, values: NDArray[np.float32]) -> float:
        """Return the weighted sum of the rows' cross-entropies, and the penalty."""
        self._visit(values)
        return self._loss

    def gradient(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the gradient, float32[(width + 1) * labels]."""
        self._visit(values)
        return self._gradient.ravel()

    def hessian_product(self, values: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the product of the Hessian with a direction, float32[(width + 1) * labels]."""
        self._visit(values)
        weights = direction.reshape(self.shape)
        product = self._penalties * weights
        for rows, part in self._parts:
            probabilities = self._probabilities[rows]
            change = _split(weights).logits(part.features)
            change *= probabilities
            change -= probabilities * change.sum(axis=1, keepdims=True)
            _add_of_weights(product, change, part)
        return product.ravel()

    def _visit(self, values: NDArray[np.float32]) -> None:
        """Compute what belongs to these weights, unless they are those of before."""
        if self._at is not None and np.array_equal(self._at, values):
            return
        weights = values.reshape(self.shape)
        away = weights - self._center
        self._gradient = self._penalties * away
        self._loss = 0.5 * float(np.vdot(self._gradient, away))
        for rows, part in self._parts:
            numbers = np.arange(len(part.targets))
            logits = _split(weights).logits(part.features)
            logits -= logits.max(axis=1, keepdims=True)
            of_targets = logits[numbers, part.targets]
            np.exp(logits, out=logits)
            sums = logits.sum(axis=1, keepdims=True)
            logits /= sums
            self._probabilities[rows] = logits
            self._loss += float((part.weights * (np.log(sums[:, 0]) - of_targets)).sum(dtype=np.float64))
            logits[numbers, part.targets] -= 1
            _add_of_weights(self._gradient, logits, part)
        self._at = values.copy()


def _add_of_weights(total: NDArray[np.float32], of_logits: NDArray[np.float32], part: Examples) -> None:
    """Add derivatives by the weights, float32[width + 1, labels], given those by the rows' logits, which change."""
    of_logits *= part.weights[:, np.newaxis]
    total[:-1] += part.features.T @ of_logits
    total[-1] += of_logits.sum(axis=0, dtype=np.float64)


def _joined(layer: Linear) -> NDArray[np.float32]:
    return np.concatenate([layer.kernel, layer.bias[np.newaxis]]).astype(np.float32)


def _split(weights: NDArray[np.float32]) -> Linear:
    return Linear(weights[:-1].astype(np.float32, copy=False), weights[-1].astype(np.float32, copy=False))
