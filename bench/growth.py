"""How cost grows, ours alone: `python bench/growth.py --help`. Results go to build/bench/growth.jsonl.

Jobs that differ in one thing: rows, tokens of a text, classes, epochs. Beside each series a job of 64 rows tells what
starting and ending costs. Of classes the models are served too. A run that was broken off goes on where it was.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import machine
import training_jobs
from kit import WORK, Record, Rows, add, of_setup, option_parser, refusals, sst2
from load import level
from servers import OURS, contenders
from soak_report import say
from start import running
from training_jobs import Job

RESULTS = WORK / "growth.jsonl"
START_ROWS = 64
ROWS_OF_A_CLASS = 5
TEXTS_SENT = 256
HEAD, WHOLE = "head", "whole"
FLOAT32 = "openvino-float32"
SETTINGS = {HEAD: {"train_only_top_layer": "True"}, WHOLE: {}}


@dataclass(frozen=True)
class Point:
    """One job.

    Attributes:
        plot: What grows: ``rows``, ``tokens``, ``classes``, ``epochs``; or ``start``, where nothing does.
        series: ``head`` trains the top layer on the frozen encoder's vectors, ``whole`` all of the network.
        rows: Rows it is given, of which it holds out a fifth.
        tokens: Tokens of each text.
        classes: Labels.
        epochs: Epochs.
        rounds: In how many rounds it takes part, where it is long.
    """

    plot: str
    series: str
    rows: int
    tokens: int = 16
    classes: int = 2
    epochs: int = 1
    rounds: int = 99

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f"{self.plot}-{self.series}-{self.grown}"

    @property
    def grown(self) -> int:
        """How much there is of what grows."""
        return 0 if self.plot == "start" else int(asdict(self)[self.plot])


POINTS = (
    Point("start", HEAD, START_ROWS),
    Point("start", WHOLE, START_ROWS),
    Point("rows", HEAD, 1_000),
    Point("rows", HEAD, 10_000),
    Point("rows", HEAD, 100_000, rounds=1),
    Point("rows", WHOLE, 1_000),
    Point("rows", WHOLE, 3_000),
    Point("rows", WHOLE, 10_000, rounds=1),
    Point("tokens", HEAD, 2_000, tokens=16),
    Point("tokens", HEAD, 2_000, tokens=64),
    Point("tokens", HEAD, 2_000, tokens=256),
    Point("classes", HEAD, 5_000, classes=2),
    Point("classes", HEAD, 5_000, classes=77),
    Point("classes", HEAD, 5_000, classes=1_000),
    Point("epochs", HEAD, 5_000, epochs=1),
    Point("epochs", HEAD, 5_000, epochs=10),
    Point("epochs", WHOLE, 500, epochs=1),
    Point("epochs", WHOLE, 500, epochs=10),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds that are not done yet."""
    options = _options(arguments)
    setup = {**machine.setup(), "seconds": options.seconds, "shrink": options.shrink}
    done = {(record["round"], record["who"]) for record in of_setup(RESULTS, setup)}
    for turn in range(1, options.rounds + 1):
        for point in POINTS:
            if turn > point.rounds or (turn, point.name) in done:
                continue
            if options.only and point.plot not in ("start", *options.only):
                continue
            record = {"setup": setup, "round": turn, "who": point.name, **asdict(point), "grown": point.grown}
            with refusals(record):
                record |= measured(shrunk(point, options.shrink), options.seconds)
            say(f"{point.name}: {record.get('refused') or record.get('seconds')}")
            add(RESULTS, record)
    return 0


def shrunk(point: Point, times: int) -> Point:
    """Return a point with so many times fewer rows, and no more classes than those have."""
    rows = max(START_ROWS, point.rows // times)
    return replace(point, rows=rows, classes=min(point.classes, rows // ROWS_OF_A_CLASS))


def measured(point: Point, seconds: int) -> Record:
    """Train, and for classes serve, and return what it took."""
    base = WORK / "growth"
    rows = made(point)
    lengths = {"max_sequence_length": str(point.tokens), "long_texts": "truncate"}
    settings = {"epochs": str(point.epochs), **lengths, **SETTINGS[point.series]}
    found = training_jobs.ours(base, Job(rows, settings=settings))
    found["data_bytes"] = (base / "input" / "data" / "training" / "data.csv").stat().st_size
    if point.plot == "classes":
        found["serving"] = served(base / "model", rows.texts[:TEXTS_SENT], seconds)
    return found


def made(point: Point) -> Rows:
    """Return rows of texts with as many tokens or more, no two alike, with labels in turn.

    Texts are put together from words of SST-2's sentences: halves of two, so that they repeat no more than people do,
    and as many of those as it takes. What is more than ``tokens`` is cut by training. Labels of two classes are those
    of the first sentence; of more classes they are the rows' numbers, which can't be learned, and cost the same.
    """
    source = sst2("train")
    chance = random.Random(f"{point.rows} {point.tokens}")  # noqa: S311  no secrets are made of it
    labels, texts = [], []
    for row in range(point.rows):
        first = chance.randrange(len(source.texts))
        words = source.texts[first].split()
        while len(words) < point.tokens:
            other = source.texts[chance.randrange(len(source.texts))].split()
            words += other[len(other) // 2 :]
        texts.append(" ".join(words[: point.tokens]))
        labels.append(source.labels[first] if point.classes == 2 else row % point.classes)
    return Rows(labels, texts)


def served(model: Path, texts: Sequence[str], seconds: int) -> Record:
    """Return what a model answers with, asked from one connection, by one engine: labels in turn can't be learned.

    What can't be learned is answered by chance, and rounding changes it: bfloat16 is then accepted for few labels only.
    """
    contender = contenders()[f"{OURS}-{FLOAT32}"]
    bodies = WORK / "growth" / "bodies"
    bodies.write_text("".join(contender.body(text) + "\n" for text in texts), encoding="utf-8")
    with running(contender, model) as started:
        level(started.server, contender, bodies, 1, seconds)
        return level(started.server, contender, bodies, 1, seconds)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = option_parser(
        "Measure how the cost of training and serving grows.", "what grows: rows,tokens,classes,epochs"
    )
    parser.add_argument("--seconds", type=int, default=4, help="of each load of a server (4)")
    parser.add_argument("--shrink", type=int, default=1, help="give jobs so many times fewer rows, to try (1)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
