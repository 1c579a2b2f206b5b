"""Draw how cost grows: `python bench/plots.py PREFIX`, with curves as a JSON list on the standard input.

A curve: `plot`, `axis`, `label`, `exponent`, `points` (of what grows, seconds). A file `PREFIX-PLOT.svg` for each plot.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

WIDTH, HEIGHT = 4.5, 3.2  # inches


def main() -> int:
    """Draw each plot."""
    curves = json.load(sys.stdin)
    # Text stays text, and nothing of the time or by chance is in the file: the same figures, the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9})
    for plot in dict.fromkeys(curve["plot"] for curve in curves):
        draw(Path(f"{sys.argv[1]}-{plot}.svg"), [curve for curve in curves if curve["plot"] == plot])
    return 0


def draw(path: Path, curves: Sequence[Any]) -> None:
    """Draw the curves of one plot, both axes by their logarithms: a power law is a straight line."""
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
    for curve in curves:
        grown, seconds = zip(*curve["points"], strict=True)
        axes.loglog(grown, seconds, marker="o", label=f"{curve['label']}: exponent {curve['exponent']:.2f}")
    ticks = sorted({point[0] for curve in curves for point in curve["points"]})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(curves[0]["axis"])
    axes.set_ylabel("seconds, without starting")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
