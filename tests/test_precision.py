"""Which numbers a job computes in, by what it was told, its devices and a trial; a restart keeps to them."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from classifier.backends import processor
from classifier.encoders import architectures
from classifier.encoders.resolve import EncoderFiles
from classifier.environment import Environment
from classifier.hyperparameters import Hyperparameters
from classifier.training import hardware, precision, precision_benchmark, program
from classifier.training.cluster import Cluster
from classifier.training.data import Data, Split
from classifier.training.hardware import Precision
from classifier.training.precision_benchmark import BFLOAT16, FLOAT32
from jobs import ROWS, Job, rows
from test_resume import SETTINGS, StopsWithinSecondEpoch, assert_same_outcome, checkpoints

FASTER, ALIKE = {FLOAT32: 0.02, BFLOAT16: 0.01}, {FLOAT32: 0.011, BFLOAT16: 0.01}


Tried = Callable[..., list[precision_benchmark.Workload]]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Tried:
    """Let a processor be one that has bfloat16 or not, and a trial come to something; return what is tried."""
    monkeypatch.setattr(precision, "STEPS_WORTH_A_BENCHMARK", 1)
    done: list[precision_benchmark.Workload] = []

    def let(seconds: dict[str, float], *, able: bool = True) -> list[precision_benchmark.Workload]:
        def timed(work: precision_benchmark.Workload) -> dict[str, float]:
            done.append(work)
            return seconds

        monkeypatch.setattr(precision_benchmark, "seconds", timed)
        monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: able)
        return done

    return let


def chosen(encoder: Path | None, memory: Path, family: str = "bert", **settings: str) -> Precision:
    """Choose for a hundred texts of twenty characters."""
    files = None if encoder is None else EncoderFiles("tiny", family, encoder)
    every = Split(("a film that was good",) * 100, np.zeros(100, np.int32), ("here:1",) * 100)
    none = every.take(np.arange(0))
    given = Hyperparameters.parse({"train_only_top_layer": "False", "batch_size": "10", **settings})
    cluster = Cluster(tf.distribute.get_strategy())
    return precision.choose(files, Data((0, 1), every, none, none, "digest"), given, cluster, memory)


def test_a_processor_that_computes_a_block_faster_in_bfloat16_trains_in_it(
    tried: Tried, tiny_encoder: Path, tmp_path: Path
) -> None:
    works = tried(FASTER)
    precise = chosen(tiny_encoder, tmp_path)
    assert precise == Precision("bfloat16", "benchmarked here, milliseconds per block: float32 20.0, bfloat16 10.0")
    _, shape = architectures.read(tiny_encoder)
    assert works == [precision_benchmark.Workload(shape, 10, 4)]


def test_a_gain_that_is_small_is_not_worth_the_rounding(tried: Tried, tiny_encoder: Path, tmp_path: Path) -> None:
    tried(ALIKE)
    assert chosen(tiny_encoder, tmp_path).name == "float32"


@pytest.mark.parametrize(
    ("family", "settings", "expected"),
    [
        ("hub", {"mixed_precision": "bfloat16"}, Precision("float32", "a SavedModel has dtypes of its own")),
        ("hub_image", {"mixed_precision": "bfloat16"}, Precision("float32", "a SavedModel has dtypes of its own")),
        ("bert", {"mixed_precision": "float16"}, Precision("float16", "given")),
        ("efficientnet", {"mixed_precision": "bfloat16"}, Precision("bfloat16", "given")),
        (
            "bert",
            {"train_only_top_layer": "True"},
            Precision("float32", "the encoder runs only once"),
        ),
        ("convolutional", {}, Precision("float32", "no GPU, and the network is small")),
    ],
)
def test_nothing_is_tried_where_there_is_nothing_to_choose(
    tried: Tried, tiny_encoder: Path, tmp_path: Path, family: str, settings: dict[str, str], expected: Precision
) -> None:  # fmt: skip
    works = tried(FASTER)
    assert chosen(tiny_encoder, tmp_path, family, **settings) == expected
    assert works == []
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_tried_where_the_processor_lacks_bfloat16_or_the_run_is_short(
    tried: Tried, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = tried(FASTER, able=False)
    assert chosen(tiny_encoder, tmp_path).name == "float32"
    tried(FASTER)
    monkeypatch.setattr(precision, "STEPS_WORTH_A_BENCHMARK", 21)
    assert "20 steps are too few" in chosen(tiny_encoder, tmp_path, epochs="2").reason
    assert works == []


def test_what_was_chosen_is_chosen_again_for_the_same_job_and_not_for_another(
    tried: Tried, tiny_encoder: Path, tmp_path: Path
) -> None:
    works = tried(FASTER)
    for _ in range(2):
        assert chosen(tiny_encoder, tmp_path / "checkpoints").name == "bfloat16"
        tried(ALIKE)
    assert len(works) == 1
    assert chosen(tiny_encoder, tmp_path / "checkpoints", epochs="4").name == "float32"
    tried(FASTER)
    assert chosen(tiny_encoder, tmp_path / "checkpoints", epochs="4").name == "float32"
    assert len(works) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"precision": "float8"}'])
def test_a_note_that_is_broken_is_written_anew(
    tried: Tried, tiny_encoder: Path, tmp_path: Path, content: str
) -> None:  # fmt: skip
    works = tried(FASTER)
    chosen(tiny_encoder, tmp_path)
    (note,) = tmp_path.iterdir()
    note.write_text(content, encoding="utf-8")
    assert chosen(tiny_encoder, tmp_path).name == "bfloat16"
    assert json.loads(note.read_text()) == {"precision": "bfloat16"}
    assert len(works) == 2


def test_a_job_that_goes_on_where_the_processor_lacks_bfloat16_computes_in_float32(
    tried: Tried, tiny_encoder: Path, tmp_path: Path
) -> None:
    tried(FASTER)
    assert chosen(tiny_encoder, tmp_path).name == "bfloat16"
    tried(FASTER, able=False)
    assert chosen(tiny_encoder, tmp_path).name == "float32"


def test_a_folder_that_cannot_be_written_ends_no_job(
    tried: Tried, tiny_encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tried(FASTER)
    (tmp_path / "checkpoints").write_text("a file", encoding="utf-8")
    assert chosen(tiny_encoder, tmp_path / "checkpoints").name == "bfloat16"
    assert "not stored for a restart" in caplog.text


def test_a_job_that_is_stopped_goes_on_in_the_numbers_it_began_with_C10(
    tried: Tried, shallow_encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    straight, job = (Job.create(tmp_path / name, encoder=shallow_encoder) for name in ("straight", "stopped"))
    for each in (straight, job):
        each.channel("training", rows(ROWS * 4))
        each.configure(hyperparameters=SETTINGS)
    tried(FASTER)
    straight.train()
    program.train(Environment.from_environ(job.environ), StopsWithinSecondEpoch(job))
    assert checkpoints(job)
    tried(ALIKE)
    with caplog.at_level(logging.INFO):
        job.train()
    assert "precision=bfloat16 precision_from='as when the job was first started'" in caplog.text
    assert "resumed from it" in caplog.text
    assert_same_outcome(job, straight)


def test_a_trial_computes_both_and_leaves_no_trace(tiny_encoder: Path) -> None:
    _, shape = architectures.read(tiny_encoder)
    before = tf_keras.mixed_precision.global_policy().name
    taken = precision_benchmark.seconds(precision_benchmark.Workload(shape, 4, 8))
    assert set(taken) == {"float32", "bfloat16"}
    assert min(taken.values()) > 0
    assert tf_keras.mixed_precision.global_policy().name == before


def test_a_job_with_a_trial_ends_as_one_that_was_given_the_same_numbers(
    shallow_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "STEPS_WORTH_A_BENCHMARK", 1)
    monkeypatch.setattr(precision, "SMALLEST_GAIN", 1e9)  # whatever the trial comes to, it is float32
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: True)
    jobs = [Job.create(tmp_path / name, encoder=shallow_encoder) for name in ("tried", "given")]
    for job, settings in zip(jobs, ({}, {"mixed_precision": "float32"}), strict=True):
        job.configure(hyperparameters={**SETTINGS, **settings})
        job.train()
    assert_same_outcome(*jobs)


@pytest.mark.parametrize(
    ("capabilities", "name"),
    [([(8, 6)], "bfloat16"), ([(9, 0), (7, 5)], "float16"), ([(7, 0)], "float16"), ([(6, 1), (8, 0)], "float32")],
)
def test_the_weakest_gpu_decides(capabilities: list[tuple[int, int]], name: str) -> None:
    assert hardware.by_card(capabilities).name == name
