import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from classifier.backends import Encoded
from classifier.serving import metrics
from classifier.serving.metrics import Metrics
from serving_helpers import SERVE

MANIFEST: Mapping[str, Any] = {
    "image_version": "0.1.0",
    "encoder": {"name": "tiny", "family": "bert", "pooling": "first"},
    "data": {"sha256": "abc"},
    "baseline": {
        "rows": 4,
        "labels": {"no": 0.25, "yes": 0.75},
        "top_probability": 0.9,
        "tokens": 12.5,
        "unknown_tokens": None,
    },
}
Values = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(exposition: str) -> Values:
    """Each series' value by its name, without the prefix, and its labels; proves that none is there twice."""
    samples = [sample for family in text_string_to_metric_families(exposition) for sample in family.samples]
    found = {
        (sample.name.removeprefix(metrics.PREFIX), frozenset(sample.labels.items())): sample.value for sample in samples
    }
    assert len(found) == len(samples)
    return found


def told(tested: Metrics) -> Values:
    return parsed(tested.exposition()[0].decode("utf-8"))


def value(values: Values, name: str, **labels: str) -> float | None:
    return values.get((name, frozenset(labels.items())))


def texts(*tokens: int, unknown: int = 0, counted: bool = True) -> list[Encoded]:
    return [Encoded(b"", tokens=count, unknown=unknown, counted=counted) for count in tokens]


def test_a_server_that_did_nothing_tells_zeros_and_no_baseline_H41() -> None:
    body, content_type = Metrics().exposition()
    assert content_type.startswith("text/plain; version=0.0.4")
    values = parsed(body.decode())
    assert set(values.values()) == {0.0}
    assert value(values, "records_total") == 0
    assert not [name for name, _ in values if "baseline" in name or "info" in name or "created" in name]


def test_what_the_server_does_is_counted_H41() -> None:
    tested = Metrics()
    tested.request(200, 0.02)
    tested.request(200, 0.2)
    tested.request(503, 0.0)
    tested.queued(0.5)
    tested.batch(rows=3, tokens=40, seconds=0.25)
    tested.bad(2)
    tested.depth(4)
    tested.depth(3)
    tested.models(1)
    tested.answered(texts(10, 20, unknown=1))
    values = told(tested)
    expected = {
        "request_seconds_count": 3,
        "request_seconds_sum": 0.22,
        "queue_seconds_sum": 0.5,
        "batch_rows_sum": 3,
        "batch_tokens_sum": 40,
        "batch_seconds_sum": 0.25,
        "bad_records_total": 2,
        "queue_depth": 3,
        "models_loaded": 1,
        "records_total": 2,
        "tokens_total": 30,
        "unknown_tokens_total": 2,
    }
    assert {name: value(values, name) for name in expected} == pytest.approx(expected)
    assert value(values, "requests_total", status="200") == 2
    assert value(values, "requests_total", status="503") == 1
    assert value(values, "request_seconds_bucket", le="0.025") == 2


def test_answers_are_told_beside_the_baseline_they_are_held_against_H41() -> None:
    tested = Metrics()
    tested.model(MANIFEST)
    assert value(told(tested), "predicted_labels_total", label="yes") == 0
    probabilities = np.array([[0.25, 0.75], [0.125, 0.875], [1.0000001, 0]], np.float32)
    tested.predicted(("no", "yes"), probabilities, texts(4, 8, 9))
    values = told(tested)
    assert value(values, "predicted_labels_total", label="yes") == 2
    assert value(values, "predicted_labels_total", label="no") == 1
    assert value(values, "top_probability_sum") == pytest.approx(2.625)
    assert value(values, "top_probability_bucket", le="0.8") == 1
    assert value(values, "top_probability_bucket", le="1.0") == 3
    assert value(values, "record_tokens_sum") == 21
    assert value(values, "record_tokens_bucket", le="8.0") == 2
    assert value(values, "baseline_label_share", label="yes") == 0.75
    assert value(values, "baseline_top_probability") == 0.9
    assert value(values, "baseline_record_tokens") == 12.5
    assert value(values, "baseline_unknown_token_share") is None
    info = {"encoder": "tiny", "family": "bert", "image_version": "0.1.0", "data_sha256": "abc"}
    assert value(values, "model_info", **info) == 1


@pytest.mark.parametrize("manifest", [{}, {"baseline": None, "encoder": None}, {"baseline": {"labels": None}}])
def test_a_model_of_another_program_has_no_baseline_H41(manifest: Mapping[str, Any]) -> None:
    tested = Metrics()
    tested.model(manifest)
    values = told(tested)
    assert value(values, "model_info", encoder="", family="", image_version="", data_sha256="") == 1
    assert not [name for name, _ in values if "baseline" in name]


def test_estimated_tokens_are_not_counted_H41() -> None:
    tested = Metrics()
    encoded = texts(100, counted=False)
    tested.answered(encoded)
    tested.predicted((0, 1), np.array([[0.5, 0.5]]), encoded)
    values = told(tested)
    assert value(values, "records_total") == 1
    assert value(values, "tokens_total") == 0
    assert value(values, "record_tokens_count") == 0
    assert value(values, "top_probability_count") == 1


