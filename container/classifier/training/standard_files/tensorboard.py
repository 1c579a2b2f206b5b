"""Event files for TensorBoard, with the metrics of every epoch.

``tf.summary.scalar`` needs the package tensorboard; ``tf.summary.write`` with the metadata of its plugin for scalars
writes the same without it.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from classifier.training.loop.progress import Metrics

log = logging.getLogger(__name__)

PLUGIN = "scalars"
DATA_CLASS_SCALAR = 1  # of TensorFlow's summary.proto


class EpochEvents:
    """Writes the metrics of epochs as they end, so that TensorBoard shows them while the job runs."""

    def __init__(self, folder: Path | None = None) -> None:
        """Write nothing yet.

        Args:
            folder: The folder of the event files, which need not exist; None to write none.
        """
        self._folder = folder
        self._written = 0
        self._writer: tf.summary.SummaryWriter | None = None

    def below(self, name: str) -> "EpochEvents":
        """Return event files of their own, in a folder below this one's, which TensorBoard shows as a run."""
        return EpochEvents(None if self._folder is None else self._folder / name)

    def write(self, history: Sequence[Metrics]) -> None:
        """Write the metrics of the epochs that have not been written; files that can't be written are a warning."""
        if self._folder is None or self._written == len(history):
            return
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(self._folder))
            with self._writer.as_default():
                for epoch in range(self._written, len(history)):
                    for name, value in history[epoch].items():
                        tf.summary.write(name, tf.constant(value, tf.float32), epoch + 1, _scalar())
            self._writer.flush()
        except (OSError, tf.errors.OpError) as error:
            log.warning("event=tensorboard note=%r", f"no event files in {self._folder}: {type(error).__name__}")
            self._folder = self._writer = None
        self._written = len(history)

    def close(self, history: Sequence[Metrics]) -> None:
        """Write the epochs that are left, and close the files."""
        self.write(history)
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _scalar() -> tf.compat.v1.SummaryMetadata:
    metadata = tf.compat.v1.SummaryMetadata(data_class=DATA_CLASS_SCALAR)
    metadata.plugin_data.plugin_name = PLUGIN
    return metadata
