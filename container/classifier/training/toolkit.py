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

from classifier.environment import base_folder, set_variables, variables
from classifier.training.interruption import forward_to_children

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
    _forget_last_run(base / "output")
    set_variables({"CLASSIFIER_BASE_DIR": str(base), "SAGEMAKER_BASE_DIR": str(_prepared(base))})
    if _brings_a_script(base):
        forward_to_children()
    else:
        set_variables({"SAGEMAKER_TRAINING_MODULE": function})
    from sagemaker_training import trainer  # noqa: PLC0415  it reads the folder's name, and makes folders, on import

    try:
        trainer.train()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    if code == 0 and not (base / "output" / "success").is_file():
        log.error("event=failed note=%r", f"the job's outcome can't be written to {base / 'output'}; make it writable")
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
    return bool((_read_object(base / "input" / "config" / "hyperparameters.json") or {}).get(PROGRAM))


def _prepared(base: Path) -> Path:
    """Return the job's folder, or, where that lacks what the toolkit needs, a folder of links to it that does not."""
    config = base / "input" / "config"
    if all(_read_object(config / name) is not None for name in CONFIGURATION) and _can_have(base / "code"):
        return base
    stand_in = Path(tempfile.mkdtemp(prefix="job-"))
    (stand_in / "input" / "config").mkdir(parents=True)
    for name, default in CONFIGURATION.items():
        content = _read_object(config / name)
        text = json.dumps(default if content is None else content)
        (stand_in / "input" / "config" / name).write_text(text, encoding="utf-8")
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


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
