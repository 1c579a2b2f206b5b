"""A folder of images: one row of the result for each image, computed in parts that a restarted job keeps.

A part is stored with the results, under a hidden name, until all parts are there; they are then joined and removed.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TextIO

from classifier import __version__, pixels
from classifier.batch import predicting
from classifier.batch.folders import OWN_FOLDER
from classifier.batch.job import Job
from classifier.batch.options import JSON_LINES, Options
from classifier.batch.progress import Tally, Watch
from classifier.batch.records import Added
from classifier.batch.results import RejectList, writing
from classifier.batch.task import REJECTED, ROWS, facts_of, finished
from classifier.environment import shown
from classifier.errors import RecordError, UserError, at_most
from classifier.image_formats import SUFFIXES
from classifier.modalities.image_files import ABOUT_THE_DATA, SUFFIXES_NOT_READ, is_left_behind
from classifier.predictor import Predictor
from classifier.tabular import csv_rows, left_out

log = logging.getLogger(__name__)

NAME = "images"  # of the result: images_output.csv
PATH = "path"
PART_IMAGES = 512
BLOCK_IMAGES = 32  # computed as one batch
FETCHED_AT_ONCE = 16  # per block; downloads wait for the network
MOST_SHOWN = 20
FOR_TABLES = {
    "text_column": "",
    "header": "auto",
    "delimiter": "auto",
    "explain": False,
}  # options, with their defaults
MISSED = "no image by its name; if it is one, give it the suffix of its format"


class Predicted(NamedTuple):
    """An image with its prediction: the label and its probability, then those of all labels if requested.

    The label is None if its probability is not above its threshold.
    """

    path: str
    label: Any
    numbers: Sequence[float]


class Rejected(NamedTuple):
    """An image that can't be read, and what is wrong and what to do."""

    path: str
    reason: str


Outcome = Predicted | Rejected


@dataclass(frozen=True)
class Part:
    """Consecutive images whose predictions are stored together.

    Attributes:
        job: What it shares with the others.
        names: The images' names in the input's storage.
        name: Its name in the storage of the results.
    """

    job: Job
    names: Sequence[str]
    name: str

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that its predictions depend on: the images, the model, the options, the program's version."""
        with ThreadPoolExecutor(FETCHED_AT_ONCE) as pool:
            versions = list(pool.map(self.job.source.version, self.names))
        options = self.job.options
        asked = [options.probabilities, options.engine, *([] if options.threshold is None else [options.threshold])]
        parts = [__version__, self.job.model_digest, asked, list(zip(self.names, versions, strict=True))]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def tally(self) -> Tally | None:
        """Its counts, if it is finished; otherwise None."""
        return finished(self.job.results.facts(self.name), self.fingerprint)


def refuse_options_for_tables(options: Options) -> None:
    """Refuse options for tables and texts.

    Raises:
        UserError: There are such options.
    """
    given = [name for name, default in FOR_TABLES.items() if getattr(options, name) != default]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"{flags}: the model classifies images, which have no columns and no words; leave it out")


def chosen(there: Sequence[tuple[str, int]], options: Options) -> list[str]:
    """Return the images to predict, from the names and sizes of all files, in the order of their names.

    A single file is taken whatever its name. Of several, those are taken whose suffix is that of an image, also of one
    that is not read, which is then rejected; and those without a suffix that are not called as files about data are.

    Raises:
        UserError: There are no such files.
    """
    names = [name for name, _ in there]
    if names == [PurePosixPath(options.input).name]:
        return names
    visible = {name: size for name, size in there if not any(map(is_left_behind, PurePosixPath(name).parts))}
    taken = sorted(name for name in visible if _is_image(name))
    missed = [
        f"{shown(name)} ({size:,} bytes)"
        for name, size in visible.items()
        if size and not _is_image(name) and _is_missed(PurePosixPath(name))
    ]
    if missed:
        log.warning("event=input note=%r", f"left out: {', '.join(at_most(missed, MOST_SHOWN))}: {MISSED}")
    if not taken:
        raise UserError(f"{options.input}: contains no image, and the model classifies images; use {pixels.READ}")
    return taken


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if not suffix:
        return not (left_out.is_surely_notice(path) or ABOUT_THE_DATA.fullmatch(path.name))
    return suffix in SUFFIXES or suffix in SUFFIXES_NOT_READ or not suffix.strip(".0123456789")


