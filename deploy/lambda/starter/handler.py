"""What Lambda calls with messages of the queue, each of which is an event "Object Created" of Amazon S3."""

import csv
import io
import json
import logging
import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from starter import batch_job, transform_job
from starter.arrival import LONGEST_KEY, Arrival, is_silent, refusal
from starter.settings import Settings

logger = logging.getLogger(__name__)

STARTERS = {"batch": batch_job.start, "transform": transform_job.start}
# What AWS answers when there is too much at once; the file is left in the queue and comes again.
BUSY = {
    "ResourceLimitExceeded",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}


def handle(event: Mapping[str, Any], _context: object) -> dict[str, list[dict[str, str]]]:
    """Start a job for each file, and return the messages of those that must wait, which the queue then gives again.

    Raises:
        Exception: What AWS or the message has that nobody foresaw. The queue gives the messages again, after a thousand
            times to the queue of the undelivered; an alarm tells before.
    """
    settings = Settings.of_environment(os.environ)
    waiting = [
        {"itemIdentifier": message["messageId"]}
        for message in event["Records"]
        if not settle(Arrival.of_event(json.loads(message["body"])), settings)
    ]
    return {"batchItemFailures": waiting}


def settle(arrival: Arrival, settings: Settings) -> bool:
    """Start the file's job, or refuse the file, and return True; return False if it must wait."""
    job = arrival.job_name(settings.name_prefix)
    if is_silent(arrival):
        logger.info("ignored=%r note='no file to compute'", arrival.address)
        return True
    try:
        if reason := refusal(arrival):
            note = write_note(arrival, reason, settings)
            logger.warning("refused=%r reason=%r note=%r", arrival.address, reason, note)
        elif STARTERS[settings.run_on](arrival, settings):
            logger.info("started=%s file=%r bytes=%d", job, arrival.address, arrival.size)
        else:
            logger.info("there_already=%s file=%r", job, arrival.address)
    except transform_job.TooManyJobsError:
        logger.info("waits=%r reason='as many jobs run as may'", arrival.address)
        return False
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in BUSY:
            raise
        logger.info("waits=%r reason=%s", arrival.address, code)
        return False
    return True


def write_note(arrival: Arrival, reason: str, settings: Settings) -> str:
    """Put the reason among the rejects, where who dropped the file looks for results, and return the note's address."""
    too_long = len(arrival.key.encode()) > LONGEST_KEY
    key = f"rejects/{arrival.job_name(settings.name_prefix) if too_long else arrival.key}_rejects.csv"
    rows = io.StringIO(newline="")
    csv.writer(rows, lineterminator="\n").writerows([("line", "reason"), ("", reason)])
    body = rows.getvalue().encode()
    boto3.client("s3").put_object(Bucket=settings.results_bucket, Key=key, Body=body, ContentType="text/csv")
    return f"s3://{settings.results_bucket}/{key}"
