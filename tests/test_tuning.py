"""Jobs as a tuning job starts them: every corner of the built-in algorithm's ranges, and what comes of a bad one."""

import json
import re
from typing import Any, cast

import pytest

from classifier import predictor
from classifier.errors import UserError
from classifier.hyperparameters import SCHEMA
from classifier.training import candidates, outcome
from classifier.training.loop import step
from jobs import Job

CORNERS = {
    "batch_size": ("4", "128"),
    "beta_1": ("0.000001", "0.999"),
    "beta_2": ("0.000001", "0.999"),
    "eps": ("1e-08", "1.0"),
    "learning_rate": ("1e-06", "0.5"),
    "momentum": ("0", "0.999"),
    "optimizer": ("adam", "adamw", "sgd", "nesterov", "rmsprop", "adagrad", "adadelta"),
    "regularizers_l2": ("0", "0.999"),
    "train_only_on_top_layer": ("True", "False"),
}
# Jobs that have all corners among them; those of an optimizer's own settings are with optimizers that use them.
CORNER_JOBS = (
    {"optimizer": "adam", "beta_1": "0.000001", "beta_2": "0.999", "eps": "1e-08", "learning_rate": "0.5"},
    {"optimizer": "adam", "beta_1": "0.999", "beta_2": "0.000001", "eps": "1.0", "learning_rate": "1e-06"},
    {"optimizer": "adamw", "batch_size": "4", "regularizers_l2": "0.999"},
    {"optimizer": "sgd", "batch_size": "128", "momentum": "0.999", "regularizers_l2": "0"},
    {"optimizer": "nesterov", "momentum": "0"},
    {"optimizer": "rmsprop", "train_only_on_top_layer": "True"},
    {"optimizer": "adagrad", "train_only_on_top_layer": "False"},
    {"optimizer": "adadelta"},
)
SHORT = {"epochs": "1", "validation_split_ratio": "0.34"}
# Every name with a value that is not its default.
ALL = {
    "epochs": "2", "batch_size": "4", "learning_rate": "0.001", "optimizer": "adamw", "beta_1": "0.8",
    "beta_2": "0.99", "epsilon": "1e-6", "momentum": "0.5", "rho": "0.9", "initial_accumulator_value": "0.1",
    "warmup_steps_fraction": "0.2", "early_stopping": "True", "early_stopping_patience": "3",
    "early_stopping_min_delta": "0.01", "dropout_rate": "0.1", "regularizers_l2": "0.01",
    "train_only_top_layer": "False", "reinitialize_top_layer": "True", "validation_split_ratio": "0.34",
    "model_id": "tensorflow-tc-small-bert-bert-en-uncased-L-2-H-128-A-2", "max_sequence_length": "16",
    "long_texts": "head_tail", "time_budget": "100000",
    "header": "false", "delimiter": "comma", "class_weights": "balanced", "label_smoothing": "0.1",
    "gradient_clip_norm": "1", "ngram_features": "true", "refit": "true", "calibrate": "false",
    "target_precision": "0.9", "suspect_labels": "False",
    "encoder_learning_rate_decay": "0.9", "eval_metric": "auc", "mixed_precision": "bfloat16", "jit_compile": "false",
    "epoch_factor": "1", "power_decay": "false", "vocab_size": "100", "embed_size": "8", "hidden_size": "8",
    "n_layers": "2", "bidirectional": "False", "kernel_size": "3", "seed": "7",
    "modality": "text", "augmentation": "True", "augmentation_random_flip": "vertical",
    "augmentation_random_rotation": "0.1", "augmentation_random_zoom": "-0.2", "image_range": "0..255",
    "report": "False", "report_examples": "True",
}  # fmt: skip


def test_every_corner_of_the_tuning_ranges_is_in_a_job_U03_U04_U05() -> None:
    corners = {(name, value) for name, values in CORNERS.items() for value in values}
    assert {corner for job in CORNER_JOBS for corner in job.items()} == corners


