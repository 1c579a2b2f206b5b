"""The rows of all files that are most worth labelling: the model is uncertain of them, and they are unlike each other.

A row's vector is the gradient that its most probable label would give the top layer: what the probabilities lack,
times the row's n-grams. It is long where the model is uncertain, and points elsewhere for other labels or other words.
The rows are chosen one by one, each with a chance that grows with its distance from all that are chosen.

Source: Ash, Zhang, Krishnamurthy, Langford and Agarwal, "Deep Batch Active Learning by Diverse, Uncertain Gradient
Lower Bounds" (2020); n-grams take the place of the network's last vectors, which an exported model doesn't give.
"""

import logging
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from classifier.batch import predicting, tables
from classifier.batch.job import Job
from classifier.batch.options import Options
from classifier.batch.predicting import Probabilities
from classifier.batch.progress import Tally, Watch
from classifier.batch.records import Added
from classifier.batch.results import writing
from classifier.batch.shards import WHOLE
from classifier.batch.task import facts_of, table_of
from classifier.errors import UserError
from classifier.tabular.files import LENIENT, open_text

log = logging.getLogger(__name__)

FILE = "review.csv"
MOST_CANDIDATES = 20_000  # rows of all files that are kept to choose from: those of which the model is least certain
MOST_CHARACTERS = 1 << 27  # of all of them
LONGEST_COMPARED = 10_000  # characters of a text of which n-grams are made
BUCKETS = 1 << 18
WORD = re.compile(r"\w+")
SEED = 0


class Candidates:
    """The rows of which the model is least certain, among those that were added; of equal texts, the first.

    Attributes:
        texts: Their texts.
        probabilities: The model's, float32[candidates, labels].
    """

    def __init__(self, labels: int) -> None:
        self.texts: list[str] = []
        self.probabilities = np.zeros((0, labels), np.float32)

    def add(self, texts: Sequence[str], probabilities: Probabilities) -> None:
        """Add rows, and drop those of which the model is most certain beyond what is kept."""
        known = set(self.texts)
        first = {text: index for index, text in reversed(list(enumerate(texts)))}
        new = sorted(index for text, index in first.items() if text not in known)
        every = [*self.texts, *(texts[index] for index in new)]
        found = np.concatenate([self.probabilities, probabilities[new]])
        order = np.argsort(-uncertainty(found), kind="stable")[:MOST_CANDIDATES]
        characters = np.cumsum([len(every[index]) for index in order])
        kept = order[: max(1, int(np.searchsorted(characters, MOST_CHARACTERS, side="right")))]
        self.texts, self.probabilities = [every[index] for index in kept], found[kept]


def uncertainty(probabilities: Probabilities) -> NDArray[np.float32]:
    """Return the squared length of what the probabilities lack, from 0 to 2, float32[rows]."""
    lengths: NDArray[np.float32] = np.square(_lacking(probabilities)).sum(axis=1)
    return lengths


def chosen(texts: Sequence[str], probabilities: Probabilities, count: int) -> list[int]:
    """Return the indices of the rows that are most worth labelling, in the order of their choice.

    Args:
        texts: The texts, all different.
        probabilities: The model's, float32[rows, labels].
        count: How many rows are wanted; if there are no more, all are returned.
    """
    lacking, words = _lacking(probabilities), ngrams(texts)
    lengths = np.square(lacking).sum(axis=1).astype(np.float64)
    distances, generator, found = lengths.copy(), np.random.default_rng(SEED), [int(lengths.argmax())]
    while len(found) < min(count, len(texts)):
        last = found[-1]
        alike = (words @ words[last].T).toarray().ravel()
        apart = lengths + lengths[last] - 2 * (lacking @ lacking[last]) * alike
        distances = np.minimum(distances, np.maximum(apart, 0))
        distances[found] = 0
        total = distances.sum()
        if total <= 0:  # the model is certain of all others
            found += np.setdiff1d(np.arange(len(texts)), found)[: count - len(found)].tolist()
            break
        found.append(int(generator.choice(len(texts), p=distances / total)))
    return found


