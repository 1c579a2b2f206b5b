"""Results as tables: medians of rounds."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from kit import Record
from targets import BARE, BATCH, NONE, WITHOUT_HTTP, Figure, at, good, most_memory, of

MEGABYTE = 2**20


def middle(records: Sequence[Record], who: str, figure: Figure) -> float | None:
    """Return the median of someone's figure over the rounds, None where there is none."""
    values = [value for record in records if record["who"] == who and good(record) if (value := figure(record))]
    return median(values) if values else None


def shown(value: float | None, digits: int = 0) -> str:
    """Return a number for a table."""
    return NONE if value is None else f"{value:,.{digits}f}"


def serving_table(records: Sequence[Record], titles: Mapping[str, str]) -> str:
    """Return the table of servers."""
    columns = (
        "server",
        "requests/s at 1, 8, 32 connections",
        "p50 ms",
        "p99 ms",
        "processor s a 1,000 requests (8)",
        "memory MB",
        "s to `/ping`",
        "s to an answer",
        "labels as PyTorch's",
        "accuracy",
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    servers = [who for who in _names(records) if not who.startswith(WITHOUT_HTTP)]
    lines += [f"| {_title(records, who, titles)} | {' | '.join(_cells(records, who))} |" for who in servers]
    return "\n".join(lines)


def _cells(records: Sequence[Record], who: str) -> list[str]:
    def levels(name: str, digits: int) -> str:
        return ", ".join(shown(middle(records, who, at(count, name)), digits) for count in (1, 8, 32))

    memory = middle(records, who, most_memory)
    return [
        levels("requests_per_second", 0),
        levels("p50_ms", 1),
        levels("p99_ms", 1),
        shown(middle(records, who, at(8, "cpu_seconds_per_1000")), 2),
        shown(memory and memory / MEGABYTE),
        *(shown(middle(records, who, of(name)), 1) for name in ("ready_seconds", "answered_seconds")),
        *(shown(middle(records, who, of(name)), 3) for name in ("labels_equal", "accuracy")),
    ]


def _title(records: Sequence[Record], who: str, titles: Mapping[str, str]) -> str:
    of_who = [record for record in records if record["who"] == who]
    refused = [record["refused"] for record in of_who if not good(record)]
    engines = sorted({record["engine"] for record in of_who if "engine" in record})
    failed = sum(load["refused"] + load["broken"] for record in of_who for load in record.get("levels", {}).values())
    notes = [f"took {', '.join(engines)}"] if engines else []
    notes += [f"{failed:,} requests failed"] if failed else []
    notes += [f"not measured: {refused[-1]}"] if len(refused) == len(of_who) else []
    return titles.get(who, who) + (f" ({'; '.join(notes)})" if notes else "")


def bare_table(records: Sequence[Record]) -> str:
    """Return the table of loops without HTTP, and of `batch`."""
    lines = ["| loop without HTTP | texts/s | labels as PyTorch's in float32 |", "|---|---|---|"]
    for who in _names(records):
        if who.startswith(WITHOUT_HTTP):
            speed, equal = (middle(records, who, of(name)) for name in ("texts_per_second", "labels_equal"))
            lines.append(
                f"| {_title(records, who, {BATCH: '`batch`', who: who.removeprefix(BARE)})} | {shown(speed)} "
                f"| {shown(equal, 4)} |"
            )
    return "\n".join(lines)


def training_table(records: Sequence[Record], titles: Mapping[str, str]) -> str:
    """Return the table of training jobs."""
    lines = ["| job | examples/s | seconds | processor s | memory MB | test accuracy |", "|---|---|---|---|---|---|"]
    for who in _names(records):
        memory = middle(records, who, of("memory_bytes"))
        cells = [
            shown(None if who.startswith("ours-head") else middle(records, who, of("examples_per_second"))),
            *(shown(middle(records, who, of(name))) for name in ("seconds", "cpu_seconds")),
            shown(memory and memory / MEGABYTE),
            shown(middle(records, who, of("accuracy")), 3),
        ]
        lines.append(f"| {_title(records, who, titles)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _names(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record["who"] for record in records))


def rounds(records: Sequence[Record]) -> int:
    """Return how many rounds there were."""
    return len({record["round"] for record in records})


def setup(records: Sequence[Record]) -> Mapping[str, Any]:
    """Return what the results were measured with."""
    found: Mapping[str, Any] = records[0]["setup"]
    return found
