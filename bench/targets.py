"""What was to be reached: ratios of one's figures to the best of others', in the same round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from kit import Record

# Of the peer's two settings the better one counts, whatever is looked at.
FLASKS = ("flask", "flask-1-thread")
BARE = "bare-"
BATCH = "batch"
WITHOUT_HTTP = (BARE, BATCH)
LABELS_KEPT = 0.998  # as training asks of a form that rounds
NONE = "–"

Figure = Callable[[Record], float | None]


def at(connections: int, name: str) -> Figure:
    """Return what looks up a figure of the load from so many connections; of what has no HTTP texts a second."""

    def figure(record: Record) -> float | None:
        if record["who"].startswith(WITHOUT_HTTP):
            return record["texts_per_second"] if record["labels_equal"] >= LABELS_KEPT else None
        load = record["levels"][str(connections)]
        return float(load[name]) if load["requests"] else None

    return figure


def of(name: str) -> Figure:
    """Return what looks up a figure that a result has once."""
    return lambda record: record.get(name)


def most_memory(record: Record) -> float:
    """Return the most bytes that a server's processes had after a load."""
    return max(float(load["memory_bytes"]) for load in record["levels"].values())


@dataclass(frozen=True)
class Target:
    """What was to be reached: one's figure divided by the best of others', in the same round.

    Attributes:
        what: In words.
        who: Whose figure.
        others: Whose it is divided by; a name's beginning will do.
        figure: Which.
        bound: What the ratio is to be; None where it is only told.
        more_is_better: Whether it is to be that or more, or that or less.
    """

    what: str
    who: str
    others: tuple[str, ...]
    figure: Figure
    bound: float | None = None
    more_is_better: bool = False


SERVING = (
    Target(
        "requests/s, 8 connections, ÷ Flask's", "ours", FLASKS, at(8, "requests_per_second"), 4, more_is_better=True
    ),
    Target("p99, 8 connections, ÷ Flask's", "ours", FLASKS, at(8, "p99_ms"), 0.5),
    Target("p50, 1 connection, ÷ Flask's", "ours", FLASKS, at(1, "p50_ms"), 0.33),
    Target(
        "requests/s, 32 connections, ÷ the best loop without HTTP that keeps labels",
        "ours",
        (BARE,),
        at(32, "requests_per_second"),
        0.6,
        more_is_better=True,
    ),
    Target(
        "rows/s of `batch` ÷ the best loop without HTTP that keeps labels",
        BATCH,
        (BARE,),
        at(32, "requests_per_second"),
        0.9,
        more_is_better=True,
    ),
    Target("memory ÷ Flask's", "ours", FLASKS, most_memory, 0.35),
    Target("seconds to the first 200 of `/ping` ÷ Flask's", "ours", FLASKS, of("ready_seconds"), 0.3),
    Target(
        "processor seconds a request, 8 connections, ÷ Flask's", "ours", FLASKS, at(8, "cpu_seconds_per_1000"), 0.25
    ),
)
IMAGES = tuple(replace(target, bound=None) for target in SERVING if target.others == FLASKS)
TRAINING = (
    Target(
        "examples/s, whole network, ÷ Trainer's",
        "ours-whole",
        ("trainer",),
        of("examples_per_second"),
        1.5,
        more_is_better=True,
    ),
    Target("seconds, whole network, ÷ Trainer's", "ours-whole", ("trainer",), of("seconds")),
    Target(
        "Trainer's seconds with a frozen encoder, 2,000 rows, 10 epochs, ÷ ours",
        "trainer-frozen",
        ("ours-head-few",),
        of("seconds"),
        8,
        more_is_better=True,
    ),
    Target("seconds, top layer, ÷ logistic regression's", "ours-head", ("logistic",), of("seconds")),
    Target("seconds, top layer, 10 epochs ÷ 1 epoch", "ours-head-10", ("ours-head-1",), of("seconds"), 1.3),
)


def ratios(records: Sequence[Record], target: Target) -> list[float]:
    """Return the ratio of each round that has both figures."""
    found = []
    for turn in sorted({record["round"] for record in records}):
        here = {record["who"]: record for record in records if record["round"] == turn and good(record)}
        names = [name for name in here if name in target.others]
        names = names or [name for name in here if name.startswith(target.others)]
        one = target.figure(here[target.who]) if target.who in here else None
        others = [value for name in names if (value := target.figure(here[name]))]
        if one is not None and others:
            found.append(one / (max(others) if target.more_is_better else min(others)))
    return found


def good(record: Record) -> bool:
    """Say whether something was measured."""
    return "refused" not in record


def table(records: Sequence[Record], targets: Sequence[Target]) -> list[str]:
    """Return the lines of the table of targets."""
    lines = []
    for target in targets:
        found = ratios(records, target)
        lines.append(f"| {target.what} | {_bound(target)} | {spread(found)} | {verdict(found, target)} |")
    return lines


def _bound(target: Target) -> str:
    if target.bound is None:
        return NONE
    return f"{'≥' if target.more_is_better else '≤'} {target.bound:.2f}"


def verdict(found: Sequence[float], target: Target) -> str:
    """Say whether a target was reached, by the median of its rounds."""
    if not found or target.bound is None:
        return NONE
    reached = median(found) >= target.bound if target.more_is_better else median(found) <= target.bound
    return "reached" if reached else "**not reached**"


def spread(found: Sequence[float]) -> str:
    """Return a median, and the least and the most beside it where there are several."""
    if not found:
        return "not measured"
    sides = f" ({min(found):.2f} to {max(found):.2f})" if len(found) > 1 else " (one round)"
    return f"{median(found):.2f}{sides}"
