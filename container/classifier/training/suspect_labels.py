"""Rows whose labels are probably wrong, found by confident learning.

Each row's probabilities are those of a ridge regression on vectors and n-grams that has not seen that row: leaving one
row out has a closed form. A label's threshold is the mean probability of its own rows for it; a row counts as another
label's where it reaches that one's threshold. Of each label, as many rows are suspect as count as other labels': those
with the lowest probabilities for the label that they have.

Sources: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (2021), of whose
methods this is "prune by class"; Allen, "The Relationship between Variable Selection and Data Augmentation" (1974), for
leaving one row out.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from classifier import resources
from classifier.artifact import Label
from classifier.encoders.ngrams import Vocabulary
from classifier.training.data import Split
from classifier.training.model import softmax
from classifier.training.temperature import best_temperature
from classifier.training.top_layer import Records, Standardization

log = logging.getLogger(__name__)

FILE = "suspect_labels.csv"
FEWEST_ROWS = 50  # of fewer, too little is known to doubt a label
MOST_ROWS = 20_000  # searched; the time grows with the rows, by 0.3 s of a processor per 1,000 with the default encoder
MOST_SCORES = 1 << 25  # rows by labels, several times in memory, 128 MB each
# Chosen on the training rows of TREC-6 and Banking77 with a tenth of the labels changed (docs/evaluation.md).
MOST_NGRAMS = 1_500
# Without vectors; chosen on the training rows of 20 Newsgroups and clinc150, likewise.
MOST_NGRAMS_ALONE = 3_000
FURTHER_ALONE = 0.3  # by which another label's probability must exceed that of a row's own
NGRAMS_TO_VECTORS = 0.7  # the norm of a text's n-grams, where that of its vector is about 1
PENALTY = 1.0
SHARPEST = 0.01  # the smallest temperature of the scores
ROWS_AT_ONCE = 4_096

Read = Callable[[NDArray[np.int64]], Records]
Features: TypeAlias = NDArray[np.float32] | scipy.sparse.csr_matrix
"""float32[rows, features]; n-grams alone are sparse."""


@dataclass(frozen=True)
class Suspects:
    """Rows whose labels are probably wrong, the most suspicious first.

    Attributes:
        rows: Their indices, int64[suspects].
        suggested: The index of the label that suits each of them best, int64[suspects].
        scores: How little each of them suits its own label, from 0 to 1, float32[suspects].
        checked: How many rows were searched.
    """

    rows: NDArray[np.int64]
    suggested: NDArray[np.int64]
    scores: NDArray[np.float32]
    checked: int

    @property
    def report(self) -> dict[str, Any]:
        """What ``evaluation.json`` says of them."""
        return {"rows": len(self.rows), "checked": self.checked, "file": FILE}

    def table(self, training: Split, validation: Split, labels: Sequence[Label]) -> pd.DataFrame:
        """Return the suspects with the columns ``place``, ``label``, ``suggested_label`` and ``score``.

        Args:
            training: The training rows, with which the indices begin.
            validation: The validation rows, which follow.
            labels: The labels in the order of their indices.
        """
        locations = training.locations + validation.locations
        targets = np.concatenate([training.targets, validation.targets])
        return pd.DataFrame(
            {
                "place": [locations[row] for row in self.rows],
                "label": [labels[index] for index in targets[self.rows]],
                "suggested_label": [labels[index] for index in self.suggested],
                "score": self.scores.round(4),
            }
        )


def search(rows: int, read: Read, labels: int, seed: int) -> Suspects | None:
    """Search labelled rows for suspects; of more than :data:`MOST_ROWS`, or of very many labels, only a random part.

    Args:
        rows: The number of rows.
        read: Returns what is known of the rows with these indices, int64[rows].
        labels: The number of labels.
        seed: The seed of the part that is searched.

    Returns:
        The suspects; None, and a line in the log, where the rows are too few or nothing is known of them.
    """
    started = time.monotonic()
    if rows < FEWEST_ROWS:
        log.info("event=suspect_labels note='not searched: %d rows are too few'", rows)
        return None
    most = min(MOST_ROWS, MOST_SCORES // labels)
    chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    records = read(chosen)
    if records.vectors is None and records.bags is None:
        log.info("event=suspect_labels note='not searched: there are neither vectors nor n-grams to search by'")
        return None
    try:
        with threadpool_limits(resources.processors()):
            found = find(records, labels)
    except np.linalg.LinAlgError:
        log.info("event=suspect_labels note='not searched: the rows are too much alike'")
        return None
    seconds = time.monotonic() - started
    log.info("event=suspect_labels rows=%d of=%d suspects=%d seconds=%.1f", len(chosen), rows, len(found.rows), seconds)
    return replace(found, rows=chosen[found.rows])


def find(records: Records, labels: int) -> Suspects:
    """Find the suspects among records, two or more.

    Args:
        records: The records, with vectors, n-grams, or both.
        labels: The number of labels.
    """
    targets = records.targets
    probabilities = calibrated(left_out(features(records), targets, labels), targets)
    rows = suspects(probabilities, targets)
    own = probabilities[np.arange(len(targets)), targets]
    if records.vectors is None:
        rows = rows[probabilities[rows].max(axis=1) - own[rows] >= FURTHER_ALONE]
    rows = rows[np.argsort(own[rows], kind="stable")]
    return Suspects(rows, probabilities[rows].argmax(axis=1), 1 - own[rows], len(targets))


def features(records: Records) -> Features:
    """Return the standardized vectors and the most frequent n-grams side by side; of n-grams alone, more of them."""
    if records.vectors is None and records.bags is not None:
        return _of_ngrams(records.bags, MOST_NGRAMS_ALONE)
    parts = []
    if records.vectors is not None:
        scaled = Standardization.of(records.vectors).features(records.vectors)
        parts.append(scaled / np.float32(np.sqrt(scaled.shape[1])))
    if records.bags is not None:
        parts.append(_of_ngrams(records.bags, MOST_NGRAMS).toarray())
    return np.concatenate(parts, axis=1)


def _of_ngrams(bags: scipy.sparse.csr_matrix, most: int) -> scipy.sparse.csr_matrix:
    of_norm_1: scipy.sparse.csr_matrix = Vocabulary.of(bags, most).features(bags)
    return of_norm_1 * np.float32(NGRAMS_TO_VECTORS)


def left_out(inputs: Features, targets: NDArray[np.int32], labels: int) -> NDArray[np.float32]:
    """Return the scores, float32[rows, labels], that a ridge regression to zeros and ones learnt from all other rows.

    Args:
        inputs: The features of each row; they are centred here.
        targets: int32[rows], the index of each row's label.
        labels: The number of labels.
    """
    rows = len(targets)
    # SciPy's sums over rows are not more precise than what they are of.
    exact = inputs if isinstance(inputs, np.ndarray) else inputs.astype(np.float64)
    wanted = np.zeros((rows, labels), np.float32)
    wanted[np.arange(rows), targets] = 1
    centre, mean = np.asarray(exact.mean(axis=0, dtype=np.float64)).ravel(), wanted.mean(axis=0)
    products = (_dense(exact.T @ exact) - rows * np.outer(centre, centre)).astype(np.float32)
    products[np.diag_indices(len(products))] += PENALTY
    lower = scipy.linalg.cholesky(products, lower=True)
    # As the mean of what is multiplied is 0, the inputs need not be centred.
    kernel = scipy.linalg.cho_solve((lower, True), inputs.T @ (wanted - mean))
    residuals = wanted - mean - _centred(inputs, centre, kernel)
    inverse, _ = scipy.linalg.lapack.strtri(lower, lower=1)
    pieces = (inputs[start : start + ROWS_AT_ONCE] for start in range(0, rows, ROWS_AT_ONCE))
    leverages = [np.square(_centred(piece, centre, inverse.T)).sum(axis=1) for piece in pieces]
    own = np.maximum(1 - np.concatenate(leverages) - 1 / rows, 1e-6)
    scores: NDArray[np.float32] = (wanted - residuals / own[:, np.newaxis]).astype(np.float32)
    return scores


def _dense(matrix: Features) -> NDArray[np.float32]:
    array: NDArray[np.float32] = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    return array


def _centred(inputs: Features, centre: NDArray[np.float64], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the product of the inputs less their means and a matrix, float32[rows, columns]."""
    product: NDArray[np.float32] = inputs @ kernel - (centre @ kernel).astype(np.float32)
    return product


