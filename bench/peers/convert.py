"""Write this project's model as one that `transformers` loads, and what it answers.

`python bench/peers/convert.py MODEL FOLDER TEXTS LABELS`: FOLDER gets the checkpoint, and `code/`, which AWS's Hugging
Face toolkit takes its own functions from; TEXTS is a JSON list, and LABELS gets the list of their labels.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer, pipeline

from mean_pooled import MeanPooledClassifier

PREFIX = "bert."
LONGEST_TOKENS = 256
HERE = Path(__file__).resolve().parent


def main() -> int:
    """Convert, and ask."""
    model, folder, texts, answers = map(Path, sys.argv[1:])
    network = converted(model)
    network.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(model / "encoder", model_max_length=LONGEST_TOKENS)
    tokenizer.save_pretrained(folder)
    (folder / "code").mkdir(exist_ok=True)
    for name, source in {"mean_pooled.py": "mean_pooled.py", "inference.py": "toolkit_inference.py"}.items():
        shutil.copyfile(HERE / source, folder / "code" / name)
    classify = pipeline("text-classification", model=network, tokenizer=tokenizer, truncation=True, batch_size=32)
    found = classify(json.loads(texts.read_text(encoding="utf-8")))
    answers.write_text(json.dumps([answer["label"] for answer in found]), encoding="utf-8")
    return 0


def converted(model: Path) -> MeanPooledClassifier:
    """Return a model folder's classifier.

    Raises:
        SystemExit: The folder lacks weights.
    """
    labels = json.loads((model / "labels_info.json").read_text(encoding="utf-8"))["labels"]
    names = {index: str(label) for index, label in enumerate(labels)}
    config = AutoConfig.from_pretrained(
        model / "encoder", id2label=names, label2id={name: index for index, name in names.items()}
    )
    network = MeanPooledClassifier(config)
    head = load_file(model / "head.safetensors")
    weights = {PREFIX + name: tensor for name, tensor in load_file(model / "encoder" / "model.safetensors").items()}
    weights |= {"classifier.weight": head["kernel"].T.contiguous(), "classifier.bias": head["bias"]}
    expected = network.state_dict()
    missing = expected.keys() - weights.keys()
    if missing:
        raise SystemExit(f"{model}: lacks weights: {', '.join(sorted(missing))}")
    network.load_state_dict({name: weights[name].to(torch.float32) for name in expected})
    network.eval()
    return network


if __name__ == "__main__":
    sys.exit(main())
