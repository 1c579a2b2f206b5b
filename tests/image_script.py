"""What a job's own script may do in the image: not a test, but run there by test_image_packages.py.

Everything that TensorFlow's public interface, or a package that a script would use, needs of what was not taken out.
"""

import importlib
import sys
from importlib import metadata
from pathlib import Path

import boto3
import keras  # type: ignore[import-untyped]
import numpy as np
import openvino
import pandas as pd
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text as text
import tf_keras
from scipy import optimize

WORK = Path(sys.argv[1])
INPUTS = np.ones((8, 2), np.float32)


def try_the_packages() -> None:
    """Import every package by every name it has."""
    for distribution in metadata.distributions():
        names = {
            file.parts[0] for file in distribution.files or () if file.name == "__init__.py" and len(file.parts) == 2
        }
        for name in sorted(names):
            importlib.import_module(name)


def try_keras() -> None:
    """Train with Keras 3 and with Keras 2, the latter compiled by XLA, and save in every form."""
    for library, options in ((keras, {}), (tf_keras, {"jit_compile": True})):
        model = library.Sequential([library.layers.Dense(3)])
        model.compile("adam", "mse", **options)
        model.fit(INPUTS, np.ones((8, 3)), verbose=0)
        model.save(WORK / f"{library.__name__}.keras")
        library.models.load_model(WORK / f"{library.__name__}.keras")
    model.save(WORK / "saved")


def try_tensorflow() -> None:
    """Convert to TensorFlow Lite, profile, use XLA, several workers, a server, custom text operations."""
    converted = tf.lite.TFLiteConverter.from_saved_model(str(WORK / "saved")).convert()
    tf.lite.Interpreter(model_content=converted).allocate_tensors()
    tf.profiler.experimental.start(str(WORK / "profile"))
    compiled = tf.function(lambda matrix: matrix @ matrix, jit_compile=True)
    assert compiled.experimental_get_compiler_ir(tf.ones((2, 2)))(stage="hlo")
    tf.profiler.experimental.stop()
    tf.distribute.MultiWorkerMirroredStrategy()
    assert tf.distribute.Server.create_local_server().target
    assert text.normalize_utf8(["\u00c5"], "NFD").numpy()[0] == "A\u030a".encode()
    assert hub.load(str(WORK / "saved")).signatures


def try_openvino() -> None:
    """Read a SavedModel and compute it, on the device that OpenVINO finds by itself, and in half precision."""
    core = openvino.Core()
    assert core.available_devices == ["CPU"]
    openvino.save_model(openvino.convert_model(WORK / "saved"), WORK / "model.xml")
    for arguments in ((), ("CPU", {"INFERENCE_PRECISION_HINT": "bf16"})):
        assert core.compile_model(WORK / "model.xml", *arguments)(INPUTS)[0].shape == (8, 3)


def try_the_others() -> None:
    """The packages that lost their tests still have what they offer for others' tests."""
    pd.testing.assert_frame_equal(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}))
    np.testing.assert_allclose(optimize.linprog([1], bounds=[(0, 1)]).fun, 0)
    for service in ("s3", "sagemaker", "dynamodb"):
        assert boto3.client(service, region_name="us-east-1").meta.service_model.operation_names


if __name__ == "__main__":
    try_keras()
    try_tensorflow()
    try_openvino()
    try_the_others()
    try_the_packages()
    sys.stdout.write("all of it works\n")
