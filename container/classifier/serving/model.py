"""Loads the model in the background, while the server answers 503."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from classifier import predictor
from classifier.errors import RequestError, UserError
from classifier.predictor import Predictor
from classifier.serving.memory import give_back
from classifier.serving.settings import ServingSettings

logger = logging.getLogger(__name__)

# The exit code by which gunicorn's master knows that starting this worker again would not help.
LOAD_ERROR = 4

Load = Callable[[ServingSettings], Predictor]


def load(settings: ServingSettings) -> Predictor:
    """Load the model and check its predictions for the smoke inputs.

    Raises:
        UserError: The model is incomplete or damaged, or its predictions differ from those after training.
    """
    ready = predictor.load(settings.model_folder, settings.computing)
    logger.info("engine_chosen", extra={"engine": ready.backend_name, "reason": ready.backend_reason})
    give_back()  # the memory of other backends that were tried
    return ready


class Background:
    """A model that is loaded in the background; the process ends if it can't be loaded.

    Args:
        load: Loads the model.
    """

    def __init__(self, load: Callable[[], Predictor]) -> None:
        self._load = load
        self._loaded: list[Predictor] = []
        threading.Thread(target=self._run, name="load-model", daemon=True).start()

    @property
    def result(self) -> Predictor:
        """The model.

        Raises:
            RequestError: 503, while it is not ready.
        """
        if not self._loaded:
            raise RequestError(503, "model_loading", "the model is being loaded; try again", retry_after_seconds=2)
        return self._loaded[0]

    def _run(self) -> None:
        start = time.monotonic()
        logger.info("model_loading")
        try:
            self._loaded.append(self._load())
        except UserError as error:
            reason = " ".join(str(error).split())
            logger.error("model_refused", extra={"reason": reason})  # noqa: TRY400  no traceback
        finally:
            if not self._loaded:
                _end_process()
        logger.info("model_loaded", extra={"seconds": round(time.monotonic() - start, 1)})


def _end_process() -> None:
    """End the process without waiting for its other threads; log the traceback unless it was the user's mistake."""
    error = sys.exception()
    if error is not None:
        logger.error("model_failed", exc_info=error)
    os._exit(LOAD_ERROR)
