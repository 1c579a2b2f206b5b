"""The ``serve`` program: starts gunicorn and nginx, and ends with them."""

import contextlib
import logging
import os
import signal
import string
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from classifier import artifact, backends, environment, gpus, resources
from classifier.errors import UserError
from classifier.serving import logs, memory, processes, readiness
from classifier.serving.limits import LOADS_AT_MOST
from classifier.serving.processes import Process, StopRequest
from classifier.serving.settings import SETTINGS, ServingSettings

logger = logging.getLogger(__name__)

# SageMaker kills the container 30 seconds after it asks it to stop.
STOP_SECONDS = 28
# Of these, the time for gunicorn after nginx has sent the last answer, or has run out of time.
GUNICORN_STOP_SECONDS = 3
# The time that gunicorn gives its requests if another process tells it to stop.
GRACEFUL_SECONDS = 25
# A worker sends a heartbeat once a second; importing TensorFlow may delay it for several.
LEAST_TIMEOUT_SECONDS = 30
# Threads beyond those of admitted requests.
SPARE_THREADS = 4
WAITING_CONNECTIONS = 1000
# How long nginx keeps an idle connection to gunicorn, and how much longer gunicorn does: nginx alone closes them, also
# where both were paused for minutes, and never sends a request on a connection that gunicorn is closing.
IDLE_SECONDS = 60
SPARE_IDLE_SECONDS = 24 * 60 * 60
SOCKET = "gunicorn.sock"
# How often each worker may end before it is ready, while the server can't answer, until ``serve`` gives up.
FAILED_STARTS_AT_MOST = 3
LONGEST_TEMPORARY_FOLDER = 78  # bytes; a socket's address has 107 at most, of which the run's folder takes 29

_POLL_SECONDS = 0.1
_START_POLL_SECONDS = 0.01
_WHY_WORKERS_END = (
    "workers were killed while they loaded the model, probably because the container ran out of memory: give it more, "
    "or set SAGEMAKER_MODEL_SERVER_WORKERS to fewer workers"
)
_MODELS_LOST = (
    "the worker that held the models was killed, probably because the container ran out of memory: give it more, or "
    "load fewer models; the platform loads them into a new container"
)
_LOG_LEVELS = ("debug", "debug", "info", "warning", "error", "critical")


def main() -> int:
    """Serve until told to stop; return the exit status: 0 after a stop that was asked for, else 1."""
    logs.configure(logging.INFO)
    try:
        return serve(ServingSettings.from_environ())
    except UserError as error:
        reason = "; ".join(" ".join(problem.split()) for problem in error.problems)
        logger.error("serve_refused", extra={"reason": reason})  # noqa: TRY400  no traceback
    except Exception:
        logger.exception("serve_failed")
    return 1


def serve(settings: ServingSettings) -> int:
    """Run gunicorn, and nginx in front of it, until told to stop or one of them ends; return the exit status.

    Raises:
        UserError: There is no model, or it is incomplete.
    """
    stop_request = StopRequest()
    logs.configure(settings.log_level)
    _check_temporary_folder(environment.variables().get("TMPDIR", ""))
    if not settings.multi_model:
        for note in artifact.load(settings.model_folder).notes:
            logger.warning("model_note", extra={"note": note})
    if reason := gpus.why_unused():
        logger.warning("gpu_unused", extra={"reason": reason})
    logger.info("sized", extra=sizes(settings))
    running: dict[str, Process] = {}
    with _run_folder() as folder:
        readiness.prepare(folder)
        environ = child_environ(settings, folder)
        try:
            running["gunicorn"] = processes.start(gunicorn_command(settings, folder), environ)
            if _listens(folder / SOCKET, running["gunicorn"], stop_request):
                running["nginx"] = processes.start(nginx_command(settings, folder), environ)
            return _supervise(running, stop_request, folder, settings)
        finally:
            for process in running.values():
                processes.kill_group(process)


def sizes(settings: ServingSettings) -> dict[str, Any]:
    """Return the sizes of everything that depends on the machine or the settings, and why, for the log."""
    names = ("workers", "engine", "predictions_at_once", "engine_threads", "queue_length", "batch_tokens")
    chosen = {name: getattr(settings, name) for name in names}
    why = {name: settings.set_by.get(name) or f"default: {SETTINGS[name].words}" for name in names}
    share = {
        "processors": resources.processors(),
        "memory_megabytes": resources.memory() >> 20,
        "machine_processors": os.cpu_count(),
        "machine_memory_megabytes": psutil.virtual_memory().total >> 20,
    }
    return {**share, **chosen, "why": why}


def child_environ(settings: ServingSettings, folder: Path) -> dict[str, str]:
    """Return the environment of gunicorn and nginx: ours, with the run's folder for their temporary files."""
    environ = {
        **backends.VARIABLES,  # set before there are threads that might read others
        "TF_CPP_MIN_LOG_LEVEL": "2" if settings.log_level > logging.DEBUG else "0",
        **environment.variables(),
        **(memory.VARIABLES if settings.multi_model else {}),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(environment.PROGRAM_FOLDER),
    }
    for name in (environment.SHARED_METRICS, environment.SHARED_METRICS.lower()):
        environ.pop(name, None)
    if settings.workers > 1:
        shared = folder / "metrics"
        shared.mkdir()
        environ[environment.SHARED_METRICS] = str(shared)
    return environ


