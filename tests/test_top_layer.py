"""The solved top layer: its two sides, how they are chosen and mixed, and what it learns from."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from classifier import hashing
from classifier.encoders import ngrams
from classifier.training import logistic, top_layer
from classifier.training.logistic import Examples, Linear
from classifier.training.model import softmax
from classifier.training.top_layer import NgramSide, Records, Solution, Standardization, TopLayer, Wanted

CODES = hashing.codes(50)


def records(rows: int, seed: int, *, noise: float = 0.5, told_by: str = "both") -> Records:
    """Return rows of three labels, which the vectors, the tokens, or both tell apart."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 3, rows).astype(np.int32)
    vectors = generator.normal(size=(rows, 4)).astype(np.float32) * noise
    if told_by != "tokens":
        vectors[np.arange(rows), targets] += 1
    told = targets if told_by != "vectors" else np.zeros_like(targets)
    tokens = [np.array([1 + label, *generator.integers(10, 50, 4)], np.int32) for label in told]
    vectors = vectors * np.array([1, 10, 100, 0.1], np.float32) + 5
    return Records(vectors, ngrams.bags(tokens, CODES), targets, np.ones(rows, np.float32))


def vectors_of(rows: Records) -> NDArray[np.float32]:
    assert rows.vectors is not None
    return rows.vectors


def logits_of(layer: TopLayer, rows: Records) -> NDArray[np.float32]:
    logits = vectors_of(rows) @ layer.kernel + layer.bias if len(layer.kernel) else layer.bias
    if layer.ngrams is not None:
        of_ngrams = layer.ngrams.vocabulary.features(rows.bags) @ layer.ngrams.layer.kernel
        logits = logits + of_ngrams * (1 - layer.share)
    return np.asarray(logits, np.float32)


def accuracy(layer: TopLayer, rows: Records) -> float:
    return float((logits_of(layer, rows).argmax(axis=1) == rows.targets).mean())


def solved(rows: Records, validation: Records, **wanted: object) -> Solution:
    return top_layer.solve(rows, validation, replace(Wanted(labels=3), **wanted))  # type: ignore[arg-type]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("at_once", [logistic.LOGITS_AT_ONCE, 3 * 66])
def test_the_solution_is_that_of_scikit_learn_in_one_part_or_several(
    monkeypatch: pytest.MonkeyPatch, at_once: int, *, sparse: bool
) -> None:
    monkeypatch.setattr(logistic, "LOGITS_AT_ONCE", at_once)
    rows = records(200, 1)
    features = scipy.sparse.csr_matrix(vectors_of(rows)) if sparse else vectors_of(rows)
    features = features / 100
    found = logistic.fit(Examples(features, rows.targets, rows.weights), 10.0, Linear.zeros(4, 3))
    theirs = LogisticRegression(C=10.0, tol=1e-8, max_iter=10_000).fit(features, rows.targets)
    mine = softmax(found.logits(features))
    np.testing.assert_allclose(mine, theirs.predict_proba(features), atol=0.01)


def test_of_many_rows_and_labels_little_more_than_their_probabilities_is_in_memory() -> None:
    rows, labels = 40_000, 1000
    targets = np.arange(rows, dtype=np.int32) % labels
    examples = Examples(np.ones((rows, 1), np.float32), targets, np.ones(rows, np.float32))
    tracemalloc.start()
    logistic.fit(examples, 1.0, Linear.zeros(1, labels))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.5 * rows * labels * np.dtype(np.float32).itemsize


def test_the_solution_of_many_weights_is_almost_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    width = logistic.MANY // 3
    targets = generator.integers(0, 3, 300).astype(np.int32)
    columns = generator.integers(10, width, (300, 8))
    columns[:, 0] = targets  # which tells the labels apart
    columns[:30, 0] = generator.integers(0, 3, 30)
    cells = np.repeat(np.arange(300), 8), columns.ravel()
    features = scipy.sparse.csr_matrix((np.full(2400, 0.3, np.float32), cells), (300, width))
    found = logistic.fit(Examples(features, targets, np.ones(300, np.float32)), 10.0, Linear.zeros(width, 3))
    theirs = LogisticRegression(C=10.0, tol=1e-6).fit(features, targets)
    np.testing.assert_allclose(softmax(found.logits(features)), theirs.predict_proba(features), atol=0.05)


def test_the_weights_of_rows_count() -> None:
    rows = records(200, 2)
    features = Standardization.of(vectors_of(rows)).features(vectors_of(rows))
    weights = np.where(rows.targets == 2, 0, 1).astype(np.float32)
    found = logistic.fit(Examples(features, rows.targets, weights), 1.0, Linear.zeros(4, 3))
    assert 2 not in found.logits(features).argmax(axis=1)


