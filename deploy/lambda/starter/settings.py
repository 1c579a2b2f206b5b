"""What the template tells the function."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What jobs to start, and how they are called.

    Attributes:
        run_on: Which kind of jobs: ``batch`` or ``transform``.
        name_prefix: Begins the names of all jobs, with two dashes after it.
        results_bucket: Where results, rejects and lists of files go.
        job_queue: Of AWS Batch.
        job_definition: Of AWS Batch.
        model_name: Of SageMaker.
        instance_type: Of SageMaker, for a transform job.
        most_jobs: How many transform jobs may run at once.
    """

    run_on: str
    name_prefix: str
    results_bucket: str
    job_queue: str = ""
    job_definition: str = ""
    model_name: str = ""
    instance_type: str = ""
    most_jobs: int = 0

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables, which are called as the attributes; those of the other kind of jobs may be absent.

        Raises:
            KeyError: One that both kinds need is absent.
        """
        return cls(
            run_on=environment["RUN_ON"],
            name_prefix=environment["NAME_PREFIX"],
            results_bucket=environment["RESULTS_BUCKET"],
            job_queue=environment.get("JOB_QUEUE", ""),
            job_definition=environment.get("JOB_DEFINITION", ""),
            model_name=environment.get("MODEL_NAME", ""),
            instance_type=environment.get("INSTANCE_TYPE", ""),
            most_jobs=int(environment.get("MOST_JOBS", "0")),
        )
