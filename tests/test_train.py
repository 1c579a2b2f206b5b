"""The program `train`, as SageMaker runs it: a process, its files, its exit code, its log."""

import json
import os
import re
import signal
import stat
import time
from pathlib import Path
from shutil import rmtree

import numpy as np
import psutil
import pytest

from classifier import predictor
from classifier.errors import UserError
from jobs import ROWS, TRAIN, Job, rows

EQUALS = re.compile(r"val_accuracy=([0-9\.]+)")
COLON = re.compile(r"val_accuracy: ([0-9\.]+)")


def snapshot(folder: Path) -> list[str]:
    return sorted(f"{path.relative_to(folder)} {path.stat().st_mtime_ns}" for path in folder.rglob("*"))


# --- as a process ---------------------------------------------------------------------------------------------------


def test_train_is_an_executable_script_with_line_feeds_T02() -> None:
    content = TRAIN.read_bytes()
    assert content.startswith(b"#!")
    assert b"\r" not in content
    assert TRAIN.stat().st_mode & stat.S_IXOTH


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> tuple[Job, str]:
    """A job of three epochs run through a symbolic link from another folder, with a failure file of an earlier run."""
    folder = tmp_path_factory.mktemp("finished")
    job = Job.create(folder / "ml", encoder=tiny_encoder)
    settings = {"epochs": "3", "batch_size": "4", "validation_split_ratio": "0.34", "ngram_features": "true"}
    job.configure(hyperparameters=settings)
    (job.base / "output").mkdir()
    (job.base / "output" / "failure").write_text("of an earlier run")
    (folder / "train").symlink_to(TRAIN)
    process = job.start("./train", cwd=folder)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    return job, output


def test_a_good_job_ends_with_code_0_and_no_failure_file_T01_T05_T07(finished: tuple[Job, str]) -> None:
    job, _ = finished
    assert job.failure == ""
    assert (job.base / "output" / "success").exists()


def test_the_model_folder_holds_what_serving_and_other_programs_need_T37(finished: tuple[Job, str]) -> None:
    job, _ = finished
    assert sorted(path.name for path in job.model.iterdir()) == [
        "1",
        "README.md",
        "class_label_to_prediction_index.json",
        "encoder",
        "golden.json",
        "head.safetensors",
        "labels_info.json",
        "manifest.json",
        "ngrams.safetensors",
        "openvino",
    ]
    assert not [path for path in job.model.rglob("*") if path.is_symlink()]
    assert not [path for path in job.model.rglob("*") if not path.stat().st_mode & stat.S_IROTH]
    manifest = json.loads((job.model / "manifest.json").read_text())
    assert manifest["labels"] == [0, 1]
    longest = manifest["encoder"].pop("max_sequence_length")
    expected = {"family": "bert", "name": "model channel", "pooling": "mean", "long_texts": "truncate"}
    assert manifest["encoder"] == expected
    assert 0 < longest <= manifest["hyperparameters"]["max_sequence_length"]
    assert manifest["hyperparameters"]["epochs"] == 3
    assert predictor.load(job.model).labels == (0, 1)


def test_nothing_of_a_text_is_kept_in_the_model_but_the_encoders_words(finished: tuple[Job, str]) -> None:
    job, _ = finished
    for path in job.model.rglob("*.json"):
        for _, text in ROWS:
            assert text not in path.read_text(encoding="utf-8")


def test_results_that_are_no_model_go_to_output_data_T39(finished: tuple[Job, str]) -> None:
    job, _ = finished
    evaluation = json.loads((job.base / "output" / "data" / "evaluation.json").read_text())
    assert len(evaluation["epochs"]) == 3
    assert evaluation["validation"]["accuracy"] == evaluation["best"]["val_accuracy"]
    assert np.sum(evaluation["validation"]["confusion_matrix_rows_are_true"]) == 4


def test_each_published_metric_definition_finds_one_value_an_epoch_and_the_kept_models_last_T70_T71_T72_U02(
    finished: tuple[Job, str],
) -> None:
    job, log = finished
    kept = json.loads((job.model / "manifest.json").read_text())["metrics"]["val_accuracy"]
    for definition in (EQUALS, COLON):
        values = [float(value) for value in definition.findall(log)]
        assert len(values) == 3 + 1
        assert values[-1] == pytest.approx(kept, abs=1e-6)
        assert values[-1] == max(values)


