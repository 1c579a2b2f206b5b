"""What the tests of serving images share: images drawn here, and a tiny real model that reads them.

The model's probabilities are the shares of red, green and blue in an image, each counted once more than it is there,
so every colour has its own answer and Python can tell it.
"""

import atexit
import base64
import functools
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from classifier import artifact, pixels
from serving_helpers import SERVE

LABELS = ("red", "green", "blue")
HEIGHT, WIDTH = 16, 24
MANIFEST: dict[str, Any] = {
    "format_version": artifact.FORMAT_VERSION,
    "modality": "image",
    "encoder": {"family": "tiny", "name": "tiny", "pooling": "mean", "height": HEIGHT, "width": WIDTH},
}
COLOURS = {"red": (250, 10, 20), "green": (10, 240, 30), "blue": (0, 20, 255)}


def drawn(colour: str | tuple[int, int, int] = "red", kind: str = "PNG", size: tuple[int, int] = (32, 20)) -> bytes:
    """Draw an image of one colour."""
    content = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour] if isinstance(colour, str) else colour).save(content, kind)
    return content.getvalue()


def noise(width: int, height: int, kind: str = "PNG", seed: int = 0) -> bytes:
    """Draw an image of random colours: nothing compresses it."""
    content = io.BytesIO()
    colours = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(colours).save(content, kind)
    return content.getvalue()


def probabilities(content: bytes) -> list[float]:
    """What the model answers."""
    return answers_of(pixels.decode(content, HEIGHT, WIDTH))


def answers_of(decoded: pixels.Pixels) -> list[float]:
    counts = decoded.astype(np.float64).mean(axis=(0, 1)) + 1
    return [float(count) for count in counts / counts.sum()]


def b64(content: bytes) -> dict[str, str]:
    """An image as JSON has it."""
    return {"b64": base64.b64encode(content).decode()}


def lines(*contents: bytes) -> bytes:
    """Images as JSON Lines have them."""
    return b"\n".join(json.dumps(b64(content)).encode() for content in contents)


def png_bomb(side: int = 10_000) -> bytes:
    """A white square of one bit a pixel: some kilobytes that are millions of pixels."""
    rows = zlib.compress((b"\0" + b"\xff" * (side // 8)) * side, 9)
    header = struct.pack(">2I5B", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def gif_of_frames(count: int = 1_000_000) -> bytes:
    """One red frame, and then so many more of a pixel each."""
    whole = drawn("red", "GIF")
    frame = b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return whole.removesuffix(b"\x3b") + frame * count + b"\x3b"


@functools.cache
def model_folder() -> Path:
    """Return a folder with the model, made once a test run."""
    home = Path(tempfile.mkdtemp(prefix="images-test-"))
    atexit.register(shutil.rmtree, home)
    folder = home / "model"
    folder.mkdir()
    command = [sys.executable, __file__, str(folder / artifact.SAVED_MODEL_FOLDER)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(SERVE.parent)}, check=True, timeout=120)
    artifact.write_json(folder / artifact.MANIFEST_FILE, MANIFEST)
    artifact.write_json(
        folder / artifact.REFERENCE_FILE, {"probes": [probabilities(probe) for probe in pixels.smoke_images()]}
    )
    artifact.write_labels(folder, LABELS)
    return folder


def _save(folder: str) -> None:
    import tensorflow as tf

    class Model(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([None, HEIGHT, WIDTH, 3], tf.uint8, "pixels")]
        )
        def serve(self, pixels: Any) -> Any:
            counts = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=(1, 2)) + 1
            return {"probabilities": counts / tf.reduce_sum(counts, axis=1, keepdims=True)}

    model = Model()
    tf.saved_model.save(model, folder, signatures={"serving_default": model.serve})


if __name__ == "__main__":
    _save(sys.argv[1])