def _is_missed(path: PurePosixPath) -> bool:
    """Return whether a file that is no image by its name may be missed; an image may be called ``source``."""
    return not (ABOUT_THE_DATA.match(path.name) if path.suffix else left_out.is_surely_notice(path))


def predict(job: Job, names: Sequence[str]) -> Tally:
    """Write the predictions of images and the list of rejects, unless they exist; return their counts.

    Args:
        job: The options, the model and the storages.
        names: All images, of which this job's shard is predicted.

    Raises:
        UserError: An image can't be downloaded, or some can't be read and ``--fail-on-rejects`` is set.
    """
    own = job.options.shard.rows(len(names))
    names = names[own.start : own.stop]
    output, rejects = (job.options.shard.name(f"{NAME}{_suffix(job.options)}", word) for word in ("output", "rejects"))
    parts = [
        Part(job, names[begin : begin + PART_IMAGES], _part_name(output, begin // PART_IMAGES))
        for begin in range(0, len(names), PART_IMAGES)
    ]
    before = _finished(job, output, parts)
    if before is not None:
        log.info(
            "event=skipped file=%r rows=%d rejected=%d note='finished before'", output, before.rows, before.rejected
        )
        return before
    if job.options.fail_on_rejects:
        _refuse_rejects(job, names, rejects)
    watch = Watch(NAME)
    for part in parts:
        _predict_part(part, watch, len(names))
    watch.done()
    _join(job, parts, output, rejects)
    return watch.tally


def _suffix(options: Options) -> str:
    return ".jsonl" if options.format == JSON_LINES else ".csv"


def _part_name(output: str, number: int) -> str:
    return f"{OWN_FOLDER}/parts/{output}.{number:06}"


def _fingerprint(job: Job, parts: Sequence[Part]) -> str:
    content = [job.options.format, vars(job.options.shard), [part.fingerprint for part in parts]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _finished(job: Job, output: str, parts: Sequence[Part]) -> Tally | None:
    """Return the counts of an existing result of the same images; None if it has to be written."""
    tally = finished(job.results.facts(output), _fingerprint(job, parts))
    return None if tally and tally.rejected and job.options.fail_on_rejects else tally


def _refuse_rejects(job: Job, names: Sequence[str], rejects: str) -> None:
    """Read all images; if some can't be read, publish their list.

    Raises:
        UserError: There are such images.
    """
    count = 0
    with writing(job.rejects.unfinished(rejects, job.scratch), rejects) as file:
        listed = _reject_list(file, job.options)
        for _, outcomes in _decoded_blocks(job, names):
            listed.add(each for each in outcomes if isinstance(each, Rejected))
            count = listed.count
    path = job.rejects.unfinished(rejects, job.scratch)
    if not count:
        path.unlink()
        return
    job.rejects.publish(path, rejects, {ROWS: "0", REJECTED: str(count)})
    where = job.rejects.address(rejects)
    raise UserError(f"{count} images can't be read, and --fail-on-rejects is set: {where} lists them")


def _predict_part(part: Part, watch: Watch, total: int) -> None:
    """Compute a part, unless it is finished, and count it."""
    tally = part.tally
    if tally is not None:
        watch.count(tally.rows, tally.rejected)
        return
    job, begun = part.job, Tally(watch.tally.rows, watch.tally.rejected)
    path = job.results.unfinished(part.name, job.scratch)
    with writing(path, part.name) as file:
        for outcomes in _predicted_blocks(job, part.names):
            file.writelines(json.dumps(outcome) + "\n" for outcome in outcomes)
            rejected = sum(isinstance(outcome, Rejected) for outcome in outcomes)
            watch.count(len(outcomes) - rejected, rejected)
            watch.line(watch.tally.total / total)
    done = Tally(watch.tally.rows - begun.rows, watch.tally.rejected - begun.rejected)
    job.results.publish(path, part.name, facts_of(part.fingerprint, done))


def _blocks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[begin : begin + BLOCK_IMAGES] for begin in range(0, len(names), BLOCK_IMAGES))


def _predicted_blocks(job: Job, names: Sequence[str]) -> Iterator[list[Outcome]]:
    """Yield the predictions of blocks of images, in order; while one is computed, the next one is decoded."""
    model = job.predictor

    def outcomes(block: Sequence[str]) -> list[Outcome]:
        return _predictions(model, _decoded(job, model, block), job.added)

    return predicting.in_order(outcomes, _blocks(names), job.pool, job.options.computing.batches_at_once)


def _decoded_blocks(job: Job, names: Sequence[str]) -> Iterator[tuple[Sequence[str], list[Any]]]:
    """Yield blocks of images, each with the pixels or the reject of each image."""
    model = job.predictor

    def decoded(block: Sequence[str]) -> tuple[Sequence[str], list[Any]]:
        return block, [found for _, found in _decoded(job, model, block)]

    return predicting.in_order(decoded, _blocks(names), job.pool, job.options.computing.batches_at_once)


def _decoded(job: Job, model: Predictor, names: Sequence[str]) -> list[tuple[str, Any]]:
    """Return each image's name and its pixels, or a :class:`Rejected`."""
    with ThreadPoolExecutor(FETCHED_AT_ONCE) as fetching:
        paths = list(fetching.map(lambda name: job.source.fetch(name, job.scratch), names))
    return [(name, _read(job, model, name, path)) for name, path in zip(names, paths, strict=True)]


def _read(job: Job, model: Predictor, name: str, path: Path) -> Any:
    try:
        return model.decode(pixels.read(path))
    except RecordError as error:
        return Rejected(shown(name), str(error))
    except OSError as error:
        return Rejected(shown(name), f"can't be read ({error.strerror}); make it readable")
    finally:
        if path.is_relative_to(job.scratch):
            path.unlink(missing_ok=True)


def _predictions(model: Predictor, decoded: Sequence[tuple[str, Any]], added: Added) -> list[Outcome]:
    images = [found for _, found in decoded if not isinstance(found, Rejected)]
    probabilities = iter(model.answer(model.encode(images)) if images else ())
    return [
        found if isinstance(found, Rejected) else _prediction(name, next(probabilities), added)
        for name, found in decoded
    ]


def _prediction(name: str, probabilities: Any, added: Added) -> Predicted:
    best, numbers = int(probabilities.argmax()), probabilities.tolist()
    return Predicted(shown(name), added.label(best, numbers[best]), [numbers[best], *(numbers if added.each else ())])


def _join(job: Job, parts: Sequence[Part], output: str, rejects: str) -> None:
    """Publish the result and the list of rejects, and remove the parts."""
    result_path = job.results.unfinished(output, job.scratch)
    rejects_path = job.rejects.unfinished(rejects, job.scratch)
    tally = Tally()
    with writing(result_path, output) as result, writing(rejects_path, rejects) as listed:
        rejected = _reject_list(listed, job.options)
        write = _writer(result, job.options, job.added)
        for part in parts:
            for outcome in _stored(part):
                if isinstance(outcome, Rejected):
                    rejected.add([outcome])
                else:
                    write(outcome)
                    tally.rows += 1
        tally.rejected = rejected.count
    facts = facts_of(_fingerprint(job, parts), tally)
    if tally.rejected:
        job.rejects.publish(rejects_path, rejects, facts)
    else:
        rejects_path.unlink()
        job.rejects.remove(rejects)
    job.results.publish(result_path, output, facts)
    _remove_parts(job, output, len(parts))


def _stored(part: Part) -> Iterator[Outcome]:
    path = part.job.results.fetch(part.name, part.job.scratch)
    with path.open(encoding="utf-8") as file:
        for line in file:
            values = json.loads(line)
            yield Predicted(*values) if len(values) == len(Predicted._fields) else Rejected(*values)


def _remove_parts(job: Job, output: str, count: int) -> None:
    """Remove the parts, and those of an earlier run on more images."""
    number = 0
    while number < count or job.results.facts(_part_name(output, number)) is not None:
        job.results.remove(_part_name(output, number))
        number += 1


def _reject_list(file: TextIO, options: Options) -> RejectList:
    return RejectList(file, as_objects=options.format == JSON_LINES, fields=Rejected._fields)


def _writer(file: TextIO, options: Options, added: Added) -> Callable[[Predicted], object]:
    """Return a function that writes a row of the result, after writing the header where there is one."""
    names = [PATH, *added.names]
    if options.format == JSON_LINES:

        def write_object(row: Predicted) -> None:
            values = [row.path, row.label, *(round(number, 8) for number in row.numbers)]
            file.write(json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False) + "\n")

        return write_object
    table = csv_rows.writer(file)
    if options.shard.is_first:
        table.writerow(names)
    return lambda row: table.writerow([row.path, row.label, *_shown(row.numbers)])


def _shown(numbers: Iterable[float]) -> list[str]:
    return [f"{number:.8f}" for number in numbers]
