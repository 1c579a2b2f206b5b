"""A loop over an engine, tokenization and no HTTP: what a server could at best answer.

`python bench/bare.py LOOP MODEL CONVERTED TEXTS LABELS` prints a line of JSON. Batches of 32 texts sorted by length, or
packs of up to 512 tokens where the model reads packed texts; one batch at a time on all cores, and a batch a core at a
time on one core each: the faster of the two counts.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAME = "bare-"
PEER_LOOPS = ("pytorch-float32", "pytorch-bfloat16")
LOOPS = (*PEER_LOOPS, "tensorflow", "openvino-float32", "openvino-bfloat16")
TEXTS = 640
BATCH = 32
SECONDS = 2.5
LONGEST_TOKENS = 256
PACK = 512  # tokens of a batch without padding
CONTAINER = Path(__file__).resolve().parents[1] / "container"

Compute = Callable[[list[Any]], NDArray[np.int64]]


@dataclass(frozen=True)
class Engine:
    """What computes.

    Attributes:
        tokenize: Texts to whatever it computes with, one each.
        length: How many tokens one of them has.
        compute: A batch of them to the labels' indices.
        packs: Whether texts of any lengths share a batch without padding.
    """

    tokenize: Callable[[Sequence[str]], list[Any]]
    length: Callable[[Any], int]
    compute: Compute
    packs: bool = False


def main() -> int:
    """Run the loop named."""
    loop, model, converted, texts_file, labels_file = sys.argv[1:]
    texts = json.loads(Path(texts_file).read_text(encoding="utf-8"))[:TEXTS]
    reference = json.loads(Path(labels_file).read_text(encoding="utf-8"))
    names = [str(label) for label in json.loads((Path(model) / "labels_info.json").read_text())["labels"]]
    cores = len(os.sched_getaffinity(0))
    speeds: dict[int, float] = {}
    for at_once in sorted({1, cores}):
        engine = _engine(loop, Path(model), Path(converted), at_once)
        speeds[at_once], found = speed(engine, texts, at_once)
    at_once = max(speeds, key=lambda count: speeds[count])
    equal = share_equal([names[index] for index in found], reference)
    result = {"texts_per_second": speeds[at_once], "at_once": at_once, "labels_equal": equal}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def share_equal(some: Sequence[str], others: Sequence[str]) -> float:
    """Return the share of labels that are the same, of as many as there are of the first."""
    return sum(one == other for one, other in zip(some, others, strict=False)) / len(some)


def speed(engine: Engine, texts: Sequence[str], at_once: int) -> tuple[float, list[int]]:
    """Return texts a second, after a pass that does not count, and the labels' indices."""
    with ThreadPoolExecutor(at_once) as pool:
        found = _pass(engine, texts, pool)
        passes, started = 0, time.monotonic()
        while time.monotonic() - started < SECONDS:
            _pass(engine, texts, pool)
            passes += 1
        return passes * len(texts) / (time.monotonic() - started), found


def _pass(engine: Engine, texts: Sequence[str], pool: ThreadPoolExecutor) -> list[int]:
    tokens = engine.tokenize(texts)
    lengths = [engine.length(each) for each in tokens]
    batches = _packs(lengths) if engine.packs else _of_similar_lengths(lengths)
    answers = pool.map(lambda batch: engine.compute([tokens[index] for index in batch]), batches)
    found = np.empty(len(texts), np.int64)
    for batch, labels in zip(batches, answers, strict=True):
        found[batch] = labels
    indices: list[int] = found.tolist()
    return indices


def _of_similar_lengths(lengths: Sequence[int]) -> list[list[int]]:
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


def _packs(lengths: Sequence[int]) -> list[list[int]]:
    packs: list[list[int]] = []
    free = 0
    for index, length in enumerate(lengths):
        if not packs or length > free:
            packs.append([])
            free = PACK
        packs[-1].append(index)
        free -= length
    return packs


def _padded(batch: list[Any]) -> NDArray[np.int64]:
    longest = max(map(len, batch))
    return np.array([[*tokens, *[0] * (longest - len(tokens))] for tokens in batch], np.int64)


def _engine(loop: str, model: Path, converted: Path, at_once: int) -> Engine:
    kind, _, precision = loop.partition("-")
    if kind == "tensorflow":
        return _tensorflow(model)
    if kind == "openvino":
        return _openvino(model, loop, at_once)
    return Engine(_word_pieces(converted), len, _pytorch(converted, precision, at_once))


def _word_pieces(converted: Path) -> Callable[[Sequence[str]], list[Any]]:
    from tokenizers import Tokenizer  # noqa: PLC0415  no environment has all of these libraries

    tokenizer = Tokenizer.from_file(str(converted / "tokenizer.json"))
    tokenizer.enable_truncation(LONGEST_TOKENS)
    tokenizer.no_padding()
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def _pytorch(converted: Path, precision: str, at_once: int) -> Compute:
    import torch  # noqa: PLC0415

    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    from mean_pooled import MeanPooledClassifier  # noqa: PLC0415

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // at_once))
    network = MeanPooledClassifier.from_pretrained(converted).eval().to(device, getattr(torch, precision))

    def compute(batch: list[Any]) -> NDArray[np.int64]:
        ids = torch.from_numpy(_padded(batch)).to(device)
        with torch.inference_mode():
            labels: NDArray[np.int64] = network(ids, (ids != 0).long()).logits.argmax(-1).cpu().numpy()
        return labels

    return compute


def _tensorflow(model: Path) -> Engine:
    sys.path.insert(0, str(CONTAINER))
    from classifier.backends import saved_model  # noqa: PLC0415

    engine = saved_model.load(model / "1", LONGEST_TOKENS)
    return Engine(engine.encode, lambda text: text.tokens, lambda batch: engine.run_batch(batch).argmax(axis=1))


def _openvino(model: Path, loop: str, at_once: int) -> Engine:
    sys.path.insert(0, str(CONTAINER))
    from classifier import artifact  # noqa: PLC0415
    from classifier.backends import Computing  # noqa: PLC0415
    from classifier.backends.choice import BACKENDS, Stored  # noqa: PLC0415

    stored = Stored(model, model / artifact.SAVED_MODEL_FOLDER, artifact.load(model).manifest)
    computing = Computing(threads=len(os.sched_getaffinity(0)), batches_at_once=at_once)
    engine = BACKENDS[loop].load(stored, computing)

    def compute(batch: list[Any]) -> NDArray[np.int64]:
        labels: NDArray[np.int64] = engine.run_batch(batch).argmax(axis=1)
        return labels

    return Engine(engine.encode, lambda text: text.tokens, compute, packs=stored.packing is not None)


if __name__ == "__main__":
    sys.exit(main())
