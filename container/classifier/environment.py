"""The container's environment: SageMaker's files and variables, as frozen values.

This is the only module that reads the process's environment or knows where SageMaker mounts things.
Sources: the SageMaker developer guide, "How Amazon SageMaker AI Runs Your Training Image" and "Use Your Own
Inference Code with Hosting Services"; the names of the serving variables are those of AWS's serving containers.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from classifier.errors import UserError

BASE_FOLDER = "/opt/ml"
# What rows are for, by the name of their channel, in any case; folders and files of a data set are called so too.
ROLES: Mapping[str, tuple[str, ...]] = {
    "training": ("training", "train"),
    "validation": ("validation", "valid", "val", "eval", "evaluation", "dev"),
    "test": ("test", "testing"),
}
SHARDED = "ShardedByS3Key"
# By this variable, set before it is imported, prometheus-client adds up the numbers of several processes.
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
PROGRAM_FOLDER = Path(__file__).resolve().parents[1]
PRETRAINED_FOLDER = PROGRAM_FOLDER / "pretrained"


@dataclass(frozen=True)
class Environment:
    """One training job, as its configuration files describe it.

    Attributes:
        base: The folder everything else lies in, ``/opt/ml`` on SageMaker.
        hyperparameters: The job's hyperparameters as they came, usually all text.
        channels: Channel name to the folder its files are in; only channels the job names, or, without a
            configuration file, the folders that are there.
        hosts: All hosts of the job, sorted.
        current_host: The name of this one.
        job_name: The training job's name, or "local".
        checkpoint_folder: Where checkpoints are kept, which SageMaker copies to and from S3 where the job says so.
        sharded: The channels of which each host gets a part of the objects only.
        instance_type: The type of the instance, such as ``ml.m5.xlarge``; empty where it is not known.
        job_arn: The training job's ARN; empty outside of SageMaker.
    """

    base: Path
    hyperparameters: Mapping[str, Any]
    channels: Mapping[str, Path]
    hosts: tuple[str, ...]
    current_host: str
    job_name: str
    checkpoint_folder: Path
    sharded: frozenset[str] = frozenset()
    instance_type: str = ""
    job_arn: str = ""

    @property
    def model_folder(self) -> Path:
        """Where the model goes; SageMaker packs it as ``model.tar.gz``."""
        return self.base / "model"

    @property
    def output_folder(self) -> Path:
        """Where the failure message goes."""
        return self.base / "output"

    @property
    def output_data_folder(self) -> Path:
        """Where results that are not the model go; SageMaker packs it as ``output.tar.gz``."""
        return self.output_folder / "data"

    @property
    def tensorboard_folder(self) -> Path:
        """Where event files go; SageMaker copies them to S3 while the job runs, if it has a TensorBoardOutputConfig."""
        return self.output_folder / "tensorboard"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> "Environment":
        """Read the job's configuration files, every one of which may be missing.

        Raises:
            UserError: A configuration file is not what SageMaker writes, or asks for an input mode that this image
                does not read.
        """
        environ = variables() if environ is None else environ
        base = base_folder(environ)
        problems: list[str] = []
        config = base / "input" / "config"
        hyperparameters = read_object(config / "hyperparameters.json", problems)
        input_data = read_object(config / "inputdataconfig.json", problems)
        resources = read_object(config / "resourceconfig.json", problems)
        checkpoints = read_object(config / "checkpointconfig.json", problems)
        problems += [
            f"channel {name!r}: {problem}"
            for name, settings in input_data.items()
            for problem in _input_mode_problems(settings)
        ]
        if problems:
            raise UserError(problems)
        current_host = str(resources.get("current_host") or "localhost")
        return cls(
            base=base,
            hyperparameters=hyperparameters,
            channels=_channels(base / "input" / "data", input_data),
            hosts=tuple(sorted(str(host) for host in resources.get("hosts") or [current_host])),
            current_host=current_host,
            job_name=environ.get("TRAINING_JOB_NAME", "local"),
            checkpoint_folder=Path(checkpoints.get("LocalPath") or base / "checkpoints"),
            sharded=frozenset(
                name for name, settings in input_data.items() if settings.get("S3DistributionType") == SHARDED
            ),
            instance_type=str(resources.get("current_instance_type") or ""),
            job_arn=environ.get("TRAINING_JOB_ARN", ""),
        )


def base_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder SageMaker mounts, which ``CLASSIFIER_BASE_DIR`` or ``SAGEMAKER_BASE_DIR`` may move."""
    return Path(environ.get("CLASSIFIER_BASE_DIR") or environ.get("SAGEMAKER_BASE_DIR") or BASE_FOLDER)