def ngrams(texts: Sequence[str]) -> scipy.sparse.csr_matrix:
    """Return which hashed words and pairs of words each text has, weighted by their rarity, float64[rows, buckets].

    The weights are inverse document frequencies, and each row has norm 1, or 0 without a word.
    """
    rows = [sorted(set(_buckets(text))) for text in texts]
    ends = np.cumsum([0, *map(len, rows)])
    buckets = np.concatenate([np.zeros(0, np.int64), *(np.array(row, np.int64) for row in rows)])
    counts = np.bincount(buckets, minlength=BUCKETS)
    weights = np.log((1 + len(texts)) / (1 + counts[buckets])) + 1
    norms = np.sqrt(np.bincount(np.repeat(np.arange(len(texts)), np.diff(ends)), weights**2, minlength=len(texts)))
    weights /= np.repeat(norms, np.diff(ends))
    return scipy.sparse.csr_matrix((weights, buckets, ends), (len(texts), BUCKETS))


def write(job: Job, names: Sequence[str], count: int) -> Tally:
    """Write the rows of files that are most worth labelling as :data:`FILE`; return how many rows were read.

    Args:
        job: The run.
        names: The files.
        count: How many rows are wanted.

    Raises:
        UserError: A file can't be read.
    """
    candidates, total = Candidates(len(job.predictor.labels)), Tally()
    for name in names:
        try:
            total.add(_added(job, name, candidates))
        except UserError as error:
            raise UserError([f"{job.source.address(name)}: {problem}" for problem in error.problems]) from None
    picked = chosen(candidates.texts, candidates.probabilities, count) if candidates.texts else []
    unfinished = job.results.unfinished(FILE, job.scratch)
    try:
        with writing(unfinished, FILE) as file:
            file.writelines(_row(candidates.texts[index]) for index in picked)
        job.results.publish(unfinished, FILE, facts_of("", total))
    finally:
        unfinished.unlink(missing_ok=True)
    log.info("event=review file=%r rows=%d of=%d", job.results.address(FILE), len(picked), total.rows)
    if total.rejected:
        words = f"{total.rejected} of {total.total} rows can't be read; without --review, batch lists them"
        log.warning("event=review note=%r", words)
    return total


def refuse_options_of_predictions(options: Options) -> None:
    """Refuse options that are about predictions, of which a review writes none.

    Raises:
        UserError: There are such options.
    """
    given = {
        "--probabilities": options.probabilities,
        "--explain": options.explain,
        "--threshold": options.threshold is not None,
        "--fail-on-rejects": options.fail_on_rejects,
        "a part of the rows (--shard, --shards, or several instances or children)": options.shard != WHOLE,
    }
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise UserError(f"--review chooses among all rows and writes no predictions; leave out {' and '.join(wrong)}")


def _added(job: Job, name: str, candidates: Candidates) -> Tally:
    """Predict the rows of a file, and add them to the candidates."""
    path = job.source.fetch(name, job.scratch)
    try:
        source, table = table_of(job, name, path, Added((), each=False))
        watch, at_once = Watch(name), job.options.computing.batches_at_once
        with tables.reading(source), open_text(source, LENIENT) as file:
            blocks = predicting.blocks(table.records(file))
            for block, probabilities in predicting.predicted(blocks, job.predictor, job.pool, at_once):
                candidates.add([row.text for row in block.rows], probabilities)
                watch.count(len(block.rows), len(block.rejects))
        watch.done()
        return watch.tally
    finally:
        if path.is_relative_to(job.scratch):
            path.unlink()


def _lacking(probabilities: Probabilities) -> NDArray[np.float32]:
    """Return what probabilities lack of certainty of the most probable label, float32[rows, labels]."""
    lacking: NDArray[np.float32] = -probabilities
    lacking[np.arange(len(lacking)), probabilities.argmax(axis=1)] += 1
    return lacking


def _buckets(text: str) -> Iterator[int]:
    words = WORD.findall(text[:LONGEST_COMPARED].lower())
    for part in (*words, *map(" ".join, pairwise(words))):
        yield zlib.crc32(part.encode("utf-8", "surrogatepass")) % BUCKETS


def _row(text: str) -> str:
    quoted = text.replace('"', '""')
    return f',"{quoted}"\n'