@pytest.mark.parametrize("corners", CORNER_JOBS, ids=lambda corners: corners["optimizer"])
def test_every_corner_of_the_tuning_ranges_trains_U03_U04_U05(
    job: Job, corners: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[outcome.Outcome] = []  # what comes after them is the same whatever the corner, and takes longest
    monkeypatch.setattr(candidates, "finish", lambda _, trained, *__: outcomes.append(trained))
    quoted = {name: f'"{value}"' for name, value in corners.items()}
    job.configure(hyperparameters={**SHORT, **quoted, "_tuning_objective_metric": "x"})
    job.train()
    (trained,) = outcomes
    assert "val_accuracy" in trained.trained.metrics


def test_a_job_that_sets_every_hyperparameter_trains_and_keeps_what_it_was_given(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    assert set(ALL) == set(SCHEMA)
    job.configure(hyperparameters=ALL)
    with caplog.at_level("INFO"):
        job.train()
    kept = json.loads((job.model / "manifest.json").read_text())["hyperparameters"]
    assert {name: SCHEMA[name].kind.parse(value) for name, value in ALL.items()} == kept
    assert "momentum has no effect: it is for optimizer=sgd or nesterov" in caplog.text
    assert re.search(r"val_auc=[01]\.\d+", caplog.text)
    assert predictor.load(job.model)


def test_a_job_written_for_the_built_in_algorithm_runs_unchanged_T85_T86(job: Job) -> None:
    job.configure(
        hyperparameters={
            "epochs": '"2"', "batch-size": '"4"', "adam-learning-rate": '"1e-5"', "train-only-top-layer": '"False"',
            "reinitialize-top-layer": '"Auto"', "model_id": '"tensorflow-tc-bert-en-uncased-L-12-H-768-A-12-2"',
            "sagemaker_container_log_level": "20", "sagemaker_job_name": '"tc-1"', "sagemaker_region": '"eu-west-1"',
        },
    )  # fmt: skip
    job.train()
    manifest = json.loads((job.model / "manifest.json").read_text())
    assert manifest["hyperparameters"]["learning_rate"] == 1e-5
    assert manifest["hyperparameters"]["epochs"] == 2


def test_a_job_that_diverges_fails_with_what_to_do_and_prints_no_figure_that_is_none_U07(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    job.configure(hyperparameters={**SHORT, "epochs": "5", "optimizer": "sgd", "learning_rate": "1", "momentum": "1",
                                   "regularizers_l2": "1"})  # fmt: skip
    weights = job.base / "input" / "data" / "model"
    _make_huge(weights)
    with caplog.at_level("INFO"), pytest.raises(UserError, match=r"training diverged.*lower learning_rate"):
        job.train()
    assert "=nan" not in caplog.text
    assert ": nan" not in caplog.text
    assert not (job.model / "1").exists()


def _make_huge(folder: "object") -> None:
    from pathlib import Path

    from safetensors.numpy import load_file, save_file

    path = Path(str(folder)) / "model.safetensors"
    tensors = load_file(path)
    tensors["encoder.layer.0.output.LayerNorm.weight"] = tensors["encoder.layer.0.output.LayerNorm.weight"] * 1e38
    save_file(tensors, path)


def test_early_stopping_ends_the_run_when_nothing_rises_any_more(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    job.configure(
        hyperparameters={
            **SHORT, "epochs": "30", "early_stopping": "True", "early_stopping_patience": "2", "learning_rate": "0",
        }
    )  # fmt: skip
    with caplog.at_level("INFO"):
        job.train()
    epochs = json.loads((job.base / "output" / "data" / "evaluation.json").read_text())["epochs"]
    assert len(epochs) == 1 + 2
    assert "event=early_stopping note='val_accuracy has not improved in 2 epochs'" in caplog.text


def test_early_stopping_without_validation_rows_is_refused(job: Job) -> None:
    job.configure(hyperparameters={"early_stopping": "True", "validation_split_ratio": "0"})
    with pytest.raises(UserError, match="early stopping needs validation rows, and there are none"):
        job.train()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_model_trained_in_half_precision_is_exported_and_scored_in_float32(
    job: Job, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    job.configure(hyperparameters={**SHORT, "mixed_precision": precision, "learning_rate": "0.01"})
    with caplog.at_level("INFO"):
        job.train()
    assert f"precision={precision} precision_from='given'" in caplog.text
    compared = re.findall(r"rows_compared=(\d+) largest_difference=([\d.]+)", caplog.text)
    assert int(compared[0][0]) == 4
    assert float(compared[0][1]) < 1e-5
    assert predictor.load(job.model)


@pytest.mark.parametrize("wanted", [True, False])
def test_xla_compiles_the_step_where_it_is_wanted(job: Job, monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    steps: list[Any] = []
    build_step = step.build_step

    def kept(*arguments: Any, **options: Any) -> step.Step:
        steps.append(build_step(*arguments, **options))
        return cast("step.Step", steps[-1])

    monkeypatch.setattr(step, "build_step", kept)
    job.configure(hyperparameters={**SHORT, "jit_compile": str(wanted)})
    job.train()
    (function,) = steps
    functions = function.get_concrete_function().graph.as_graph_def().library.function
    assert any(each.attr["_XlaMustCompile"].b for each in functions) is wanted
