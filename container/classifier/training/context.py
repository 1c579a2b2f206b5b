"""The environment of a training job: hosts, folders and time."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from classifier.training.cluster import Cluster
from classifier.training.interruption import Interruption, TimeLimit
from classifier.training.standard_files.tensorboard import EpochEvents
from classifier.training.warm_start import Previous

# Of a job's time budget, what is kept for the steps after training: n-grams beside the network; scoring and export.
FOR_EXPORT, MOST_FOR_EXPORT = 0.15, 60.0


@dataclass(frozen=True)
class JobContext:
    """The environment of a training job.

    Attributes:
        cluster: The hosts and devices.
        interruption: Tells whether the job was told to stop.
        checkpoints: The folder for checkpoints.
        scratch: A folder for temporary files.
        channel: The folder with the ``model`` channel's files, unpacked; None without that channel.
        previous: The model of this image that the channel holds; None without one.
        sharded: The splits of which each host has rows of its own: ``training``, ``validation``, ``test``.
        started: When the job was started, as :func:`time.monotonic` gives it.
        events: The event files of the chief; other hosts write none.
    """

    cluster: Cluster
    interruption: Interruption
    checkpoints: Path
    scratch: Path
    channel: Path | None = None
    previous: Previous | None = None
    sharded: frozenset[str] = frozenset()
    started: float = field(default_factory=time.monotonic)
    events: EpochEvents = field(default_factory=EpochEvents)

    def left(self, budget: int | None, share: float = 1.0) -> float:
        """Return the seconds of a time budget that are left for training; there is no end of them without a budget.

        Args:
            budget: The job's time budget in seconds.
            share: The share of the time for the steps after training that is kept for these.
        """
        if budget is None:
            return math.inf
        kept = share * min(FOR_EXPORT * budget, MOST_FOR_EXPORT)
        return self.started + budget - kept - time.monotonic()

    def limit(self, budget: int | None, share: float = 1.0) -> TimeLimit:
        """Return what stops training when no time is left for it."""
        return TimeLimit(self.interruption, time.monotonic() + self.left(budget, share))
