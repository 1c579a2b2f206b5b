"""A benchmark of this processor: one transformer block, trained in float32 and in bfloat16.

The block has weights of its own, which are discarded. The job's network and its random number generators are not
affected.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from classifier.encoders.architectures import Shape
from classifier.encoders.transformer import Block
from classifier.training.hardware import Precision, computing_with

FLOAT32, BFLOAT16 = "float32", "bfloat16"
FEWEST_ROUNDS = 3
SECONDS = 1.0  # after which no further round is started
SEED = 0


@dataclass(frozen=True)
class Workload:
    """The size of the benchmark.

    Attributes:
        shape: The encoder's shape.
        rows: The number of texts in a batch.
        length: The number of tokens of each text.
    """

    shape: Shape
    rows: int
    length: int


def seconds(work: Workload) -> Mapping[str, float]:
    """Return the shortest time, in seconds, of a forward and backward pass through a block, by dtype.

    The dtypes take turns, so that other load on the machine affects both.
    """
    steps = {name: _step(name, work) for name in (FLOAT32, BFLOAT16)}
    for step in steps.values():
        step()  # warm-up: compiles the kernels
    rounds: list[dict[str, float]] = []
    while len(rounds) < FEWEST_ROUNDS or sum(map(sum, (each.values() for each in rounds))) < SECONDS:
        rounds.append({name: _timed(step) for name, step in steps.items()})
    return {name: min(each[name] for each in rounds) for name in steps}


def _timed(step: Callable[[], None]) -> float:
    started = time.monotonic()
    step()
    return time.monotonic() - started


def _step(name: str, work: Workload) -> Callable[[], None]:
    """Return a function that computes a block and its gradients in a dtype."""
    with computing_with(Precision(name, "benchmarked")):
        block = Block(work.shape, 0, SEED)
    values = np.random.default_rng(SEED).standard_normal((work.rows, work.length, work.shape.width), np.float32)
    hidden = tf.cast(values, block.compute_dtype)
    no_padding = tf.zeros([work.rows, 1, 1, work.length], block.compute_dtype)
    block(hidden, no_padding)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(hidden)
            out = block(hidden, no_padding, training=True)
        found: list[tf.Tensor] = tape.gradient(out, [hidden, *block.trainable_variables], output_gradients=hidden)
        return found

    def step() -> None:
        for gradient in gradients():
            gradient.numpy()

    return step
