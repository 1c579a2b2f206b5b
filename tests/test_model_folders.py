"""Where a model lies in its folder, and what is said of everything else that lies there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import requests

from classifier import artifact
from classifier.errors import UserError
from serving_helpers import SERVE, model_folder, serving

PB = "saved_model.pb"
# Even root may not read everything then.
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
USER = os.geteuid()

# The files, the SavedModel that is taken, and what is said of the others.
TAKEN: Mapping[str, tuple[Sequence[str], str, Sequence[str]]] = {
    "one version": ([f"1/{PB}"], "1", []),
    "the folder itself": ([PB], ".", []),
    "of two versions the higher": (
        [f"1/{PB}", f"2/{PB}"],
        "2",
        ["2 is used, the highest version, as in TensorFlow Serving; not 1"],
    ),
    "of versions the highest as a number": (
        [f"9/{PB}", f"10/{PB}", f"2/{PB}"],
        "10",
        ["10 is used, the highest version, as in TensorFlow Serving; not 2, 9"],
    ),
    "versions below another folder": (
        [f"text-model/3/{PB}", f"text-model/4/{PB}"],
        "text-model/4",
        ["text-model/4 is used, the highest version, as in TensorFlow Serving; not 3"],
    ),
    "the layout of SageMaker's own TensorFlow": ([f"export/Servo/1/{PB}"], "export/Servo/1", []),
    "the layout of SageMaker's own TensorFlow, with times as versions": (
        [f"export/Servo/1553525000/{PB}", f"export/Servo/1553524000/{PB}"],
        "export/Servo/1553525000",
        ["export/Servo/1553525000 is used, the highest version, as in TensorFlow Serving; not 1553524000"],
    ),
    "a higher version without a model": (
        [f"1/{PB}", "2/variables/variables.index"],
        "1",
        ["2: holds no model, though its number is higher; 1 is used"],
    ),
    "another model deeper in the folder": (
        [f"1/{PB}", f"old/backup/7/{PB}"],
        "1",
        ["old/backup/7: another model, deeper in the folder, which is not used"],
    ),
    "what is no model's": (
        [f"1/{PB}", f"code/2/{PB}", f"__MACOSX/3/{PB}", f".ipynb_checkpoints/4/{PB}", "lost+found/x", f"1/assets/{PB}"],
        "1",
        [],
    ),
    "a script": (
        [f"1/{PB}", "code/inference.py", "code/requirements.txt"],
        "1",
        ["code/inference.py: not run, as this image handles requests itself; "],
    ),
    "several scripts": (
        [f"1/{PB}", "code/inference.py", "code/model_handler.py", "inference.py"],
        "1",
        ["code/inference.py, code/model_handler.py, inference.py: not run, "],
    ),
    "a folder for code without a script": ([f"1/{PB}", "code/requirements.txt", "README.md"], "1", []),
}
REFUSED: Mapping[str, tuple[Sequence[str], str]] = {
    "two models that are no versions": ([f"tone/{PB}", f"topic/{PB}"], "holds 2 models (tone, topic); deploy one"),
    "a version and a copy": ([f"1/{PB}", f"1-old/{PB}"], "holds 2 models (1, 1-old); deploy one"),
    "the same version twice": ([f"1/{PB}", f"01/{PB}"], "holds 2 models (01, 1); deploy one"),
    "versions of two models": ([f"a/1/{PB}", f"b/2/{PB}"], "holds 2 models (a/1, b/2); deploy one"),
    "a file of Keras": (
        ["model.keras"],
        "model.keras is a Keras model; export it with the version of Keras that wrote it, keras.models.",
    ),
    "an older file of Keras, in a folder": (["export/net.h5"], "export/net.h5 is a Keras model"),
    "weights of Keras": (["a.weights.h5"], "a.weights.h5 is a file of Keras weights without their network"),
    "a Hugging Face folder": (
        ["config.json", "model.safetensors", "vocab.txt"],
        "model.safetensors is a Hugging Face checkpoint, which can't be served as it is; train with its folder on",
    ),
    "a Hugging Face folder of PyTorch": (["m/config.json", "m/pytorch_model.bin"], "m/pytorch_model.bin is a Hugging"),
    "a Hugging Face folder of TensorFlow": (["config.json", "tf_model.h5"], "tf_model.h5 is a Hugging Face checkpoint"),
    "an adapter": (["adapter_config.json", "adapter_model.safetensors"], "merge it into the checkpoint"),
    "a SavedModel without its graph": (
        ["1/variables/variables.index"],
        "1/variables is part of a SavedModel without its",
    ),
    "a SavedModel as text": (["1/saved_model.pbtxt"], "1/saved_model.pbtxt is a SavedModel written as text"),
    "a checkpoint of TensorFlow": (
        ["checkpoint", "model.ckpt-9.index"],
        "model.ckpt-9.index is a TensorFlow checkpoint",
    ),
    "a frozen graph": (["frozen_graph.pb"], "frozen_graph.pb is a TensorFlow graph that is not a SavedModel"),
    "TensorFlow Lite": (["model.tflite"], "model.tflite is a TensorFlow Lite model"),
    "PyTorch": (["model.pth", "code/inference.py"], "model.pth is a PyTorch model"),
    "ONNX": (["model.onnx"], "model.onnx is an ONNX model"),
    "scikit-learn": (["model.joblib"], "model.joblib is a pickled model, for example of scikit-learn"),
    "XGBoost": (["xgboost-model"], "xgboost-model is an XGBoost model"),
    "BlazingText": (["model.bin"], "model.bin is a fastText model"),
    "a model that was packed twice": (
        ["model.tar.gz"],
        "model.tar.gz is an archive inside the model folder; unpack it",
    ),
    "a script alone": (["code/inference.py"], "no model (it holds code); deploy the files of the model.tar.gz that"),
    "notes": (["README.md"], "no model (it holds README.md); deploy the files of the model.tar.gz that training wrote"),
}


def write(folder: Path, files: Sequence[str]) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("case", TAKEN)
def test_the_model_is_found_and_what_is_passed_over_is_said(tmp_path: Path, case: str) -> None:
    files, place, notes = TAKEN[case]
    model = artifact.load(write(tmp_path, files))
    assert model.saved_model == tmp_path / place
    assert len(model.notes) == len(notes)
    for note, words in zip(model.notes, notes, strict=True):
        assert note.startswith(words)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_model_is_called_by_its_name_with_what_to_do(tmp_path: Path, case: str) -> None:
    files, words = REFUSED[case]
    with pytest.raises(UserError) as error:
        artifact.load(write(tmp_path, files))
    assert words in str(error.value)


def test_labels_lie_beside_the_version_or_above_it(tmp_path: Path) -> None:
    write(tmp_path, [f"export/Servo/1/{PB}", f"export/Servo/2/{PB}"])
    (tmp_path / "labels.txt").write_text("no\nyes\n")
    (tmp_path / "export" / "Servo" / "1" / "labels.txt").write_text("another\nversion's\n")
    assert artifact.load(tmp_path).labels == ("no", "yes")


def test_of_two_versions_of_a_model_of_this_image_the_higher_is_taken(tmp_path: Path) -> None:
    for version in ("1", "2"):
        shutil.copytree(model_folder(), tmp_path / version)
    model = artifact.load(tmp_path)
    assert model.folder == tmp_path / "2"
    assert model.notes == ("2 is used, the highest version, as in TensorFlow Serving; not 1",)


# --- files that the user who serves may not read


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder with a copy of the model in it."""
    probed = subprocess.run([*WITHOUT_RIGHTS, "true"], check=False, capture_output=True)
    if probed.returncode:
        pytest.skip("needs a way to give up the right to read everything")
    shutil.copytree(model_folder(), tmp_path / "model")
    for path in (tmp_path / "model", tmp_path / "model" / "1"):
        path.chmod(0o755)
    yield tmp_path
    subprocess.run(["chmod", "-R", "u+rwX", str(tmp_path)], check=True)


