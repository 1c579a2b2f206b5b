"""How cost grows, as tables: medians of rounds, what starting costs taken off, and the exponent of a power law."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median

from kit import Record
from tables import MEGABYTE, shown
from targets import NONE, good

PLOTS = {
    "rows": "rows of training data",
    "tokens": "tokens of each text",
    "classes": "classes",
    "epochs": "epochs",
}
SERIES = {"head": "top layer", "whole": "whole network"}
MOST_EXPONENT = 1.05
MOST_LATENCY = 1.2


@dataclass(frozen=True)
class Curve:
    """How a job's cost grows with something.

    Attributes:
        plot: What grows.
        series: What is trained.
        seconds: Of the whole job, by how much there is of what grows.
        start_seconds: Of a job of 64 rows.
    """

    plot: str
    series: str
    seconds: Mapping[int, float]
    start_seconds: float

    @property
    def net(self) -> dict[int, float]:
        """The seconds without those of starting and ending."""
        return {grown: seconds - self.start_seconds for grown, seconds in self.seconds.items()}

    @property
    def exponent(self) -> float | None:
        """The exponent of the power law that is nearest to the net seconds; None where there is none."""
        return exponent(self.net)

    @property
    def last_exponent(self) -> float | None:
        """The same between the two largest alone, whose seconds hang least on chance."""
        return exponent(dict(sorted(self.net.items())[-2:]))


def exponent(costs: Mapping[int, float]) -> float | None:
    """Return the slope of a straight line through the logarithms, by least squares; None of fewer than two costs."""
    points = [(math.log(grown), math.log(cost)) for grown, cost in costs.items() if cost > 0]
    if len(points) < 2:
        return None
    return linear_regression(*zip(*points, strict=True)).slope


def curves(records: Sequence[Record]) -> list[Curve]:
    """Return the curves that there are at least two points of."""
    found = []
    for plot in PLOTS:
        for series in SERIES:
            seconds = _by_growth(records, plot, series, "seconds")
            start = _by_growth(records, "start", series, "seconds").get(0)
            if start is not None and len(seconds) > 1:
                found.append(Curve(plot, series, seconds, start))
    return found


def _by_growth(records: Sequence[Record], plot: str, series: str, name: str) -> dict[int, float]:
    """Return the medians of a figure, by how much there is of what grows."""
    values: dict[int, list[float]] = {}
    for record in records:
        if good(record) and (record["plot"], record["series"]) == (plot, series):
            values.setdefault(record["grown"], []).append(record[name])
    return {grown: median(some) for grown, some in sorted(values.items())}


def cost_table(records: Sequence[Record]) -> str:
    """Return the table of all curves."""
    columns = ("what grows", "trained", "seconds of the job", "without starting", "exponent", "between the last two")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for curve in curves(records):
        seconds, net = (
            "; ".join(f"{grown:,}: {cost:.1f}" for grown, cost in costs.items()) for costs in (curve.seconds, curve.net)
        )
        exponents = f"{shown(curve.exponent, 2)} | {shown(curve.last_exponent, 2)}"
        lines.append(f"| {PLOTS[curve.plot]} | {SERIES[curve.series]} | {seconds} | {net} | {exponents} |")
    return "\n".join(lines)


def memory_table(records: Sequence[Record]) -> str:
    """Return the table of training's memory against rows."""
    lines = ["| trained | rows | data MB | most memory MB |", "|---|---|---|---|"]
    for series, words in SERIES.items():
        data = _by_growth(records, "rows", series, "data_bytes")
        for rows, memory in _by_growth(records, "rows", series, "memory_bytes").items():
            lines.append(f"| {words} | {rows:,} | {data[rows] / MEGABYTE:.1f} | {memory / MEGABYTE:,.0f} |")
    return "\n".join(lines)


def latency_table(records: Sequence[Record]) -> str:
    """Return the table of serving's latency against classes."""
    lines = ["| classes | p50 ms, 1 connection | p99 ms |", "|---|---|---|"]
    for classes, (p50, p99) in latencies(records).items():
        lines.append(f"| {classes:,} | {p50:.2f} | {p99:.2f} |")
    return "\n".join(lines)


def latencies(records: Sequence[Record]) -> dict[int, tuple[float, float]]:
    """Return the medians of p50 and p99, in milliseconds, by classes."""
    served = [record for record in records if good(record) and "serving" in record]
    names = ("p50_ms", "p99_ms")
    flat = [{**record, **{name: record["serving"][name] for name in names}, "plot": "served"} for record in served]
    p50, p99 = (_by_growth(flat, "served", "head", name) for name in names)
    return {classes: (p50[classes], p99[classes]) for classes in p50}


def targets_table(records: Sequence[Record]) -> list[str]:
    """Return the lines of the table of targets."""
    lines = []
    for curve in curves(records):
        if curve.plot == "rows":
            found = curve.exponent
            verdict = NONE if found is None else _verdict(reached=found <= MOST_EXPONENT)
            what = f"exponent of seconds in rows, {SERIES[curve.series]}"
            lines.append(f"| {what} | ≤ {MOST_EXPONENT:.2f} | {shown(found, 2)} | {verdict} |")
    served = latencies(records)
    if len(served) > 1:
        fewest, most = served[min(served)][0], served[max(served)][0]
        what = f"p50 with {max(served):,} classes ÷ with {min(served)}"
        verdict = _verdict(reached=most / fewest <= MOST_LATENCY)
        lines.append(f"| {what} | ≤ {MOST_LATENCY:.2f} | {most / fewest:.2f} | {verdict} |")
    return lines


def _verdict(*, reached: bool) -> str:
    return "reached" if reached else "**not reached**"