def test_any_label_can_be_told_H41() -> None:
    labels = (7, -1, "", ' "a"\\', "two\nlines", "価格", "\r\u2028", "\ud800", "x" * 1000)
    tested = Metrics()
    tested.predicted(labels, np.eye(len(labels)), texts(*range(len(labels))))
    tested.model({"baseline": {"labels": {"\ud800": 1.0}}, "encoder": {"name": "\udfff"}})
    values = told(tested)
    for label in labels:
        written = "?" if label == "\ud800" else str(label)
        assert value(values, "predicted_labels_total", label=written) == 1
    assert value(values, "baseline_label_share", label="?") == 1


def test_nothing_answered_counts_nothing_H41() -> None:
    tested = Metrics()
    tested.answered([])
    tested.predicted(("a", "b"), np.empty((0, 2), np.float32), [])
    assert set(told(tested).values()) == {0.0}


def count_a_chunk(tested: Metrics, labels: Sequence[int], probabilities: Any, encoded: Sequence[Encoded]) -> None:
    tested.answered(encoded)
    tested.predicted(labels, probabilities, encoded)


def test_every_record_of_a_chunk_is_in_its_bucket() -> None:
    tested, labels, encoded = Metrics(), range(2), texts(1, 2, 3, 4)
    probabilities = np.array([[0.1, 0.9], [0.5, 0.5], [1.0000001, 0.0], [0.25, 0.75]], np.float32)
    count_a_chunk(tested, labels, probabilities, encoded)
    values = told(tested)
    for bound, count in (("0.4", 0), ("0.5", 1), ("0.8", 2), ("0.9", 3), ("1.0", 4), ("+Inf", 4)):
        assert value(values, "top_probability_bucket", le=bound) == count
    for bound, count in (("1.0", 1), ("2.0", 2), ("4.0", 4), ("+Inf", 4)):
        assert value(values, "record_tokens_bucket", le=bound) == count


def test_no_count_is_lost_among_threads_H41() -> None:
    tested, labels, encoded = Metrics(), range(3), texts(5, 7, unknown=1)

    def work(_: int) -> None:
        for _ in range(300):
            tested.request(200, 0.1)
            tested.batch(2, 12, 0.1)
            count_a_chunk(tested, labels, np.array([[0, 1, 0], [0, 0, 1]]), encoded)
            tested.depth(1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
        tested.exposition()
    values = told(tested)
    assert value(values, "requests_total", status="200") == 2400
    assert value(values, "request_seconds_count") == 2400
    assert value(values, "batch_tokens_sum") == 28800
    assert value(values, "tokens_total") == 28800
    assert value(values, "unknown_tokens_total") == 4800
    assert value(values, "predicted_labels_total", label="1") == 2400
    assert value(values, "record_tokens_bucket", le="8.0") == 4800


WORKER = """
import json, os, sys
import numpy as np
from classifier.backends import Encoded
from classifier.serving import metrics
tested = metrics.Metrics(shared=True)
tested.model(json.loads(sys.argv[1]))
tested.models(1)
tested.depth(3)
tested.request(200, 0.5)
prepared = [Encoded(b"", tokens=8, unknown=1)]
tested.answered(prepared)
tested.predicted(("no", "\\ud800"), np.array([[0.25, 0.75]]), prepared)
if len(sys.argv) == 2:
    print(os.getpid())
else:
    print(tested.exposition()[0].decode())
    print("=")
    metrics.forget_process(int(sys.argv[2]))
    print(tested.exposition()[0].decode())
"""


def test_one_worker_tells_what_all_did_and_an_ended_one_leaves_the_gauges_H41(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SERVE.parent), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def work(*arguments: str) -> str:
        command = [sys.executable, "-W", "error", "-c", WORKER, json.dumps(MANIFEST), *arguments]
        return subprocess.run(command, check=True, env=environ, stdout=subprocess.PIPE, text=True, timeout=60).stdout

    pid = work().strip()
    both, one = (parsed(text) for text in work(pid).split("\n=\n"))
    for values in (both, one):
        assert value(values, "requests_total", status="200") == 2
        assert value(values, "request_seconds_bucket", le="0.5") == 2
        assert value(values, "top_probability_sum") == 1.5
        assert value(values, "record_tokens_count") == 2
        assert value(values, "predicted_labels_total", label="?") == 2
        assert value(values, "predicted_labels_total", label="yes") == 0
        assert value(values, "baseline_label_share", label="yes") == 0.75
        assert value(values, "baseline_unknown_token_share") is None
    assert (value(both, "queue_depth"), value(both, "models_loaded")) == (6, 2)
    assert (value(one, "queue_depth"), value(one, "models_loaded")) == (3, 1)


def test_sharing_without_a_folder_is_refused() -> None:
    with pytest.raises(RuntimeError, match="PROMETHEUS_MULTIPROC_DIR"):
        Metrics(shared=True)
    metrics.forget_process(1)  # nothing to forget


def test_the_table_names_every_metric() -> None:
    table = metrics.metric_table()
    tested = Metrics()
    tested.request(200, 1)
    tested.model({**MANIFEST, "baseline": {**MANIFEST["baseline"], "unknown_tokens": 0.5}})
    for line in tested.exposition()[0].decode().splitlines():
        if line.startswith("# TYPE"):
            _, _, name, kind = line.split()
            assert f"| `{name}` | {kind} |" in table
    assert len(table.splitlines()) == 2 + len(metrics.COUNTERS) + len(metrics.HISTOGRAMS) + len(metrics.GAUGES)
