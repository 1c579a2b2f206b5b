"""Batches hold every row once, like lengths together, and are the same for the same seed."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.training import hardware
from classifier.training.loop import batches
from classifier.training.loop.batches import Inputs, Rows


@pytest.fixture
def inputs() -> Inputs:
    generator = np.random.default_rng(5)
    return Inputs([np.full(generator.integers(2, 90), index + 1, np.int32) for index in range(1000)])


def flat(parts: list[NDArray[np.int64]]) -> list[int]:
    return sorted(int(index) for part in parts for index in part)


def test_every_row_comes_once_an_epoch(inputs: Inputs) -> None:
    assert flat(batches.shuffled(inputs, 32, [1, 0])) == list(range(1000))
    assert flat(list(batches.in_order_of_length(inputs, 32))) == list(range(1000))


@pytest.mark.parametrize(("has_gpu", "sizes"), [(False, [64, 8, 8, 1]), (True, [64, 17])])
def test_batches_of_long_rows_that_are_scored_are_smaller_and_larger_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, has_gpu: bool, sizes: list[int]
) -> None:
    monkeypatch.setattr(hardware, "has_gpu", lambda: has_gpu)
    rows = [*[np.ones(10, np.int32)] * 64, *[np.ones(256, np.int32)] * 16, np.ones(1500, np.int32)]
    assert [len(part) for part in batches.in_order_of_length(Inputs(rows), 64)] == sizes


def test_all_batches_but_one_are_full(inputs: Inputs) -> None:
    sizes = [len(part) for part in batches.shuffled(inputs, 32, [1, 0])]
    assert sorted(sizes)[1:] == [32] * 31
    assert sum(sizes) == 1000


def test_a_seed_and_an_epoch_make_one_order_and_no_two_the_same(inputs: Inputs) -> None:
    def order(seed: list[int]) -> list[int]:
        return [int(index) for part in batches.shuffled(inputs, 32, seed) for index in part]

    assert order([1, 0]) == order([1, 0])
    assert order([1, 0]) != order([1, 1])
    assert order([1, 0]) != order([2, 0])


def test_like_lengths_together_leave_little_padding(inputs: Inputs) -> None:
    lengths = inputs.lengths()

    def cost(parts: list[NDArray[np.int64]]) -> int:
        return sum(len(part) * int(lengths[part].max()) for part in parts)

    at_random = np.array_split(np.random.default_rng(1).permutation(1000), 32)
    assert cost(batches.shuffled(inputs, 32, [1, 0])) < 0.7 * cost(at_random)


def test_the_longest_rows_of_few_batches_are_not_all_in_one(inputs: Inputs) -> None:
    lengths = inputs.lengths()
    long = np.quantile(lengths, 0.9)
    assert sum(bool((lengths[part] > long).any()) for part in batches.shuffled(inputs, 100, [1, 0])) >= 4


@pytest.mark.parametrize(("multiple", "limit", "length"), [(1, 64, 11), (8, 64, 16), (8, 12, 12)])
def test_rows_are_padded_with_zeros_to_the_longest_or_to_a_multiple(multiple: int, limit: int, length: int) -> None:
    inputs = Inputs([np.array([2, 9, 3], np.int32), np.arange(1, 12, dtype=np.int32)], limit, multiple)
    taken = inputs.some(np.array([0, 1])).take([0, 1])
    assert taken.shape == (2, length)
    assert taken[0].tolist() == [2, 9, 3] + [0] * (length - 3)


def test_vectors_are_taken_as_they_are() -> None:
    vectors = Inputs(np.arange(6.0, dtype=np.float32).reshape(3, 2))
    assert vectors.take(np.array([2, 0])).tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert vectors.signature.shape.as_list() == [None, 2]


def test_a_dataset_gives_the_batches_it_was_told_to(inputs: Inputs) -> None:
    targets = np.arange(1000, dtype=np.int32)
    order = batches.shuffled(inputs, 64, [3, 1])
    dataset = batches.endless(Rows(inputs, targets, (targets / 10).astype(np.float32)), itertools.cycle(order), 1)
    for (rows, labels, weights), indices in zip(dataset, order, strict=False):
        assert labels.numpy().tolist() == indices.tolist()
        assert weights.numpy() == pytest.approx(indices / 10)
        assert (rows.numpy()[:, 0] == indices + 1).all()


@pytest.mark.parametrize("replicas", [2, 3, 5])
def test_every_row_of_a_batch_goes_to_one_replica_and_a_replica_without_rows_gets_one_that_does_not_count(
    inputs: Inputs, replicas: int
) -> None:
    rows = Rows(inputs, np.arange(1000, dtype=np.int32), np.ones(1000, np.float32))
    batch = np.array([7, 3, 900, 12])
    parts = list(batches.elements(rows, batch, replicas))
    assert len(parts) == replicas
    seen = [int(target) for _, targets, weights in parts for target in targets[weights > 0]]
    assert sorted(seen) == sorted(batch.tolist())
    assert sum(float(weights.sum()) for _, _, weights in parts) == 4