def test_the_log_is_whole_lines_without_carriage_returns_or_colours_T70(finished: tuple[Job, str]) -> None:
    _, log = finished
    assert "\r" not in log
    assert "\x1b" not in log
    assert "\t" not in log
    assert not re.search(r"=\d+(\.\d+)?e-\d", log.split("event=plan")[1])


def test_the_log_says_which_learning_rate_was_taken_and_how_far_the_run_is(finished: tuple[Job, str]) -> None:
    _, log = finished
    assert 'learning_rate=0.00010000 learning_rate_from="default for a whole transformer, where the' in log
    assert re.findall(
        r"event=epoch epoch=(\d)/3 .*examples_per_second=[\d.]+ .*seconds=[\d.]+ done=([\d.]+)%", log
    ) == [
        ("1", "33.3"),
        ("2", "66.7"),
        ("3", "100.0"),
    ]


def test_nothing_of_a_text_is_in_the_log(finished: tuple[Job, str]) -> None:
    _, log = finished
    for _, text in ROWS:
        assert text not in log


def test_bad_rows_end_the_job_with_their_places_as_the_failure_reason_T05_T06(job: Job) -> None:
    job.channel("training", rows(ROWS) + "0,one, two\nx,three\n")
    process = job.run()
    assert process.returncode == 1
    assert job.failure.splitlines() == [
        (
            'training/data.csv:13: 3 columns; put a text that has commas in quotes: 1,"one, two" '
            "(and 1 more problem; nothing was trained)"
        ),
        "training/data.csv:14: the label is not an integer where most are integers; use one kind",
    ]
    assert "Traceback" not in process.stdout
    assert not job.model.exists()


def test_wrong_hyperparameters_end_the_job_with_all_of_them_named_T05_T06(job: Job) -> None:
    job.configure(hyperparameters={"epochs": "abc", "learning_rte": "1"})
    assert job.run().returncode == 1
    assert job.failure == (
        "hyperparameter epochs='abc': must be a whole number from 1 to 1,000\n"
        "hyperparameter 'learning_rte' is unknown; did you mean 'learning_rate'?"
    )


def test_a_broken_configuration_file_is_a_failure_that_names_it_T05_T06(job: Job) -> None:
    (job.base / "input" / "config" / "hyperparameters.json").write_text("{broken")
    assert job.run().returncode == 1
    assert job.failure.startswith(f"{job.base}/input/config/hyperparameters.json: not JSON")


def test_a_fault_of_ours_is_short_in_the_failure_file_and_whole_in_the_log_T06(job: Job) -> None:
    job.model.write_text("a file where the folder belongs")
    process = job.run()
    assert process.returncode == 1
    assert job.failure.startswith("Internal error, a fault of the image and not of the data: ")
    assert len(job.failure) < 1024
    assert "Traceback" not in job.failure
    assert "Traceback" in process.stdout


def test_a_job_of_nothing_but_data_trains_by_defaults_T20_T24_T35_T50_T51(job: Job) -> None:
    rmtree(job.base / "input" / "config")
    process = job.run()
    assert process.returncode == 0, process.stdout
    assert len(EQUALS.findall(process.stdout)) == 10 + 1
    assert not (job.base / "input" / "config").exists()


def test_an_outcome_that_cannot_be_written_is_no_success(job: Job) -> None:
    (job.base / "output").write_text("a file where the folder belongs")
    process = job.run()
    assert process.returncode == 1
    assert "can't write the job's outcome" in process.stdout
    assert "Traceback" not in process.stdout


@pytest.mark.parametrize("content", [{}, {"current_host": "algo-1"}])
def test_a_resource_configuration_that_lacks_hosts_is_one_host_T35(job: Job, content: dict[str, str]) -> None:
    job.channel("training", "one column\n")
    job.configure(resourceconfig=content)
    job.run()
    assert job.failure.startswith("training/data.csv:1: 1 column; a row is a label, a comma, and a text")


