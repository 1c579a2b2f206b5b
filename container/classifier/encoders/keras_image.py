"""The networks of Keras Applications, with weights of ImageNet or of the user's own from a Keras file.

The network is identified by the weights alone: the number of its batch norms and of their channels, and then the shape
of every layer. A top layer is left out. The network is never built from the file's config, so that no code in it can
run.

Sources: Keras Applications (github.com/keras-team/tf-keras, ``tf_keras/src/applications``), and each one's pixel range,
its ``preprocess_input``.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras
from tf_keras import applications

from classifier.encoders import files, keras_files
from classifier.encoders.images import (
    BLUE_FIRST,
    ImageEncoder,
    ImageLayer,
    ImagePreprocessor,
    same_on_all_replicas,
    saved_range,
)
from classifier.encoders.keras_files import NORM, OTHER, Layers, Stored, natural
from classifier.errors import UserError

CONFIG_FILE = "keras_image.json"
WEIGHTS_FILE = "weights.h5"
# An image size in a file's name, as in mobilenet_1_0_160_tf_no_top.h5, or in the config of the network's input.
SIZE_IN_NAME = re.compile(r"[_-](96|128|160|192|224|299)(?=[_.-])")
SIZE_IN_CONFIG = re.compile(
    r'"batch_(?:input_)?shape": (?:\{"class_name": "__tuple__", "items": )?\[null, (\d+), (\d+), 3\]'
)
SMALLEST_SIDE, LARGEST_SIDE = 32, 1024  # pixels; below, Keras builds none of these networks


@dataclass(frozen=True)
class Application:
    """One network of Keras Applications.

    Attributes:
        build: The function that builds it.
        norms: The number of its batch norms, and of all their channels together.
        pixel_range: The range of pixel values that it expects, a name of :data:`classifier.encoders.images.RANGES`.
        side: The usual height and width, in pixels.
        arguments: Further arguments of ``build``.
    """

    build: Callable[..., Any]
    norms: tuple[int, int]
    pixel_range: str
    side: int = 224
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def network(self, height: int, width: int) -> Any:
        """Build it with random weights, from float32[batch, height, width, 3] to the mean of the last map."""
        shape = (height, width, 3)
        with same_on_all_replicas():
            return self.build(weights=None, include_top=False, pooling="avg", input_shape=shape, **self.arguments)


APPLICATIONS: Mapping[str, Application] = {
    "inception_v3": Application(applications.InceptionV3, (94, 17216), "-1..1", 299),
    **{
        f"mobilenet_v1_{round(100 * alpha):03}": Application(
            applications.MobileNet, (27, channels), "-1..1", arguments={"alpha": alpha}
        )
        for alpha, channels in ((0.25, 2736), (0.5, 5472), (0.75, 8208), (1.0, 10944))
    },
    **{
        f"mobilenet_v2_{round(100 * alpha):03}": Application(
            applications.MobileNetV2, (52, channels), "-1..1", arguments={"alpha": alpha}
        )
        for alpha, channels in ((0.35, 7040), (0.5, 9272), (0.75, 13320), (1.0, 17056), (1.3, 22128), (1.4, 23968))
    },
    "efficientnet_v2_b0": Application(applications.EfficientNetV2B0, (59, 30304), "0..255"),
    "resnet50": Application(applications.ResNet50, (53, 26560), BLUE_FIRST),
}
TAKEN = "InceptionV3, MobileNet, MobileNetV2, EfficientNetV2B0 or ResNet50, with or without its top layer"


def recognise(folder: Path) -> bool:
    """Return whether a folder holds a Keras file."""
    return bool(keras_files.found(folder))


def load(folder: Path, name: str, max_sequence_length: int = 0, seed: int = 0) -> ImageEncoder:  # noqa: ARG001
    """Build the network that a folder's one file of weights belongs to, and load the weights.

    Args:
        folder: The file, and, of an encoder that was saved here, its config.
        name: Not used; the network's own name is known.
        max_sequence_length: Not used; images have no tokens.
        seed: Not used; the network draws no random numbers.

    Raises:
        UserError: There are several files, or the file is damaged, or of another network.

    Example:
        >>> encoder = load(folder, "my-encoder")  # mobilenet_1_0_96.weights.h5
        >>> encoder.layer(tf.zeros([1, 96, 96, 3], tf.uint8)).shape
        TensorShape([1, 1024])
    """
    paths = keras_files.found(folder)
    if len(paths) != 1:
        raise UserError(
            f"the model channel holds {len(paths)} files of Keras ({', '.join(path.name for path in paths)}); put one "
            "there, with the weights of the encoder to use"
        )
    path = paths[0]
    stored = keras_files.read(path)
    saved = files.settings(folder / CONFIG_FILE)
    height, width = _size(saved, path.name, stored.config)
    for application_name, application in _candidates(stored.layers):
        height, width = height or application.side, width or application.side
        network = application.network(height, width)
        if not _assign(network, stored):
            continue
        layer = ImageLayer(network, saved_range(saved, application.pixel_range, CONFIG_FILE))
        layer(tf.zeros([1, height, width, 3], tf.uint8))
        own_name = str(saved.get("name", "")) or f"{application_name}_{height}"
        preprocessor, source = ImagePreprocessor(height, width), f"the application {application_name}"
        return ImageEncoder("keras_image", own_name, layer, preprocessor, source, _write)
    raise UserError(
        f"{path.name}: not the weights of a network that is known here; it must be {TAKEN}, as Keras's applications "
        "save it (another network of TensorFlow can be given as a SavedModel: docs/image-classification.md)"
    )


def _size(saved: Mapping[str, Any], name: str, config: str) -> tuple[int, int]:
    """Return the height and width of the images that a file is for; 0 where they are not known.

    Raises:
        UserError: The size is not supported.
    """
    shown = SIZE_IN_CONFIG.search(config)
    named = SIZE_IN_NAME.search(name)
    height, width = (0, 0)
    if saved:
        height, width = saved.get("height", 0), saved.get("width", 0)
    elif shown:
        height, width = int(shown[1]), int(shown[2])
    elif named:
        height = width = int(named[1])
    allowed = (0, *range(SMALLEST_SIDE, LARGEST_SIDE + 1))
    if height not in allowed or width not in allowed:
        raise UserError(
            f"{CONFIG_FILE if saved else name}: is for images of {height} by {width} pixels; a side must be "
            f"from {SMALLEST_SIDE} to {LARGEST_SIDE}"
        )
    return height, width


def _candidates(layers: Layers) -> Iterator[tuple[str, Application]]:
    norms = layers.get(NORM, [])
    shown = len(norms), sum(arrays[0].size for arrays in norms)
    return ((name, each) for name, each in APPLICATIONS.items() if each.norms == shown)


def _assign(network: Any, stored: Stored) -> bool:
    """Assign the weights to a network and return True; return False and leave it unchanged if they don't fit."""
    variables: dict[str, list[list[tf.Variable]]] = defaultdict(list)
    layers = sorted(network.layers, key=lambda layer: natural(layer.name)) if stored.by_name else network.layers
    for layer in layers:
        if layer.weights:
            variables[keras_files.kind([tuple(each.shape) for each in layer.weights])].append(layer.weights)
    pairs = []
    for kind, places in variables.items():
        given = stored.layers.get(kind, [])[: len(places)]  # a top layer of the same kind comes after them
        if kind == OTHER or [[tuple(each.shape) for each in place] for place in places] != [
            [array.shape for array in arrays] for arrays in given
        ]:
            return False
        pairs += [pair for place, arrays in zip(places, given, strict=True) for pair in zip(place, arrays, strict=True)]
    for variable, array in pairs:
        variable.assign(array)
    return True


def _write(encoder: ImageEncoder, folder: Path) -> None:
    content = {"name": encoder.name, **encoder.preprocessor.reads, "image_range": encoder.layer.pixel_range}
    (folder / CONFIG_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    tf_keras.Model.save_weights(encoder.layer.network, folder / WEIGHTS_FILE)
