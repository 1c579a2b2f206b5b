"""The program ``train``: Amazon's training toolkit around :func:`train`."""

import logging
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from sagemaker_training.errors import ClientError

from classifier import artifact, environment, hyperparameters, modalities, resources
from classifier.encoders import catalog, resolve
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.modalities import Modality
from classifier.tabular.dialect import Dialect
from classifier.tabular.rows import Label
from classifier.training import data, reading, toolkit, warm_start
from classifier.training.data import Data, Tables
from classifier.training.interruption import Interruption
from classifier.training.reading import Reader

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
        with resources.room_for("the job's files", Path(tempfile.gettempdir())):
            train(Environment.from_environ(), Interruption.of_process())
    except UserError as error:
        if resources.full_disk(error):  # there may be no room for the failure file, after which the toolkit logs it
            log.error("event=failed note=%r", str(error))  # noqa: TRY400  no traceback
        raise ClientError(_written(str(error))) from None
    except Exception as error:
        log.exception("event=failed")
        # What TensorFlow says may quote the texts it was given.
        quotes = type(error).__module__.startswith("tensorflow")
        reason = type(error).__name__ if quotes else _written(f"{type(error).__name__}: {error}"[:300])
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
        before = warm_start.read(channel, modality) if channel else None
        defaults = (
            before.defaults
            if before is not None
            else catalog.defaults_of(modality, brought="model" in environ.channels)
        )
        settings = replace(Hyperparameters.parse(environ.hyperparameters, defaults), modality=modality.name)
        _log_start(environ, settings)
        log.info("event=modality name=%s reason=%r", modality.name, reason)
        kept = warm_start.kept_labels(before, settings.reinitialize_top_layer)
        reader = reading.of_job(channel, before, settings.model_id) if not modality.is_array else None
        found = _tables(environ, settings, modality, reader)
        # What is wrong with the rows of a host that is alone is told before anybody waits for TensorFlow.
        rows = None
        if isinstance(found, Tables) and len(environ.hosts) == 1:
            tables = warm_start.read_as_before(before, found)
            rows = _prepared(tables, data.labels_of(tables, kept), settings, reader)
            data.check_validation(rows, settings)
        interruption.check()
        environment.set_defaults(TENSORFLOW_SETTINGS)
        from classifier.training import job  # noqa: PLC0415  TensorFlow only once the data are known to be good

        cluster = job.connect(environ.hosts, environ.current_host, interruption)
        sharded = _sharded(environ, settings, modality)
        context = job.JobContext(cluster, interruption, environ.checkpoint_folder, scratch, channel, before, sharded)
        with job.peers_watched(cluster):
            if rows is None:
                tables, labels = job.agree(cluster, found, kept)
                rows = _prepared(warm_start.read_as_before(before, tables), labels, settings, reader)
            warm_start.report_labels(kept, rows)
            outcome = job.train(rows, kept, settings, context)
            job.finish(environ, outcome, rows, settings, context)
    log.info("event=done")


def _written(message: str) -> str:
    """Return a message as it can be written to the failure file, whatever names of files are in it."""
    return message.encode("utf-8", "backslashreplace").decode("utf-8")


def _log_start(environ: Environment, settings: Hyperparameters) -> None:
    given = {name: "default" if value is None else value for name, value in asdict(settings).items()}
    log.info("event=start job=%s %s", environ.job_name, " ".join(f"{name}={value}" for name, value in given.items()))
    for remark in hyperparameters.remarks(environ.hyperparameters, settings):
        log.info("event=hyperparameters note=%r", remark)


def _tables(
    environ: Environment, settings: Hyperparameters, modality: Modality, reader: Reader | str | None
) -> Tables | UserError:
    """Read the job's rows, as the encoder will; of several hosts, one with bad rows first tells the others."""
    try:
        dialect = Dialect(settings.header, settings.delimiter)
        tables = data.read(environ.channels, dialect=dialect, sharded=environ.sharded, modality=modality)
        if reader is not None:
            reading.check(tables, reader, settings.max_sequence_length)
    except UserError as error:
        if len(environ.hosts) == 1:
            raise
        return error
    return tables


def _prepared(
    tables: Tables, labels: tuple[Label, ...], settings: Hyperparameters, reader: Reader | str | None
) -> Data:
    """Return the rows to train, validate and test on.

    Raises:
        UserError: Some have labels that the others lack.
    """
    return data.prepare(
        tables,
        labels,
        settings.validation_split_ratio,
        settings.seed,
        max_sequence_length=None if isinstance(reader, Reader) else settings.max_sequence_length,
    )


def _sharded(environ: Environment, settings: Hyperparameters, modality: Modality) -> frozenset[str]:
    """Return which rows each host has its own of: ``training``, ``validation``, ``test``."""
    if len(environ.hosts) == 1:
        return frozenset()
    roles = data.roles(environ.channels)
    sharded = {role for role, channel in roles.items() if channel in environ.sharded}
    if "training" in sharded and not modality.is_array and settings.model_id in modality.from_scratch:
        raise UserError(
            f"channel {roles['training']}: model_id={settings.model_id} makes its vocabulary of all rows, so every "
            "host needs them: use FullyReplicated"
        )
    if "training" in sharded and "validation" not in roles:
        sharded.add("validation")
    return frozenset(sharded)
