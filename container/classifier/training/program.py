"""The program ``train``: Amazon's training toolkit around :func:`train`."""

import logging
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from sagemaker_training.errors import ClientError

from classifier import TEXT, artifact, environment, hyperparameters, modalities
from classifier.encoders import catalog, resolve
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.hyperparameters import FROM_SCRATCH, Hyperparameters
from classifier.training import data, previous, toolkit
from classifier.training.data import Tables
from classifier.training.interruption import Interruption

log = logging.getLogger(__name__)

CHATTY_LOGGERS = ("absl", "sagemaker-training-toolkit", "tensorflow")
TENSORFLOW_SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TF_USE_LEGACY_KERAS": "1",  # or TensorFlow imports Keras 3 too, which is not used here: a fifth of its import
}


def main() -> int:
    """Run the job; the toolkit ends the process with the job's exit code."""
    environment.configure_logging(quiet=CHATTY_LOGGERS)
    return toolkit.run("classifier.training.program:train_for_toolkit")


def train_for_toolkit() -> None:
    """Train, and tell the toolkit of a failure in the words that become the job's failure reason.

    Raises:
        ClientError: The toolkit writes its message to the failure file as it is, and ends with exit code 1.
    """
    try:
        train(Environment.from_environ(), Interruption.of_process())
    except UserError as error:
        raise ClientError(str(error)) from None
    except Exception as error:
        log.exception("event=failed")
        # What TensorFlow says may quote the texts it was given.
        quotes = type(error).__module__.startswith("tensorflow")
        reason = type(error).__name__ if quotes else f"{type(error).__name__}: {error}"[:300]
        raise ClientError(f"Internal error, a fault of the image and not of the data: {reason}") from None


def train(environ: Environment, interruption: Interruption) -> None:
    """Train one model, from the job's files to the model folder.

    Raises:
        UserError: The job can't be done as it is described.
    """
    artifact.clear_unfinished(environ.model_folder)
    settings = Hyperparameters.parse(environ.hyperparameters)
    modality, reason = modalities.choose(settings.modality, environ.channels)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        channel = resolve.opened(environ.channels["model"], scratch / "model") if "model" in environ.channels else None
        before = previous.read(channel, modality) if channel else None
        defaults = (
            before.defaults
            if before is not None
            else catalog.defaults_of(modality, brought="model" in environ.channels)
        )
        settings = replace(Hyperparameters.parse(environ.hyperparameters, defaults), modality=modality)
        _log_start(environ, settings)
        log.info("event=modality name=%s reason=%r", modality, reason)
        kept = previous.kept_labels(before, settings.reinitialize_top_layer)
        found = _tables(environ, settings, modality)
        interruption.check()
        environment.set_defaults(TENSORFLOW_SETTINGS)
        from classifier.training import job  # noqa: PLC0415  TensorFlow only once the data are known to be good

        cluster = job.connect(environ.hosts, environ.current_host, interruption)
        sharded = _sharded(environ, settings, modality)
        setting = job.Setting(cluster, interruption, environ.checkpoint_folder, scratch, channel, before, sharded)
        with job.peers_watched(cluster):
            tables, labels = job.agree(cluster, found, kept)
            tables = previous.read_as_before(before, tables)
            rows = data.prepare(
                tables,
                labels,
                settings.validation_split_ratio,
                settings.seed,
                max_sequence_length=settings.max_sequence_length,
            )
            previous.report_labels(kept, rows)
            outcome = job.train(rows, kept, settings, setting)
            job.finish(environ, outcome, rows, settings, setting)
    log.info("event=done")


def _log_start(environ: Environment, settings: Hyperparameters) -> None:
    given = {name: "default" if value is None else value for name, value in asdict(settings).items()}
    log.info("event=start job=%s %s", environ.job_name, " ".join(f"{name}={value}" for name, value in given.items()))
    for remark in hyperparameters.remarks(environ.hyperparameters, settings):
        log.info("event=hyperparameters note=%r", remark)


def _tables(environ: Environment, settings: Hyperparameters, modality: str) -> Tables | UserError:
    """Read the job's rows; of several hosts, one with bad rows first tells the others."""
    try:
        return data.read(environ.channels, header=settings.header, sharded=environ.sharded, modality=modality)
    except UserError as error:
        if len(environ.hosts) == 1:
            raise
        return error


def _sharded(environ: Environment, settings: Hyperparameters, modality: str) -> frozenset[str]:
    """Return which rows each host has its own of: ``training``, ``validation``, ``test``."""
    if len(environ.hosts) == 1:
        return frozenset()
    roles = data.roles(environ.channels)
    sharded = {role for role, channel in roles.items() if channel in environ.sharded}
    if "training" in sharded and modality == TEXT and settings.model_id in FROM_SCRATCH:
        raise UserError(
            f"channel {roles['training']}: model_id={settings.model_id} makes its vocabulary of all rows, so every "
            "host needs them: use FullyReplicated"
        )
    if "training" in sharded and "validation" not in roles:
        sharded.add("validation")
    return frozenset(sharded)
