"""What all files of a run share: where they come from and go to, the model, and how their results are known."""

import hashlib
import json
import logging
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from classifier import __version__, predictor
from classifier.batch.options import Options
from classifier.batch.storage import Storage
from classifier.predictor import Predictor
from classifier.tabular.dialect import AUTO

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What all files of a run share.

    Attributes:
        options: What the user asked for.
        source: Where the files are.
        results: Where the predictions go.
        rejects: Where the lists of rejects go.
        model_folder: The model, unpacked.
        model_digest: What is another for every other model.
        pool: Threads to compute in.
        scratch: A folder that is removed in the end.
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
        """The model, loaded when it is first asked for: by a file that is not finished.

        Raises:
            UserError: It is incomplete, broken, or answers differently than it did in training.
        """
        # In a thread, so that a signal is heard meanwhile.
        ready = self.pool.submit(predictor.load, self.model_folder, self.options.computing).result()
        for note in ready.notes:
            log.warning("event=model_note note=%r", note)
        log.info("event=model engine=%s note=%r", ready.backend_name, ready.backend_reason)
        return ready

    def fingerprint(self, name: str) -> str:
        """Return what is another whenever a file's result would be: of another content, model, option or version."""
        options = self.options
        asked = [options.format, options.text_column, options.header, options.probabilities, options.engine]
        if options.delimiter != AUTO:  # results of versions that had no such option stay known
            asked.append(options.delimiter)
        parts = [__version__, self.model_digest, self.source.version(name), asked, vars(options.shard)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
