"""The program ``train``: Amazon's training toolkit around :func:`train`."""

import logging
import tempfile
import time
from pathlib import Path

from sagemaker_training.errors import ClientError

from classifier import TEXT, artifact, environment, modalities, resources
from classifier.encoders import catalog, resolve
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.hyperparameters import AUTO_MODEL, Hyperparameters, parsed_values, remarks
from classifier.modalities import Modality
from classifier.tabular.dialect import Dialect
from classifier.tabular.rows import Label
from classifier.training import data, reading, toolkit, warm_start
from classifier.training.data import Data, Tables
from classifier.training.interruption import Interruption
from classifier.training.reading import Reader
from classifier.training.warm_start import Previous

log = logging.getLogger(__name__)

CHATTY_LOGGERS = ("absl", "sagemaker-training-toolkit", "tensorflow")
TENSORFLOW_SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TF_USE_LEGACY_KERAS": "1",  # keeps TensorFlow from importing Keras 3, a fifth of its import time
}


def main() -> int:
    """Run the job; the toolkit ends the process with the job's exit code."""
    environment.configure_logging(quiet=CHATTY_LOGGERS)
    return toolkit.run("classifier.training.program:train_for_toolkit")


def train_for_toolkit() -> None:
    """Train; an error is raised as one that the toolkit turns into the job's failure reason.

    Raises:
        ClientError: The job failed. The toolkit writes the message to the failure file and ends with exit code 1.
    """
    try:
        with resources.room_for("the job's files", Path(tempfile.gettempdir())):
            train(Environment.from_environ(), Interruption.of_process())
    except UserError as error:
        if resources.full_disk(error):  # the failure file may not fit on the disk, so the reason is logged too
            log.error("event=failed note=%r", str(error))  # noqa: TRY400  no traceback
        raise ClientError(_written(str(error))) from None
    except Exception as error:
        log.exception("event=failed")
        # TensorFlow's messages may quote the texts that it was given.
        quotes = type(error).__module__.startswith("tensorflow")
        reason = type(error).__name__ if quotes else _written(f"{type(error).__name__}: {error}"[:300])
        raise ClientError(f"Internal error, a fault of the image and not of the data: {reason}") from None


def train(environ: Environment, interruption: Interruption) -> None:
    """Train one model, from the job's files to the model folder.

    Raises:
        UserError: The job's hyperparameters, data or model channel are wrong.
    """
    started = time.monotonic()
    artifact.clear_unfinished(environ.model_folder)
    given = parsed_values(environ.hyperparameters)
    modality, reason = modalities.choose(given.get("modality", modalities.AUTO), environ.channels)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        channel = resolve.opened(environ.channels["model"], scratch / "model") if "model" in environ.channels else None
        previous = warm_start.read(channel, modality) if channel else None
        defaults = previous.defaults if previous else catalog.defaults_of(modality, brought=channel is not None)
        hyperparameters = Hyperparameters.from_values({**given, "modality": modality.name}, defaults)
        _check_auto(hyperparameters, environ, modality, previous)
        _log_start(environ, hyperparameters)
        log.info("event=modality name=%s reason=%r", modality.name, reason)
        kept = warm_start.kept_labels(previous, hyperparameters.reinitialize_top_layer)
        reader = None if modality.is_array else reading.of_job(channel, previous, hyperparameters.model_id)
        found = _tables(environ, hyperparameters, modality, reader)
        # A single host reports problems with its rows before it imports TensorFlow, which takes seconds.
        rows = None
        if isinstance(found, Tables) and len(environ.hosts) == 1:
            tables = warm_start.read_as_before(previous, found)
            rows = _prepared(tables, data.labels_of(tables, kept), hyperparameters, reader)
            data.check_validation(len(rows.validation.records), hyperparameters)
        interruption.check()
        environment.set_defaults(TENSORFLOW_SETTINGS)
        from classifier.training import agreement, candidates  # noqa: PLC0415  imports TensorFlow
        from classifier.training.cluster import connect, peers_watched  # noqa: PLC0415
        from classifier.training.context import JobContext  # noqa: PLC0415

        cluster = connect(environ.hosts, environ.current_host, interruption)
        sharded = _sharded(environ, hyperparameters.model_id, modality)
        folders = environ.checkpoint_folder, scratch, channel
        context = JobContext(cluster, interruption, *folders, previous, sharded, started)
        with peers_watched(cluster):
            if rows is None:
                tables, labels = agreement.agree(cluster, found, kept)
                rows = _prepared(warm_start.read_as_before(previous, tables), labels, hyperparameters, reader)
            warm_start.report_labels(kept, rows)
            warm_start.warn_of_known_rows(previous, rows)
            candidates.run(environ, rows, kept, hyperparameters, context)
    log.info("event=done")


