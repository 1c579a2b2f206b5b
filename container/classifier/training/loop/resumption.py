"""What of a run a checkpoint holds, and how a run is put back."""

import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from safetensors.numpy import load, save

from classifier.training.cluster import Cluster
from classifier.training.loop.checkpoint import Arrays, Checkpoint, Folder
from classifier.training.loop.progress import Run
from classifier.training.loop.scoring import Scores

log = logging.getLogger(__name__)


def captured(model: Any, optimizer: Any, run: Run) -> Checkpoint:
    """Return everything a run needs to go on."""
    is_best = run.best == run.epoch and run.step == 0
    arrays = {
        **_numbered("weight", model.get_weights()),
        **_numbered("optimizer", [variable.numpy() for variable in variables(optimizer)]),
        **_numbered("best", [] if is_best else run.weights),
        "sums": run.sums,
        "scored": run.scores.rows,
        "probabilities": run.scores.probabilities,
    }
    state = {"epoch": run.epoch, "step": run.step, "history": run.history, "best": run.best, "metrics": run.metrics}
    return Checkpoint(state, {name: np.asarray(array) for name, array in arrays.items()})


def resumed(model: Any, optimizer: Any, checkpoints: Folder, cluster: Cluster) -> Run:
    """Return the run as its newest checkpoint has it, and put model and optimizer back; or one that begins."""
    found = _from_leader(checkpoints.newest() if cluster.is_chief else None, cluster)
    if found is None:
        return Run()
    arrays = found.arrays
    model.set_weights(_in_order("weight", arrays))
    for variable, value in zip(variables(optimizer), _in_order("optimizer", arrays), strict=True):
        variable.assign(value)
    run = Run(
        **found.state,
        sums=arrays["sums"],
        scores=Scores(arrays["scored"], arrays["probabilities"]),
    )
    run.weights = _in_order("best", arrays) or (model.get_weights() if run.best else [])
    log.info("event=resumed epochs_done=%d steps_done_of_next=%d", run.epoch, run.step)
    return run


def variables(optimizer: Any) -> list[tf.Variable]:
    """Return all that an optimizer remembers; of one that scales the loss also the scale, which it does not list."""
    scale = getattr(optimizer, "_loss_scale", None)  # it has no public name for the variable itself
    return [*optimizer.variables, *([] if scale is None else [scale.current_loss_scale, scale.counter])]


def _from_leader(found: Checkpoint | None, cluster: Cluster) -> Checkpoint | None:
    """Give the leader's checkpoint, or that it has none, to every host."""
    if cluster.alone:
        return found
    mine = {} if found is None else {"state": found.state, "names": list(found.arrays)}
    theirs = json.loads(cluster.broadcast(json.dumps(mine).encode()))
    if not theirs:
        return None
    arrays = {
        name: load(cluster.broadcast(b"" if found is None else save({name: found.arrays[name]})))[name]
        for name in theirs["names"]
    }
    return Checkpoint(theirs["state"], arrays)


def _numbered(name: str, arrays: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{name}.{number:05}": array for number, array in enumerate(arrays)}


def _in_order(name: str, arrays: Arrays) -> list[NDArray[Any]]:
    return [arrays[key] for key in sorted(arrays) if key.startswith(f"{name}.")]
