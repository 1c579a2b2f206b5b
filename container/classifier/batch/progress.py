"""The progress of a file: its counts so far, and a log line every few seconds."""

import logging
import time
from dataclasses import dataclass

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0


@dataclass
class Tally:
    """The counts of a file, or of several.

    Attributes:
        rows: Rows that were predicted.
        rejected: Rows that could not be read.
    """

    rows: int = 0
    rejected: int = 0

    def add(self, other: "Tally") -> None:
        """Add the counts of another file."""
        self.rows += other.rows
        self.rejected += other.rejected

    @property
    def total(self) -> int:
        """The number of rows, predicted or rejected."""
        return self.rows + self.rejected


class Watch:
    """Measures the progress of one file, and logs it every few seconds.

    Args:
        name: The file.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.tally = Tally()
        self._started = self._last_line = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self._started

    @property
    def rows_per_second(self) -> float:
        """The throughput, including rejected rows."""
        return self.tally.total / max(self.seconds, 1e-9)

    def count(self, rows: int, rejected: int) -> None:
        """Count more rows."""
        self.tally.add(Tally(rows, rejected))

    def line(self, share: float) -> None:
        """Log the progress, unless the last line is recent.

        Args:
            share: The fraction of the file that is done, from 0 to 1.
        """
        if time.monotonic() - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = time.monotonic()
        left = self.seconds * (1 - share) / share if share else float("nan")
        log.info(
            "event=progress file=%r rows=%d rejected=%d rows_per_second=%.1f done=%.1f%% seconds_left=%.0f",
            self.name, self.tally.rows, self.tally.rejected, self.rows_per_second, 100 * share, left,
        )  # fmt: skip

    def done(self) -> None:
        """Log the file's last line."""
        log.info(
            "event=predicted file=%r rows=%d rejected=%d seconds=%.1f rows_per_second=%.1f",
            self.name, self.tally.rows, self.tally.rejected, self.seconds, self.rows_per_second,
        )  # fmt: skip
