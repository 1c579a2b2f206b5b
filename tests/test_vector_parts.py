"""Parts of vectors: a pass of the encoder that was interrupted goes on after them, whatever else is in the folder."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from classifier.training import evaluate, vector_parts
from classifier.training.interruption import Interruption, StoppedError
from classifier.training.loop.batches import Inputs
from classifier.training.loop.checkpoint import Checkpoint, Folder
from classifier.training.vector_parts import VectorParts

RUN = "0123456789abcdef"
ROWS = 300  # four batches and a half
INPUTS = Inputs([np.full(1 + index % 7, index + 1, np.int32) for index in range(ROWS)])


class StopsAfter(Interruption):
    """Is told to stop after so many batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def told_to_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


class Encoder:
    """Maps token ids to two numbers each, and remembers of how many rows; fails at a batch, as if it were killed."""

    def __init__(self, fails_after: int = ROWS) -> None:
        self.asked, self.left = 0, fails_after

    def __call__(self, rows: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]") -> tf.Tensor:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.asked += len(rows)
        return tf.constant(np.stack([rows[:, 0] / 3, -rows[:, 0]], axis=1).astype(np.float32))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "checkpoints", RUN)


@pytest.fixture
def parts(folder: Folder) -> VectorParts:
    return VectorParts.of(folder, "training", 0, ROWS)


