"""Storage for vectors: memory, or a file where there are many."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from classifier.training import evaluate, feature_cache
from classifier.training.loop.batches import Inputs


def test_few_vectors_are_kept_in_memory(tmp_path: Path) -> None:
    assert not isinstance(feature_cache.in_memory_or(tmp_path)(10, 4), np.memmap)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "LARGEST_IN_MEMORY", 1000)


@pytest.mark.usefixtures("many")
def test_many_vectors_are_kept_in_a_file_and_are_the_same_as_in_memory(tmp_path: Path) -> None:
    inputs = Inputs([np.full(1 + index % 7, index + 1, np.int32) for index in range(300)])

    def encode(rows: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> "Output":
        return Output(np.stack([rows[:, 0], -rows[:, 0]], axis=1).astype(np.float32))

    kept = evaluate.compute(encode, inputs, allocate=feature_cache.in_memory_or(tmp_path))
    assert isinstance(kept, np.memmap)
    assert (kept == evaluate.compute(encode, inputs)).all()
    taken = Inputs(kept).take(np.array([7, 3]))
    assert not isinstance(taken, np.memmap)
    assert taken.tolist() == [[8.0, -8.0], [4.0, -4.0]]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("many")
def test_vectors_stay_in_memory_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert not isinstance(feature_cache.in_memory_or(tmp_path)(1000, 4), np.memmap)
    assert "kept in memory: No space left on device" in caplog.text


class Output:
    """An array with the one method of a tensor that is used."""

    def __init__(self, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
        self.values = values

    def numpy(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return self.values