def calibrated(scores: NDArray[np.float32], targets: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the probabilities of scores at the temperature that suits the rows' own labels."""
    found = best_temperature(scores, targets, SHARPEST, 1.0)
    return softmax(scores / np.float32(found))


def suspects(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the indices of rows whose labels are probably wrong, int64[suspects], in ascending order.

    At least one row of each label is left.

    Args:
        probabilities: Each row's, from a model that has not seen it, float32[rows, labels].
        targets: int32[rows], the index of each row's label.
    """
    count = probabilities.shape[1]
    own = probabilities[np.arange(len(targets)), targets]
    sizes = np.bincount(targets, minlength=count)
    thresholds = np.bincount(targets, own, minlength=count) / np.maximum(sizes, 1)
    reached = (probabilities >= thresholds) & (sizes > 0)
    likely = np.where(reached, probabilities, -1).argmax(axis=1)
    away = reached.any(axis=1) & (likely != targets)
    wrong = np.minimum(np.bincount(targets[away], minlength=count), sizes - 1)
    order = np.lexsort((own, targets))  # label by label, the lowest probabilities first
    rank = np.arange(len(targets)) - (np.cumsum(sizes) - sizes)[targets[order]]
    lowest = order[rank < wrong[targets[order]]]
    return np.sort(lowest[probabilities[lowest].argmax(axis=1) != targets[lowest]])
