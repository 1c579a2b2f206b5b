"""A run's state to and from a checkpoint."""

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
    """Return a checkpoint from which the run can be resumed."""
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
    """Restore model and optimizer from the newest checkpoint.

    Returns:
        The run as it was; a new one without a checkpoint.
    """
    found = _from_chief(checkpoints.newest() if cluster.is_chief else None, cluster)
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
    """Return an optimizer's variables, including those of loss scaling, which ``variables`` leaves out."""
    scale = getattr(optimizer, "_loss_scale", None)  # there is no public access to the variable itself
    return [*optimizer.variables, *([] if scale is None else [scale.current_loss_scale, scale.counter])]


def _from_chief(found: Checkpoint | None, cluster: Cluster) -> Checkpoint | None:
    """Return the chief's checkpoint on every host; None if it has none."""
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
