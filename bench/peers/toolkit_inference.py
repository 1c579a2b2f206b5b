"""What AWS's Hugging Face toolkit is told of the model: its class, which is none of `transformers`' own."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, pipeline

from mean_pooled import MeanPooledClassifier


def model_fn(model_dir: str) -> Any:
    """Return the pipeline; everything else is the toolkit's own."""
    folder = Path(model_dir)
    device = 0 if torch.cuda.is_available() else -1
    model, tokenizer = MeanPooledClassifier.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    return pipeline("text-classification", model=model, tokenizer=tokenizer, truncation=True, device=device)
