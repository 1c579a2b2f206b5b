"""A job of AWS Batch that runs the program ``batch`` on one file."""

import boto3

from starter.arrival import Arrival
from starter.settings import Settings

FORMATS: tuple[str, ...] = (".csv", ".tsv", ".jsonl", ".ndjson")


def start(arrival: Arrival, settings: Settings) -> bool:
    """Submit the file's job, and return True; or return False if there is one of its name already.

    AWS Batch takes a name twice, so the queue is looked through first. Two copies of an event in the same second may
    still become two jobs; that costs the time of one, as the second finds the first one's result or writes the same.
    """
    batch = boto3.client("batch")
    name = arrival.job_name(settings.name_prefix)
    same_name = [{"name": "JOB_NAME", "values": [name]}]
    if batch.list_jobs(jobQueue=settings.job_queue, filters=same_name)["jobSummaryList"]:
        return False
    results = f"s3://{settings.results_bucket}"
    batch.submit_job(
        jobName=name,
        jobQueue=settings.job_queue,
        jobDefinition=settings.job_definition,
        containerOverrides={
            "command": [
                "batch",
                "--input",
                arrival.address,
                "--output",
                f"{results}/results/{arrival.folder}",
                "--rejects",
                f"{results}/rejects/{arrival.folder}",
            ]
        },
    )
    return True
