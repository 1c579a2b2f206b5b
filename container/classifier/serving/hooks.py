"""What gunicorn does besides its options: its configuration file."""

from typing import Any

from classifier import environment


def child_exit(_server: Any, worker: Any) -> None:
    """Take a process that has ended out of what is counted of living ones, where there are several."""
    if environment.SHARED_METRICS in environment.variables():
        from classifier.serving import metrics  # noqa: PLC0415  it loads numpy, which isn't there before the first fork

        metrics.forget_process(worker.pid)
