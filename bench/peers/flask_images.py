"""A Flask application over EfficientNet-Lite0 in PyTorch, as `flask_app` is laid out; in: `{"inputs": "base64"}`.

Images are decoded with Pillow and scaled to the size that the network reads, as PyTorch's own examples do.
"""

import base64
import functools
import io
import os
from pathlib import Path
from typing import Any

import flask
import numpy as np
import torch
from PIL import Image

from efficientnet_lite import Classifier, loaded

SIDE = 256

app = flask.Flask(__name__)


@functools.cache
def classifier() -> Classifier:
    """Load the model, once a worker."""
    return loaded(Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model")


@app.get("/ping")
def ping() -> flask.Response:
    """Say that the model is loaded."""
    classifier()
    return flask.Response("\n", mimetype="application/json")


@app.post("/invocations")
def invocations() -> flask.Response:
    """Answer with the label and its score, as a pipeline of `transformers` does."""
    content = base64.b64decode(flask.request.get_json()["inputs"])
    image = Image.open(io.BytesIO(content)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        scores: Any = classifier()(pixels).softmax(dim=1)[0]
    best = int(scores.argmax())
    return flask.jsonify([{"label": classifier().labels[best], "score": float(scores[best])}])
