"""gunicorn's configuration file: its server hooks and its log."""

import sys
import time
from pathlib import Path
from typing import Any

from gunicorn import glogging

from classifier import environment, gpus
from classifier.errors import RequestError
from classifier.serving import logs, readiness

_POLL_SECONDS = 0.05
_CONVERTER = "openvino.tools.ovc"


class GunicornLogger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's log, written by our handler."""

    def setup(self, cfg: Any) -> None:
        """Use gunicorn's level, and pass its records on to the root logger."""
        super().setup(cfg)
        logs.configure(self.loglevel)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


logger_class = GunicornLogger


def pre_fork(server: Any, worker: Any) -> None:
    """Give a worker the GPU that the fewest others compute on, if there are several."""
    taken = [other.gpu for other in server.WORKERS.values()]
    worker.gpu = min(gpus.usable(), key=taken.count, default=None)


def post_fork(_server: Any, worker: Any) -> None:
    """Let a worker see its GPU alone, and keep OpenVINO from importing its converter of models.

    The latter is an optional part that takes 8 MB, and only training uses it.
    """
    if worker.gpu is not None:
        environment.set_variables({gpus.VISIBLE: worker.gpu})
    sys.modules.setdefault(_CONVERTER, None)  # type: ignore[arg-type]  # how Python marks what can't be imported


def post_worker_init(worker: Any) -> None:
    """Wait until the model is loaded; until then, connections go to other workers, or wait.

    The model is loaded in another thread, so that the worker's heartbeat and its signal handlers keep running.
    """
    while worker.alive and not _is_ready(worker.wsgi):
        worker.notify()
        time.sleep(_POLL_SECONDS)
    if worker.alive:
        readiness.declare(Path(worker.cfg.worker_tmp_dir), worker.pid, worker.cfg.workers)


def child_exit(server: Any, worker: Any) -> None:
    """Remove a worker that has ended from the readiness files and from the gauges."""
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
