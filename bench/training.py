"""Training, ours beside peers: `python bench/training.py --help`. Results go to build/bench/training.jsonl.

SST-2 with one encoder, as many epochs, batches of 32. A run that was broken off goes on where it was.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

import machine
import training_jobs
from kit import WORK, Record, Rows, add, of_setup, option_parser, refusals, sst2
from soak_report import say
from training_jobs import Job

RESULTS = WORK / "training.jsonl"
BATCH = "32"
FEW_ROWS = 2_000  # of a frozen encoder's training, for ten epochs
HEAD = {"train_only_top_layer": "True"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds that are not done yet."""
    options = _options(arguments)
    setup = {**machine.setup(), "epochs": options.epochs, "rows": options.rows}
    done = {(record["round"], record["who"]) for record in of_setup(RESULTS, setup)}
    for turn in range(1, options.rounds + 1):
        for who, measure in turns(options.epochs, options.rows).items():
            wanted = not options.only or any(who.startswith(each) for each in options.only)
            if not wanted or (turn, who) in done:
                continue
            record: Record = {"setup": setup, "round": turn, "who": who}
            with refusals(record):
                record |= measure()
            say(f"{who}: {record.get('refused') or {name: record.get(name) for name in ('seconds', 'accuracy')}}")
            add(RESULTS, record)
    return 0


def turns(epochs: int, count: int | None) -> Mapping[str, Callable[[], Record]]:
    """Return what takes a turn in each round.

    Args:
        epochs: Of the whole network, and of the top layer beside it.
        count: Of each part of the data the first so many rows are taken, or all.
    """
    training, validation, test = (sst2(part).first(count) for part in ("train", "dev", "test"))
    few = training.first(FEW_ROWS)

    def ours(name: str, rows: Rows, epochs: int, **settings: str) -> Callable[[], Record]:
        given = {"epochs": str(epochs), "batch_size": BATCH, **settings}
        job = Job(rows, test, validation, given)
        return lambda: training_jobs.ours(WORK / "training" / name, job)

    def peer(program: str, rows: Rows, *arguments: str) -> Callable[[], Record]:
        return lambda: training_jobs.peer(WORK / "training" / "peer", program, Job(rows, test), *arguments)

    whole = str(epochs)
    return {
        "trainer": peer("trainer.py", training, "--epochs", whole, "--batch", BATCH),
        "ours-whole": ours("whole", training, epochs),
        "trainer-frozen": peer("trainer.py", few, "--epochs", "10", "--batch", BATCH, "--frozen"),
        "ours-head-few": ours("head-few", few, 10, **HEAD),
        "logistic": peer("logistic.py", training, "--batch", BATCH),
        "ours-head": ours("head", training, epochs, **HEAD),
        "ours-head-1": ours("head-1", training, 1, **HEAD),
        "ours-head-10": ours("head-10", training, 10, **HEAD),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = option_parser("Measure training jobs beside each other.", "names, or their beginnings: trainer,ours-whole")
    parser.add_argument("--epochs", type=int, default=3, help="(3)")
    parser.add_argument("--rows", type=int, help="of each part of the data the first so many only, to try")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
