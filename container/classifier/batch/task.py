"""Predicts one file: the result is written atomically, and only once."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from classifier.batch import inputs, predicting, tables
from classifier.batch.job import Job
from classifier.batch.progress import Tally, Watch
from classifier.batch.records import Added, Record, Reject, Table
from classifier.batch.results import RejectList, writing
from classifier.batch.shards import Shard
from classifier.batch.storage import Facts
from classifier.batch.tables import BrokenFileError
from classifier.errors import UserError
from classifier.tabular import files
from classifier.tabular.files import LENIENT, Source, open_text

log = logging.getLogger(__name__)

FINGERPRINT, ROWS, REJECTED = "fingerprint", "rows", "rejected"


@dataclass(frozen=True)
class Task:
    """A file to predict.

    Attributes:
        job: What it shares with other files.
        name: Its name in the input's storage.
        fingerprint: The hash that identifies its result.
    """

    job: Job
    name: str
    fingerprint: str

    @property
    def output(self) -> str:
        """The name of its result."""
        return self.job.options.shard.name(self.name, "output")

    @property
    def rejects(self) -> str:
        """The name of its list of rejects, which has the file's format, or CSV if that is not supported."""
        is_read = self.job.options.format or inputs.suffix(self.name) in (*files.TABLES, *files.PERHAPS_TABLES)
        return self.job.options.shard.name(self.name if is_read else f"{self.name}.csv", "rejects")

    @property
    def unfinished_output(self) -> Path:
        """The local path to which its result is written."""
        return self.job.results.unfinished(self.output, self.job.scratch)

    @property
    def unfinished_rejects(self) -> Path:
        """The local path to which its list of rejects is written."""
        return self.job.rejects.unfinished(self.rejects, self.job.scratch)

    @property
    def lists_objects(self) -> bool:
        """Whether its list of rejects is JSON Lines."""
        return (tables.KINDS.get(self.job.options.format) or inputs.suffix(self.rejects)) in files.JSON_LINES

    def facts(self, tally: Tally) -> Facts:
        """Return the facts to store with its result."""
        return facts_of(self.fingerprint, tally)


def facts_of(fingerprint: str, tally: Tally) -> Facts:
    """Return the facts to store with a result, by which :func:`finished` knows it."""
    return {FINGERPRINT: fingerprint, ROWS: str(tally.rows), REJECTED: str(tally.rejected)}


def finished(facts: Facts | None, fingerprint: str) -> Tally | None:
    """Return the counts of a stored result; None if there is none, or if it is of something else."""
    if facts is None or facts.get(FINGERPRINT) != fingerprint:
        return None
    return Tally(int(facts[ROWS]), int(facts[REJECTED]))


def predict(job: Job, name: str) -> Tally:
    """Write a file's result and its list of rejects, unless they exist; return their counts.

    Raises:
        UserError: The file can't be read, or has bad rows and ``--fail-on-rejects`` is set.
    """
    task = Task(job, name, job.fingerprint(name))
    before = _finished(task)
    if before is not None:
        log.info("event=skipped file=%r rows=%d rejected=%d note='finished before'", name, before.rows, before.rejected)
        return before
    path = job.source.fetch(name, job.scratch)
    try:
        return _predicted(task, path)
    except BrokenFileError as error:
        _list_rejects(task, [Reject(0, " ".join(error.problems))])
        raise
    finally:
        for unfinished in (task.unfinished_output, task.unfinished_rejects):
            unfinished.unlink(missing_ok=True)
        if path.is_relative_to(job.scratch):
            path.unlink()


def _finished(task: Task) -> Tally | None:
    """Return the counts of an existing result; None if it has to be written, or has rejects that are not allowed."""
    tally = finished(task.job.results.facts(task.output), task.fingerprint)
    return None if tally and tally.rejected and task.job.options.fail_on_rejects else tally


