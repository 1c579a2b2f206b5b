"""Write `family_reference.json`: what the reference implementation answers for the tiny DistilBERT and ELECTRA.

Run where TensorFlow, tf-keras and transformers 4 are installed: `python tests/data/make_family_reference.py`. The file
was made with the versions it names.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny_bert

TOKEN_IDS = [[2, 5, 13, 7, 10, 3, 0, 0], [2, 6, 12, 14, 8, 9, 11, 3], [2, 3, 0, 0, 0, 0, 0, 0]]
CLASSES = {"distilbert": transformers.TFDistilBertModel, "electra": transformers.TFElectraModel}


def main() -> None:
    """Compute and write."""
    versions = {
        "tensorflow": tf.__version__,
        "tf_keras": tf_keras.__version__,
        "transformers": transformers.__version__,
    }
    content = {"made_with": versions, "token_ids": TOKEN_IDS, **{kind: vectors(kind) for kind in CLASSES}}
    path = Path(__file__).with_name("family_reference.json")
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def vectors(kind: str) -> dict[str, Any]:
    """Return the vectors of the tiny checkpoint of a kind, by each way of pooling it."""
    with tempfile.TemporaryDirectory() as folder:
        model = CLASSES[kind].from_pretrained(tiny_bert.write(Path(folder), pooling="cls", kind=kind))
    ids = tf.constant(TOKEN_IDS)
    mask = tf.cast(ids != 0, tf.int32)
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weight = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
    pooled = {"cls": hidden[:, 0], "mean": tf.reduce_sum(hidden * weight, 1) / tf.reduce_sum(weight, 1)}
    return {
        name: [[round(value, 6) for value in row] for row in rows.numpy().tolist()] for name, rows in pooled.items()
    }


if __name__ == "__main__":
    main()
