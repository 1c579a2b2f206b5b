"""What all files of a run share: storage, model, options, and the fingerprint of a result."""

import hashlib
import json
import logging
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from classifier import __version__, gpus, predictor
from classifier.batch.options import Options
from classifier.batch.records import Added
from classifier.batch.storage import Storage
from classifier.predictor import Predictor
from classifier.tabular.dialect import AUTO

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What all files of a run share.

    Attributes:
        options: The user's options.
        source: The storage of the input files.
        results: The storage of the predictions.
        rejects: The storage of the lists of rejects.
        model_folder: The model, unpacked.
        model_digest: A hash of the model's files.
        pool: The threads that compute.
        scratch: A temporary folder, removed at the end.
    """

    options: Options
    source: Storage
    results: Storage
    rejects: Storage
    model_folder: Path
    model_digest: str
    pool: Executor
    scratch: Path

    @cached_property
    def predictor(self) -> Predictor:
        """The model, loaded for the first file that is not finished.

        Raises:
            UserError: It is incomplete or damaged, or its predictions differ from those after training.
        """
        # In a thread, so that signals are handled meanwhile.
        ready = self.pool.submit(predictor.load, self.model_folder, self.options.computing).result()
        for note in ready.notes:
            log.warning("event=model_note note=%r", note)
        if reason := gpus.why_unused():
            log.warning("event=model note=%r", reason)
        log.info("event=model engine=%s note=%r", ready.backend_name, ready.backend_reason)
        return ready

    @cached_property
    def added(self) -> Added:
        """The columns that results add to each row."""
        model, asked = self.predictor, self.options.threshold
        thresholds = model.thresholds.tolist() if asked is None else [asked] * len(model.labels)
        return Added(model.labels, self.options.probabilities, thresholds, self.options.explain)

    def fingerprint(self, name: str) -> str:
        """Return a hash of all that a file's result depends on: its content, the model, the options, the version."""
        options = self.options
        asked = [options.format, options.text_column, options.header, options.probabilities, options.engine]
        if options.delimiter != AUTO:  # so that results of versions without these options are still recognised
            asked.append(options.delimiter)
        if options.threshold is not None:
            asked.append(options.threshold)
        if options.explain:
            asked.append("explain")
        parts = [__version__, self.model_digest, self.source.version(name), asked, vars(options.shard)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
