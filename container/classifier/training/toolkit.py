"""Amazon's SageMaker training toolkit, and what it needs that a job may not have.

The toolkit writes the failure file, sets the exit code, and runs the user's own script where the job brings one
(``sagemaker_program``). It ends with exit code 0, in silence, where ``output/`` or a configuration file is missing
(sagemaker-training 5.1: writing the failure file fails in turn). So it is given a folder that has them.
"""

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.environment import base_folder, read_object, set_variables, variables
from classifier.training.interruption import Interruption, forward_to_children

log = logging.getLogger(__name__)

CONFIGURATION: Mapping[str, Mapping[str, Any]] = {
    "hyperparameters.json": {},
    "inputdataconfig.json": {},
    "resourceconfig.json": {"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "eth0"},
}
PROGRAM = "sagemaker_program"


def run(function: str) -> int:
    """Run a job: the user's own script where it brings one, else our function.

    Args:
        function: What to call, as ``package.module:function``.

    Returns:
        The job's exit code.
    """
    base = base_folder(variables())
    try:
        _forget_last_run(base / "output")
    except OSError as error:
        log.error("event=failed note=%r", f"can't write the job's outcome: {error}")  # noqa: TRY400  no traceback
        return 1
    with tempfile.TemporaryDirectory(prefix="job-") as stand_in:
        set_variables({"CLASSIFIER_BASE_DIR": str(base), "SAGEMAKER_BASE_DIR": str(_prepared(base, Path(stand_in)))})
        if not _brings_a_script(base):
            set_variables({"SAGEMAKER_TRAINING_MODULE": function})
        elif Interruption.of_process().requested():
            return 1
        else:
            forward_to_children()
        return _run_trainer(base)


def _run_trainer(base: Path) -> int:
    from sagemaker_training import trainer  # noqa: PLC0415  it reads the folder's name, and makes folders, on import

    code = 1
    try:
        trainer.train()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    if code == 0 and not (base / "output" / "success").is_file():
        log.error("event=failed note=%r", f"the job ended without an outcome; can {base / 'output'} be written to?")
        return 1
    return code


def _forget_last_run(output: Path) -> None:
    """Make the folder for the outcome, and remove the outcome of an earlier run on the same folders."""
    output.mkdir(parents=True, exist_ok=True)
    for name in ("failure", "success"):
        (output / name).unlink(missing_ok=True)


def _brings_a_script(base: Path) -> bool:
    if variables().get("SAGEMAKER_PROGRAM"):
        return True
    return bool(read_object(base / "input" / "config" / "hyperparameters.json", []).get(PROGRAM))


def _prepared(base: Path, stand_in: Path) -> Path:
    """Return the job's folder, or, where that lacks what the toolkit needs, a folder of links to it that does not."""
    config = base / "input" / "config"
    contents = {name: {**default, **read_object(config / name, [])} for name, default in CONFIGURATION.items()}
    if all(_reads(config / name) == content for name, content in contents.items()) and _can_have(base / "code"):
        return base
    (stand_in / "input" / "config").mkdir(parents=True)
    for name, content in contents.items():
        (stand_in / "input" / "config" / name).write_text(json.dumps(content), encoding="utf-8")
    (stand_in / "input" / "data").symlink_to(base / "input" / "data")
    (stand_in / "model").symlink_to(base / "model")
    (stand_in / "output").symlink_to(base / "output")
    if (base / "code").is_dir():
        (stand_in / "code").symlink_to(base / "code")
    return stand_in


def _can_have(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return False
    return True


def _reads(path: Path) -> Any:
    """Return what the toolkit, which bears no byte order mark, reads in a file; None where it would fail."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
