"""Loads the model beside the server, which answers "not yet" meanwhile."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from classifier import predictor
from classifier.errors import RequestError, UserError
from classifier.predictor import Predictor
from classifier.serving.memory import give_back
from classifier.serving.settings import ServingSettings

logger = logging.getLogger(__name__)

# The exit code by which gunicorn's master knows that starting this worker again would not help.
LOAD_ERROR = 4

Load = Callable[[ServingSettings], Predictor]
Result = TypeVar("Result")


def load(settings: ServingSettings) -> Predictor:
    """Load the model and ask it its test texts.

    Raises:
        UserError: The model is incomplete, broken, or answers differently than it did in training.
    """
    ready = predictor.load(settings.model_folder, settings.computing)
    logger.info("engine_chosen", extra={"engine": ready.engine_name, "reason": ready.engine_reason})
    give_back()  # what other engines took that were tried
    return ready


class Background(Generic[Result]):
    """Something that is being made ready, or is there; if it can't be the process ends.

    Args:
        what: What it is, for the log.
        make: What makes it.
    """

    def __init__(self, what: str, make: Callable[[], Result]) -> None:
        self._what = what
        self._make = make
        self._results: list[Result] = []
        threading.Thread(target=self._run, name=f"load-{what}", daemon=True).start()

    @property
    def result(self) -> Result:
        """What was made.

        Raises:
            RequestError: 503, while it is not ready.
        """
        if not self._results:
            raise RequestError(
                503, f"{self._what}_loading", f"the {self._what} is being loaded; try again", retry_after_seconds=2
            )
        return self._results[0]

    def _run(self) -> None:
        start = time.monotonic()
        logger.info("%s_loading", self._what)
        try:
            self._results.append(self._make())
        except UserError as error:
            reason = " ".join(str(error).split())
            logger.error("%s_refused", self._what, extra={"reason": reason})  # noqa: TRY400  no traceback
        finally:
            if not self._results:
                _end_process(self._what)
        logger.info("%s_loaded", self._what, extra={"seconds": round(time.monotonic() - start, 1)})


def _end_process(what: str) -> None:
    """End the process without waiting for its other threads, the traceback in the log where the fault is ours."""
    error = sys.exception()
    if error is not None:
        logger.error("%s_failed", what, exc_info=error)
    os._exit(LOAD_ERROR)
