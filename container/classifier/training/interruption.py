"""SIGTERM: SageMaker's word that the job is to stop, 120 seconds before it is killed; Ctrl-C is taken alike."""

import contextlib
import logging
import signal
from types import FrameType

import psutil

from classifier.errors import UserError

log = logging.getLogger(__name__)


class StoppedError(UserError):
    """The job was told to stop before there was anything to keep."""

    def __init__(self) -> None:
        super().__init__(
            "the job was stopped before its first training step was done, so there is no model; a checkpoint of an "
            "earlier run stays: start the job again to go on"
        )


class Interruption:
    """Remembers that the job was told to stop."""

    def __init__(self) -> None:
        self._requested = False
        self._listens = False

    @classmethod
    def of_process(cls) -> "Interruption":
        """Return the one that this process's signals reach; from the first call on SIGTERM ends nothing by itself."""
        handler = signal.getsignal(signal.SIGTERM)
        known = getattr(handler, "__self__", None)
        if isinstance(known, cls):
            return known
        interruption = cls()
        interruption._listens = True
        interruption.listen_again()
        return interruption

    def listen_again(self) -> None:
        """Take the signals back from a library that took them: TensorFlow does where it joins several hosts."""
        if self._listens:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._remember)

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
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
