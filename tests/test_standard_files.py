"""The files for SageMaker Model Registry, Hugging Face, TensorBoard and MLflow that a job leaves."""

import importlib.util
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow  # noqa: F401  its import, of seconds, is not part of a run's time limit
import pytest
import tensorflow as tf
import yaml
from tensorflow.core.util import event_pb2

from classifier import environment
from classifier.training.standard_files import mlflow_run, model_card
from classifier.training.standard_files.readme import readme
from classifier.training.standard_files.tensorboard import EpochEvents
from jobs import ROWS, Job, rows
from standard_file_helpers import facts_with

LABELS = ["fire", "a|b *c*"]
TEST_ROWS = [("fire", "the old car is new"), ("a|b *c*", "she left the door"), ("fire", "good")]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Job:
    """A job of two epochs with validation and test rows, and a label that Markdown would change."""
    job = Job.create(tmp_path_factory.mktemp("files") / "ml", encoder=tiny_encoder)
    job.channel("training", rows([(LABELS[label], text) for label, text in ROWS]))
    job.channel("test", rows(TEST_ROWS))
    job.configure(hyperparameters={"epochs": "2", "batch_size": "4", "validation_split_ratio": "0.34"})
    job.train()
    return job


def written(job: Job, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((job.base / "output" / "data" / name).read_text(encoding="utf-8"))
    return content


def events(folder: Path) -> list[event_pb2.Event]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        event_pb2.Event.FromString(record.numpy()) for path in found for record in tf.data.TFRecordDataset(str(path))
    ]


def scalars(folder: Path) -> dict[tuple[int, str], float]:
    """Return the scalars of event files by epoch and name."""
    return {
        (event.step, value.tag): tf.make_ndarray(value.tensor).item()
        for event in events(folder)
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "scalars"
    }


def metadata(text: str) -> dict[str, Any]:
    """Return the metadata that a README.md begins with."""
    _, front, _ = text.split("---\n", 2)
    content: dict[str, Any] = yaml.safe_load(front)
    return content


# --- of a job -------------------------------------------------------------------------------------------------------


def test_a_number_is_the_same_in_every_file(job: Job) -> None:
    evaluation, card = written(job, "evaluation.json"), written(job, model_card.FILE)
    of_test = written(job, "statistics.json")["binary_classification_metrics"]
    assert of_test["accuracy"]["value"] == evaluation["test"]["accuracy"]
    second = evaluation["test"]["by_label"][1]
    for name in ("precision", "recall", "f1"):
        assert of_test[name]["value"] == second[name]
    matrix = [list(line.values()) for line in of_test["confusion_matrix"].values()]
    assert matrix == evaluation["test"]["confusion_matrix_rows_are_true"]
    details = {each["name"].removesuffix(" rows"): each for each in card["evaluation_details"]}
    read = metadata((job.model / "README.md").read_text(encoding="utf-8"))
    results = {each["dataset"]["split"]: each["metrics"] for each in read["model-index"][0]["results"]}
    assert list(details) == list(results) == ["test", "validation"]
    for split in ("test", "validation"):
        report = evaluation[split]
        overall, by_label = (group["metric_data"] for group in details[split]["metric_groups"])
        assert [metric["value"] for metric in overall] == [report["accuracy"], report["macro_f1"]]
        assert [metric["value"] for metric in results[split]] == [report["accuracy"], report["macro_f1"]]
        assert by_label[2]["value"] == [line["f1"] for line in report["by_label"] if line["rows"]]
        assert len(by_label[2]["x_axis_name"]) == len(by_label[2]["value"])
        assert by_label[3]["value"] == report["confusion_matrix_rows_are_true"]
    metrics = card["training_details"]["training_job_details"]["user_provided_training_metrics"]
    assert {metric["name"]: metric["value"] for metric in metrics} == evaluation["best"] == job.manifest["metrics"]


def test_event_files_have_the_metrics_of_every_epoch(job: Job) -> None:
    epochs = written(job, "evaluation.json")["epochs"]
    assert len(epochs) == 2
    assert scalars(job.base / "output" / "tensorboard") == pytest.approx(
        {(number, name): value for number, epoch in enumerate(epochs, start=1) for name, value in epoch.items()}
    )


def test_no_text_of_a_row_is_in_any_file(job: Job) -> None:
    found = [path for folder in ("output", "model") for path in (job.base / folder).rglob("*") if path.is_file()]
    assert {"statistics.json", "model_card.json", "README.md"} <= {path.name for path in found}
    for path in found:
        content = path.read_bytes()
        assert [text for _, text in (*ROWS, *TEST_ROWS) if len(text) > 4 and text.encode() in content] == []


