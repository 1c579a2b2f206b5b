"""What is wrong with data is told before anybody waits for TensorFlow, however late in the reading it is found."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import test_broken_data
import test_channel_files
import test_channel_names
import test_other_formats
import test_text_folders
from jobs import ROOT

GOOD = "".join(f"{('fire', 'brakes')[number % 2]},text {number}\n" for number in range(12))
Files = Mapping[str, str | bytes]

# Files by their names below the job's channels, the hyperparameters, and words of the message.
LATE: Mapping[str, tuple[Files, Mapping[str, str], str]] = {
    "one label only": ({"training/data.csv": "0,a\n0,b\n"}, {}, "a classifier needs two labels or more"),
    "a validation label that training lacks": (
        {"training/data.csv": GOOD, "eval/data.csv": "axle,a\n"},
        {},
        "eval/data.csv:1: a label that no training row has",
    ),
    "a test label that training lacks": (
        {"training/data.csv": GOOD, "test/data.csv": "fire,x\naxle,a\n"},
        {},
        "test/data.csv:2: a label that no training",
    ),
    "validation labels of another kind": (
        {"training/data.csv": GOOD, "validation/data.csv": "1,a\n"},
        {},
        "the labels are integers here and names in",
    ),
    "labels that are texts": (
        {"training/data.csv": "".join(f"text {number},{number % 2}\n" for number in range(30))},
        {},
        "the first column must be the label",
    ),
    "a header that is not recognised": (
        {"training/data.csv": "mood,posting\n" + GOOD},
        {},
        "if it is a header, call its columns label and text",
    ),
    "no rows to stop early by": (
        {"training/data.csv": GOOD},
        {"early_stopping": "True", "validation_split_ratio": "0"},
        "hyperparameter early_stopping=True: early stopping needs validation rows",
    ),
    "no channel to train on": ({"eval/data.csv": GOOD}, {}, "no channel 'training' (or 'train')"),
    "two channels to train on": (
        {"training/data.csv": GOOD, "train/data.csv": GOOD},
        {},
        "the channels train and training are all for training",
    ),
    "one label's folder of images": (
        {"training/rose/a.png": b"\x89PNG\r\n\x1a\n"},
        {},
        "training/rose/a.png: ",
    ),
}

# Of lists of images, a job that does not say what it classifies is told as one of images.
OF_IMAGES: Mapping[str, str] = {
    "a list of images of MXNet": "a list of images and labels for im2rec (.lst)",
    "Ground Truth's list of images": "an augmented manifest of images, as SageMaker Ground Truth writes it",
}

PROGRAM = """
import json, sys, logging
from pathlib import Path
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.training import program
from classifier.training.interruption import Interruption

messages = {}
for base in sorted(Path(sys.argv[1]).iterdir(), key=lambda path: int(path.name)):
    try:
        program.train(Environment.from_environ({"SAGEMAKER_BASE_DIR": str(base)}), Interruption())
        messages[base.name] = "trained"
    except UserError as error:
        messages[base.name] = str(error)
    loaded = {name.split(".")[0] for name in sys.modules} & {"tensorflow", "tf_keras", "keras", "tensorflow_text"}
    if loaded:
        sys.exit(f"{base.name}: {loaded} imported: {messages[base.name]}")
print(json.dumps(messages))
"""


def cases() -> dict[str, tuple[Files, Mapping[str, str], str]]:
    """Every kind of broken data that a test has."""
    all_kinds: dict[str, tuple[Files, Mapping[str, str], str]] = {f"late: {kind}": case for kind, case in LATE.items()}
    for kind, broken in test_broken_data.TABLE.items():
        files: dict[str, str | bytes] = {} if broken.channel == "training" else {"training/data.csv": broken.training}
        all_kinds[f"broken: {kind}"] = (files | {f"{broken.channel}/{broken.file}": broken.content}, {}, broken.cure)
    for kind, (files_of, _, cure) in {**test_channel_files.REFUSED, **test_text_folders.REFUSED}.items():
        all_kinds[f"channel: {kind}"] = ({f"training/{name}": content for name, content in files_of.items()}, {}, cure)
    for kind, (name, content, words, _) in test_other_formats.FILES.items():
        if kind != "an image":  # which makes it a job of images
            all_kinds[f"format: {kind}"] = ({f"training/{name}": content}, {}, OF_IMAGES.get(kind, words))
    for kind, (names, words) in test_channel_names.REFUSED.items():
        all_kinds[f"names: {kind}"] = ({f"{name}/data.csv": GOOD for name in names}, {}, words)
    return all_kinds


def write(base: Path, files: Files, hyperparameters: Mapping[str, Any]) -> None:
    for name, content in files.items():
        path = base / "input" / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (base / "input" / "config").mkdir(parents=True)
    (base / "input" / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a job says of each kind, in one process, in which TensorFlow is never imported."""
    folder = tmp_path_factory.mktemp("jobs")
    kinds = cases()
    for number, (files, hyperparameters, _) in enumerate(kinds.values()):
        write(folder / str(number), files, hyperparameters)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=ROOT / "container",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    said = json.loads(ended.stdout.splitlines()[-1])
    return {kind: said[str(number)] for number, kind in enumerate(kinds)}


@pytest.mark.parametrize("kind", cases())
def test_broken_data_end_a_job_before_tensorflow_is_imported_T05(messages: dict[str, str], kind: str) -> None:
    assert cases()[kind][2] in messages[kind]
