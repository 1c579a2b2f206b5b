"""The routes by which SageMaker loads, lists, unloads and invokes the models of a multi-model endpoint.

Source: the SageMaker developer guide, "Custom Containers Contract for Multi-Model Endpoints".
"""

import json
from collections.abc import Callable

from flask import Flask, Response, jsonify, request

from classifier.errors import RequestError
from classifier.predictor import Predictor
from classifier.serving.models import Model, Models

MOST_BODY_BYTES = 64 << 10


def register(app: Flask, models: Models, invoke: Callable[[Predictor], Response]) -> None:
    """Add the routes to an application.

    Args:
        app: The application; it answers a ``RequestError`` with its status.
        models: The models.
        invoke: Answers the current request with a model, as ``/invocations`` does; it does not use the model after it
            returns.
    """

    @app.post("/models", provide_automatic_options=False)
    def load_model() -> Response:
        return jsonify(_shown(models.add(*_name_and_url(_body()))))

    @app.get("/models", provide_automatic_options=False)
    def list_models() -> Response:
        listed, next_page = models.listing(request.args.get("next_page_token"))
        more = {} if next_page is None else {"nextPageToken": next_page}
        return jsonify(models=[_shown(model) for model in listed], **more)

    # A name may have slashes, two in a row among them.
    @app.get("/models/<path:name>", provide_automatic_options=False, merge_slashes=False)
    def show_model(name: str) -> Response:
        return jsonify(_shown(models.get(name)))

    @app.delete("/models/<path:name>", provide_automatic_options=False, merge_slashes=False)
    def unload_model(name: str) -> Response:
        models.remove(name)
        return jsonify({})

    @app.post("/models/<path:name>/invoke", provide_automatic_options=False, merge_slashes=False)
    def invoke_model(name: str) -> Response:
        with models.using(name) as predictor:
            return invoke(predictor)


def _shown(model: Model) -> dict[str, str]:
    return {"modelName": model.name, "modelUrl": model.url}


def _body() -> bytes:
    """Return the request's body.

    Raises:
        RequestError: 413, if it exceeds :data:`MOST_BODY_BYTES`.
    """
    body = b""
    while len(body) <= MOST_BODY_BYTES and (piece := request.stream.read(MOST_BODY_BYTES + 1 - len(body))):
        body += piece
    if len(body) > MOST_BODY_BYTES:
        raise RequestError(413, "payload_too_large", f"the body exceeds {MOST_BODY_BYTES} bytes")
    return body


def _name_and_url(body: bytes) -> tuple[str, str]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        name, url = content.get("model_name"), content.get("url")
        if isinstance(name, str) and isinstance(url, str):
            return name, url
    raise RequestError(400, "invalid_request", 'send a JSON object with the strings "model_name" and "url"')
