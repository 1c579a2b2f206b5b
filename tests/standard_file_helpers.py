"""Predictions and facts of models that nobody trained."""

from collections.abc import Sequence

import numpy as np

from classifier.training import evaluate
from classifier.training.standard_files.facts import Facts
from classifier.training.standard_files.statistics import Predictions


def of_matrix(matrix: Sequence[Sequence[int]]) -> Predictions:
    """Return predictions whose confusion matrix it is."""
    cells = [
        (row, column) for row, line in enumerate(matrix) for column, count in enumerate(line) for _ in range(count)
    ]
    targets, predicted = np.array(cells, np.int32).T
    probabilities = np.full((len(targets), len(matrix)), 0.1, np.float32)
    probabilities[np.arange(len(targets)), predicted] = 0.9
    return Predictions(probabilities, targets)


def facts_with(labels: int) -> Facts:
    predictions = of_matrix([[int(row == column) for column in range(labels)] for row in range(labels)])
    names = [f"{'long ' * 20}{index}" for index in range(labels)]
    report = evaluate.report(*predictions, names)
    evaluation = {"epochs": [{"loss": 0.5}, {"loss": 0.25}], "best": {"loss": 0.25}, "validation": report}
    settings = {"seed": 1, "epochs": 2, "model_id": "x" * 300, "dropout": None}
    names_of_encoder = "all-minilm-l6-v2", "bert"
    return Facts("claims", "arn:aws:x", "1.0", "text", *names_of_encoder, names, 10, "ab" * 32, settings, evaluation)