def threads(settings: ServingSettings) -> int:
    """Return how many threads a process has, so that one is always free for ``/ping`` and for refusals.

    On a multi-model endpoint, loading a model holds a thread, and so does unloading, which waits for its requests.
    """
    others = settings.capacity + LOADS_AT_MOST if settings.multi_model else 0
    return settings.capacity + others + SPARE_THREADS


def gunicorn_command(settings: ServingSettings, folder: Path) -> list[str]:
    """Return the command of the application server, which writes in this folder only."""
    options = {
        "bind": f"unix:{folder / SOCKET}",
        "workers": settings.workers,
        "worker-class": "gthread",
        "threads": threads(settings),
        # Connections that wait for a thread to refuse them; pings don't queue behind them.
        "worker-connections": threads(settings) + WAITING_CONNECTIONS,
        "keep-alive": IDLE_SECONDS + SPARE_IDLE_SECONDS,
        "timeout": max(settings.timeout_seconds, LEAST_TIMEOUT_SECONDS),
        "graceful-timeout": GRACEFUL_SECONDS,
        "worker-tmp-dir": folder,
        "log-level": _LOG_LEVELS[settings.log_level // 10],
        "config": "python:classifier.serving.hooks",
        # nginx limits these already, and answers with JSON.
        "limit-request-line": 0,
        "limit-request-fields": 32768,
        "limit-request-field_size": 0,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "gunicorn", "--no-control-socket", *arguments, "classifier.serving.app:create_app()"]


def nginx_command(settings: ServingSettings, folder: Path) -> list[str]:
    """Fill in nginx's configuration, in this folder, and return the command that runs with it."""
    template = string.Template((environment.PROGRAM_FOLDER / "nginx.conf").read_text(encoding="utf-8"))
    kept = threads(settings) if settings.workers == 1 else 0
    values = {
        # Staying root needs no privilege; becoming another user needs one that a container may not have.
        "user_directive": "user root;" if os.geteuid() == 0 else "",
        "folder": folder,
        "open": folder / readiness.OPEN,
        "keep_connections": f"keepalive {kept}; keepalive_timeout {IDLE_SECONDS}s;" if kept else "",
        "connection": "" if kept else "close",
        "port": settings.port,
        "max_payload_megabytes": settings.max_payload_megabytes,
        "proxy_timeout_seconds": settings.proxy_timeout_seconds,
        "refuse_page": "" if settings.has_page else "return 404;",
    }
    configuration = folder / "nginx.conf"
    configuration.write_text(template.substitute(values), encoding="utf-8")
    return ["nginx", "-e", "stderr", "-c", str(configuration)]


@contextlib.contextmanager
def _run_folder() -> Iterator[Path]:
    """Create a folder for sockets and temporary files, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="serve-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _check_temporary_folder(name: str) -> None:
    """Refuse a folder that Python would silently replace by another, or that can't be in a socket's address."""
    too_long = len(os.fsencode(name)) > LONGEST_TEMPORARY_FOLDER
    if name and (not os.access(name, os.W_OK | os.X_OK) or too_long or '"' in name):
        raise UserError(
            f"environment variable TMPDIR: must name a writable folder, with at most {LONGEST_TEMPORARY_FOLDER} "
            "bytes and without quotes"
        )


def _listens(socket: Path, process: Process, stop_request: StopRequest) -> bool:
    """Wait until a process listens on a socket; return False if the process ends or a stop is requested before."""
    while not socket.exists():
        if stop_request.received or process.poll() is not None:
            return False
        time.sleep(_START_POLL_SECONDS)
    return True


def _supervise(
    running: Mapping[str, Process], stop_request: StopRequest, folder: Path, settings: ServingSettings
) -> int:
    """Watch the processes until one ends by itself, workers can't go on, or told to stop; return the exit status."""
    while not stop_request.received:
        for name, process in running.items():
            if process.poll() is not None:
                logger.error("process_ended", extra={"program": name, "status": process.returncode})
                return 1
        failed = readiness.failed_starts(folder)
        if failed >= FAILED_STARTS_AT_MOST * settings.workers:
            logger.error("workers_ended", extra={"times": failed, "reason": _WHY_WORKERS_END})
            return 1
        if settings.multi_model and readiness.has_ended(folder):
            logger.error("workers_ended", extra={"times": 1, "reason": _MODELS_LOST})
            return 1
        time.sleep(_POLL_SECONDS)
    _stop(running)
    return 0


def _stop(running: Mapping[str, Process]) -> None:
    """Stop after the requests in flight are answered: nginx knows them, so it is stopped first."""
    logger.info("stopping")
    deadline = time.monotonic() + STOP_SECONDS
    if "nginx" in running:
        processes.stop(running["nginx"], signal.SIGQUIT, deadline - GUNICORN_STOP_SECONDS)
    processes.stop(running["gunicorn"], signal.SIGTERM, min(deadline, time.monotonic() + GUNICORN_STOP_SECONDS))
    logger.info("stopped")
