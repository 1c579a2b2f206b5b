"""Loads the model beside the server, which answers "not yet" meanwhile."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from classifier import predictor
from classifier.errors import RequestError, UserError
from classifier.predictor import Predictor
from classifier.serving.settings import ServingSettings

logger = logging.getLogger(__name__)

# The exit code by which gunicorn's master knows that starting this worker again would not help.
LOAD_ERROR = 4

Load = Callable[[ServingSettings], Predictor]


def load(settings: ServingSettings) -> Predictor:
    """Load the model and ask it its test texts, TensorFlow computing with as many threads as the settings say.

    Raises:
        UserError: The model is incomplete, broken, or answers differently than it did in training.
    """
    from classifier.engines import saved_model  # noqa: PLC0415  TensorFlow only in the worker, after the fork

    saved_model.set_threads(settings.tensorflow_threads)
    return predictor.load(settings.model_folder)


class BackgroundModel:
    """A model that is being loaded, or is there; if it can't be loaded the process ends.

    Args:
        settings: What ``serve`` was told.
        load: What loads it.
    """

    def __init__(self, settings: ServingSettings, load: Load) -> None:
        self._settings = settings
        self._load = load
        self._predictor: Predictor | None = None
        threading.Thread(target=self._run, name="load", daemon=True).start()

    @property
    def predictor(self) -> Predictor:
        """The model.

        Raises:
            RequestError: 503, while it is being loaded.
        """
        if self._predictor is None:
            raise RequestError(503, "model_loading", "the model is being loaded; try again", retry_after_seconds=2)
        return self._predictor

    def _run(self) -> None:
        start = time.monotonic()
        logger.info("event=model_loading")
        try:
            self._predictor = self._load(self._settings)
        except UserError as error:
            logger.error("event=model_refused reason=%s", " ".join(str(error).split()))  # noqa: TRY400  no traceback
        finally:
            if self._predictor is None:
                _end_process()
        logger.info("event=model_loaded seconds=%.1f", time.monotonic() - start)


def _end_process() -> None:
    """End the process without waiting for its other threads, the traceback in the log where the fault is ours."""
    error = sys.exception()
    if error is not None:
        logger.error("event=model_failed", exc_info=error)
    os._exit(LOAD_ERROR)
