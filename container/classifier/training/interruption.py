"""Interruptions: SageMaker sends SIGTERM 120 seconds before it kills a job; Ctrl-C is handled in the same way."""

import contextlib
import logging
import signal
import time
from types import FrameType

import psutil

from classifier.errors import UserError

log = logging.getLogger(__name__)


class StoppedError(UserError):
    """The job was told to stop before there was a model to keep."""

    def __init__(self) -> None:
        super().__init__(
            "the job was stopped before its first training step was done, so there is no model; checkpoints, of "
            "this run or an earlier one, are kept: start the job again to resume it"
        )


class Interruption:
    """Remembers that the job was told to stop."""

    def __init__(self) -> None:
        self._requested = False
        self._listens = False

    @classmethod
    def of_process(cls) -> "Interruption":
        """Return the interruption that SIGTERM and Ctrl-C request; from now on, they don't end the process."""
        handler = signal.getsignal(signal.SIGTERM)
        known = getattr(handler, "__self__", None)
        if isinstance(known, cls):
            return known
        interruption = cls()
        interruption._listens = True
        interruption.listen_again()
        return interruption

    def listen_again(self) -> None:
        """Install the signal handlers again, after a library replaced them: TensorFlow does when it connects hosts."""
        if self._listens:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._remember)

    def requested(self) -> bool:
        """Return whether to stop and keep what there is."""
        return self._requested

    def told_to_stop(self) -> bool:
        """Return whether to give up what can't be kept, too."""
        return self._requested

    def request(self) -> None:
        """Tell the job to stop."""
        self._requested = True

    def check(self) -> None:
        """Raise :class:`StoppedError` if :meth:`told_to_stop`."""
        if self.told_to_stop():
            raise StoppedError

    def _remember(self, _: int, __: FrameType | None) -> None:
        self.request()
        log.warning("event=stop note='SIGTERM: stopping after this step, then exporting the best model so far'")


class TimeLimit(Interruption):
    """Is requested at a time, too; only what can keep a result looks at :meth:`requested`."""

    def __init__(self, interruption: Interruption, deadline: float) -> None:
        """Limit the time.

        Args:
            interruption: What else may request a stop.
            deadline: The time, as :func:`time.monotonic` gives it; infinity for no limit.
        """
        super().__init__()
        self._interruption = interruption
        self._deadline = deadline

    @property
    def left(self) -> float:
        """The seconds until then, below 0 afterwards."""
        return self._deadline - time.monotonic()

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return self.left <= 0

    def requested(self) -> bool:
        """Return whether the time is over, or the job was told to stop."""
        return self._interruption.requested() or self.passed

    def told_to_stop(self) -> bool:
        """Return whether the job was told to stop; the time doesn't count."""
        return self._interruption.told_to_stop()


class WithinTime(Interruption):
    """A limit that is checked for its time, too: for what is given up when the time is over."""

    def __init__(self, limit: Interruption) -> None:
        super().__init__()
        self._limit = limit

    def requested(self) -> bool:
        """Return whether the time is over, or the job was told to stop."""
        return self._limit.requested()

    def told_to_stop(self) -> bool:
        """Return the same: the time counts."""
        return self._limit.requested()


def forward_to_children() -> None:
    """Forward SIGTERM to the programs that this process started, as the toolkit's script mode doesn't."""

    def forward(number: int, _: FrameType | None) -> None:
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
