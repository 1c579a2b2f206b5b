"""The bundled data set is worth training on: varied, clearly labelled, and not to be had by counting words."""

import csv
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline

from jobs import ROOT

PATH = ROOT / "local_test" / "test_dir" / "input" / "data" / "training" / "data.csv"


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    with PATH.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))


def test_there_are_at_least_four_hundred_distinct_claims_in_five_classes(rows: list[list[str]]) -> None:
    assert {len(row) for row in rows} == {2}
    assert len({text.casefold() for _, text in rows}) == len(rows) >= 400
    counts = Counter(label for label, _ in rows)
    assert sorted(counts) == ["body", "brakes", "electrical", "fire", "no_fault_found"]
    assert min(counts.values()) >= 80


def test_counting_words_does_not_solve_it(rows: list[list[str]]) -> None:
    labels, texts = zip(*rows, strict=True)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    folds = StratifiedShuffleSplit(5, test_size=0.2, random_state=0)
    accuracy = float(np.mean(cross_val_score(model, texts, labels, cv=folds)))
    assert 0.5 < accuracy < 0.97
