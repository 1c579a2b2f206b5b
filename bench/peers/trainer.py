"""Fine-tune with `transformers`' Trainer, its defaults: `python bench/peers/trainer.py ENCODER FOLDER --epochs 3`.

FOLDER has `training.csv` and `test.csv`. Prints a line of JSON. Batches are padded to their longest text, as the
library's own guide to text classification has it.
"""

import argparse
import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

LONGEST_TOKENS = 256


class EpochTimes(TrainerCallback):  # type: ignore[misc]  # its package has no types here
    """Times what is between an epoch's first and last step."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.began = 0.0

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """Note the time."""
        self.began = time.monotonic()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """Add what has passed."""
        self.seconds += time.monotonic() - self.began


def main() -> int:
    """Train, score, and print what came of it."""
    options = _options()
    tokenizer = AutoTokenizer.from_pretrained(options.encoder, model_max_length=LONGEST_TOKENS)
    training, test = (_rows(options.folder / name, tokenizer) for name in ("training.csv", "test.csv"))
    model = AutoModelForSequenceClassification.from_pretrained(options.encoder, num_labels=2)
    if options.frozen:
        model.base_model.requires_grad_(requires_grad=False)
    times = EpochTimes()
    trainer = Trainer(
        model,
        TrainingArguments(
            str(options.folder / "output"),
            num_train_epochs=options.epochs,
            per_device_train_batch_size=options.batch,
            report_to="none",
            disable_tqdm=True,
        ),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=training,
        callbacks=[times],
    )
    trainer.train()
    trainer.save_model()
    found = trainer.predict(test).predictions.argmax(axis=1)
    right = sum(row["labels"] == label for row, label in zip(test, found.tolist(), strict=True))
    speed = len(training) * options.epochs / times.seconds
    sys.stdout.write("\n" + json.dumps({"examples_per_second": speed, "accuracy": right / len(test)}) + "\n")
    return 0


def _rows(path: Path, tokenizer: Any) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    tokens = tokenizer([text for _, text in rows], truncation=True)["input_ids"]
    return [{"input_ids": ids, "labels": int(label)} for ids, (label, _) in zip(tokens, rows, strict=True)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fine-tune with transformers' Trainer.")
    parser.add_argument("encoder", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--frozen", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
