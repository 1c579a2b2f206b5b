"""What Lambda calls with messages of the queue, each of which is an event "Object Created" of Amazon S3."""

import csv
import io
import json
import logging
import os
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import boto3
from botocore.exceptions import ClientError

from starter import batch_job, transform_job
from starter.arrival import LONGEST_KEY, Arrival, is_silent, refusal
from starter.settings import Settings

logger = logging.getLogger(__name__)


class Kind(Protocol):
    """What a module about a kind of jobs offers."""

    FORMATS: tuple[str, ...]

    def start(self, arrival: Arrival, settings: Settings) -> bool:
        """Start the file's job; return whether there was none of its name."""
        ...


KINDS: Mapping[str, Kind] = {"batch": batch_job, "transform": transform_job}
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
    kind = KINDS[settings.run_on]
    job = arrival.job_name(settings.name_prefix)
    if is_silent(arrival):
        logger.info("ignored=%r note='no file to compute'", arrival.address)
        return True
    try:
        if reason := refusal(arrival, kind.FORMATS):
            note = write_note(arrival, reason, kind.FORMATS, settings)
            logger.warning("refused=%r reason=%r note=%r", arrival.address, reason, note)
        elif kind.start(arrival, settings):
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


def write_note(arrival: Arrival, reason: str, formats: Collection[str], settings: Settings) -> str:
    """Put the reason where ``batch`` lists what it can't read of a file, and return the note's address."""
    if len(arrival.key.encode()) > LONGEST_KEY:
        stem = arrival.job_name(settings.name_prefix)
    else:
        ending = len(arrival.format) + len(".gz") * arrival.compressed if arrival.format in formats else 0
        stem = arrival.key[: len(arrival.key) - ending]
    key = f"rejects/{stem}_rejects.csv"
    rows = io.StringIO(newline="")
    csv.writer(rows, lineterminator="\n").writerows([("line", "reason"), (0, reason)])
    body = rows.getvalue().encode()
    boto3.client("s3").put_object(Bucket=settings.results_bucket, Key=key, Body=body, ContentType="text/csv")
    return f"s3://{settings.results_bucket}/{key}"