def test_the_readme_has_hugging_faces_sections_and_metadata(job: Job) -> None:
    text = (job.model / "README.md").read_text(encoding="utf-8")
    assert re.findall("^## (.*)", text, re.MULTILINE) == [
        "Model Details", "Uses", "Bias, Risks, and Limitations", "How to Get Started with the Model",
        "Training Details", "Evaluation",
    ]  # fmt: skip
    assert metadata(text)["pipeline_tag"] == "text-classification"
    assert "base_model" not in metadata(text)  # the tiny encoder is nobody's
    assert "\n| a\\|b \\*c\\* | " in text
    assert "\n| epochs | 2 |" in text


def test_a_job_without_rows_to_judge_by_has_a_card_and_no_statistics(tmp_path: Path, tiny_encoder: Path) -> None:
    job = Job.create(tmp_path / "ml", encoder=tiny_encoder)
    job.configure(hyperparameters={"epochs": "1", "batch_size": "4", "validation_split_ratio": "0"})
    job.train()
    assert not (job.base / "output" / "data" / "statistics.json").exists()
    assert written(job, model_card.FILE)["evaluation_details"] == []
    text = (job.model / "README.md").read_text(encoding="utf-8")
    assert "no rows to evaluate" in text
    assert metadata(text)["model-index"][0]["results"] == []


# --- of any model ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [2, 20, 21, 100, 101])
def test_a_card_keeps_to_the_schemas_limits_whatever_the_labels(labels: int) -> None:
    card = model_card.model_card(facts_with(labels))
    assert len(json.dumps(card)) < 100_000
    assert "model_overview" not in card  # that of a model package may say no more than who made it
    job = card["training_details"]["training_job_details"]
    assert job["training_arn"] == "arn:aws:x"
    values = {each["name"]: each["value"] for each in job["user_provided_hyper_parameters"]}
    assert values == {"seed": "1", "epochs": "2", "model_id": "x" * 254 + "…"}
    (evaluation,) = card["evaluation_details"]
    kinds = [metric["type"] for group in evaluation["metric_groups"] for metric in group["metric_data"]]
    assert kinds.count("matrix") == (labels <= 20)
    assert kinds.count("bar_chart") == (3 if labels <= 100 else 0)
    for group in evaluation["metric_groups"]:
        for metric in group["metric_data"]:
            names = metric.get("x_axis_name", [])
            assert all(len(name) <= 63 for name in names)
            assert len(metric["value"]) == len(names) if names else metric["type"] == "number"
    assert all(len(value) <= 1024 for value in card["additional_information"]["custom_details"].values())


def test_rows_that_the_model_learnt_from_after_its_evaluation_are_said_to_be_so() -> None:
    facts = facts_with(2)
    words = "the model learnt from these rows, too"
    for refit in (False, True):
        found = replace(facts, evaluation={**facts.evaluation, "top_layer": {"refit": refit}})
        assert (words in readme(found)) is refit
        assert (words in json.dumps(model_card.model_card(found))) is refit


def test_a_model_that_abstains_is_not_said_to_label_everything() -> None:
    facts = facts_with(2)
    for abstention, words in (
        ({"threshold": 0.0}, "Every input gets one of the labels"),
        ({"threshold": 0.8}, "get no label"),
        ({"threshold": 0.0, "thresholds": {"a": 0.9}}, "get no label"),
    ):
        found = replace(facts, evaluation={**facts.evaluation, "abstention": abstention})
        assert words in readme(found)
        assert words in json.dumps(model_card.model_card(found))


