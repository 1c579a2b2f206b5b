"""Which numbers a job's network computes with: as it was told, by the GPU, or by trial on this processor.

Processors that multiply bfloat16 by themselves gain very differently by it, some a fifth, some the fourfold; hence the
trial. What it came to is remembered beside the checkpoints, because a job that is started again must go on in the same
numbers, whatever a second trial would come to.
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
from classifier.training.precision_benchmark import BFLOAT16, FLOAT32, Work

log = logging.getLogger(__name__)

SAVED_MODELS = ("hub", "hub_image")  # families
# A run in bfloat16 ends with the network made anew in float32 and scored again: seconds that a short one does not save.
STEPS_WORTH_A_TRIAL = 200
TRIED = "bert"  # the family of the networks whose blocks are tried
SMALLEST_GAIN = 1.15  # of a block, which is most of a step but not all of it
MOST_ROWS, MOST_TOKENS = 32, 128  # that are tried: enough to be computing mostly, and soon done
CHARACTERS_OF_A_TOKEN = 4.5


def choose(
    files: EncoderFiles | None, rows: Data, settings: Hyperparameters, cluster: Cluster, memory: Path
) -> Precision:
    """Choose the numbers that the network computes with, the same on all hosts.

    Args:
        files: The encoder's files; None where it begins from nothing.
        rows: This host's rows.
        settings: The job's hyperparameters.
        cluster: What it computes on.
        memory: A folder that is there again when the job is started again.
    """
    if files is not None and files.family in SAVED_MODELS:
        return Precision(FLOAT32, "a SavedModel computes in numbers of its own")
    if settings.mixed_precision != "auto":
        return Precision(settings.mixed_precision, "given")
    if capabilities := hardware.capabilities():
        return hardware.by_card(capabilities)
    if settings.train_only_top_layer:
        return Precision(FLOAT32, "no GPU, and the encoder is computed once only")
    if files is None or files.family != TRIED:
        small = files is None or files.family in FROM_SCRATCH_FAMILIES
        return Precision(FLOAT32, f"no GPU, and the network is {'small' if small else 'no transformer'}")
    chosen = asdict(_leaders(files, rows, settings, memory)) if cluster.is_chief else {}
    return Precision(**json.loads(cluster.broadcast(json.dumps(chosen).encode())))


def _leaders(files: EncoderFiles, rows: Data, settings: Hyperparameters, memory: Path) -> Precision:
    """Choose for all hosts."""
    steps = settings.epochs * -(-len(rows.training.texts) // settings.batch_size)
    if steps < STEPS_WORTH_A_TRIAL:
        return Precision(FLOAT32, f"no GPU, and {steps} steps are too few to try others")
    _, shape = architectures.read(files.folder)
    digest = run_digest(__version__, asdict(settings), rows.digest, rows.labels, asdict(shape))
    note = memory / f"precision-{digest}.json"
    able = processor.multiplies_bfloat16()
    known = _remembered(note)
    if known == FLOAT32 or (known == BFLOAT16 and able):
        return Precision(known, "as when the job first began")
    chosen = (
        by_trial(_work(shape, rows, settings)) if able else Precision(FLOAT32, "neither GPU nor processor has others")
    )
    _remember(note, chosen.name)
    return chosen


def _work(shape: Shape, rows: Data, settings: Hyperparameters) -> Work:
    """Return what a batch is like; what a text costs is guessed from its characters."""
    characters = sum(map(len, rows.training.texts)) / len(rows.training.texts)
    tokens = max(round(characters / CHARACTERS_OF_A_TOKEN), 4)
    limit = min(settings.max_sequence_length, shape.positions, MOST_TOKENS)
    return Work(shape, min(settings.batch_size, MOST_ROWS), min(tokens, limit))


def by_trial(work: Work) -> Precision:
    """Choose the numbers that this processor computes faster with, float32 where it matters little."""
    taken = precision_benchmark.seconds(work)
    name = BFLOAT16 if taken[FLOAT32] > SMALLEST_GAIN * taken[BFLOAT16] else FLOAT32
    shown = ", ".join(f"{each} {1000 * taken[each]:.1f}" for each in taken)
    return Precision(name, f"tried here, milliseconds of a block: {shown}")


def _remembered(note: Path) -> str | None:
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content.get("precision") if isinstance(content, dict) else None


def _remember(note: Path, name: str) -> None:
    """Write down what was chosen; a full disk ends no job."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"precision": name}), encoding="utf-8")
    except OSError as error:
        log.warning("event=precision note='not remembered for a restart: %s'", error.strerror)
