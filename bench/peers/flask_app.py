"""A Flask application over `transformers`' text-classification pipeline, as AWS's bring-your-own sample is laid out.

The model is loaded by the first request of each worker, /ping among them, as there. In: `{"inputs": "a text"}`.
"""

import functools
import os
from pathlib import Path
from typing import Any

import flask
import torch
from transformers import AutoTokenizer, pipeline

from mean_pooled import MeanPooledClassifier

app = flask.Flask(__name__)


@functools.cache
def classify() -> Any:
    """Load the model, once a worker."""
    folder = Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model"
    device = 0 if torch.cuda.is_available() else -1
    model, tokenizer = MeanPooledClassifier.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    return pipeline("text-classification", model=model, tokenizer=tokenizer, truncation=True, device=device)


@app.get("/ping")
def ping() -> flask.Response:
    """Say that the model is loaded."""
    classify()
    return flask.Response("\n", mimetype="application/json")


@app.post("/invocations")
def invocations() -> flask.Response:
    """Answer with the label and its score."""
    return flask.jsonify(classify()(flask.request.get_json()["inputs"]))