def test_a_prior_keeps_the_weights_of_labels_without_rows() -> None:
    rows = records(200, 3)
    known = rows.take(np.flatnonzero(rows.targets < 2))
    prior = logistic.fit(Examples(vectors_of(rows) / 100, rows.targets, rows.weights), 1.0, Linear.zeros(4, 3))
    examples = Examples(vectors_of(known) / 100, known.targets, known.weights)
    tethered = logistic.fit(examples, 1e-3, prior, prior)
    free = logistic.fit(examples, 1e3, prior)
    assert tethered.bias[2] == pytest.approx(prior.bias[2], abs=0.2)
    assert free.bias[2] < prior.bias[2] - 1


@pytest.mark.parametrize("vectors", [True, False])
def test_a_model_that_is_trained_further_keeps_what_it_knows_of_labels_without_rows(*, vectors: bool) -> None:
    def read(rows: int, seed: int, *, labels: int = 3) -> Records:
        found = records(rows, seed, told_by="tokens")
        found = found if vectors else replace(found, vectors=None)
        return found.take(np.flatnonzero(found.targets < labels))

    validation = read(300, 7)
    prior = solved(read(300, 6), validation).layer
    further = solved(read(40, 8, labels=1), read(20, 9, labels=1), prior=prior).layer
    for label in range(3):
        of_label = validation.take(np.flatnonzero(validation.targets == label))
        assert accuracy(further, of_label) >= accuracy(prior, of_label) - 0.1 > 0.5


def test_new_n_grams_do_not_push_out_labels_that_have_no_rows() -> None:
    """A model without n-grams knows such labels by its vectors alone; n-grams, asked for, would contradict them."""
    before = solved(records(300, 40), records(200, 41), ngram_features="false").layer
    rows, validation = records(600, 42, told_by="tokens"), records(400, 43, told_by="tokens")
    for label, used in ((3, True), (2, False)):
        known, held_out = (each.take(np.flatnonzero(each.targets < label)) for each in (rows, validation))
        found = solved(known, held_out, prior=before)
        assert (found.layer.ngrams is not None) == used
        assert found.report["ngram_features"] == used


def test_one_row_trains_a_model_further() -> None:
    prior = solved(records(200, 3), records(50, 4)).layer
    found = solved(records(1, 5), records(0, 6), prior=prior).layer
    assert np.isfinite(found.kernel).all()
    assert accuracy(found, records(200, 9)) >= 0.9


def test_a_job_that_is_told_to_stop_gets_the_layer_so_far() -> None:
    rows = records(200, 4)
    features = Standardization.of(vectors_of(rows)).features(vectors_of(rows))
    examples = Examples(features, rows.targets, rows.weights)
    stopped = logistic.fit(examples, 100.0, Linear.zeros(4, 3), stopped=lambda: True)
    whole = logistic.fit(examples, 100.0, Linear.zeros(4, 3))
    assert 0 < np.abs(stopped.kernel).sum() < np.abs(whole.kernel).sum()


def test_standardization_is_folded_into_the_layer() -> None:
    rows = records(100, 5)
    scale = Standardization.of(vectors_of(rows))
    layer = Linear(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32), np.ones(3, np.float32))
    on_features = layer.logits(scale.features(vectors_of(rows)))
    np.testing.assert_allclose(scale.to_vectors(layer).logits(vectors_of(rows)), on_features, rtol=1e-3, atol=1e-3)
    back = scale.to_features(scale.to_vectors(layer))
    np.testing.assert_allclose(back.kernel, layer.kernel, rtol=1e-4)
    np.testing.assert_allclose(back.bias, layer.bias, atol=1e-3)


def test_a_vector_with_a_constant_value_is_not_scaled_to_infinity() -> None:
    rows = records(100, 6)
    vectors_of(rows)[:, 1] = 7
    found = solved(rows, records(50, 7))
    assert np.isfinite(found.layer.kernel).all()


@pytest.mark.parametrize("told_by", ["vectors", "tokens", "both"])
def test_the_side_that_tells_the_labels_apart_gets_the_larger_share(told_by: str) -> None:
    found = solved(records(300, 8, told_by=told_by), records(200, 9, told_by=told_by))
    assert accuracy(found.layer, records(500, 10, told_by=told_by)) > 0.85
    if told_by == "tokens":
        assert found.layer.share < 0.5
    if told_by == "vectors":
        assert found.layer.share > 0.5


def test_n_grams_that_do_not_help_are_left_out() -> None:
    found = solved(records(300, 11, noise=0.1, told_by="vectors"), records(200, 12, noise=0.1, told_by="vectors"))
    assert found.layer.ngrams is None
    assert found.report["ngram_features"] is False


def test_n_grams_are_used_or_not_as_asked() -> None:
    rows, validation = records(300, 13, told_by="vectors"), records(200, 14, told_by="vectors")
    assert solved(rows, validation, ngram_features="true").layer.ngrams is not None
    rows, validation = records(300, 13, told_by="tokens"), records(200, 14, told_by="tokens")
    without = solved(rows, validation, ngram_features="false")
    assert without.layer.ngrams is None
    assert without.layer.share == 1
    assert without.alone is not None  # they are the baseline all the same


