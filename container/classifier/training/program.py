"""The program ``train``: Amazon's training toolkit around :func:`train`."""

import logging
import tempfile
from dataclasses import asdict
from pathlib import Path

from sagemaker_training.errors import ClientError

from classifier import artifact, environment
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.training import data, toolkit
from classifier.training.interruption import Interruption

log = logging.getLogger(__name__)

CHATTY_LOGGERS = ("absl", "sagemaker-training-toolkit", "tensorflow")
TENSORFLOW_SETTINGS = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


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
        reason = f"{type(error).__name__}: {error}"[:300]
        raise ClientError(f"Internal error, a fault of the image and not of the data: {reason}") from None


def train(environ: Environment, interruption: Interruption) -> None:
    """Train one model, from the job's files to the model folder.

    Raises:
        UserError: The job can't be done as it is described.
    """
    artifact.clear_unfinished(environ.model_folder)
    settings = Hyperparameters.parse(environ.hyperparameters)
    _check_hosts(environ)
    given = {name: "default" if value is None else value for name, value in asdict(settings).items()}
    log.info("event=start job=%s %s", environ.job_name, " ".join(f"{name}={value}" for name, value in given.items()))
    rows = data.load(environ.channels, settings.validation_split_ratio, settings.seed)
    interruption.check()
    environment.set_defaults(TENSORFLOW_SETTINGS)
    from classifier.training import job  # noqa: PLC0415  TensorFlow only once the data are known to be good

    with tempfile.TemporaryDirectory() as scratch:
        encoder = job.load_encoder(environ.channels.get("model"), Path(scratch), settings)
        trained, history = job.train(encoder, rows, settings, interruption)
        job.export(environ.model_folder, trained, rows, settings, interruption)
    job.write_evaluation(environ.output_data_folder, trained, history, rows)
    log.info("event=done")


def _check_hosts(environ: Environment) -> None:
    if len(environ.hosts) > 1:
        raise UserError(f"the job has {len(environ.hosts)} hosts; this version trains on one: set instance_count=1")
