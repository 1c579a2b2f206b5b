"""Logistic regression on the encoder's vectors: `python bench/peers/logistic.py ENCODER FOLDER`.

The vectors are those that the frozen encoder gives the top layer: the mean of a text's tokens, made by PyTorch in
batches of like lengths. FOLDER has `training.csv` and `test.csv`. Prints a line of JSON.
"""

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from transformers import AutoModel, AutoTokenizer

LONGEST_TOKENS = 256


def main() -> int:
    """Make vectors, fit, score, and print what came of it."""
    options = _options()
    labels, vectors, seconds = {}, {}, {}
    for name in ("training", "test"):
        with (options.folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        labels[name] = np.array([int(label) for label, _ in rows])
        started = time.monotonic()
        vectors[name] = vectors_of(options.encoder, [text for _, text in rows], options.batch)
        seconds[name] = time.monotonic() - started
    model = LogisticRegression(max_iter=1000).fit(vectors["training"], labels["training"])
    accuracy = float((model.predict(vectors["test"]) == labels["test"]).mean())
    speed = len(labels["training"]) / seconds["training"]
    sys.stdout.write(json.dumps({"examples_per_second": speed, "accuracy": accuracy}) + "\n")
    return 0


def vectors_of(encoder: Path, texts: list[str], batch: int) -> NDArray[np.float32]:
    """Return the texts' vectors, float32[texts, width]."""
    tokenizer = AutoTokenizer.from_pretrained(encoder, model_max_length=LONGEST_TOKENS)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = AutoModel.from_pretrained(encoder).eval().to(device)
    tokens = tokenizer(texts, truncation=True)["input_ids"]
    order = sorted(range(len(texts)), key=lambda index: len(tokens[index]))
    vectors = np.zeros((len(texts), network.config.hidden_size), np.float32)
    for start in range(0, len(order), batch):
        some = order[start : start + batch]
        padded = tokenizer.pad({"input_ids": [tokens[index] for index in some]}, return_tensors="pt").to(device)
        with torch.inference_mode():
            hidden = network(**padded).last_hidden_state
        mask = padded["attention_mask"].unsqueeze(-1)
        vectors[some] = ((hidden * mask).sum(dim=1) / mask.sum(dim=1)).cpu().numpy()
    return vectors


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fit logistic regression on an encoder's vectors.")
    parser.add_argument("encoder", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=32)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
