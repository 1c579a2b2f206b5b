"""The engine without TensorFlow: same answers, from any thread, and a server that never loads TensorFlow."""

import contextlib
import mmap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

from classifier import artifact, predictor
from classifier.backends import Computing, Encoded, openvino_model
from classifier.backends.choice import FLOAT32, FOLDER, TENSORFLOW, Stored
from classifier.backends.openvino_model import OpenVinoBackend
from serving_helpers import serving

WORDS = ("the film was good", "so bad", "", "a very long text " * 40, "\ud800 half a pair", "漢字 \0 é")


def load(model: Path, precision: str = "float32", at_once: int = 2) -> OpenVinoBackend:
    computing = Computing(threads=2, batches_at_once=at_once)
    texts = openvino_model.Reading(16, folds_case=False, packing=stored(model).packing)
    return openvino_model.load(model / FOLDER, precision, computing, texts)


def stored(model: Path) -> Stored:
    return Stored(model, model / artifact.SAVED_MODEL_FOLDER, artifact.load(model).manifest)


def test_many_threads_get_the_answers_that_one_gets(tiny_model: Path) -> None:
    model = predictor.load(tiny_model, Computing(FLOAT32, threads=2, batches_at_once=2))
    texts = [f"{word} {number}" for number in range(40) for word in WORDS]
    alone = [model.predict([text])[0] for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: model.predict([text])[0], texts))
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_more_threads_than_batches_at_once_wait_for_their_turn(tiny_model: Path) -> None:
    backend = load(tiny_model, at_once=1)
    batch = backend.encode(WORDS)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: backend.run_batch(batch), range(32)))
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
    assert backend.requests.qsize() == 1


def test_an_engine_that_failed_computes_the_next_batch(tiny_model: Path) -> None:
    backend = load(tiny_model, at_once=1)
    batch = backend.encode(["good"])
    expected = backend.run_batch(batch)
    outside = Encoded(np.full(4, 1 << 20, np.int32), 4)  # ids beyond the vocabulary, or a text beyond all positions
    for broken in (outside, Encoded(np.ones(1 << 14, np.int32), 1 << 14)):
        with contextlib.suppress(RuntimeError, ValueError, IndexError):
            backend.run_batch([broken])
    np.testing.assert_array_equal(backend.run_batch(batch), expected)
    assert backend.requests.qsize() == 1


def test_weights_leave_the_memory_once_they_are_laid_out_but_no_others_do(tiny_model: Path) -> None:
    weights = tiny_model / FOLDER / openvino_model.WEIGHTS
    with weights.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as others:
        assert sum(others[:: mmap.PAGESIZE]) >= 0  # now all of it is in the memory
        before = resident_bytes(weights)
        backend = load(tiny_model)
        after = resident_bytes(weights)
        assert max(before.values()) >= len(others)
        assert {address: after[address] for address in before} == before
        assert {after[address] for address in after if address not in before} == {0}
        assert backend.run_batch(backend.encode(["good"])).shape == (1, 2)


def resident_bytes(path: Path) -> dict[str, int]:
    """Return how much of a file is in this process's memory, by the addresses that it is mapped to."""
    mappings = psutil.Process().memory_maps(grouped=False)
    return {item.addr: item.rss for item in mappings if item.path == str(path.resolve())}


def test_an_answer_is_not_overwritten_by_the_next(tiny_model: Path) -> None:
    backend = load(tiny_model, at_once=1)
    first = backend.run_batch(backend.encode(["good good good"]))
    kept = first.copy()
    backend.run_batch(backend.encode(["bad bad bad"]))
    np.testing.assert_array_equal(first, kept)


def test_texts_are_counted_as_tensorflow_counts_them(tiny_model: Path) -> None:
    ours, theirs = (predictor.load(tiny_model, Computing(name)).encode(WORDS) for name in (FLOAT32, TENSORFLOW))
    for one, other in zip(ours, theirs, strict=True):
        assert (one.tokens, one.unknown, one.counted) == (other.tokens, other.unknown, other.counted)
        np.testing.assert_array_equal(one.content, other.content)


def test_a_server_with_a_faster_form_never_loads_tensorflow(tiny_model: Path) -> None:
    with serving(tiny_model) as server:
        answer = server.ask("good", **{"Content-Type": "application/x-text"})
        assert answer.status_code == 200
        maps = "".join(
            Path(f"/proc/{process.pid}/maps").read_text()
            for process in psutil.Process(server.process.pid).children(recursive=True)
            if "python" in process.name()
        )
        chosen = [event for event in server.events() if event["event"] == "engine_chosen"]
    assert "libopenvino_intel_cpu_plugin" in maps
    assert "tensorflow_cc" not in maps
    assert [event["engine"][:8] for event in chosen] == ["openvino"]


def test_a_server_runs_the_engine_it_is_told_to(tiny_model: Path) -> None:
    with serving(tiny_model, {"SERVING_ENGINE": TENSORFLOW}) as server:
        (chosen,) = [event for event in server.events() if event["event"] == "engine_chosen"]
    assert (chosen["engine"], chosen["reason"]) == (TENSORFLOW, "asked for")


def test_a_server_that_is_told_to_run_an_engine_the_model_has_not_ends_with_the_reason(
    tiny_model: Path, tmp_path: Path
) -> None:
    from shutil import copytree

    copytree(tiny_model, tmp_path / "model")
    manifest = {**artifact.load(tiny_model).manifest, "engines": {}}
    artifact.write_json(tmp_path / "model" / "manifest.json", manifest)
    with serving(tmp_path / "model", {"SERVING_ENGINE": FLOAT32}, ready=False) as server:
        assert server.process.wait(60) == 1
        refused = [event for event in server.events() if event["event"] == "model_refused"]
    assert "can be run by tensorflow" in refused[0]["reason"]
