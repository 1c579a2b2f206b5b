"""SIGTERM: SageMaker's word that the job is to stop, 120 seconds before it is killed."""

import logging
import signal
from types import FrameType

import psutil

from classifier.errors import UserError

log = logging.getLogger(__name__)


class StoppedError(UserError):
    """The job was told to stop before there was anything to keep."""

    def __init__(self) -> None:
        super().__init__("the job was stopped before its first training step was done; there is no model to keep")


class Interruption:
    """Remembers that the job was told to stop."""

    def __init__(self) -> None:
        self._requested = False

    def install(self) -> None:
        """From now on remember SIGTERM instead of dying of it."""
        signal.signal(signal.SIGTERM, self._remember)

    def requested(self) -> bool:
        """Say whether the job was told to stop."""
        return self._requested

    def request(self) -> None:
        """Tell the job to stop."""
        self._requested = True

    def check(self) -> None:
        """Raise :class:`StoppedError` if the job was told to stop."""
        if self._requested:
            raise StoppedError

    def _remember(self, _: int, __: FrameType | None) -> None:
        self.request()
        log.warning("event=stop note='SIGTERM: stopping after this step, then exporting the best model so far'")


def forward_to_children() -> None:
    """Hand SIGTERM on to the programs this process started; the toolkit's script mode does not."""

    def forward(number: int, _: FrameType | None) -> None:
        for child in psutil.Process().children(recursive=True):
            child.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
