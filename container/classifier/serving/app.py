"""The HTTP application: routes, and what every answer has in common."""

import logging
import re
import time
from dataclasses import dataclass
from functools import singledispatch

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from classifier import environment
from classifier.errors import RequestError
from classifier.predictor import Predictor
from classifier.serving import codec, media_types, model
from classifier.serving.limits import Limits
from classifier.serving.settings import ServingSettings

logger = logging.getLogger(__name__)

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_ECHOED = re.compile(r"[\x20-\x7e]{1,1024}")
_PIECE_BYTES = 65536

_CODES = {404: "not_found", 405: "method_not_allowed"}


@dataclass(frozen=True)
class Invocation:
    """The parts of a request that its answer depends on.

    Attributes:
        body: The records.
        content_type: The Content-Type header, empty where there is none.
        accept: The Accept header, empty where there is none.
    """

    body: bytes
    content_type: str = ""
    accept: str = ""


@dataclass(frozen=True)
class Answer:
    """What goes back.

    Attributes:
        body: The predictions.
        content_type: Their media type, without parameters.
        records: How many there are.
    """

    body: bytes
    content_type: str
    records: int


def invoke(invocation: Invocation, predictor: Predictor, settings: ServingSettings) -> Answer:
    """Answer one request; everything that can be refused is refused before the model is asked.

    Raises:
        RequestError: 406, 415, 400 or 413, checked in this order.
    """
    answer_type = media_types.choose_answer(invocation.accept, invocation.content_type, settings.default_accept)
    kind = media_types.request_type(invocation.content_type, must_name_one=settings.batch)
    records = codec.decode(invocation.body, kind)
    if len(records.texts) > settings.max_records:
        raise RequestError(413, "too_many_records", f"more than {settings.max_records} records; send fewer a request")
    probabilities = predictor.predict(records.texts)
    predictions = codec.Predictions(probabilities, predictor.labels, records.single)
    return Answer(codec.encode(predictions, answer_type), answer_type.media_type, len(records.texts))


def create_app(settings: ServingSettings | None = None, load: model.Load = model.load) -> Flask:
    """Build the application and start loading its model, which ends the process where that fails.

    Args:
        settings: What ``serve`` was told; read from the environment where it isn't given, as gunicorn does.
        load: What loads the model.
    """
    settings = settings or ServingSettings.from_environ()
    environment.configure_logging(settings.log_level)
    loaded = model.BackgroundModel(settings, load)
    limits = Limits(settings.predictions_at_once, settings.queue_length)
    app = Flask(__name__, static_folder=None)

    @app.get("/ping", provide_automatic_options=False)
    def ping() -> Response:
        loaded.predictor  # noqa: B018  503 while there is none
        return Response(content_type="text/plain")

    @app.post("/invocations", provide_automatic_options=False)
    def invocations() -> Response:
        predictor = loaded.predictor
        with limits.turn():
            return _respond(invoke(_invocation(), predictor, settings))

    app.before_request(_start_clock)
    app.register_error_handler(Exception, _refuse)
    app.after_request(_finish)
    return app


def _invocation() -> Invocation:
    headers = request.headers
    return Invocation(request.get_data(cache=False), headers.get("Content-Type", ""), headers.get("Accept", ""))


def _respond(answer: Answer) -> Response:
    g.records = answer.records
    return Response(answer.body, content_type=answer.content_type)


def _start_clock() -> None:
    g.start = time.monotonic()


def _refuse(error: Exception) -> Response:
    """Answer any error as ``{"error": {"code": ..., "message": ...}}``, its traceback in the log only."""
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
    """Return how an error is answered: the one place that knows, by the error's type."""
    logger.error("event=internal_error", exc_info=error)
    return RequestError(500, "internal_error", "the server failed to answer; its log says why")


@as_request_error.register
def _(error: RequestError) -> RequestError:
    return error


@as_request_error.register
def _(error: HTTPException) -> RequestError:
    status = error.code or 500
    return RequestError(status, _CODES.get(status, "bad_request"), error.name.lower())


def _finish(response: Response) -> Response:
    """Read what is left of the body, echo the caller's attributes, and log invocations, never their texts."""
    while request.stream.read(_PIECE_BYTES):  # else nginx, still sending, would see a broken pipe and answer 502
        pass
    attributes = request.headers.get(CUSTOM_ATTRIBUTES, "")
    if _ECHOED.fullmatch(attributes):
        response.headers[CUSTOM_ATTRIBUTES] = attributes
    if request.path == "/invocations":
        milliseconds = (time.monotonic() - g.start) * 1000
        logger.info(
            "event=invocation status=%d records=%d bytes_in=%d bytes_out=%d milliseconds=%.0f",
            response.status_code,
            g.get("records", 0),
            request.content_length or 0,
            response.content_length or 0,
            milliseconds,
        )
    return response
