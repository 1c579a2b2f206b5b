"""The dtype in which a job's network computes: given, or chosen by the GPU or by a benchmark on this processor.

Processors with bfloat16 instructions differ widely in what they gain from them, from a fifth to a factor of four, so
they are benchmarked. The result is stored beside the checkpoints: a job that is resumed must use the same dtype, even
if a second benchmark would give another result.
"""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from classifier import __version__
from classifier.backends import processor
from classifier.encoders import architectures
from classifier.encoders.architectures import Shape
from classifier.encoders.resolve import EncoderFiles
from classifier.hyperparameters import Hyperparameters
from classifier.training import hardware, precision_benchmark
from classifier.training.cluster import Cluster
from classifier.training.data import Data
from classifier.training.hardware import Precision
from classifier.training.load_encoder import FROM_SCRATCH_FAMILIES
from classifier.training.loop.checkpoint import run_digest
from classifier.training.precision_benchmark import BFLOAT16, FLOAT32, Workload

log = logging.getLogger(__name__)

SAVED_MODELS = ("hub", "hub_image")  # families
# A run in bfloat16 ends by rebuilding the network in float32 and scoring it again, which takes longer than a short run
# saves.
STEPS_WORTH_A_BENCHMARK = 200
BENCHMARKED = "bert"  # the family of encoders that are benchmarked
SMALLEST_GAIN = 1.15  # the speed-up of a block, which is most of a training step but not all of it
MOST_ROWS, MOST_TOKENS = 32, 128  # of the benchmark's batch: large enough to be compute-bound, and fast enough
CHARACTERS_PER_TOKEN = 4.5


def choose(
    files: EncoderFiles | None, rows: Data, hyperparameters: Hyperparameters, cluster: Cluster, memory: Path
) -> Precision:
    """Choose the precision of the network, the same on all hosts.

    Args:
        files: The encoder's files; None for a network that is trained from scratch.
        rows: This host's rows.
        hyperparameters: The job's hyperparameters.
        cluster: The hosts and devices.
        memory: A folder that is kept when the job is restarted, for the benchmark's result.
    """
    if files is not None and files.family in SAVED_MODELS:
        return Precision(FLOAT32, "a SavedModel has dtypes of its own")
    if hyperparameters.mixed_precision != "auto":
        return Precision(hyperparameters.mixed_precision, "given")
    capabilities = hardware.capabilities()
    if hyperparameters.solves_top_layer or (hyperparameters.train_only_top_layer and not capabilities):
        return Precision(FLOAT32, "the encoder runs only once")
    if capabilities:
        return hardware.by_card(capabilities)
    if files is None or files.family != BENCHMARKED:
        small = files is None or files.family in FROM_SCRATCH_FAMILIES
        return Precision(FLOAT32, f"no GPU, and the network is {'small' if small else 'not a transformer'}")
    chosen = asdict(_chosen_by_chief(files, rows, hyperparameters, memory)) if cluster.is_chief else {}
    return Precision(**json.loads(cluster.broadcast(json.dumps(chosen).encode())))


def _chosen_by_chief(files: EncoderFiles, rows: Data, hyperparameters: Hyperparameters, memory: Path) -> Precision:
    """Choose the precision for all hosts, on the chief."""
    steps = hyperparameters.epochs * -(-len(rows.training.records) // hyperparameters.batch_size)
    if steps < STEPS_WORTH_A_BENCHMARK:
        return Precision(FLOAT32, f"no GPU, and {steps} steps are too few for a benchmark")
    _, shape = architectures.read(files.folder)
    digest = run_digest(__version__, hyperparameters.values, rows.digest, rows.labels, asdict(shape))
    note = memory / f"precision-{digest}.json"
    able = processor.multiplies_bfloat16()
    known = _remembered(note)
    if known == FLOAT32 or (known == BFLOAT16 and able):
        return Precision(known, "as when the job was first started")
    chosen = (
        by_benchmark(_work(shape, rows, hyperparameters))
        if able
        else Precision(FLOAT32, "no GPU, and the processor lacks bfloat16")
    )
    _remember(note, chosen.name)
    return chosen


def _work(shape: Shape, rows: Data, hyperparameters: Hyperparameters) -> Workload:
    """Return a benchmark batch that resembles those of the job; its tokens are estimated from the texts' characters."""
    characters = sum(map(len, rows.training.records)) / len(rows.training.records)
    tokens = max(round(characters / CHARACTERS_PER_TOKEN), 4)
    limit = min(hyperparameters.max_sequence_length, shape.positions, MOST_TOKENS)
    return Workload(shape, min(hyperparameters.batch_size, MOST_ROWS), min(tokens, limit))


def by_benchmark(work: Workload) -> Precision:
    """Return bfloat16 where this processor is clearly faster with it, else float32."""
    seconds = precision_benchmark.seconds(work)
    name = BFLOAT16 if seconds[FLOAT32] > SMALLEST_GAIN * seconds[BFLOAT16] else FLOAT32
    shown = ", ".join(f"{each} {1000 * seconds[each]:.1f}" for each in seconds)
    return Precision(name, f"benchmarked here, milliseconds per block: {shown}")


def _remembered(note: Path) -> str | None:
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content.get("precision") if isinstance(content, dict) else None


def _remember(note: Path, name: str) -> None:
    """Store the chosen dtype for a restart; an error, such as a full disk, is only logged."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"precision": name}), encoding="utf-8")
    except OSError as error:
        log.warning("event=precision note='not stored for a restart: %s'", error.strerror)