READ = """
import sys
from pathlib import Path
from classifier import artifact
from classifier.errors import UserError
try:
    model = artifact.load(Path(sys.argv[1]))
    print(model.saved_model, *model.notes, sep="\\n")
except UserError as error:
    print(error)
"""


def read_without_rights(home: Path, path: str = "model") -> str:
    """What is said of a model folder: the SavedModel's place and the notes, or the refusal."""
    command = [*WITHOUT_RIGHTS, sys.executable, "-c", READ, str(home / path)]
    environ = {"PYTHONPATH": str(SERVE.parent)}
    done = subprocess.run(command, env=environ, capture_output=True, check=True, text=True, timeout=60)
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["lost+found", "code", ".cache", "__MACOSX"])
def test_a_folder_that_is_no_models_need_not_be_readable(home: Path, name: str) -> None:
    (home / "model" / name).mkdir(mode=0)
    assert read_without_rights(home) == str(home / "model" / "1")


def test_another_folder_that_is_not_readable_is_passed_over_with_a_word(home: Path) -> None:
    (home / "model" / "encoder").mkdir(mode=0)
    assert read_without_rights(home).splitlines() == [
        str(home / "model" / "1"),
        "encoder: ignored, as this user may not read it",
    ]


@pytest.mark.parametrize("name", ["1", "1/variables", "1/saved_model.pb", "manifest.json", "labels_info.json"])
def test_a_part_of_the_model_that_is_not_readable_is_named_with_the_cure(home: Path, name: str) -> None:
    path = home / "model" / name
    path.chmod(0)
    said = read_without_rights(home)
    assert said == (
        f"{path}: not readable by the user that this process runs as (id {USER}); make it readable for "
        f"all users (chmod -R a+rX {home / 'model'}), and if it comes from an archive, create that again"
    )
    subprocess.run(["chmod", "-R", "a+rX", str(home / "model")], check=True)
    assert read_without_rights(home) == str(home / "model" / "1")


