"""One training step on this machine: `python bench/training_step.py --help`. Results go to build/bench/.

What it takes on a batch that is at hand and on one that the job's own pipeline hands over, and in which numbers the
processor computes it fastest. What is compared takes turns, and a ratio is the median of the turns' ratios, so that
what else the machine does meanwhile falls on all alike.
"""

import argparse
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import machine
from kit import ENCODER, ROOT, WORK, Record, add
from soak_report import say

sys.path.insert(0, str(ROOT / "container"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf

from classifier.encoders import bert
from classifier.hyperparameters import Hyperparameters
from classifier.training import hardware
from classifier.training.cluster import Cluster
from classifier.training.hardware import Precision
from classifier.training.loop import batches, fit, optimizers, step
from classifier.training.loop.batches import Inputs, Rows
from classifier.training.model import Network, assemble, build_head

RESULTS = WORK / "training_step.jsonl"
BATCH = 32
BATCHES = 20  # that the pipeline hands over, again and again
LENGTHS = (16, 24, 32, 48, 64)
FIRST_TOKEN = 1000  # before it come those that are no words
CLUSTER = Cluster(tf.distribute.get_strategy())

Turn = Callable[[], Any]


@dataclass(frozen=True)
class Numbers:
    """How a step is computed.

    Attributes:
        precision: ``float32`` or ``bfloat16``.
        xla: Whether XLA compiles it.
    """

    precision: str
    xla: bool = False

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f"{self.precision}-xla" if self.xla else self.precision


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a line a comparison."""
    options = _options(arguments)
    kinds = [Numbers("float32"), Numbers("bfloat16"), *([Numbers("float32", xla=True)] if options.xla else [])]
    setup = {**machine.setup(), "batch": BATCH, "turns": options.turns}
    for what, record in itertools.chain(
        pipeline(options.lengths, options.turns), vectors(options.turns), numbers(kinds, options.lengths, options.turns)
    ):
        add(RESULTS, {"setup": setup, "what": what, **record})
        times = ", ".join(f"{name} {value:.1f} ms" for name, value in record["milliseconds"].items())
        ratios = ", ".join(f"{name} {value:.3f}" for name, value in record["ratios"].items())
        sys.stdout.write(f"{what}, {record['of']}: {times}; {ratios}\n")
        sys.stdout.flush()
    return 0


def pipeline(lengths: Sequence[int], turns: int) -> Iterator[tuple[str, Record]]:
    """Compare a step of the whole network on a batch at hand with one on the pipeline's next."""
    take = stepper(Numbers("float32"))
    for length in lengths:
        yield "pipeline", {"of": f"{length} tokens", **fed_and_fixed(take, of_tokens(length), turns)}


def vectors(turns: int) -> Iterator[tuple[str, Record]]:
    """Compare a step of the top layer alone in the same way."""
    network = _network("float32")
    width = int(network.head.layers[-1].kernel.shape[0])
    count = BATCH * BATCHES
    inputs = Inputs(np.random.default_rng(0).standard_normal((count, width)).astype(np.float32))
    take = _stepper(network.head, inputs.signature, Numbers("float32"))
    yield "pipeline", {"of": "kept vectors", **fed_and_fixed(take, _rows(inputs), 10 * turns)}


def fed_and_fixed(take: Callable[[Any], Any], rows: Rows, turns: int) -> Record:
    """Return what steps took, and the ratio, on one batch and on those that the training loop is fed with."""
    order = (batch for epoch in itertools.count() for batch in batches.shuffled(rows.inputs, BATCH, [epoch]))
    _, elements = fit.fed(rows, order, CLUSTER)
    fixed = next(elements)
    return compared({"fixed": lambda: take(fixed), "fed": lambda: take(next(elements))}, turns)


def numbers(kinds: Sequence[Numbers], lengths: Sequence[int], turns: int) -> Iterator[tuple[str, Record]]:
    """Compare steps of the whole network in several kinds of numbers."""
    steppers = {kind.name: stepper(kind) for kind in kinds}
    for length in lengths:
        rows = of_tokens(length)
        batch = next(batches.one_by_one(rows, iter([np.arange(BATCH)])))
        say(f"{length} tokens: making the kernels")
        yield (
            "numbers",
            {
                "of": f"{length} tokens",
                **compared({name: _on(take, batch) for name, take in steppers.items()}, turns),
            },
        )


def compared(contenders: Mapping[str, Turn], turns: int) -> Record:
    """Let contenders take turns; return each one's median, and its ratio to the first one's in the same turn."""
    for contender in contenders.values():
        contender()
        contender()
    taken = [{name: _seconds(contender) for name, contender in contenders.items()} for _ in range(turns)]
    first, *others = contenders
    return {
        "milliseconds": {name: 1000 * statistics.median(turn[name] for turn in taken) for name in contenders},
        "ratios": {f"{name}/{first}": statistics.median(turn[name] / turn[first] for turn in taken) for name in others},
    }


def _seconds(contender: Turn) -> float:
    started = time.monotonic()
    contender()
    return time.monotonic() - started


def _on(take: Callable[[Any], Any], batch: Any) -> Turn:
    return lambda: take(batch)


def of_tokens(length: int) -> Rows:
    """Return rows of so many tokens each, drawn at random."""
    drawn = np.random.default_rng(length).integers(FIRST_TOKEN, 30_000, (BATCH * BATCHES, length)).astype(np.int32)
    return _rows(Inputs(list(drawn), length))


def _rows(inputs: Inputs) -> Rows:
    return Rows(inputs, np.arange(len(inputs), dtype=np.int32) % 2, np.ones(len(inputs), np.float32))


def stepper(kind: Numbers) -> Callable[[Any], Any]:
    """Make the step of a job that trains the whole of the default encoder."""
    network = _network(kind.precision)
    return _stepper(network.whole, tf.TensorSpec([None, None], tf.int32), kind)


def _network(precision: str) -> Network:
    with hardware.computing_with(Precision(precision, "compared")):
        encoder: Any = bert.load(ENCODER, "default", max(LENGTHS) * 4)
        return assemble(encoder, build_head(2, _settings()))


def _stepper(model: Any, reads: tf.TensorSpec, kind: Numbers) -> Callable[[Any], Any]:
    settings = _settings()
    rate = optimizers.choose_learning_rate(settings, transformer=True)
    optimizer = optimizers.build_optimizer(settings, rate, 10_000)
    optimizer.build(model.trainable_variables)
    spec = (reads, tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32))
    function = step.build_step(model, optimizer, step.Loss(0.0), CLUSTER, spec, jit_compile=kind.xla)
    return lambda element: function(element, tf.constant(0.0)).numpy()


def _settings() -> Hyperparameters:
    return Hyperparameters.parse({"train_only_top_layer": "False", "batch_size": str(BATCH)})


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure a training step in several ways.")
    parser.add_argument("--turns", type=int, default=15, help="of each comparison (15)")
    parser.add_argument(
        "--lengths",
        type=lambda text: [int(each) for each in text.split(",")],
        default=LENGTHS,
        help=f"tokens of a text ({','.join(map(str, LENGTHS))})",
    )
    parser.add_argument("--xla", action="store_true", help="XLA too, which compiles half a minute for each length")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
