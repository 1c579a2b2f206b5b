"""The benchmark of a training step: what is made of the times, and that it feeds steps as a job does."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import training_step
from classifier.training.loop.batches import Inputs


def test_a_ratio_is_of_the_same_turn_and_a_median(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 2.0, 10.0, 30.0, 1.0, 1.5])  # the middle turn was disturbed
    monkeypatch.setattr(training_step, "_seconds", lambda _: next(times))
    record = training_step.compared({"fixed": lambda: None, "fed": lambda: None}, 3)
    assert record == {"milliseconds": {"fixed": 1000, "fed": 2000}, "ratios": {"fed/fixed": 2.0}}


def test_steps_are_taken_on_one_batch_and_on_those_that_a_job_is_fed_with() -> None:
    rows = training_step._rows(Inputs(np.arange(80, dtype=np.float32).reshape(40, 2)))
    seen: list[Any] = []
    training_step.fed_and_fixed(lambda element: seen.append(element[0].numpy()), rows, 2)
    fixed, fed = [*seen[:2], *seen[4::2]], [*seen[2:4], *seen[5::2]]
    assert all((batch == fixed[0]).all() for batch in fixed)
    assert set(map(len, fed)) == {8, 32}
    assert len({batch.tobytes() for batch in fed}) == len(fed)


def test_rows_have_the_tokens_that_are_asked_for() -> None:
    rows = training_step.of_tokens(24)
    assert set(rows.inputs.lengths()) == {24}
    assert rows.inputs.take([0, 5]).min() >= training_step.FIRST_TOKEN