def _written(message: str) -> str:
    """Return a message with the bytes of file names that are not UTF-8 escaped, as the failure file must be UTF-8."""
    return message.encode("utf-8", "backslashreplace").decode("utf-8")


def _check_auto(
    hyperparameters: Hyperparameters, environ: Environment, modality: Modality, previous: Previous | None
) -> None:
    """Refuse jobs for which several candidates can't be tried.

    Raises:
        UserError: The job is one of them.
    """
    if hyperparameters.model_id != AUTO_MODEL:
        return
    problems = {
        f"is for texts, not for {modality.name}s; leave model_id out": modality.name != TEXT,
        "the model channel holds a trained model; leave model_id out to train it further": previous is not None,
        "tries candidates on one host; use one instance, or name a model": len(environ.hosts) > 1,
    }
    if any(problems.values()):
        raise UserError([f"hyperparameter model_id=auto: {words}" for words, wrong in problems.items() if wrong])


def _log_start(environ: Environment, hyperparameters: Hyperparameters) -> None:
    given = {name: "default" if value is None else value for name, value in hyperparameters.values.items()}
    log.info("event=start job=%s %s", environ.job_name, " ".join(f"{name}={value}" for name, value in given.items()))
    for remark in remarks(environ.hyperparameters, hyperparameters):
        log.info("event=hyperparameters note=%r", remark)


def _tables(
    environ: Environment, hyperparameters: Hyperparameters, modality: Modality, reader: Reader | str | None
) -> Tables | UserError:
    """Read the job's rows and check that the encoder can read them.

    Returns:
        The rows; on one of several hosts, an error is returned, so that it can be reported to the others first.
    """
    try:
        dialect = Dialect(hyperparameters.header, hyperparameters.delimiter)
        tables = data.read(environ.channels, dialect=dialect, sharded=environ.sharded, modality=modality)
        if reader is not None:
            reading.check(tables, reader, hyperparameters.max_sequence_length, hyperparameters.long_texts)
    except UserError as error:
        if len(environ.hosts) == 1:
            raise
        return error
    return tables


def _prepared(
    tables: Tables, labels: tuple[Label, ...], hyperparameters: Hyperparameters, reader: Reader | str | None
) -> Data:
    """Return the training, validation and test rows.

    Raises:
        UserError: Validation or test rows have labels that no training row has.
    """
    return data.prepare(
        tables,
        labels,
        hyperparameters.validation_split_ratio,
        hyperparameters.seed,
        max_sequence_length=None if isinstance(reader, Reader) else hyperparameters.max_sequence_length,
    )


def _sharded(environ: Environment, model_id: str, modality: Modality) -> frozenset[str]:
    """Return the splits of which each host has rows of its own: ``training``, ``validation``, ``test``.

    Raises:
        UserError: Training rows are sharded, and the vocabulary is built from all of them.
    """
    if len(environ.hosts) == 1:
        return frozenset()
    roles = data.roles(environ.channels)
    sharded = {role for role, channel in roles.items() if channel in environ.sharded}
    if "training" in sharded and not modality.is_array and model_id in modality.from_scratch:
        raise UserError(
            f"channel {roles['training']}: model_id={model_id} builds its vocabulary from all rows, so every host "
            "needs them: use FullyReplicated"
        )
    if "training" in sharded and "validation" not in roles:
        sharded.add("validation")
    return frozenset(sharded)
