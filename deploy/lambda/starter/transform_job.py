"""A batch transform job of SageMaker on one file."""

import json
from typing import Any

import boto3
from botocore.exceptions import ClientError

from starter.arrival import Arrival
from starter.settings import Settings

HOUR = 3600  # seconds; the longest that SageMaker waits for an answer

# SageMaker splits at every line break. In CSV that tears a text with a line break in it apart, so that a file is one
# request, as long as it may be (0), which the image reads as a stream. JSON Lines have no break within a record.
_JSON_LINES = {
    "ContentType": "application/jsonlines",
    "SplitType": "Line",
    "AssembleWith": "Line",
    "MaxPayloadInMB": 6,
    "JoinSource": "Input",
}
REQUESTS: dict[str, dict[str, Any]] = {
    ".csv": {
        "ContentType": "text/csv",
        "SplitType": "None",
        "AssembleWith": "None",
        "MaxPayloadInMB": 0,
        "JoinSource": "None",
    },
    ".jsonl": _JSON_LINES,
    ".ndjson": _JSON_LINES,
}
FORMATS = tuple(REQUESTS)


class TooManyJobsError(Exception):
    """As many transform jobs run as may."""


def start(arrival: Arrival, settings: Settings) -> bool:
    """Create the file's transform job, and return True; or return False if there is one of its name already.

    Raises:
        TooManyJobsError: The file must wait until another job has ended.
    """
    sagemaker = boto3.client("sagemaker")
    name = arrival.job_name(settings.name_prefix)
    if _exists(sagemaker, name):
        return False
    running = sagemaker.list_transform_jobs(
        NameContains=f"{settings.name_prefix}--", StatusEquals="InProgress", MaxResults=settings.most_jobs
    )
    if len(running["TransformJobSummaries"]) >= settings.most_jobs:
        raise TooManyJobsError
    sagemaker.create_transform_job(**request(arrival, settings, _list_of_one(arrival, name, settings)))
    return True


def request(arrival: Arrival, settings: Settings, manifest: str) -> dict[str, Any]:
    """Return what to ask CreateTransformJob for; ``manifest`` is the address of the list of files."""
    how = REQUESTS[arrival.format]
    return {
        "TransformJobName": arrival.job_name(settings.name_prefix),
        "ModelName": settings.model_name,
        "BatchStrategy": "MultiRecord" if how["SplitType"] == "Line" else "SingleRecord",
        "MaxPayloadInMB": how["MaxPayloadInMB"],
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": HOUR, "InvocationsMaxRetries": 1},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": manifest}},
            "ContentType": how["ContentType"],
            "CompressionType": "Gzip" if arrival.compressed else "None",
            "SplitType": how["SplitType"],
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{settings.results_bucket}/results/{arrival.folder}".removesuffix("/"),
            "Accept": how["ContentType"],
            "AssembleWith": how["AssembleWith"],
        },
        "TransformResources": {"InstanceType": settings.instance_type, "InstanceCount": 1},
        "DataProcessing": {"JoinSource": how["JoinSource"]},
    }


def _exists(sagemaker: Any, name: str) -> bool:
    try:
        sagemaker.describe_transform_job(TransformJobName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"ResourceNotFound", "ValidationException"}:
            return False
        raise
    return True


def _list_of_one(arrival: Arrival, name: str, settings: Settings) -> str:
    # A key alone would be taken for the beginning of one: claims.csv for claims.csv.gz too.
    key = f"manifests/{name}.json"
    content = json.dumps([{"prefix": f"s3://{arrival.bucket}/{arrival.folder}"}, arrival.name])
    boto3.client("s3").put_object(Bucket=settings.results_bucket, Key=key, Body=content.encode())
    return f"s3://{settings.results_bucket}/{key}"
