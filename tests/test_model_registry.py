"""SageMaker Model Registry, as moto plays it, with the files that a job leaves for it."""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aws_helpers import Aws, running_aws
from classifier.training.standard_files import model_card
from classifier.training.standard_files.statistics import statistics
from jobs import ROOT
from standard_file_helpers import facts_with, of_matrix

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/text-classification:latest"
OUTPUT = "claims/job-1/output"
ARTIFACT = f"s3://bucket/{OUTPUT}/model.tar.gz"
FACTS = facts_with(3)


@pytest.fixture
def aws() -> Iterator[Aws]:
    with running_aws() as running:
        running.empty()
        running.client("s3").create_bucket(Bucket="bucket")
        yield running


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The folder of a job's files about its model."""
    folder = tmp_path / "data"
    folder.mkdir()
    quality = statistics(of_matrix([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), FACTS.labels, 1, datetime.now(UTC))
    contents = {"statistics.json": quality, model_card.FILE: model_card.model_card(FACTS)}
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder


def only_package(aws: Aws) -> dict[str, Any]:
    client = aws.client("sagemaker")
    (summary,) = client.list_model_packages(ModelPackageGroupName="claims")["ModelPackageSummaryList"]
    package: dict[str, Any] = client.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
    return package


def test_moto_accepts_a_model_package_and_a_model_card_of_the_files(aws: Aws, output: Path) -> None:
    client = aws.client("sagemaker")
    card = json.dumps(json.loads((output / model_card.FILE).read_text(encoding="utf-8")))
    source = {"ContentType": "application/json", "S3Uri": f"s3://bucket/{OUTPUT}/statistics.json"}
    client.create_model_package_group(ModelPackageGroupName="claims")
    client.create_model_package(
        ModelPackageGroupName="claims",
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": ARTIFACT}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        ModelMetrics={"ModelQuality": {"Statistics": source}},
        ModelCard={"ModelCardContent": card, "ModelCardStatus": "Draft"},
        ModelApprovalStatus="PendingManualApproval",
    )
    assert only_package(aws)["ModelMetrics"]["ModelQuality"]["Statistics"] == source
    client.create_model_card(ModelCardName="claims", Content=card, ModelCardStatus="Draft")
    assert json.loads(client.describe_model_card(ModelCardName="claims")["Content"]) == json.loads(card)


@pytest.mark.image
@pytest.mark.sdk
def test_sdk_3_registers_a_model_by_the_lines_of_the_page_and_knows_every_part_of_its_card(
    aws: Aws, output: Path, tmp_path: Path
) -> None:
    subprocess.run([ROOT / "tests" / "sdk" / "setup.sh", "3"], check=True, timeout=400)
    with tarfile.open(tmp_path / "output.tar.gz", "w:gz") as archive:
        archive.add(output, ".")
    aws.client("s3").upload_file(str(tmp_path / "output.tar.gz"), "bucket", f"{OUTPUT}/output.tar.gz")
    command = [ROOT / ".venv-sdk3" / "bin" / "python", ROOT / "tests" / "sdk" / "registry.py"]
    page = ROOT / "docs" / "model-registry.md"
    done = subprocess.run(
        [*command, page, IMAGE, ARTIFACT, output / model_card.FILE],
        cwd=tmp_path, env=aws.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    package = only_package(aws)
    assert package["InferenceSpecification"]["Containers"] == [{"Image": IMAGE, "ModelDataUrl": ARTIFACT}]
    registered = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert registered == f"s3://bucket/{OUTPUT}/statistics.json"
    stored = aws.client("s3").get_object(Bucket="bucket", Key=registered.removeprefix("s3://bucket/"))
    assert stored["Body"].read() == (output / "statistics.json").read_bytes()
