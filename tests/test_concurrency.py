"""Every text gets the answer it gets alone, whatever is asked beside it: a real network behind a real server."""

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from jobs import Job
from serving_helpers import Server, serving

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")

WORDS = (
    "good",
    "bad",
    "car",
    "door",
    "light",
    "engine",
    "it",
    "is",
    "the",
    "film?",
    "價",
    "naïve",
    "broken,",
    "unheard-of",
)
TEXTS = 2000
THREADS = 64


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, shallow_encoder: Path) -> Iterator[Server]:
    job = Job.create(tmp_path_factory.mktemp("concurrency") / "ml", encoder=shallow_encoder)
    job.train()
    # In bfloat16, the rounding of an answer depends on the shape of its batch.
    with serving(job.model, {"SERVING_BATCH_TOKENS": "300", "SERVING_ENGINE": "openvino-float32"}) as running:
        yield running


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Distinct ones, of none to forty words."""
    chance = random.Random(5)  # noqa: S311
    return [f"{' '.join(chance.choices(WORDS, k=number % 41))} {number}" for number in range(TEXTS)]


def asked(server: Server, texts: Sequence[str]) -> list[list[float]]:
    """Ask one request: a text on its own, or several in JSON Lines."""
    if len(texts) == 1:
        answer = server.ask(texts[0])
        assert answer.status_code == 200, answer.text
        return [answer.json()["probabilities"]]
    body = "\n".join(json.dumps({"text": text}) for text in texts)
    answer = server.ask(body, Content_Type="application/jsonlines")
    assert answer.status_code == 200, answer.text
    return [json.loads(line)["probabilities"] for line in answer.text.split("\n")]


def requests_of(texts: Sequence[str]) -> list[list[str]]:
    """Cut the texts into requests of one text, mostly, and of up to fifty."""
    chance = random.Random(7)  # noqa: S311
    cut: list[list[str]] = []
    remaining = list(texts)
    chance.shuffle(remaining)
    while remaining:
        size = chance.choice([1, 1, 1, 1, 3, 50])
        cut.append(remaining[:size])
        remaining = remaining[size:]
    return cut


def test_sixty_four_clients_get_the_answers_that_each_text_gets_alone_H40(server: Server, texts: list[str]) -> None:
    alone = {text: asked(server, [text])[0] for text in texts}
    cut = requests_of(texts)
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda some: asked(server, some), cut))
    together = {
        text: row for some, rows in zip(cut, answers, strict=True) for text, row in zip(some, rows, strict=True)
    }
    assert set(together) == set(alone)
    difference = max(float(np.abs(np.subtract(together[text], alone[text])).max()) for text in texts)
    assert difference <= 1e-5
    metrics = requests.get(f"{server.url}/metrics", timeout=10).text
    lines = [line.rpartition(" ") for line in metrics.splitlines() if not line.startswith("#")]
    counts = {name: float(value) for name, _, value in lines}
    assert counts["classifier_records_total"] == 2 * TEXTS
    assert counts["classifier_batch_rows_sum"] == 2 * TEXTS
    assert counts["classifier_batch_rows_count"] < TEXTS + TEXTS / 3, "texts of different requests shared batches"