def _predicted(task: Task, path: Path) -> Tally:
    """Predict a local file.

    Raises:
        BrokenFileError: It can't be read, or not to its end.
        UserError: It has bad rows and ``--fail-on-rejects`` is set.
    """
    options = task.job.options
    source, table = table_of(task.job, task.name, path, task.job.added)
    own = _own_rows(source, table, options.shard)
    if options.fail_on_rejects:
        _refuse_rejects(task, source, table, own)
    tally = _write(task, source, table, own)
    if tally.rejected:
        task.job.rejects.publish(task.unfinished_rejects, task.rejects, task.facts(tally))
    else:
        task.job.rejects.remove(task.rejects)
    task.job.results.publish(task.unfinished_output, task.output, task.facts(tally))
    return tally


def table_of(job: Job, name: str, path: Path, added: Added) -> tuple[Source, Table]:
    """Return a local file and its table, and log what is known and what is doubtful of it.

    Raises:
        BrokenFileError: It can't be read.
    """
    source = tables.source(path, name, job.options)
    table = tables.read(source, job.options, added)
    log.info("event=table file=%r %s", name, table)
    for doubt in table.doubts:
        log.warning("event=table file=%r note=%r", name, doubt)
    return source, table


def _own_rows(source: Source, table: Table, shard: Shard) -> range | None:
    """Return the range of this job's shard of a file's records, counted from 0, rejects included; None for all."""
    if shard.count == 1:
        return None
    with _records(source, table, None) as (records, _):
        total = sum(1 for _ in records)
    rows = shard.rows(total)
    log.info("event=shard file=%r part=%d/%d rows=%d of=%d", source.name, shard.number, shard.count, len(rows), total)
    return rows


def _refuse_rejects(task: Task, source: Source, table: Table, own: range | None) -> None:
    with _records(source, table, own) as (records, _):
        count = _list_rejects(task, (record for record in records if isinstance(record, Reject)))
    if count:
        where = task.job.rejects.address(task.rejects)
        raise UserError(f"{count} rows can't be read, and --fail-on-rejects is set: {where} lists them")


def _list_rejects(task: Task, rejects: Iterable[Reject]) -> int:
    """Publish the list of rejects of a file that is not predicted, unless it is empty; return its length."""
    with writing(task.unfinished_rejects, task.rejects) as file:
        listed = RejectList(file, as_objects=task.lists_objects)
        listed.add(rejects)
    if listed.count:
        facts = task.facts(Tally(0, listed.count))
        task.job.rejects.publish(task.unfinished_rejects, task.rejects, facts)
    return listed.count


def _write(task: Task, source: Source, table: Table, own: range | None) -> Tally:
    """Write a file's result and its list of rejects to their unfinished paths."""
    job = task.job
    watch = Watch(task.name)
    with (
        _records(source, table, own) as (records, share),
        writing(task.unfinished_output, task.output) as result,
        writing(task.unfinished_rejects, task.rejects) as listed,
    ):
        rejects = RejectList(listed, as_objects=task.lists_objects)
        if job.options.shard.is_first:
            result.write(table.start)
        blocks = predicting.blocks(records)
        at_once = job.options.computing.batches_at_once
        for block, answers in predicting.answered(blocks, job.predictor, table.added, job.pool, at_once):
            result.write(table.lines(answers))
            rejects.add(block.rejects)
            watch.count(len(block.rows), len(block.rejects))
            watch.line(share() if own is None else watch.tally.total / len(own))
    watch.done()
    return watch.tally


@contextmanager
def _records(source: Source, table: Table, own: range | None) -> Iterator[tuple[Iterator[Record], Callable[[], float]]]:
    """Open a file; yield its records, or a range of them, and a function that returns the fraction of bytes read."""
    with tables.reading(source), open_text(source, LENIENT) as file:
        size = source.path.stat().st_size
        records = table.records(file)
        yield (
            records if own is None else islice(records, own.start, own.stop),
            lambda: os.lseek(file.fileno(), 0, os.SEEK_CUR) / size,
        )
