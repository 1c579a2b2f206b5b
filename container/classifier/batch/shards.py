"""Shards: parts of a file's rows, one per job or host, and the names of a file's results.

Sources: AWS Batch's user guide, "AWS Batch job environment variables"; the SageMaker developer guide, "How Amazon
SageMaker AI Processing Configures Your Processing Container".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from classifier.environment import SHARDED, read_object
from classifier.errors import UserError

GZIP = ".gz"


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a file's rows, in their order.

    Attributes:
        number: Which part, from 0.
        count: How many there are.
    """

    number: int
    count: int

    @property
    def is_first(self) -> bool:
        """Whether it begins where the file begins."""
        return self.number == 0

    def rows(self, total: int) -> range:
        """Return the range of its rows, counted from 0, given the total number of rows."""
        return range(total * self.number // self.count, total * (self.number + 1) // self.count)

    def name(self, name: str, word: str) -> str:
        """Return the name of a file's result: for ``a/claims.csv.gz``, ``a/claims_output.csv.gz``.

        Args:
            name: The file's name, with its folders.
            word: The kind of result: ``output`` or ``rejects``.
        """
        path = PurePosixPath(name)
        packed = path.suffix if path.suffix.lower() == GZIP else ""
        bare = path.with_suffix("") if packed else path
        part = "" if self.count == 1 else f".{self.number:05}-of-{self.count:05}"
        return str(bare.with_name(f"{bare.stem}_{word}{part}{bare.suffix}{packed}"))


WHOLE = Shard(0, 1)


def of_array_job(count: int | None, environ: Mapping[str, str]) -> Shard | None:
    """Return the shard of an array job's child; None if this is not an array job.

    Args:
        count: The number of shards that the user wants; None for one per child.
        environ: The environment, with AWS Batch's variables.

    Raises:
        UserError: Some shards would not be predicted by any child.
    """
    index = environ.get("AWS_BATCH_JOB_ARRAY_INDEX", "")
    children = int(environ.get("AWS_BATCH_JOB_ARRAY_SIZE") or 0)
    count = count or children
    if not index:
        if count > 1:
            raise UserError(f"--shards {count}: AWS_BATCH_JOB_ARRAY_INDEX is not set; give --shard K/{count}")
        return None
    if not int(index) < count or children not in (0, count):
        raise UserError(f"--shards: child {index} of an array job of {children}; give as many as it has children")
    return Shard(int(index), count)


def of_processing_job(base: Path, folder: str) -> Shard | None:
    """Return the shard of a host of a SageMaker Processing job whose hosts all got the same files; otherwise None.

    Args:
        base: The folder that SageMaker mounts.
        folder: The input: a folder that the job mounts, or a file or folder in one.

    Raises:
        UserError: A configuration file is malformed.
    """
    problems: list[str] = []
    hosts = read_object(base / "config" / "resourceconfig.json", problems)
    job = read_object(base / "config" / "processingjobconfig.json", problems)
    if problems:
        raise UserError(problems)
    names = sorted(hosts.get("hosts") or ())
    inputs = [entry.get("S3Input") or {} for entry in job.get("ProcessingInputs") or ()]
    kinds = {entry.get("S3DataDistributionType") for entry in inputs if _is_part(folder, entry.get("LocalPath"))}
    if len(names) < 2 or not kinds or SHARDED in kinds:
        return None
    return Shard(names.index(hosts.get("current_host")), len(names))


def _is_part(folder: str, mounted: str | None) -> bool:
    """Return whether the input is in a mounted folder, or that folder in the input."""
    if not mounted:
        return False
    return PurePosixPath(folder).is_relative_to(mounted) or PurePosixPath(mounted).is_relative_to(folder)