@pytest.fixture
def every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a part after each batch."""
    monkeypatch.setattr(vector_parts, "SECONDS_BETWEEN_CHECKPOINTS", -1)


def stop_after(batches: int, parts: VectorParts) -> None:
    with pytest.raises(StoppedError):
        evaluate.compute(Encoder(), INPUTS, StopsAfter(batches), parts=parts)


def ranges(folder: Folder) -> list[tuple[int, int]]:
    """Return the first row of each part in the folder, and the row after its last."""
    names = sorted(path.stem.split("-") for path in folder.path.glob("vectors-*.safetensors"))
    return [(int(first), int(after)) for *_, first, after in names]


def rows_computed(parts: VectorParts) -> int:
    """Return how many rows a pass that nothing interrupts computes, once its vectors are the right ones."""
    encoder = Encoder()
    vectors = evaluate.compute(encoder, INPUTS, Interruption(), parts=parts)
    np.testing.assert_array_equal(vectors, evaluate.compute(Encoder(), INPUTS))
    return encoder.asked


def test_a_pass_that_is_stopped_goes_on_after_its_last_batch_with_the_same_vectors_C10_C12(
    folder: Folder, parts: VectorParts, caplog: pytest.LogCaptureFixture
) -> None:
    stop_after(2, parts)
    assert ranges(folder) == [(0, 128)]
    stop_after(1, parts)
    assert ranges(folder) == [(0, 128), (128, 192)]
    with caplog.at_level("INFO"):
        assert rows_computed(parts) == ROWS - 192
    assert "event=vectors rows=192 of=300 note='read from checkpoints'" in caplog.text


@pytest.mark.usefixtures("every_batch")
def test_a_pass_that_is_killed_goes_on_after_its_last_part_C10_C12(
    folder: Folder, parts: VectorParts, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"), pytest.raises(KeyboardInterrupt):
        evaluate.compute(Encoder(fails_after=2), INPUTS, parts=parts)
    assert ranges(folder) == [(0, 64), (64, 128)]
    assert f"event=vectors file=vectors-{parts.digest}-0000000064-0000000128.safetensors rows=64 mega" in caplog.text
    assert rows_computed(parts) == ROWS - 128
    assert rows_computed(parts) == 0


def test_a_pass_that_ends_within_a_minute_leaves_no_part(folder: Folder, parts: VectorParts) -> None:
    assert rows_computed(parts) == ROWS
    assert not folder.path.exists()


def test_a_longer_one_is_saved_to_its_end(folder: Folder, parts: VectorParts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_parts, "SECONDS_WORTH_A_PART", -1)
    assert rows_computed(parts) == ROWS
    assert ranges(folder) == [(0, ROWS)]
    assert rows_computed(parts) == 0


def test_a_part_is_written_before_much_memory_is_taken(
    folder: Folder, parts: VectorParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_parts, "LARGEST_PART", 64 * 2 * 4 + 1)
    rows_computed(parts)
    assert ranges(folder) == [(0, 128), (128, 256)]


def test_stopped_before_its_first_batch_it_writes_nothing(folder: Folder, parts: VectorParts) -> None:
    stop_after(0, parts)
    assert not folder.path.exists()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def change_a_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def replace_by_fewer_rows(path: Path) -> None:
    other = path.with_name(path.name.replace("-0000000064-0000000128", "-0000000256-0000000300"))
    path.write_bytes(other.read_bytes())


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "one byte changed": change_a_byte,
    "emptied": lambda path: os.truncate(path, 0),
    "of fewer rows": replace_by_fewer_rows,
}


@pytest.mark.usefixtures("every_batch")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_part_and_those_after_it_are_computed_again_C08(
    folder: Folder, parts: VectorParts, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows_computed(parts)
    name = f"vectors-{parts.digest}-0000000064-0000000128.safetensors"
    DAMAGES[damage](folder.path / name)
    removed = list(parts.read(range(ROWS + 1)))
    assert len(removed) == 1
    assert ranges(folder) == [(0, 64)]
    assert f"event=vectors file={name} note='broken (" in caplog.text
    assert rows_computed(parts) == ROWS - 64
    assert rows_computed(parts) == 0


@pytest.mark.usefixtures("every_batch")
def test_parts_after_a_gap_are_computed_again(
    folder: Folder, parts: VectorParts, caplog: pytest.LogCaptureFixture
) -> None:
    rows_computed(parts)
    (folder.path / f"vectors-{parts.digest}-0000000064-0000000128.safetensors").unlink()
    assert rows_computed(parts) == ROWS - 64
    assert "-0000000128-0000000192.safetensors note='does not go on from the parts before it; removed'" in caplog.text


def test_a_part_that_does_not_end_with_a_batch_is_not_used(folder: Folder, parts: VectorParts) -> None:
    """A later version may compute other batches, whose vectors differ in their last digits."""
    parts.save(0, [np.zeros((50, 2), np.float32)])
    assert rows_computed(parts) == ROWS
    assert ranges(folder) == []


def others(folder: Folder) -> Iterable[VectorParts]:
    yield VectorParts.of(Folder(folder.path, "f" * 16), "training", 0, ROWS)
    yield VectorParts.of(folder, "validation", 0, ROWS)
    yield VectorParts.of(folder, "training", 1, ROWS)
    yield VectorParts.of(folder, "training", 0, ROWS + 1)


def test_parts_of_another_run_split_or_host_are_left_alone_C08(folder: Folder, parts: VectorParts) -> None:
    for other in others(folder):
        stop_after(2, other)
    before = sorted(folder.path.iterdir())
    assert len(before) == 4
    assert rows_computed(parts) == ROWS
    assert sorted(folder.path.iterdir()) == before


@pytest.mark.usefixtures("every_batch")
def test_a_disk_that_fills_up_ends_no_pass_and_leaves_the_parts_before(
    folder: Folder, parts: VectorParts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written = []

    def filling(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", filling)
    assert rows_computed(parts) == ROWS
    assert [path.name for path in folder.path.iterdir()] == [
        f"vectors-{parts.digest}-0000000000-0000000064.safetensors"
    ]
    assert caplog.text.count("event=vectors note='not written: ") == 1
    assert "No space left on device; the job continues without it; give the job a larger disk" in caplog.text


def test_a_part_leaves_room_for_the_model(
    folder: Folder, parts: VectorParts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nearly_full = shutil.disk_usage("/")._replace(free=2 * 128 * 2 * 4 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: nearly_full)
    stop_after(2, parts)
    assert ranges(folder) == []
    assert "the disk is nearly full; the job continues without it" in caplog.text


def test_a_folder_that_cannot_be_written_ends_no_pass(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    stop_after(2, VectorParts.of(Folder(tmp_path / "file", RUN), "training", 0, ROWS))
    assert "the job continues without it" in caplog.text


def test_markers_and_unfinished_files_are_no_parts_C06(folder: Folder, parts: VectorParts) -> None:
    folder.path.mkdir()
    name = f"vectors-{parts.digest}-0000000000-0000000064.safetensors"
    for suffix in (".sagemaker-uploading", ".sagemaker-uploaded", ".sagemaker-ignore", ".tmp"):
        (folder.path / (name + suffix)).write_bytes(b"")
    stop_after(2, parts)
    assert not (folder.path / f"{name}.sagemaker-ignore").exists()  # a process that was killed had left it
    assert rows_computed(parts) == ROWS - 128


def test_parts_are_no_checkpoints_nor_other_data(
    folder: Folder, parts: VectorParts, caplog: pytest.LogCaptureFixture
) -> None:
    stop_after(2, parts)
    stop_after(2, next(iter(others(folder))))
    caplog.clear()
    assert folder.newest() is None
    for epoch in range(1, 6):
        folder.save(Checkpoint({"epoch": epoch, "step": 0}, {"weight.00000": np.zeros(3, np.float32)}))
    assert len(ranges(folder)) == 2
    assert "not used" not in caplog.text
    assert rows_computed(parts) == ROWS - 128
