"""Amazon's SageMaker training toolkit, and the files it needs that a job may lack.

The toolkit writes the failure file, sets the exit code, and runs the user's own script if the job has one
(``sagemaker_program``). If ``output/`` or a configuration file is missing, it silently ends with exit code 0
(sagemaker-training 5.1: writing the failure file fails too), so it is given a folder that has them.
"""

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.environment import base_folder, read_object, set_variables, variables
from classifier.errors import at_most
from classifier.hyperparameters import unquote
from classifier.training.interruption import Interruption, forward_to_children

log = logging.getLogger(__name__)

CONFIGURATION: Mapping[str, Mapping[str, object]] = {
    "hyperparameters.json": {},
    "inputdataconfig.json": {},
    "resourceconfig.json": {"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "eth0"},
}
PROGRAM = "sagemaker_program"
SUBMITTED = "sagemaker_submit_directory"
INSTEAD = (
    "this script runs instead of the image's own training; remove entry_point and source_dir to train with the image"
)
FILES_NAMED = 5
CODE_ARCHIVE = "/opt/ml/input/data/code/sourcedir.tar.gz"
# What the toolkit writes to the failure file if a step before the script fails: a function or an error.
FETCHING = "in download_and_extract"
INSTALLING = "InstallRequirementsError"
ISOLATED = "a job with network isolation reaches no"


def run(function: str) -> int:
    """Run a job: the user's own script if there is one, else a function of this package.

    Args:
        function: The function, as ``package.module:function``.

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
        script = _script(base)
        if not script:
            set_variables({"SAGEMAKER_TRAINING_MODULE": function})
        elif Interruption.of_process().requested():
            return 1
        else:
            log.warning("event=script program=%r note=%r", script, INSTEAD)
            forward_to_children()
        return _run_trainer(base)


def _run_trainer(base: Path) -> int:
    from sagemaker_training import trainer  # noqa: PLC0415  its import reads variables and creates folders

    code = 1
    try:
        trainer.train()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    _explain(base)
    if code == 0 and not (base / "output" / "success").is_file():
        log.error("event=failed note=%r", f"the job ended without an outcome; can {base / 'output'} be written to?")
        return 1
    return code


def _forget_last_run(output: Path) -> None:
    """Create the output folder, and remove the outcome of an earlier run on the same folders."""
    output.mkdir(parents=True, exist_ok=True)
    for name in ("failure", "success"):
        (output / name).unlink(missing_ok=True)


def _script(base: Path) -> str:
    """Return the name of the job's own script; empty if it has none."""
    given = variables().get("SAGEMAKER_PROGRAM") or _hyperparameters(base).get(PROGRAM)
    return unquote(given) if given else ""


def _explain(base: Path) -> None:
    """Rewrite the failure file of a script that could not be run: first what is missing, and the cure.

    The toolkit's own text begins with a traceback, which would fill the failure reason; the log has it too.
    """
    path = base / "output" / "failure"
    given = _hyperparameters(base)
    if not path.is_file() or not given.get(PROGRAM):
        return
    written = path.read_text(encoding="utf-8", errors="replace").strip()
    code = Path(variables()["SAGEMAKER_BASE_DIR"]) / "code"
    words = _missing(code, unquote(given[PROGRAM]), unquote(given.get(SUBMITTED, "")), written)
    if words:
        path.write_text(f"{words}\n{written.splitlines()[-1]}\n", encoding="utf-8")


def _missing(code: Path, program: str, source: str, written: str) -> str:
    """Return why a script could not be run, and the cure; "" if it was run."""
    if FETCHING in written and source.startswith("s3://"):
        return (
            f"the script {program} could not be fetched from {source}; {ISOLATED} S3 and needs the channel `code`: "
            f"give the archive's S3 address as that channel, and set {SUBMITTED} to {CODE_ARCHIVE} (its SDK does "
            "both with enable_network_isolation=True); without isolation, see that the job's role may read the archive"
        )
    if FETCHING in written:
        return (
            f"the script {program} could not be unpacked from {source}; set {SUBMITTED} to the .tar.gz or the folder "
            f"that has it: its S3 address, or {CODE_ARCHIVE} with the archive on the channel `code`"
        )
    if INSTALLING in written:
        return (
            f"the packages of requirements.txt could not be installed; {ISOLATED} package index: put their wheels "
            "beside it and begin it with the lines --no-index and --find-links . , or leave out what the image has"
        )
    if code.is_dir() and not (code / program).exists():
        there = ", ".join(at_most(sorted(found.name for found in code.iterdir()), FILES_NAMED)) or "nothing"
        return f"the script {program} is not in the job's code ({there}); set {PROGRAM} to its path there"
    return ""


def _hyperparameters(base: Path) -> dict[str, Any]:
    return read_object(base / "input" / "config" / "hyperparameters.json", [])


def _prepared(base: Path, stand_in: Path) -> Path:
    """Return the job's folder, or a folder of links to it with all that the toolkit needs, if the job's lacks some."""
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


def _reads(path: Path) -> object:
    """Return the JSON that the toolkit, which fails on a byte order mark, reads in a file; None if it would fail."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