def test_a_model_folder_that_is_not_readable_is_not_called_empty(home: Path) -> None:
    (home / "model").chmod(0)
    assert read_without_rights(home).startswith(
        f"{home / 'model'}: not readable by the user that this process runs as (id {USER})"
    )
    (home / "model").chmod(0o755)
    (home / "outer").mkdir()
    (home / "model").rename(home / "outer" / "model")
    (home / "outer" / "model").chmod(0)
    assert read_without_rights(home, "outer").startswith(f"{home / 'outer' / 'model'}: not readable")


def test_a_higher_version_that_is_not_readable_is_no_reason_to_serve_a_lower_one(home: Path) -> None:
    for name in ("manifest.json", "golden.json"):
        (home / "model" / name).unlink()
    (home / "model" / "2").mkdir(mode=0)
    assert read_without_rights(home).startswith(f"{home / 'model' / '2'}: not readable")


def test_serve_and_batch_pass_over_what_they_may_not_read_and_name_what_they_need(home: Path) -> None:
    model = home / "model"
    (model / "lost+found").mkdir(mode=0)
    (model / "secret.txt").touch(mode=0)
    (home / "rows.csv").write_text("text\nabc\n")
    out = home / "out"

    def batch() -> "subprocess.CompletedProcess[str]":
        options = ["--model", str(model), "--input", str(home / "rows.csv"), "--output", str(out)]
        environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        command = [*WITHOUT_RIGHTS, sys.executable, str(SERVE.parent / "batch"), *options]
        return subprocess.run(command, env=environ, capture_output=True, check=False, text=True, timeout=120)

    done = batch()
    assert done.returncode == 0, done.stdout + done.stderr
    with serving(model, command=(*WITHOUT_RIGHTS, str(SERVE))) as server:
        assert server.ask("abc").status_code == 200
        assert not [event for event in server.events() if event["level"] == "warning"]
    (model / "1").chmod(0)
    done = batch()
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "event=failed" in line]
    assert f"{model / '1'}: not readable" in line
    assert "Traceback" not in done.stdout + done.stderr
    with serving(model, command=(*WITHOUT_RIGHTS, str(SERVE)), ready=False) as server:
        assert server.process.wait(30) == 1
        (line,) = server.output().splitlines()
        assert f"{model / '1'}: not readable" in line


def test_a_multi_model_endpoint_says_the_same(home: Path) -> None:
    for name in ("good", "bad"):
        shutil.copytree(home / "model", home / "models" / name / "model")
        (home / "models" / name / "model").chmod(0o755)
    (home / "models" / "good" / "model" / "lost+found").mkdir(mode=0)
    (home / "models" / "good" / "model" / "code").mkdir()
    (home / "models" / "good" / "model" / "code" / "inference.py").touch()
    bad = home / "models" / "bad" / "model"
    (bad / "1").chmod(0)
    command = (*WITHOUT_RIGHTS, str(SERVE))
    with serving(home / "model", {"SAGEMAKER_MULTI_MODEL": "true"}, command) as server:

        def load(name: str) -> requests.Response:
            body = {"model_name": name, "url": str(home / "models" / name / "model")}
            return requests.post(f"{server.url}/models", json=body, timeout=60)

        assert load("good").status_code == 200
        refused = load("bad")
        assert refused.status_code == 400
        assert (
            f"{bad / '1'}: not readable by the user that this process runs as (id {USER})"
            in refused.json()["error"]["message"]
        )
        bad.chmod(0)
        assert f"{bad}: not readable" in load("bad").json()["error"]["message"]
        (note,) = [event for event in server.events() if event["event"] == "model_note"]
        assert (note["level"], note["model"]) == ("warning", "good")
        assert note["note"].startswith("code/inference.py: not run")
