"""The program ``batch``: every file of rows becomes a file of predictions; of images, a folder becomes one."""

import logging
import tempfile
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from classifier import backends, environment
from classifier.batch import images, inputs, model, review, storage, task
from classifier.batch.job import Job
from classifier.batch.options import Options
from classifier.batch.progress import Tally
from classifier.errors import UserError
from classifier.modalities import Modality

log = logging.getLogger(__name__)

DONE, FAILED, REJECTED = 0, 1, 3
EXIT_CODES = {
    DONE: "all rows are predicted",
    FAILED: "the log says why; files that were already finished are kept",
    REJECTED: "all files are finished, but some rows could not be read; the lists of rejects name them",
    130: "stopped by Ctrl-C",
    143: "stopped by SIGTERM; a new run resumes with the files that are not finished",
}
CHATTY_LOGGERS = ("absl", "tensorflow", "boto3", "botocore", "s3transfer", "urllib3")
VARIABLES = {**backends.VARIABLES, "TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job; return its exit code, one of :data:`EXIT_CODES`.

    Args:
        arguments: The command line's arguments, without the program's name; None for those of the process.
    """
    environment.configure_logging(quiet=CHATTY_LOGGERS)
    environment.set_defaults(VARIABLES)
    try:
        return run(Options.parse(arguments))
    except UserError as error:
        for problem in error.problems:
            log.error("event=failed note=%r", problem)  # noqa: TRY400  no traceback
    except OSError as error:  # a full disk, a file that may not be read
        log.error("event=failed note=%r", f"{error.filename or 'a file that is written'}: {error.strerror}")  # noqa: TRY400
    except SystemExit as end:  # a signal, or --help
        if end.code:
            log.warning("event=stopped code=%s", end.code)
        return int(end.code or DONE)
    except Exception as error:  # noqa: BLE001  its message may quote a text, so only its type and traceback are logged
        locations = "".join(traceback.format_tb(error.__traceback__))
        log.error("event=failed error=%s\n%s", type(error).__name__, locations)  # noqa: TRY400
    return FAILED


def run(options: Options) -> int:
    """Predict every file that is not finished yet; return the exit code.

    Raises:
        UserError: The options are wrong, or some files can't be predicted; the others are predicted first.
    """
    inputs.check_apart(options)
    source = storage.to_read(options.input)
    results, rejects = storage.to_write(options.output), storage.to_write(options.rejects)
    computing = options.computing
    pool = ThreadPoolExecutor(computing.batches_at_once, thread_name_prefix="predict")
    with tempfile.TemporaryDirectory(prefix="batch-") as name:
        try:
            folder = model.opened(options.model, Path(name) / "model")
            modality = model.modality_of(folder, options.model)
            digest = model.digest(folder)
            job = Job(options, source, results, rejects, folder, digest, pool, Path(name))
            if options.review is not None:
                return _review(job, modality, options.review)
            return _all_images(job) if modality.in_files else _all_files(job)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _log_start(job: Job, files: int) -> None:
    options, computing = job.options, job.options.computing
    log.info(
        "event=start input=%r files=%d output=%r shard=%d/%d threads=%d batches_at_once=%d",
        options.input, files, options.output, options.shard.number, options.shard.count, computing.threads,
        computing.batches_at_once,
    )  # fmt: skip


def _all_images(job: Job) -> int:
    images.refuse_options_for_tables(job.options)
    names = images.chosen(job.source.files(), job.options)
    _log_start(job, len(names))
    tally = images.predict(job, names)
    log.info("event=done files=%d failed=0 rows=%d rejected=%d", len(names), tally.rows, tally.rejected)
    return REJECTED if tally.rejected else DONE


def _review(job: Job, modality: Modality, count: int) -> int:
    review.refuse_options_of_predictions(job.options)
    if not modality.in_tables:
        raise UserError(f"--review: the model classifies {modality.name}s, and rows of text are chosen; leave it out")
    names = inputs.chosen(job.source.files(), job.options)
    _log_start(job, len(names))
    tally = review.write(job, names, count)
    log.info("event=done files=%d failed=0 rows=%d rejected=%d", len(names), tally.rows, tally.rejected)
    return DONE


def _all_files(job: Job) -> int:
    names = inputs.chosen(job.source.files(), job.options)
    _log_start(job, len(names))
    total = Tally()
    problems: list[str] = []
    failed = 0
    for name in names:
        try:
            total.add(task.predict(job, name))
        except UserError as error:
            failed += 1
            problems += [f"{job.source.address(name)}: {problem}" for problem in error.problems]
    log.info("event=done files=%d failed=%d rows=%d rejected=%d", len(names), failed, total.rows, total.rejected)
    if problems:
        raise UserError(problems)
    return REJECTED if total.rejected else DONE
