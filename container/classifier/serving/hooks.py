"""What gunicorn does besides its options: its configuration file."""

import time
from pathlib import Path
from typing import Any

from classifier import environment
from classifier.errors import RequestError
from classifier.serving import readiness

_POLL_SECONDS = 0.05


def post_worker_init(worker: Any) -> None:
    """Accept no connection before the model is loaded: until then they go to other processes, or wait.

    The model is loaded in another thread, so that the signs of life go on and a stop is heard.
    """
    while worker.alive and not _is_ready(worker.wsgi):
        worker.notify()
        time.sleep(_POLL_SECONDS)
    if worker.alive:
        readiness.declare(Path(worker.cfg.worker_tmp_dir), worker.pid, worker.cfg.workers)


def child_exit(server: Any, worker: Any) -> None:
    """Take a process that has ended out of what is counted of living ones."""
    readiness.withdraw(Path(server.cfg.worker_tmp_dir), worker.pid)
    if environment.SHARED_METRICS in environment.variables():
        from classifier.serving import metrics  # noqa: PLC0415  it loads numpy, which isn't there before the first fork

        metrics.forget_process(worker.pid)


def _is_ready(app: Any) -> bool:
    try:
        app.extensions[readiness.__name__]()
    except RequestError:
        return False
    return True
