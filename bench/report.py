"""Write what was measured into docs/benchmarks.md: `python bench/report.py`. What has no results stays as it is."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import growth_tables
import tables
import targets
from images import servers as image_servers
from kit import PEERS, ROOT, WORK, Record, newest
from make_docs import replaced
from servers import contenders
from soak_report import say

PAGE = ROOT / "docs" / "benchmarks.md"
TRAINING_TITLES = {
    "trainer": "transformers' Trainer, whole network",
    "ours-whole": "ours, whole network",
    "trainer-frozen": "Trainer, frozen encoder, 2,000 rows, 10 epochs",
    "ours-head-few": "ours, top layer, 2,000 rows, 10 epochs",
    "logistic": "logistic regression on the encoder's vectors",
    "ours-head": "ours, top layer",
    "ours-head-1": "ours, top layer, 1 epoch",
    "ours-head-10": "ours, top layer, 10 epochs",
}
SETUP_WORDS = {
    "seconds": "loads of {} s",
    "epochs": "{} epochs",
    "rows": "the first {:,} rows only, to try",
    "shrink": "{} times fewer rows, to try",
}
TARGETS = "| what | to be | is (least and most of the rounds) | |\n|---|---|---|---|\n"


def main() -> int:
    """Write the tables, and draw the plots."""
    parts: dict[str, str] = {}
    for name, write in WRITERS.items():
        records = newest(WORK / f"{name}.jsonl")
        if records:
            parts[f"{name}{_of_gpus(records)}"] = _header(records) + write(records)
            say(f"{name}: {tables.rounds(records)} rounds")
    if not parts:
        raise SystemExit(
            "there are no results in build/bench: run bench/serving.py, bench/training.py, bench/growth.py"
        )
    PAGE.write_text(replaced(PAGE, parts), encoding="utf-8")
    sys.stdout.write("\n\n".join(parts.values()) + "\n")
    return 0


def _of_gpus(records: Sequence[Record]) -> str:
    """Return what is added to the names of parts and plots of a machine with a GPU."""
    return "-gpu" if tables.setup(records)["gpu"] else ""


def _header(records: Sequence[Record]) -> str:
    """Say what was measured with."""
    setup = tables.setup(records)
    words = [said.format(setup[name]) for name, said in SETUP_WORDS.items() if setup.get(name) not in (None, 1)]
    count = tables.rounds(records)
    return "; ".join([setup["machine"], f"{count} round{'s' if count > 1 else ''}", *words]) + ".\n\n"


def serving(records: Sequence[Record]) -> str:
    """Return the part on serving."""
    titles = {name: server.title for name, server in contenders().items()}
    lines = targets.table(records, targets.SERVING)
    return TARGETS + "\n".join([*lines, "", tables.serving_table(records, titles), "", tables.bare_table(records)])


def images(records: Sequence[Record]) -> str:
    """Return the part on serving images."""
    titles = {name: server.title for name, server in image_servers().items()}
    lines = targets.table(records, targets.IMAGES)
    return TARGETS + "\n".join([*lines, "", tables.serving_table(records, titles)])


def training(records: Sequence[Record]) -> str:
    """Return the part on training."""
    lines = targets.table(records, targets.TRAINING)
    return TARGETS + "\n".join([*lines, "", tables.training_table(records, TRAINING_TITLES)])


def growth(records: Sequence[Record]) -> str:
    """Return the part on growth, and draw its plots."""
    curves = growth_tables.curves(records)
    prefix = f"growth{_of_gpus(records)}"
    draw(curves, PAGE.parent / prefix)
    plots = dict.fromkeys(curve.plot for curve in curves)
    images = [f"![Seconds of training against {growth_tables.PLOTS[plot]}]({prefix}-{plot}.svg)" for plot in plots]
    parts = [growth_tables.cost_table, growth_tables.memory_table, growth_tables.latency_table]
    written = [part(records) for part in parts]
    return TARGETS + "\n\n".join(["\n".join(growth_tables.targets_table(records)), *written, *images])


def draw(curves: Sequence[growth_tables.Curve], prefix: Path) -> None:
    """Draw the curves, in the environment that can, in files whose names begin so."""
    found = [
        {
            "plot": curve.plot,
            "axis": growth_tables.PLOTS[curve.plot],
            "label": growth_tables.SERIES[curve.series],
            "exponent": curve.exponent,
            "points": [point for point in curve.net.items() if point[1] > 0],
        }
        for curve in curves
        if curve.exponent is not None
    ]
    command = [str(PEERS), str(ROOT / "bench" / "plots.py"), str(prefix)]
    subprocess.run(command, input=json.dumps(found), text=True, check=True)


WRITERS: Mapping[str, Callable[[Sequence[Record]], str]] = {
    "serving": serving, "images": images, "training": training, "growth": growth
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
