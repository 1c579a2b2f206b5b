"""Networks that are scored on the rows of :data:`jobs.ROWS`, as a job scores them after training in steps."""

import numpy as np
import tensorflow as tf

from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate
from classifier.training.cluster import Cluster
from classifier.training.interruption import Interruption
from classifier.training.loop import batches
from classifier.training.loop.batches import Rows
from classifier.training.loop.progress import Run
from classifier.training.loop.scoring import evaluation_split, gathered
from classifier.training.model import Network
from classifier.training.solving import ScoredNetwork, Task
from jobs import ROWS

TEXTS = [text for _, text in ROWS]
TARGETS = np.array([label for label, _ in ROWS], np.int32)


def scored_on_rows(network: Network, settings: Hyperparameters) -> tuple[ScoredNetwork, Task]:
    """Return a network with its scores, and its task, in which all rows are training and validation rows."""
    cluster = Cluster(tf.distribute.get_strategy())
    inputs = batches.tokenize(network.encoder, TEXTS)
    split = evaluation_split(inputs, TARGETS, cluster)
    scores = gathered(np.arange(len(TEXTS)), evaluate.compute(network.inference, inputs), split, cluster)
    metrics = evaluate.metrics(scores.probabilities, TARGETS, "accuracy")
    run = Run(scores=scores, history=[metrics], metrics=metrics)
    training = Rows(inputs, TARGETS, np.ones(len(TEXTS), np.float32))
    task = Task(
        training=training,
        sharded=False,
        validation=split,
        held_out=True,
        hyperparameters=settings,
        prior=None,
        cluster=cluster,
        interruption=Interruption(),
    )
    return ScoredNetwork(network, run, scores), task
