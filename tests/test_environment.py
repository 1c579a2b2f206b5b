"""What the platform tells a training job."""

import json
import logging
from pathlib import Path

import pytest

from classifier.environment import Environment, configure_logging
from classifier.errors import UserError


def write(base: Path, name: str, content: object) -> None:
    folder = base / "input" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")


def read(base: Path, **variables: str) -> Environment:
    return Environment.from_environ({"SAGEMAKER_BASE_DIR": str(base), **variables})


def test_every_configuration_file_may_be_missing_T20_T24_T35_T51(tmp_path: Path) -> None:
    environment = read(tmp_path)
    assert environment.hyperparameters == {}
    assert environment.channels == {}
    assert environment.hosts == ("localhost",)
    assert environment.job_name == "local"


def test_a_configuration_file_that_can_not_be_read_is_named_T20(tmp_path: Path) -> None:
    (tmp_path / "input" / "config" / "hyperparameters.json").mkdir(parents=True)  # nor can one of another user be
    with pytest.raises(UserError, match=r"hyperparameters\.json: can't be read \(Is a directory\); make it readable"):
        read(tmp_path)


def test_without_a_configuration_file_the_folders_are_the_channels_T24(tmp_path: Path) -> None:
    (tmp_path / "input" / "data" / "training").mkdir(parents=True)
    (tmp_path / "input" / "data" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "input" / "data" / "training-manifest").write_text("x")
    assert list(read(tmp_path).channels) == ["training"]


def test_channels_are_those_the_job_names_and_not_what_lies_in_the_folder_T26(tmp_path: Path) -> None:
    write(tmp_path, "inputdataconfig.json", {"training": {"TrainingInputMode": "File"}})
    (tmp_path / "input" / "data" / "code").mkdir(parents=True)
    assert read(tmp_path).channels == {"training": tmp_path / "input" / "data" / "training"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"TrainingInputMode": "FastFile"},
        {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"},
        {"ContentType": "text/csv", "TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"},
    ],
)
def test_every_form_of_a_channels_settings_is_read_T24_T29(tmp_path: Path, settings: dict[str, str]) -> None:
    write(tmp_path, "inputdataconfig.json", {"my-channel_1.x": settings})
    assert list(read(tmp_path).channels) == ["my-channel_1.x"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"TrainingInputMode": "Pipe"}, "use 'File' or 'FastFile'"),
        ({"RecordWrapperType": "RecordIO"}, "RecordIO"),
        ({"CompressionType": "Gzip"}, "files that end in .gz are read as they are"),
        ("File", "not a JSON object"),
    ],
)
def test_an_input_mode_that_is_not_read_is_refused_by_name_T30_T31(
    tmp_path: Path, settings: object, words: str
) -> None:
    write(tmp_path, "inputdataconfig.json", {"training": settings})
    with pytest.raises(UserError, match="channel 'training'") as error:
        read(tmp_path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth1"},
        {"current_host": "algo-1-x7k2p", "hosts": ["algo-1-x7k2p"], "network_interface_name": "ethwe"},
        {
            "current_host": "algo-1",
            "current_instance_type": "ml.c5.xlarge",
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1"],
            "instance_groups": [{"instance_group_name": "homogeneousCluster", "hosts": ["algo-1"]}],
            "topology": None,
        },
    ],
)
def test_every_form_of_the_resource_configuration_is_read_T35_T57(tmp_path: Path, content: dict[str, object]) -> None:
    write(tmp_path, "resourceconfig.json", content)
    assert read(tmp_path).hosts == (content["current_host"],)


def test_hosts_are_sorted_whatever_their_order_in_the_file_T55(tmp_path: Path) -> None:
    write(tmp_path, "resourceconfig.json", {"current_host": "x-9", "hosts": ["x-9", "x-10"]})
    assert read(tmp_path).hosts == ("x-10", "x-9")


def test_checkpoints_are_where_their_configuration_says_C01_C02(tmp_path: Path) -> None:
    assert Environment.from_environ({"SAGEMAKER_BASE_DIR": str(tmp_path)}).checkpoint_folder == tmp_path / "checkpoints"
    (tmp_path / "input" / "config").mkdir(parents=True)
    content = {"LocalPath": "/elsewhere/kept", "S3Uri": "s3://b/p"}
    (tmp_path / "input" / "config" / "checkpointconfig.json").write_text(json.dumps(content))
    assert Environment.from_environ({"SAGEMAKER_BASE_DIR": str(tmp_path)}).checkpoint_folder == Path("/elsewhere/kept")


def test_channels_that_come_in_parts_are_known_T33(tmp_path: Path) -> None:
    (tmp_path / "input" / "config").mkdir(parents=True)
    content = {"training": {"S3DistributionType": "ShardedByS3Key"}, "test": {"S3DistributionType": "FullyReplicated"}}
    (tmp_path / "input" / "config" / "inputdataconfig.json").write_text(json.dumps(content))
    assert Environment.from_environ({"SAGEMAKER_BASE_DIR": str(tmp_path)}).sharded == {"training"}


def test_the_jobs_name_is_the_platforms_T50(tmp_path: Path) -> None:
    given = read(tmp_path, TRAINING_JOB_NAME="claims-1", TRAINING_JOB_ARN="arn:aws:sagemaker:x:1:training-job/claims-1")
    assert (given.job_name, given.job_arn) == ("claims-1", "arn:aws:sagemaker:x:1:training-job/claims-1")
    assert read(tmp_path).job_arn == ""


@pytest.mark.parametrize("content", ["{", "[1]", "3"])
def test_a_broken_configuration_file_is_named(tmp_path: Path, content: str) -> None:
    write(tmp_path, "hyperparameters.json", content)
    with pytest.raises(UserError, match=r"hyperparameters\.json"):
        read(tmp_path)


@pytest.mark.usefixtures("own_logging")
def test_log_lines_are_single_and_carry_their_time(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    logging.getLogger("classifier.test").info("event=test value=%d", 3)
    line = capsys.readouterr().out
    assert line.endswith("INFO event=test value=3\n")
    assert line[:2] == "20"
    assert "Z INFO" in line
