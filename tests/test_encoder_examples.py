"""The examples in the docstrings of the encoder families, run as they stand."""

import doctest
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from tf_keras import applications

import tiny_bert
import tiny_hub
import tiny_images
from classifier.encoders import (
    Family,
    FromScratchFamily,
    bert,
    convolutional,
    hub,
    hub_image,
    image_network,
    keras_image,
    linear,
    recurrent,
    word_network,
)

# The type checker compares each module with the contract.
PRETRAINED: tuple[Family, ...] = (bert, hub, hub_image, keras_image)
FROM_SCRATCH: tuple[FromScratchFamily, ...] = (convolutional, recurrent, linear, image_network)


def write_mobilenet(folder: Path) -> Path:
    network = applications.MobileNet(weights=None, include_top=False, input_shape=(96, 96, 3))
    network.save_weights(folder / "mobilenet_1_0_96.weights.h5")
    return folder


def nothing(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize(
    ("module", "write", "examples"),
    [
        (bert, tiny_bert.write, 3),
        (hub, tiny_hub.write_letters, 2),
        (hub_image, tiny_images.write_hub, 3),
        (image_network, nothing, 5),
        (keras_image, write_mobilenet, 2),
        (linear, nothing, 4),
        (word_network, nothing, 8),
    ],
)
def test_the_examples_of_a_family_work_as_they_stand(
    module: ModuleType, write: Callable[[Path], Path], examples: int, tmp_path: Path
) -> None:
    write(tmp_path)
    results = doctest.testmod(module, extraglobs={"folder": tmp_path})
    assert results == (0, examples)