def test_sigterm_ends_the_job_with_code_0_and_the_best_model_so_far_T08_T09_U06(job: Job) -> None:
    job.configure(hyperparameters={"epochs": "1000", "batch_size": "4", "validation_split_ratio": "0.34"})
    process = job.stop_at("event=epoch epoch=2/")
    assert process.returncode == 0, process.stdout
    assert "event=stop" in process.stdout
    assert predictor.load(job.model).labels == (0, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a process the first of its namespace")
def test_a_stop_in_the_first_second_is_not_lost_even_as_the_first_process_of_a_container_T08_T09(job: Job) -> None:
    job.configure(hyperparameters={"epochs": "1000"})
    process = job.start("unshare", "--fork", "--pid", "--kill-child", str(TRAIN))
    started = time.monotonic()
    while not _child_handles_sigterm(process.pid):
        assert time.monotonic() - started < 30
        time.sleep(0.005)
    (child,) = psutil.Process(process.pid).children()
    child.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert "stopped before its first training step" in job.failure
    assert process.returncode == 1


def _child_handles_sigterm(pid: int) -> bool:
    try:
        (child,) = psutil.Process(pid).children()
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
    except (psutil.Error, ValueError, OSError):
        return False
    caught = int(re.findall(r"SigCgt:\s*([0-9a-f]+)", status)[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def test_sigterm_while_many_rows_are_held_out_ends_in_time_with_some_rows_compared_T08(job: Job) -> None:
    job.channel("validation", rows([(index % 2, f"good {index}") for index in range(30_000)]))
    job.configure(hyperparameters={"epochs": "1000", "batch_size": "4"})
    process = job.stop_at("event=epoch epoch=1/")
    assert process.returncode == 0
    compared = re.findall(r"rows_compared=(\d+)", process.stdout)
    assert 0 < int(compared[0]) < 30_000
    assert predictor.load(job.model)


def test_sigterm_before_the_first_step_is_a_failure_and_leaves_no_model_T08_T38(job: Job) -> None:
    job.channel("training", rows([(index % 2, f"text {index} " + "the " * 60) for index in range(20_000)]))
    assert job.stop_at("event=start").returncode == 1
    assert "stopped before its first training step" in job.failure
    assert not job.model.exists()


def test_a_job_with_its_own_script_runs_that_and_passes_sigterm_on(job: Job) -> None:
    (job.base / "code").mkdir()
    (job.base / "code" / "mine.py").write_text(
        "import os, signal, sys, time\n"
        "def stop(*_):\n"
        "    open(os.environ['SM_MODEL_DIR'] + '/stopped', 'w').close()\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('mine', sys.argv[1:], flush=True)\n"
        "time.sleep(60)\n"
    )
    job.model.mkdir()
    job.configure(hyperparameters={"sagemaker_program": "mine.py", "epochs": "3"})
    process = job.stop_at("mine [")
    assert process.stdout.startswith("mine ['--epochs', '3']")
    assert process.returncode == 0
    assert (job.model / "stopped").exists()


def test_a_users_script_that_fails_fails_the_job(job: Job) -> None:
    (job.base / "code").mkdir()
    (job.base / "code" / "mine.py").write_text("raise SystemExit(3)")
    job.configure(hyperparameters={"sagemaker_program": '"mine.py"'})
    done = job.run()
    assert done.returncode != 0
    assert "WARNING event=script program='mine.py' note=\"this script runs instead" in done.stdout
    assert "ExecuteUserScriptError" in job.failure


# --- in this process ------------------------------------------------------------------------------------------------


def test_a_second_run_on_the_same_folders_replaces_the_model_and_holds_out_the_same_rows_T16(job: Job) -> None:
    written, places = [], []
    for _ in range(2):
        job.train()
        written.append(snapshot(job.model))
        places.append([row["place"] for row in json.loads((job.model / "golden.json").read_text())["rows"]])
    assert written[0] != written[1]
    assert places[0] == places[1]
    assert predictor.load(job.model)


def test_the_input_folder_is_left_as_it_was_T28(job: Job) -> None:
    before = snapshot(job.base / "input")
    job.train()
    assert snapshot(job.base / "input") == before


def test_files_and_folders_of_the_platform_are_left_alone_T26_T36_T40(job: Job) -> None:
    job.configure(
        **{
            name: {"x": 1}
            for name in (
                "init-config", "debughookconfig", "profilerconfig", "metric-definition-regex", "trainingjobconfig",
                "upstreamoutputdataconfig",
            )
        }
    )  # fmt: skip
    (job.base / "input" / "data" / "training-manifest").write_text("x")
    (job.base / "output" / "metrics" / "sagemaker").mkdir(parents=True)
    (job.base / "errors").mkdir()
    job.train()
    assert predictor.load(job.model)
    assert (job.base / "output" / "metrics" / "sagemaker").is_dir()


def test_an_example_of_the_platforms_files_trains_T21_T22_T24_T35(job: Job) -> None:
    job.configure(
        hyperparameters={
            "epochs": '"1"', "learning_rate": "1e-05", "optimizer": '"adam"', "train_only_on_top_layer": "True",
            "sagemaker_submit_directory": '"s3://b/p/sourcedir.tar.gz"', "sagemaker_container_log_level": "20",
            "sagemaker_job_name": '"tf-tc-2026-01-01"', "_tuning_objective_metric": "validation:accuracy",
        },
        inputdataconfig={
            "training": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"},
            "model": {"ContentType": "application/x-sagemaker-model", "TrainingInputMode": "File"},
        },
        resourceconfig={"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "ethwe"},
    )  # fmt: skip
    job.train()
    manifest = json.loads((job.model / "manifest.json").read_text())
    assert manifest["hyperparameters"]["train_only_top_layer"] is True


def test_what_training_reports_on_a_validation_channel_the_served_model_answers_T82(job: Job) -> None:
    job.channel("validation", rows(ROWS[:7]))
    job.train()
    model = predictor.load(job.model)
    answers = model.predict([text for _, text in ROWS[:7]]).argmax(axis=1)
    right = float(np.mean([model.labels[answer] == label for answer, (label, _) in zip(answers, ROWS, strict=False)]))
    reported = json.loads((job.model / "manifest.json").read_text())["metrics"]["val_accuracy"]
    assert reported == pytest.approx(right, abs=0.001)


def test_without_rows_held_out_the_last_epoch_is_kept_and_no_validation_figure_is_made_up(
    job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    job.configure(hyperparameters={"epochs": "2", "validation_split_ratio": "0"})
    with caplog.at_level("INFO"):
        job.train()
    assert "val_accuracy" not in caplog.text
    assert predictor.load(job.model)
    assert "validation" not in json.loads((job.base / "output" / "data" / "evaluation.json").read_text())


@pytest.mark.parametrize("top_layer_only", ["True", "False"])
def test_names_as_labels_stay_names_T83(job: Job, top_layer_only: str) -> None:
    job.channel(
        "training", rows([(("brakes", "no fault found", "fire")[i % 3], text) for i, (_, text) in enumerate(ROWS)])
    )
    job.configure(hyperparameters={"epochs": "1", "train_only_top_layer": top_layer_only})
    job.train()
    assert predictor.load(job.model).labels == ("brakes", "fire", "no fault found")


def test_training_learns_what_can_be_learnt(job: Job) -> None:
    job.channel("training", rows([(index % 2, f"{('good', 'bad')[index % 2]} film {index}") for index in range(80)]))
    job.configure(hyperparameters={"epochs": "5", "learning_rate": "0.003", "batch_size": "8"})
    job.train()
    assert json.loads((job.model / "manifest.json").read_text())["metrics"]["val_accuracy"] == 1.0


def test_training_only_the_top_layer_leaves_the_encoder_as_it_was(job: Job, shallow_encoder: Path) -> None:
    job.configure(hyperparameters={"epochs": "2", "train_only_top_layer": "True"})
    job.train()
    assert (job.model / "encoder" / "vocab.txt").read_bytes() == (shallow_encoder / "vocab.txt").read_bytes()
    from safetensors.numpy import load_file

    before, after = (load_file(folder / "model.safetensors") for folder in (shallow_encoder, job.model / "encoder"))
    for name, value in after.items():
        np.testing.assert_array_equal(value, before[name])


def test_wrong_data_fail_before_the_encoder_is_looked_for(job: Job) -> None:
    job.channel("training", "one column\n")
    rmtree(job.base / "input" / "data" / "model")
    job.configure(hyperparameters={"model_id": "none-such"})
    with pytest.raises(UserError, match=r"training/data\.csv:1"):
        job.train()
