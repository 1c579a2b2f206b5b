"""Texts that wait are joined into batches, fairly, within a budget, and each gets its own answer."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.backends import PACK_TOKENS, Encoded
from classifier.predictor import Predictor
from classifier.serving.batcher import BackendError, Batcher
from serving_helpers import wait_until


@dataclass
class Backend:
    """Answers how long a text is; waits where it is told to, and breaks at the text "break"."""

    may_go: threading.Event = field(default_factory=threading.Event)
    batches: list[list[str]] = field(default_factory=list)
    padded: bool = True

    def __post_init__(self) -> None:
        self.may_go.set()

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return [Encoded(text, len(text), padded=self.padded) for text in texts]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        self.batches.append([text.content for text in batch])
        assert self.may_go.wait(20)
        if any(text.content == "break" for text in batch):
            raise ZeroDivisionError
        return np.array([[text.tokens, 0] for text in batch], np.float32)


@dataclass
class Bench:
    """A batcher over an engine that can be held up."""

    budget: int
    at_once: int = 1
    backend: Backend = field(default_factory=Backend)
    seen: list[tuple[int, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.batcher = Batcher(self.at_once, self.budget, lambda *batch: self.seen.append(batch))
        self.predictor = self.model()
        self.pool = ThreadPoolExecutor(32)

    def model(self) -> Predictor:
        return Predictor(self.backend, ("a", "b"), {})

    def ask(self, texts: Sequence[str], predictor: Predictor | None = None) -> list[int]:
        model = predictor or self.predictor
        answers, _ = self.batcher.predict(model, model.encode(texts))
        return [int(length) for length in answers[:, 0]]

    def while_busy(self, *requests: Sequence[str]) -> list[list[int]]:
        """Ask all requests, in order, while the engine is kept from going on, then let it."""
        self.backend.may_go.clear()
        first = self.pool.submit(self.ask, ["first"])
        wait_until(lambda: bool(self.backend.batches))
        asked = []
        for number, texts in enumerate(requests, 1):
            asked.append(self.pool.submit(self.ask, texts))
            wait_until(lambda number=number: len(self.batcher._waiting) == number)  # type: ignore[misc]
        self.backend.may_go.set()
        assert first.result(20) == [5]
        return [each.result(20) for each in asked]


def test_an_idle_engine_takes_a_text_at_once() -> None:
    bench = Bench(budget=100)
    assert bench.ask(["one"]) == [3]
    assert bench.backend.batches == [["one"]]


def test_what_waits_while_the_engine_computes_is_the_next_batch() -> None:
    bench = Bench(budget=100)
    assert bench.while_busy(["a"], ["bb", "ccc"], ["dddd"]) == [[1], [2, 3], [4]]
    assert len(bench.backend.batches) == 2
    assert sorted(bench.backend.batches[1]) == ["a", "bb", "ccc", "dddd"]
    assert [batch[:2] for batch in bench.seen] == [(1, 5), (4, 10)]


def test_a_batch_costs_its_longest_text_times_its_rows_and_stays_within_the_budget() -> None:
    bench = Bench(budget=20)
    texts = ["x" * length for length in (9, 1, 4, 5, 2, 8, 3)]
    assert bench.ask(texts) == [9, 1, 4, 5, 2, 8, 3]
    costs = [max(map(len, batch)) * len(batch) for batch in bench.backend.batches]
    assert max(costs) <= 20
    assert [len(text) for batch in bench.backend.batches for text in batch] == [1, 2, 3, 4, 5, 8, 9]


def test_texts_of_like_lengths_share_a_batch_and_the_one_that_waits_longest_is_in_the_first() -> None:
    bench = Bench(budget=1000)
    lengths = (60, 10, 50, 11, 9, 55, 12)
    assert bench.while_busy(*(["x" * length] for length in lengths)) == [[length] for length in lengths]
    batches = [sorted(map(len, batch)) for batch in bench.backend.batches[1:]]
    assert batches == [[50, 55, 60], [9, 10, 11, 12]]


def test_little_of_a_batch_is_padding_whatever_the_lengths() -> None:
    bench = Bench(budget=1000)
    lengths = np.random.default_rng(0).integers(9, 120, 200).tolist()
    assert bench.ask(["x" * length for length in lengths]) == lengths
    for batch in bench.backend.batches:
        assert max(map(len, batch)) * len(batch) <= 1.3 * sum(map(len, batch))
    assert len(bench.backend.batches) < 40


def test_a_batch_of_packed_texts_costs_their_tokens_whatever_their_lengths() -> None:
    bench = Bench(budget=100, backend=Backend(padded=False))
    lengths = (60, 3, 30, 7, 50, 9)
    assert bench.while_busy(*(["x" * length] for length in lengths)) == [[length] for length in lengths]
    assert [list(map(len, batch)) for batch in bench.backend.batches[1:]] == [[60, 3, 30, 7], [50, 9]]


def test_no_budget_makes_a_pack_larger_than_is_any_faster() -> None:
    bench = Bench(budget=10_000, backend=Backend(padded=False))
    assert bench.ask(["x" * 10] * 200) == [10] * 200
    assert {sum(map(len, batch)) for batch in bench.backend.batches[:-1]} == {PACK_TOKENS // 10 * 10}


def test_a_text_over_the_budget_is_a_batch_of_its_own() -> None:
    bench = Bench(budget=4)
    assert bench.ask(["x" * 50, "y"]) == [50, 1]
    assert [len(batch) for batch in bench.backend.batches] == [1, 1]


def test_a_huge_request_does_not_starve_small_ones_nor_they_it() -> None:
    bench = Bench(budget=40)
    huge = ["x" * 10] * 1000
    small = [["y" * 10]] * 10
    answers = bench.while_busy(huge, *small)
    assert answers == [[10] * 1000] + [[10]] * 10
    early = [text for batch in bench.backend.batches[1:6] for text in batch]
    assert early.count("y" * 10) == 10, "all small requests are among the first batches"
    assert early.count("x" * 10) >= 4, "and the huge one goes on beside them"


def test_long_texts_are_not_passed_by_for_ever() -> None:
    bench = Bench(budget=20)
    answers = bench.while_busy(["x"] * 100, ["y" * 19], ["z"] * 100)
    assert answers[1] == [19]
    place = next(number for number, batch in enumerate(bench.backend.batches) if "y" * 19 in batch)
    assert place <= 3


def test_a_batch_holds_texts_of_one_model_only() -> None:
    bench = Bench(budget=100)
    other = bench.model()
    bench.backend.may_go.clear()
    first = bench.pool.submit(bench.ask, ["first"])
    wait_until(lambda: bool(bench.backend.batches))
    asked = [bench.pool.submit(bench.ask, [text], model) for text, model in (("a", bench.predictor), ("bb", other))]
    wait_until(lambda: len(bench.batcher._waiting) == 2)
    bench.backend.may_go.set()
    assert [each.result(20) for each in (first, *asked)] == [[5], [1], [2]]
    assert sorted(map(tuple, bench.backend.batches)) == [("a",), ("bb",), ("first",)]


def test_a_text_that_breaks_the_engine_fails_its_own_request_only() -> None:
    bench = Bench(budget=100)
    bench.backend.may_go.clear()
    first = bench.pool.submit(bench.ask, ["first"])
    wait_until(lambda: bool(bench.backend.batches))
    good = bench.pool.submit(bench.ask, ["good"])
    bad = bench.pool.submit(bench.ask, ["break", "and more", "x" * 90])
    wait_until(lambda: len(bench.batcher._waiting) == 2)
    bench.backend.may_go.set()
    assert good.result(20) == [4]
    with pytest.raises(BackendError, match="ZeroDivisionError"):
        bad.result(20)
    assert first.result(20) == [5]
    assert bench.batcher._waiting == []
    assert bench.ask(["still there"]) == [11]


def test_whatever_goes_wrong_beside_the_engine_the_threads_go_on() -> None:
    def observe(*_: float) -> None:
        raise OSError

    backend = Backend()
    batcher = Batcher(1, 100, observe)
    predictor = Predictor(backend, ("a", "b"), {})
    for _ in range(3):
        answers, _ = batcher.predict(predictor, predictor.encode(["abc"]))
        assert answers[0, 0] == 3


def test_an_engine_that_answers_too_little_fails_its_request_and_no_thread_H26() -> None:
    class OneRow(Backend):
        def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
            return super().run_batch(batch)[:1]

    bench = Bench(budget=100, backend=OneRow())
    for _ in range(3):
        with pytest.raises(BackendError, match="ArithmeticError"):
            bench.ask(["a", "bb"])
        assert bench.ask(["a"]) == [1]


def test_what_an_engine_says_in_its_error_is_not_kept_for_it_may_be_a_text() -> None:
    class Talkative(Backend):
        def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
            raise ValueError(f"could not read {batch[0].content}")

    bench = Bench(budget=100, backend=Talkative())
    with pytest.raises(BackendError) as caught:
        bench.ask(["my secret"])
    assert "my secret" not in str(caught.value)
    assert "ValueError" in str(caught.value)
    assert "test_batcher.py" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_no_texts_are_no_batch() -> None:
    bench = Bench(budget=10)
    assert bench.ask([]) == []
    assert bench.backend.batches == []


def test_time_in_the_queue_and_time_computed_are_told_apart() -> None:
    bench = Bench(budget=100)
    bench.backend.may_go.clear()
    first = bench.pool.submit(bench.ask, ["first"])
    wait_until(lambda: bool(bench.backend.batches))
    waiting = bench.pool.submit(lambda: bench.batcher.predict(bench.predictor, bench.predictor.encode(["a"]))[1])
    wait_until(lambda: len(bench.batcher._waiting) == 1)
    time.sleep(0.1)
    bench.backend.may_go.set()
    timing = waiting.result(20)
    assert timing.queued_seconds >= 0.1
    assert timing.computed_seconds >= 0
    assert first.result(20) == [5]


def test_64_threads_get_the_answers_of_their_own_texts_H40() -> None:
    bench = Bench(budget=64, at_once=3)
    texts = [f"{number:x}" * (1 + number % 13) for number in range(2000)]
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda text: bench.ask([text, text + "!"]), texts))
    assert answers == [[len(text), len(text) + 1] for text in texts]
    assert bench.batcher._waiting == []
