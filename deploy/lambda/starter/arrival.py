"""A file that came in: what EventBridge says of it, what its job is called, and whether it is one to compute."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

LONGEST_JOB_NAME = 63  # of SageMaker; AWS Batch takes 128
LONGEST_KEY = 900  # bytes; S3 takes 1,024, and a result's is longer than its file's


@dataclass(frozen=True)
class Arrival:
    """An object that was put in the input bucket.

    Attributes:
        bucket: The bucket's name.
        key: The object's, as it is: EventBridge does not encode keys, unlike S3's own notifications.
        size: In bytes.
        version: What tells this object from one of the same name before or after it, the same in each copy of an event.
    """

    bucket: str
    key: str
    size: int
    version: tuple[str, ...]

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> "Arrival":
        """Read an event "Object Created" of Amazon S3.

        Raises:
            KeyError: It is another event.
        """
        thing = event["detail"]["object"]
        version = tuple(str(thing.get(name, "")) for name in ("version-id", "etag", "sequencer"))
        return cls(event["detail"]["bucket"]["name"], thing["key"], thing["size"], version)

    @property
    def address(self) -> str:
        """The object's address, with nothing in it encoded."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def folder(self) -> str:
        """What stands before the file's name in the key: empty, or ending in a slash."""
        return self.key[: len(self.key) - len(self.name)]

    @property
    def name(self) -> str:
        """The file's name, empty if the object only stands for a folder."""
        return self.key.rpartition("/")[2]

    @property
    def compressed(self) -> bool:
        """Whether the name says that the file is compressed with gzip."""
        return self.name.lower().endswith(".gz")

    @property
    def format(self) -> str:
        """The ending that tells the file's format, in lower case, ``.csv`` of ``CLAIMS.CSV.GZ``; empty without one."""
        return PurePosixPath(self.name.lower().removesuffix(".gz")).suffix

    def job_name(self, prefix: str) -> str:
        """Name the file's job: the same for each copy of an event, another for another object or version of it."""
        digest = hashlib.sha256(json.dumps([self.bucket, self.key, *self.version]).encode()).hexdigest()[:16]
        words = re.sub("[^a-zA-Z0-9]+", "-", PurePosixPath(self.name).stem)
        readable = words[: LONGEST_JOB_NAME - len(prefix) - len(digest) - 3].strip("-")
        return f"{prefix}--{readable}-{digest}" if readable else f"{prefix}--{digest}"


def is_silent(arrival: Arrival) -> bool:
    """Return whether the object is no file that somebody wants computed: a folder, or a program's own file."""
    return arrival.name.startswith((".", "_")) or not arrival.name


def refusal(arrival: Arrival, formats: Collection[str]) -> str | None:
    """Say why no job is started for the file, and what to do; None if one is to be.

    Args:
        arrival: The file.
        formats: The endings of names that a job reads.
    """
    if len(arrival.key.encode()) > LONGEST_KEY:
        return f"the name, with its folders, is longer than {LONGEST_KEY} bytes; shorten it and drop the file again"
    if arrival.format not in formats:
        known = ", ".join(formats)
        return f"by its name no file of rows; save it as one ({known}, each also with .gz) and drop it again"
    if arrival.size == 0:
        return "the file is empty; drop it again with its rows"
    return None
