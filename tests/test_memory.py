import subprocess
import sys

from classifier.serving.memory import TRIM_AFTER_BYTES, Trimmer
from serving_helpers import SERVE

MEGABYTE = 1 << 20


def test_memory_is_returned_after_a_large_request_and_not_again_within_a_second() -> None:
    trimmed: list[float] = []
    clock = [100.0]
    trimmer = Trimmer(lambda: trimmed.append(clock[0]), lambda: clock[0])
    for seconds, size in (
        (100.1, TRIM_AFTER_BYTES - 1),
        (100.2, TRIM_AFTER_BYTES),
        (101.1, TRIM_AFTER_BYTES * 9),
        (101.3, 0),
        (101.4, TRIM_AFTER_BYTES),
    ):
        clock[0] = seconds
        trimmer.after(size)
    assert trimmed == [100.2, 101.4]


def test_what_the_threads_of_large_requests_freed_goes_back_to_the_system() -> None:
    program = """
import threading
from classifier.serving.memory import resident_bytes, trim

kept, all_there = [], threading.Barrier(8)

def answer():
    held = [bytes(5_000) for _ in range(5_000)]
    all_there.wait()
    kept.append(held[-1])

threads = [threading.Thread(target=answer) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
before = resident_bytes()
trim()
print(before, resident_bytes())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env={"PYTHONPATH": str(SERVE.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    before, after = (int(size) / MEGABYTE for size in done.stdout.split())
    assert before - after > 50
