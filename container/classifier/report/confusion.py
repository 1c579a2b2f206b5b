"""Confusion matrices: their largest confusions, and an order of the labels that brings these near the diagonal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

MOST_IN_A_PICTURE = 60  # labels; of more, only those with the largest confusions are drawn
DRAWN_OF_MORE = 30
FEW = 12  # labels, which keep their order


@dataclass(frozen=True)
class Confusions:
    """A confusion matrix.

    Attributes:
        labels: The labels.
        totals: The number of rows of each label.
        cells: The number of rows of a label that were given a label, by the indices of both; zeros are left out.
    """

    labels: Sequence[Any]
    totals: Sequence[int]
    cells: Mapping[tuple[int, int], int]

    def largest(self) -> list[tuple[int, int, int]]:
        """Return the mistakes as (label, predicted label, rows), the most frequent first."""
        wrong = [(true, predicted, rows) for (true, predicted), rows in self.cells.items() if true != predicted]
        return sorted(wrong, key=lambda each: (-each[2], -each[2] / max(self.totals[each[0]], 1), each[:2]))

    def drawn(self) -> list[int]:
        """Return the labels of the chart in their order: all, or those that take part in the largest confusions.

        The labels are clustered by how often they are confused, and the leaves of the tree are put in the order with
        the shortest path (Bar-Joseph et al., "Fast optimal leaf ordering for hierarchical clustering", 2001).
        """
        count = len(self.labels)
        if count <= FEW:
            return list(range(count))
        if count <= MOST_IN_A_PICTURE:
            return self._ordered(list(range(count)))
        chosen: dict[int, None] = {}
        for true, predicted, _ in self.largest():
            chosen |= dict.fromkeys((true, predicted))
            if len(chosen) >= DRAWN_OF_MORE:
                break
        return self._ordered(list(chosen))

    def matrix(self, indices: Sequence[int]) -> NDArray[np.int64]:
        """Return the matrix of some labels in an order, int64[labels, labels]."""
        return np.array([[self.cells.get((row, column), 0) for column in indices] for row in indices], np.int64)

    def _ordered(self, indices: list[int]) -> list[int]:
        if len(indices) < 3:
            return indices
        shares = self.matrix(indices) / np.maximum([[self.totals[index]] for index in indices], 1)
        alike = shares + shares.T
        np.fill_diagonal(alike, 0)
        if not alike.any():
            return indices
        far = alike.max() - alike
        np.fill_diagonal(far, 0)
        distances = squareform(far, checks=False)
        tree = optimal_leaf_ordering(linkage(distances, "average"), distances)
        return [indices[leaf] for leaf in leaves_list(tree)]


def read(report: Mapping[str, Any]) -> Confusions:
    """Return the confusion matrix in a report of ``evaluation.json``."""
    by_label = report["by_label"]
    labels, totals = [each["label"] for each in by_label], [each["rows"] for each in by_label]
    if "confusion_matrix_cells" in report:
        index = {label: number for number, label in enumerate(labels)}
        cells = {
            (index[cell["label"]], index[cell["predicted_label"]]): cell["rows"]
            for cell in report["confusion_matrix_cells"]
        }
        return Confusions(labels, totals, cells)
    matrix = np.array(report["confusion_matrix_rows_are_true"], np.int64)
    found = zip(*np.nonzero(matrix), strict=True)
    return Confusions(labels, totals, {(int(row), int(column)): int(matrix[row, column]) for row, column in found})
