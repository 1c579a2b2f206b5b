"""The HTTP application: its routes, and what all responses have in common."""

import errno
import logging
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial, singledispatch
from pathlib import Path
from typing import IO

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from classifier import predictor
from classifier.errors import RequestError
from classifier.predictor import Predictor
from classifier.serving import logs, model, model_routes, page, readiness
from classifier.serving.invocation import Answer, Invocation, Service, Usage, invoke
from classifier.serving.memory import ModelMemory, Trimmer
from classifier.serving.model import Background
from classifier.serving.models import Models
from classifier.serving.settings import ServingSettings
from classifier.serving.transform import execution_parameters

logger = logging.getLogger(__name__)

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
_ECHOED = re.compile(r"[\x20-\x7e]{1,1024}")
_PIECE_BYTES = 1 << 18

_JOINED = (
    "CSV texts in quotes extend over several lines, so that there are fewer answers than lines; if the job splits its "
    "files (SplitType=Line), set SERVING_CSV_LINE_BREAKS=False and send texts that have line breaks as JSON Lines; if "
    "it doesn't, set SERVING_CSV_LINE_BREAKS=True"
)
_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(settings: ServingSettings | None = None, load: model.Load = model.load) -> Flask:
    """Build the application and start to load the model in the background; a failure to load ends the process.

    Args:
        settings: The server's settings; read from the environment if not given, as gunicorn does.
        load: Loads the model.
    """
    settings = settings or ServingSettings.from_environ()
    logs.configure(settings.log_level)
    service = Service.of(settings)
    app = Flask(__name__, static_folder=None)
    routes = _many_models if settings.multi_model else _one_model
    ready = routes(app, service, load)
    app.extensions[readiness.__name__] = ready  # for gunicorn's hooks

    @app.get("/ping", provide_automatic_options=False)
    def ping() -> Response:
        ready()
        return Response(content_type="text/plain")

    @app.get("/execution-parameters", provide_automatic_options=False)
    def parameters() -> Response:
        return jsonify(execution_parameters(settings))

    @app.get("/metrics", provide_automatic_options=False)
    def metrics() -> Response:
        body, content_type = service.metrics.exposition()
        return Response(body, content_type=content_type)

    app.before_request(_start)
    app.register_error_handler(Exception, _refuse)
    app.after_request(partial(_finish, service=service))
    trimmer = Trimmer()
    app.teardown_request(lambda _: trimmer.after(request.content_length or 0))
    return app


def _one_model(app: Flask, service: Service, load: model.Load) -> Callable[[], object]:
    """Add ``/invocations`` and the page for a single model; return a function that raises until the model is loaded."""
    loaded = Background(partial(_loaded, service, load))

    @app.post("/invocations", provide_automatic_options=False)
    def invocations() -> Response:
        return _answer(loaded.result, service)

    if service.settings.has_page:
        page.register(app, lambda: loaded.result)
    return lambda: loaded.result


def _loaded(service: Service, load: model.Load) -> Predictor:
    ready = load(service.settings)
    service.metrics.model(ready.manifest)
    service.metrics.models(1)
    return ready


def _many_models(app: Flask, service: Service, _load: model.Load) -> Callable[[], object]:
    """Add the routes of a multi-model endpoint; return a function that never raises: no model is needed to be ready."""
    memory = ModelMemory(service.settings.models_memory_megabytes << 20)

    def load_model(folder: Path) -> Predictor:
        return predictor.load(folder, service.settings.computing)

    models = Models(service.settings.models_folder, load_model, memory, service.metrics.models)
    model_routes.register(app, models, partial(_answer, service=service))

    @app.post("/invocations", provide_automatic_options=False)
    def invocations() -> Response:
        raise RequestError(404, "not_found", "this endpoint hosts several models; POST to /models/{name}/invoke")

    return lambda: None


def _answer(ready: Predictor, service: Service) -> Response:
    headers = request.headers
    with service.limits.admitted():
        invocation = Invocation(
            request.stream,
            request.content_length or 0,
            headers.get("Content-Type", ""),
            headers.get("Accept", ""),
            partial(_is_closed, request.environ.get("gunicorn.socket")),
            headers.get("Content-Encoding", ""),
        )
        answer = invoke(invocation, ready, service, g.usage)
    return _respond(answer)