def test_the_encoder_is_named_as_its_repository() -> None:
    assert metadata(readme(facts_with(2)))["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"


def test_event_files_that_cannot_be_written_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    files = EpochEvents(tmp_path / "file" / "tensorboard")
    files.write([{"loss": 0.5}])
    files.write([{"loss": 0.5}, {"loss": 0.25}])
    assert caplog.text.count("event=tensorboard") == 1


# --- MLflow ---------------------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """The requests that a client of MLflow's REST API makes to log a run, kept as they come."""

    daemon_threads = True

    def __init__(self, artifacts: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.artifacts = artifacts
        self.bodies: list[tuple[str, dict[str, Any]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> Mapping[str, Any]:
        info = {"run_id": "a" * 32, "experiment_id": "7", "artifact_uri": self.artifacts.as_uri(), "start_time": 1}
        if path.endswith("get-by-name"):
            return {"experiment": {"experiment_id": "7", "name": "claims", "lifecycle_stage": "active"}}
        if path.endswith(("runs/create", "runs/get")):
            return {"run": {"info": {**info, "status": "RUNNING", "lifecycle_stage": "active"}, "data": {}}}
        return {}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.server.bodies.append((path.partition("/mlflow/")[2], json.loads(body or b"{}")))
        content = json.dumps(self.server.answer(path)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the base class's name
        """Stay silent."""


@contextmanager
def running(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The process's variables, as far as MLflow is concerned: real ones, put back at the end."""
    for name in mlflow_run.SETTINGS:
        monkeypatch.setenv(name, mlflow_run.SETTINGS[name])  # so that they are removed again
    monkeypatch.setenv(mlflow_run.EXPERIMENT, "claims")
    values: dict[str, str] = {}
    monkeypatch.setattr(environment, "variables", lambda: {**values, mlflow_run.EXPERIMENT: "claims"})
    return values


def files_of_run(folder: Path) -> dict[str, str]:
    """Return the content of the metrics and parameters of the only run in a folder of MLflow's."""
    (parameters,) = folder.glob("*/*/params")
    return {
        path.relative_to(parameters.parent).as_posix(): path.read_text(encoding="utf-8")
        for path in parameters.parent.rglob("*")
        if path.is_file()
    }


def assert_run(files: Mapping[str, str]) -> None:
    assert [line.split()[1:] for line in files["metrics/loss"].splitlines()] == [["0.5", "1"], ["0.25", "2"]]
    assert files["metrics/validation_accuracy"].split()[1:] == ["1.0", "2"]
    assert files["params/epochs"] == "2"
    assert files["tags/mlflow.runName"] == "claims"
    assert "params/dropout" not in files


def test_without_an_address_nothing_is_logged(
    variables: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not variables
    mlflow_run.log_run(facts_with(2), (), tmp_path / "mlruns", stopped=False)
    assert caplog.text == ""
    assert not list(tmp_path.iterdir())


def test_without_mlflow_one_warning_says_so(
    variables: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables[mlflow_run.ADDRESS] = "http://127.0.0.1:9"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    mlflow_run.log_run(facts_with(2), (), tmp_path / "mlruns", stopped=False)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "mlflow is not installed" in record.getMessage()
    assert not list(tmp_path.iterdir())


def test_a_run_is_logged_to_a_folder(variables: dict[str, str], tmp_path: Path) -> None:
    variables[mlflow_run.ADDRESS] = (tmp_path / "chosen").as_uri()
    mlflow_run.log_run(facts_with(2), (), tmp_path / "mlruns", stopped=False)
    assert_run(files_of_run(tmp_path / "chosen"))
    assert not (tmp_path / "mlruns").exists()


def test_a_run_is_logged_to_a_server_with_its_files(variables: dict[str, str], tmp_path: Path) -> None:
    kept = tmp_path / "statistics.json"
    kept.write_text("{}")
    with running(Server(tmp_path / "artifacts")) as server:
        variables[mlflow_run.ADDRESS] = server.address
        mlflow_run.log_run(facts_with(2), (kept,), tmp_path / "mlruns", stopped=False)
    calls = dict(server.bodies)
    assert calls["runs/create"]["experiment_id"] == "7"
    assert calls["runs/create"]["run_name"] == "claims"
    logged = [metric for path, body in server.bodies if path == "runs/log-batch" for metric in body.get("metrics", ())]
    assert [(each["key"], each["value"], each["step"]) for each in logged] == [
        ("loss", 0.5, 1), ("loss", 0.25, 2), ("validation_accuracy", 1.0, 2), ("validation_macro_f1", 1.0, 2)
    ]  # fmt: skip
    assert calls["runs/update"]["status"] == "FINISHED"
    assert (tmp_path / "artifacts" / "statistics.json").read_text() == "{}"
    assert not (tmp_path / "mlruns").exists()


def test_a_server_that_cannot_be_reached_is_a_warning_and_the_run_is_in_a_folder(
    variables: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        variables[mlflow_run.ADDRESS] = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}"
    mlflow_run.log_run(facts_with(2), (), tmp_path / "mlruns", stopped=False)
    records = [record for record in caplog.records if "event=mlflow" in record.getMessage()]
    assert [record.levelname for record in records] == ["WARNING"]
    assert "secret" not in caplog.text
    assert_run(files_of_run(tmp_path / "mlruns"))


def test_a_server_that_does_not_answer_is_left_behind(
    variables: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_run, "SECONDS_OF_A_STOPPED_JOB", 5.0)
    answered = threading.Event()
    monkeypatch.setattr(Server, "answer", lambda *_: answered.wait(30) and {})
    with running(Server(tmp_path)) as server:
        variables[mlflow_run.ADDRESS] = server.address
        mlflow_run.log_run(facts_with(2), (), tmp_path / "mlruns", stopped=True)
        assert not answered.is_set()
        answered.set()
    assert "no answer in 5 seconds" in caplog.text
    assert_run(files_of_run(tmp_path / "mlruns"))
