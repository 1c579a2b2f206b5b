"""The Prometheus metrics at ``/metrics``: the server's load and errors, and the drift of its predictions.

With several worker processes prometheus-client keeps the values in files in the folder that the environment variable
PROMETHEUS_MULTIPROC_DIR names, and each process can report the values of all. The variable has to be set before this
module is imported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import prometheus_client
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess, values

from classifier.artifact import Label
from classifier.backends import Encoded

PREFIX = "classifier_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LONG_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_SHORT_SECONDS = (0.001, 0.0025, *_LONG_SECONDS[:-2])


@dataclass(frozen=True)
class CounterDefinition:
    """A metric that only increases."""

    meaning: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class HistogramDefinition:
    """A distribution of values: how many are at most each bound, how many there are, and their sum."""

    meaning: str
    bounds: tuple[float, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class GaugeDefinition:
    """A metric that may go up and down; several processes report its sum or its maximum."""

    meaning: str
    labels: tuple[str, ...] = ()
    processes: Literal["livesum", "livemax"] = "livemax"


COUNTERS: Mapping[str, CounterDefinition] = {
    "requests_total": CounterDefinition("Invocations, by the status of the response.", ("status",)),
    "records_total": CounterDefinition("Records that were answered with a prediction."),
    "bad_records_total": CounterDefinition("Records that could not be read."),
    "tokens_total": CounterDefinition("Tokens of the answered records, where the server counts them."),
    "unknown_tokens_total": CounterDefinition("Of these, tokens that are not in the vocabulary."),
    "predicted_labels_total": CounterDefinition("Answered records, by the label with the top probability.", ("label",)),
}
HISTOGRAMS: Mapping[str, HistogramDefinition] = {
    "request_seconds": HistogramDefinition("Time to answer an invocation.", _LONG_SECONDS),
    "queue_seconds": HistogramDefinition("Time that records wait for the backend.", _SHORT_SECONDS),
    "batch_seconds": HistogramDefinition("Time that the backend takes to compute a batch.", _SHORT_SECONDS),
    "batch_rows": HistogramDefinition("Records in a batch.", tuple(2**power for power in range(11))),
    "batch_tokens": HistogramDefinition("Tokens in a batch.", tuple(2**power for power in range(4, 18))),
    "top_probability": HistogramDefinition(
        "The top probability of a record; sum ÷ count is the mean.", tuple(tenth / 10 for tenth in range(1, 11))
    ),
    "record_tokens": HistogramDefinition(
        "Tokens of a record, where the server counts them; sum ÷ count is the mean.",
        tuple(2**power for power in range(13)),
    ),
}
GAUGES: Mapping[str, GaugeDefinition] = {
    "queue_depth": GaugeDefinition(
        "Invocations in flight, computed or waiting, of all processes.", processes="livesum"
    ),
    "models_loaded": GaugeDefinition("Models in memory, of all processes.", processes="livesum"),
    "model_info": GaugeDefinition(
        "Always 1; the labels describe the model, and are empty if unknown.",
        ("encoder", "family", "image_version", "data_sha256"),
    ),
    "baseline_label_share": GaugeDefinition("In training, the share of records with this predicted label.", ("label",)),
    "baseline_top_probability": GaugeDefinition("In training, the mean top probability."),
    "baseline_unknown_token_share": GaugeDefinition("In training, the share of tokens not in the vocabulary."),
    "baseline_record_tokens": GaugeDefinition("In training, the mean of a record's tokens."),
}
# The manifest's name of each number of the baseline that has no labels.
_BASELINE = {
    "baseline_top_probability": "top_probability",
    "baseline_unknown_token_share": "unknown_tokens",
    "baseline_record_tokens": "tokens",
}


class Metrics:
    """The metrics of this process, or of all worker processes; safe to call from several threads at once.

    Args:
        shared: Whether there are several worker processes.

    Raises:
        RuntimeError: It is to be shared, but prometheus-client was imported before the variable was set.
    """

    def __init__(self, shared: bool = False) -> None:
        if shared and not _kept_in_files():
            raise RuntimeError("PROMETHEUS_MULTIPROC_DIR was not set before prometheus_client was imported")
        # The creation time of each series is a second series, which the multi-process files don't keep.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._shared = shared
        self._registry = CollectorRegistry()
        self._counters = {
            name: Counter(PREFIX + name, definition.meaning, definition.labels, registry=self._registry)
            for name, definition in COUNTERS.items()
        }
        self._histograms = {
            name: Histogram(PREFIX + name, definition.meaning, registry=self._registry, buckets=definition.bounds)
            for name, definition in HISTOGRAMS.items()
        }
        # A gauge without labels reports 0 from the start, so those that may be unknown are created when they are known.
        self._gauges = {name: self._gauge(name) for name in GAUGES if name not in _BASELINE}

    def request(self, status: int, seconds: float) -> None:
        """Count an invocation, answered with an HTTP status after some seconds."""
        self._counters["requests_total"].labels(status).inc()
        self._histograms["request_seconds"].observe(seconds)

    def depth(self, requests: int) -> None:
        """Set how many invocations are inside this process."""
        self._gauges["queue_depth"].set(requests)

    def models(self, count: int) -> None:
        """Set how many models this process has in memory."""
        self._gauges["models_loaded"].set(count)

    def queued(self, seconds: float) -> None:
        """Count the time records waited for the engine."""
        self._histograms["queue_seconds"].observe(seconds)

    def batch(self, rows: int, tokens: int, seconds: float) -> None:
        """Count a batch the engine computed: its records, its tokens, estimated or counted, and its time."""
        self._histograms["batch_rows"].observe(rows)
        self._histograms["batch_tokens"].observe(tokens)
        self._histograms["batch_seconds"].observe(seconds)

    def bad(self, records: int) -> None:
        """Count records that could not be read."""
        self._counters["bad_records_total"].inc(records)

    def answered(self, encoded: Sequence[Encoded]) -> None:
        """Count records that were answered, of any model."""
        tokens = [text.tokens for text in encoded if text.counted]
        self._counters["records_total"].inc(len(encoded))
        self._counters["tokens_total"].inc(sum(tokens))
        self._counters["unknown_tokens_total"].inc(sum(text.unknown for text in encoded if text.counted))

    def predicted(
        self, labels: Sequence[Label], probabilities: NDArray[np.floating[Any]], encoded: Sequence[Encoded]
    ) -> None:
        """Count the predictions of the only model, to compare with its baseline.

        Args:
            labels: The model's labels, in the order of the probabilities.
            probabilities: The answers, float[records, labels].
            encoded: The records, in the order of the answers.
        """
        counts = np.bincount(probabilities.argmax(axis=1), minlength=len(labels))
        for index in np.flatnonzero(counts).tolist():
            self._counters["predicted_labels_total"].labels(_text(labels[index])).inc(int(counts[index]))
        # A float32 softmax may be a rounding error above 1, which is no bucket of its own.
        for probability in np.minimum(probabilities.max(axis=1), 1.0).tolist():
            self._histograms["top_probability"].observe(probability)
        for record in encoded:
            if record.counted:
                self._histograms["record_tokens"].observe(record.tokens)

    def model(self, manifest: Mapping[str, Any]) -> None:
        """Report which model this process has, and its baseline from training; called once, for its only model.

        Args:
            manifest: The model's manifest; gauges whose values it lacks are left out.
        """
        encoder, data, baseline = (_object(manifest.get(name)) for name in ("encoder", "data", "baseline"))
        info = (encoder.get("name"), encoder.get("family"), manifest.get("image_version"), data.get("sha256"))
        self._gauges["model_info"].labels(*(_text(value or "") for value in info)).set(1)
        for label, share in _numbers(baseline.get("labels")).items():
            self._gauges["baseline_label_share"].labels(_text(label)).set(share)
            self._counters["predicted_labels_total"].labels(_text(label))  # reported as 0 from the start
        known = _numbers(baseline)
        for name, key in _BASELINE.items():
            if key in known:
                self._gauge(name).set(known[key])

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics in Prometheus's text format, and its media type."""
        registry = self._registry
        if self._shared:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return prometheus_client.generate_latest(registry), CONTENT_TYPE

    def _gauge(self, name: str) -> Gauge:
        gauge = GAUGES[name]
        return Gauge(
            PREFIX + name, gauge.meaning, gauge.labels, registry=self._registry, multiprocess_mode=gauge.processes
        )


def forget_process(pid: int) -> None:
    """Remove the gauges of a worker process that has ended; its counters stay."""
    if _kept_in_files():
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def metric_table() -> str:
    """Return the documentation of all metrics, a Markdown table."""
    tables: Mapping[str, Mapping[str, CounterDefinition | HistogramDefinition | GaugeDefinition]] = {
        "counter": COUNTERS,
        "histogram": HISTOGRAMS,
        "gauge": GAUGES,
    }
    rows = [
        f"| `{PREFIX}{name}` | {kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning} |"
        for kind, table in tables.items()
        for name, metric in table.items()
    ]
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows])


def _kept_in_files() -> bool:
    return values.ValueClass is not values.MutexValue


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _numbers(value: Any) -> Mapping[str, float]:
    return {name: number for name, number in _object(value).items() if isinstance(number, int | float)}


def _text(value: object) -> str:
    """Return a label's value as valid UTF-8; lone surrogates are replaced."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