def _is_closed(connection: socket.socket | None) -> bool:
    """Return whether nginx closed a connection, as it does when its client disconnects."""
    if connection is None:
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _respond(answer: Answer) -> Response:
    if answer.size <= _PIECE_BYTES:
        with answer.body as body:
            return Response(body.read(), content_type=answer.content_type)
    response = Response(_pieces(answer.body), content_type=answer.content_type)
    response.content_length = answer.size
    response.call_on_close(answer.body.close)
    return response


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from iter(partial(file.read, _PIECE_BYTES), b"")


def _start() -> None:
    g.start = time.monotonic()
    g.usage = Usage()


def _refuse(error: Exception) -> Response:
    """Respond to any error with ``{"error": {"code": ..., "message": ...}}``; its traceback goes only to the log."""
    refusal = as_request_error(error)
    response = jsonify(error={"code": refusal.code, "message": refusal.message})
    response.status_code = refusal.status
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    if isinstance(error, HTTPException):
        response.headers.extend((name, text) for name, text in error.get_headers() if name == "Allow")
    return response


@singledispatch
def as_request_error(error: Exception) -> RequestError:
    """Return the response to an error, by the error's type; this is the only place that decides it."""
    logger.error("internal_error", exc_info=error, extra={"request_id": _request_id()})
    return RequestError(500, "internal_error", "the server failed to answer; its log says why")


@as_request_error.register
def _(error: RequestError) -> RequestError:
    return error


@as_request_error.register
def _(error: HTTPException) -> RequestError:
    status = error.code or 500
    return RequestError(status, _CODES.get(status, "bad_request"), error.name.lower())


@as_request_error.register
def _(error: OSError) -> RequestError:
    if error.errno != errno.ENOSPC:
        return as_request_error.dispatch(Exception)(error)
    logger.error("no_disk_space", extra={"request_id": _request_id()})
    return RequestError(
        507,
        "no_disk_space",
        "the server's temporary folder (TMPDIR) is full; send smaller requests, or free some space",
    )


def _request_id() -> str:
    """Return the request's ID in the log: the sender's inference ID if it is valid, else a random one."""
    given = request.headers.get(INFERENCE_ID, "")
    if "request_id" not in g:
        g.request_id = given if _ECHOED.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def _finish(response: Response, service: Service) -> Response:
    """Read the rest of the body, echo the caller's attributes, and log invocations without their records."""
    while request.stream.read(_PIECE_BYTES):  # otherwise nginx, still sending, would see a broken pipe and answer 502
        pass
    attributes = request.headers.get(CUSTOM_ATTRIBUTES, "")
    if _ECHOED.fullmatch(attributes):
        response.headers[CUSTOM_ATTRIBUTES] = attributes
    if request.path == "/invocations" or request.path.endswith("/invoke"):
        _note(response, service)
    return response


def _note(response: Response, service: Service) -> None:
    seconds = time.monotonic() - g.start
    usage: Usage = g.usage
    service.metrics.request(response.status_code, seconds)
    service.metrics.bad(usage.bad_records)
    logger.info(
        "invocation",
        extra={
            "request_id": _request_id(),
            "status": response.status_code,
            "records": usage.records,
            "bad_records": usage.bad_records,
            "tokens": usage.tokens,
            "explained_tokens": usage.explained_tokens,
            "bytes_in": request.content_length or 0,
            "bytes_out": response.content_length or 0,
            "milliseconds": round(seconds * 1000, 1),
            "milliseconds_queued": round(usage.queued_seconds * 1000, 1),
            "milliseconds_computed": round(usage.computed_seconds * 1000, 1),
        },
    )
    if usage.joined_records and service.settings.may_join_lines:
        fields = {"request_id": _request_id(), "records": usage.joined_records, "note": _JOINED}
        logger.warning("lines_joined", extra=fields)