def is_mounted(path: Path) -> bool:
    """Return whether a path is below the folder where SageMaker mounts all that it gives a container."""
    return path.is_relative_to(BASE_FOLDER)


def channel_files(folder: Path) -> list[Path]:
    """Return the files of a channel that are the user's, at any depth, sorted.

    Left out is what platforms and tools leave behind: empty marker objects, manifests, and names that begin with a dot
    or an underscore (contract T26, T27).
    """
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.stat().st_size > 0
        and path.suffix != ".manifest"
        and not is_hidden(path.relative_to(folder))
    ]


def is_hidden(name: PurePath) -> bool:
    """Return whether a name in a channel begins with a dot or an underscore, as those of system files do."""
    return any(part.startswith((".", "_")) for part in name.parts)


def shown(name: str | PurePath) -> str:
    r"""Return a file's name as one line of valid UTF-8: invalid bytes as ``\xe9``, line breaks as ``\n``."""
    readable = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in readable
    )


def variables() -> Mapping[str, str]:
    """Return the process's environment variables."""
    return os.environ


def set_variables(values: Mapping[str, str]) -> None:
    """Set variables of the process's environment, for libraries that read them."""
    os.environ.update(values)


def set_defaults(values: Mapping[str, str]) -> None:
    """Set those variables of the process's environment that the user did not."""
    set_variables({name: value for name, value in values.items() if name not in os.environ})


def configure_logging(level: int = logging.INFO, quiet: Sequence[str] = ()) -> None:
    """Send every log record to standard output, one line each, flushed, with its time in UTC.

    Args:
        level: The least severe level that is written.
        quiet: Loggers of libraries whose records below a warning say nothing to a user.
    """
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)
    handler = logging.StreamHandler(sys.stdout)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)


def read_object(path: Path, problems: list[str]) -> dict[str, Any]:
    """Return the JSON object in a file; empty if the file is missing. A malformed file is added to the problems."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        problems.append(f"{path}: can't be read ({error.strerror}); make it readable for the user that the job runs as")
        return {}
    except ValueError as error:
        problems.append(f"{path}: not JSON ({error}); write one JSON object, or leave the file out")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{path}: holds a JSON {type(content).__name__}; write one JSON object, as SageMaker does")
        return {}
    return content


def _input_mode_problems(settings: Any) -> list[str]:
    if not isinstance(settings, dict):
        return ['its settings are not a JSON object; write {"TrainingInputMode": "File"}']
    mode = settings.get("TrainingInputMode", "File")
    problems = []
    if mode not in ("File", "FastFile"):
        problems.append(f"TrainingInputMode {mode!r} is not supported; use 'File' or 'FastFile'")
    if settings.get("RecordWrapperType") not in (None, "None"):
        problems.append("RecordWrapperType 'RecordIO' is not supported; leave it out")
    if settings.get("CompressionType") not in (None, "None"):
        problems.append(
            "CompressionType 'Gzip' is for Pipe mode; leave it out: files that end in .gz are read as they are"
        )
    return problems


def _channels(folder: Path, input_data: Mapping[str, Any]) -> dict[str, Path]:
    if input_data:
        return {name: folder / name for name in sorted(input_data)}
    return {path.name: path for path in sorted(folder.glob("*")) if path.is_dir() and not path.name.startswith(".")}
