"""What gunicorn does besides its options: its configuration file."""

from typing import Any


def child_exit(_server: Any, worker: Any) -> None:
    """Take a process that has ended out of what is counted of living ones."""
    from classifier.serving import metrics  # noqa: PLC0415  it loads numpy, which may not be there before the fork

    metrics.forget_process(worker.pid)
