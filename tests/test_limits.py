"""Requests are counted, and large bodies share the memory there is."""

import threading

import pytest

from classifier.errors import RequestError
from classifier.serving.limits import LARGE_BYTES, Limits


def test_a_request_beyond_the_capacity_is_refused_and_the_count_is_told() -> None:
    seen: list[int] = []
    limits = Limits(2, 10, seen.append)
    with limits.admitted(), limits.admitted(), pytest.raises(RequestError) as caught, limits.admitted():
        pass
    assert (caught.value.status, caught.value.retry_after_seconds) == (503, 1)
    assert seen == [1, 2, 1, 0]
    with limits.admitted():
        pass


def comes_in(limits: Limits, size: int) -> bool:
    """Say whether a body is read in another thread."""
    came = threading.Event()

    def come() -> None:
        with limits.memory(size) as reading, reading:
            came.set()

    threading.Thread(target=come, daemon=True).start()
    return came.wait(10)


def test_a_small_body_never_waits_for_large_ones() -> None:
    limits = Limits(9, 3 * LARGE_BYTES)
    with limits.memory(3 * LARGE_BYTES) as reading, reading:
        assert comes_in(limits, LARGE_BYTES)


def test_large_bodies_wait_until_there_is_room_and_are_read_one_at_a_time_A05() -> None:
    limits = Limits(9, 5 * LARGE_BYTES)
    came = threading.Event()

    def come(size: int) -> None:
        with limits.memory(size) as reading, reading:
            came.set()

    with limits.memory(3 * LARGE_BYTES) as reading:
        with reading:
            waiting = threading.Thread(target=come, args=(2 * LARGE_BYTES,))
            waiting.start()
            assert not came.wait(0.2), "while another is read"
        assert came.wait(10), "as soon as that is done: both fit"
        came.clear()
        large = threading.Thread(target=come, args=(3 * LARGE_BYTES,))
        large.start()
        assert not came.wait(0.2), "both do not fit"
    assert came.wait(10)
    waiting.join()
    large.join()


def test_a_body_larger_than_all_the_room_is_taken_alone() -> None:
    limits = Limits(9, LARGE_BYTES)
    assert comes_in(limits, 50 * LARGE_BYTES)
