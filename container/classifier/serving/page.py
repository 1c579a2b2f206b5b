"""The page on which to try the model: one file, without references to others, that asks ``/invocations``."""

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from flask import Flask, Response

from classifier import IMAGE, TEXT
from classifier.errors import RequestError
from classifier.predictor import Predictor

MODALITIES = (TEXT, IMAGE)
_FILE = Path(__file__).with_name("page.html")
_MODALITY = 'data-modality="{}"'


def register(app: Flask, loaded: Callable[[], Predictor]) -> None:
    """Add ``GET /`` to an application.

    Args:
        app: The application; it answers a ``RequestError`` with its status.
        loaded: Returns the model, or raises a ``RequestError`` while it is not ready.
    """
    page = _FILE.read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": policy(page),
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    @app.get("/", provide_automatic_options=False)
    def try_model() -> Response:
        modality = loaded().modality.name
        if modality not in MODALITIES:
            problem = f"there is no page for a model of {modality}s; POST to /invocations"
            raise RequestError(404, "not_found", problem)
        content = page.replace(_MODALITY.format(TEXT), _MODALITY.format(modality), 1)
        return Response(content, headers=headers, content_type="text/html; charset=utf-8")


def policy(page: str) -> str:
    """Return the Content-Security-Policy of a page: its own script and style, requests to its own server, no others."""
    script, style = (_source(page, name) for name in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src blob: data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _source(page: str, name: str) -> str:
    """Return the source expression, by its hash, of the one element of a name."""
    (content,) = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
