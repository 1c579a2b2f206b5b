"""The steps of a job that need TensorFlow, in the order they are taken."""

import importlib
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from classifier import artifact
from classifier.encoders import Encoder
from classifier.encoders.resolve import resolve
from classifier.environment import PRETRAINED_FOLDER
from classifier.hyperparameters import Hyperparameters
from classifier.training import batches, evaluate
from classifier.training.batches import Inputs
from classifier.training.data import Data
from classifier.training.export import Trained, export
from classifier.training.fit import Rows, Task, fit
from classifier.training.interruption import Interruption
from classifier.training.model import Classifier, build_head, choose_learning_rate, parameters, softmax

__all__ = ["export", "load_encoder", "train", "write_evaluation"]

log = logging.getLogger(__name__)

ROWS_CHECKED_WITHOUT_VALIDATION = 64
# Word vectors are one table, or a table and a projection; an encoder of more is a network that bears small steps only.
MOST_VARIABLES_OF_WORD_VECTORS = 3


def load_encoder(channel: Path | None, scratch: Path, settings: Hyperparameters) -> Encoder:
    """Find and load the encoder.

    Raises:
        UserError: There is none, or its files are broken.
    """
    tf_keras.utils.set_random_seed(settings.seed)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
    files = resolve(channel, settings.model_id, PRETRAINED_FOLDER, scratch)
    family = importlib.import_module(f"classifier.encoders.{files.family}")
    encoder: Encoder = family.load(files.folder, files.name, settings.max_sequence_length)
    devices = ",".join(device.name for device in tf.config.list_logical_devices())
    log.info(
        "event=encoder name=%r family=%s pooling=%s devices=%s", encoder.name, encoder.family, encoder.pooling, devices
    )
    return encoder


def train(
    encoder: Encoder, data: Data, settings: Hyperparameters, interruption: Interruption
) -> tuple[Trained, list[dict[str, float]]]:
    """Train, and return the best model and the figures of every epoch."""
    training, validation = (
        Rows(_tokenized(encoder, split.texts, name, interruption), split.targets)
        for name, split in (("training", data.training), ("validation", data.validation))
    )
    head = build_head(len(data.labels), settings)
    classifier = Classifier(encoder, head)
    classifier(training.inputs.take([0]))
    deep = encoder.tokens or len(encoder.layer.trainable_variables) > MOST_VARIABLES_OF_WORD_VECTORS
    rate = choose_learning_rate(settings, transformer=deep and not settings.train_only_top_layer)
    task = Task(classifier, training, validation, rate)
    if settings.train_only_top_layer:
        task = _top_layer_task(task, encoder, head, interruption)
    log.info("event=model trainable_parameters=%d", parameters(task.model))
    run = fit(task, settings, interruption)
    answers = evaluate.compiled(classifier, training.inputs)
    checked, probabilities = data.validation.take(run.scored), run.probabilities
    if not len(probabilities):
        some = np.arange(min(ROWS_CHECKED_WITHOUT_VALIDATION, len(training.inputs)))
        checked = data.training.take(some)
        probabilities = softmax(evaluate.compute(answers, training.inputs.some(some)))
    probes = softmax(evaluate.compute(answers, batches.tokenize(encoder, artifact.PROBES)))
    return Trained(encoder, head, run.metrics, checked, probabilities, probes), run.history


def write_evaluation(folder: Path, trained: Trained, history: list[dict[str, float]], data: Data) -> None:
    """Write ``evaluation.json``: the figures of every epoch, and of each label where rows were held out."""
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"epochs": history, "best": trained.metrics}
    if "val_accuracy" in trained.metrics:
        content["validation"] = evaluate.report(trained.answers, trained.checked.targets, data.labels)
    artifact.write_json(folder / "evaluation.json", content)


def _tokenized(encoder: Encoder, texts: tuple[str, ...], name: str, interruption: Interruption) -> Inputs:
    inputs = batches.tokenize(encoder, texts, interruption)
    if encoder.tokens and len(inputs):
        lengths = inputs.lengths()
        log.info("event=tokens rows=%s mean=%.1f longest=%d", name, float(np.mean(lengths)), int(lengths.max()))
    return inputs


def _top_layer_task(task: Task, encoder: Encoder, head: Any, interruption: Interruption) -> Task:
    """Run the frozen encoder once over all rows, since every epoch would give the same vectors."""
    encoder.layer.trainable = False
    encode = evaluate.compiled(encoder.layer, task.training.inputs)
    started = time.monotonic()
    training, validation = (
        Rows(Inputs(evaluate.compute(encode, rows.inputs, interruption)), rows.targets)
        for rows in (task.training, task.validation)
    )
    rows = len(training.inputs) + len(validation.inputs)
    log.info("event=encoded rows=%d seconds=%.1f", rows, time.monotonic() - started)
    return Task(head, training, validation, task.learning_rate)