def test_an_encoder_without_tokens_is_solved_on_its_vectors() -> None:
    rows, validation = (replace(records(300, seed), bags=None) for seed in (15, 16))
    found = solved(rows, validation)
    assert found.alone is None
    assert accuracy(found.layer, records(500, 17)) > 0.8


def test_an_encoder_without_vectors_is_solved_on_its_n_grams() -> None:
    rows, validation = (replace(records(300, seed), vectors=None) for seed in (18, 19))
    found = solved(rows, validation)
    assert found.layer.share == 0
    assert accuracy(found.layer, replace(records(500, 20), vectors=None)) > 0.95


def test_the_exported_layer_has_learnt_from_the_validation_rows_and_its_metrics_have_not() -> None:
    rows, validation = records(30, 21, noise=1.5), records(300, 22, noise=1.5)
    found, before = solved(rows, validation), solved(rows, validation, refit=False)
    np.testing.assert_array_equal(found.logits, before.logits)
    np.testing.assert_allclose(softmax(logits_of(before.layer, validation)), softmax(before.logits), atol=1e-3)
    assert not np.allclose(logits_of(found.layer, validation), found.logits, atol=1e-2)
    assert accuracy(found.layer, records(1000, 23, noise=1.5)) > accuracy(before.layer, records(1000, 23, noise=1.5))
    assert (found.report["refit"], before.report["refit"]) == (True, False)


def test_without_validation_rows_a_part_of_the_training_rows_chooses_and_all_are_learnt_from() -> None:
    rows = records(300, 24)
    found = solved(rows, rows.take(np.zeros(0, np.int64)))
    assert found.logits.shape == (0, 3)
    assert accuracy(found.layer, records(500, 25)) > 0.9


def test_n_grams_beside_a_trained_network_keep_its_logits_where_they_do_not_help() -> None:
    rows, validation = records(300, 26, told_by="vectors"), records(200, 27, told_by="vectors")
    perfect = np.eye(3, dtype=np.float32)[validation.targets] * 10
    found = top_layer.beside_network(rows, validation, perfect, Wanted(labels=3))
    assert found.layer.ngrams is None
    np.testing.assert_array_equal(found.logits, perfect)
    assert not found.report["refit"], "nothing learnt from the validation rows"


def test_n_grams_that_do_not_help_with_a_high_penalty_are_tried_with_lower_ones() -> None:
    rows, validation = records(300, 28, told_by="tokens"), records(200, 29, told_by="tokens")
    sure = np.eye(3, dtype=np.float32)[validation.targets] * 10  # better alone than mixed with any n-grams
    found = top_layer.beside_network(rows, validation, sure, Wanted(labels=3))
    assert found.report["ngrams_inverse_penalty"] == top_layer.OF_NGRAMS[-1]


def test_n_grams_beside_a_trained_network_correct_it_where_they_help() -> None:
    rows, validation = records(300, 28, told_by="tokens"), records(200, 29, told_by="tokens")
    weak = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    found = top_layer.beside_network(rows, validation, weak, Wanted(labels=3))
    assert found.layer.ngrams is not None
    assert (found.logits.argmax(axis=1) == validation.targets).mean() > 0.95


def test_n_grams_that_lower_the_metric_get_a_smaller_share_that_does_not() -> None:
    rows, validation = records(300, 28, told_by="tokens"), records(200, 29, told_by="tokens")
    targets = validation.targets.copy()
    targets[:20] = (targets[:20] + 1) % 3  # on which n-grams are wrong
    sure = np.eye(3, dtype=np.float32)[targets]  # a network that is always right, and never very sure
    found = top_layer.beside_network(rows, replace(validation, targets=targets), sure, Wanted(labels=3))
    assert found.report["metric_without_ngrams"] == 1.0
    assert found.report["metric_with_ngrams"] == 1.0
    assert found.report["loss_with_ngrams"] < found.report["loss_without_ngrams"]
    assert found.alone is not None
    halves = sure * 0.5 + found.alone * np.float32(0.5)
    assert (halves.argmax(axis=1) == targets).mean() < 1, "an equal share would have lowered the metric"
    assert found.layer.share > 0.5


def test_n_grams_are_carried_over_to_other_features() -> None:
    rows = records(300, 30)
    known = solved(rows, records(100, 31), ngram_features="true").layer.ngrams
    assert known is not None
    some = ngrams.Vocabulary.of(rows.take(np.arange(5)).bags, 1000)
    carried = NgramSide(some, known.on(some))
    for bucket in set(known.vocabulary.buckets) & set(some.buckets):
        here, there = (list(each.vocabulary.buckets).index(bucket) for each in (known, carried))
        contribution = known.layer.kernel[here] * known.vocabulary.weights[here]
        np.testing.assert_allclose(carried.layer.kernel[there] * some.weights[there], contribution, rtol=1e-5)
