"""Write `bert_reference.json`: what the reference implementation answers, for tests that do without it.

Run where torch and transformers are installed: `python tests/data/make_reference.py ENCODER_FOLDER`, with the folder of
all-MiniLM-L6-v2. The file was made with the versions it names.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny_bert

TEXTS = [
    "The brakes squeal when it is cold outside.",
    "Großes Café – naïve façade… 价格 100 %?",
    "smoke",
    "It was the best of films, it was the worst of films. " * 12,
]
TINY_IDS = [[2, 5, 13, 7, 10, 3, 0, 0], [2, 6, 12, 14, 8, 9, 11, 3], [2, 3, 0, 0, 0, 0, 0, 0]]


def main() -> None:
    """Compute and write."""
    folder = sys.argv[1]
    tokenizer = transformers.BertTokenizer(str(Path(folder) / "vocab.txt"))
    model = transformers.BertModel.from_pretrained(folder).eval()
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=64, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    mean = (hidden * mask).sum(1) / mask.sum(1)
    content = {
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "texts": TEXTS,
        "max_sequence_length": 64,
        "token_ids": [ids[: int(length)] for ids, length in zip(batch["input_ids"].tolist(), mask.sum(1), strict=True)],
        "mean": [[round(value, 6) for value in row] for row in mean.tolist()],
        "tiny_token_ids": TINY_IDS,
        "tiny": tiny(),
    }
    path = Path(__file__).with_name("bert_reference.json")
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def tiny() -> dict[str, Any]:
    """Return the pooled vectors of the tiny checkpoint, by each way of pooling."""
    model = transformers.BertModel(transformers.BertConfig(**tiny_bert.CONFIG)).eval()
    weights = {name: torch.from_numpy(value) for name, value in tiny_bert.tensors().items()}
    print(model.load_state_dict(weights, strict=False), file=sys.stderr)
    ids = torch.tensor(TINY_IDS)
    mask = (ids != 0).long()
    with torch.no_grad():
        output = model(input_ids=ids, attention_mask=mask)
    hidden, weight = output.last_hidden_state, mask.unsqueeze(-1)
    pooled = {"mean": (hidden * weight).sum(1) / weight.sum(1), "cls": hidden[:, 0], "pooler": output.pooler_output}
    return {name: [[round(value, 6) for value in row] for row in rows.tolist()] for name, rows in pooled.items()}


if __name__ == "__main__":
    main()
