"""Images changed at random while training: by how much, how often, and always the same for a seed."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from classifier.encoders.augmentation import Augmentation, Changes, augmentation
from classifier.hyperparameters import Hyperparameters

SIDE = 33


def changed(changes: Changes, images: NDArray[np.float32], seed: int = 1) -> NDArray[np.float32]:
    result: NDArray[np.float32] = Augmentation(changes, seed)(tf.constant(images), training=True).numpy()
    return result


def drawn(count: int) -> NDArray[np.float32]:
    """Return one image many times: bright at the right, and a little at the top."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    image = np.stack([x, SIDE - y, x * 0 + 7], axis=-1)
    return np.repeat(image[np.newaxis], count, axis=0)


def about(share: float) -> object:
    return pytest.approx(share, abs=0.1)


def test_nothing_is_changed_outside_of_training() -> None:
    layer = Augmentation(Changes("horizontal", 0.2, 0.1), 1)
    images = drawn(4)
    np.testing.assert_array_equal(layer(images), images)
    assert int(layer.calls) == 0


@pytest.mark.parametrize(
    ("flip", "shares"),
    [
        ("None", {(1, 1): 1.0}),
        ("horizontal", {(1, 1): 0.5, (-1, 1): 0.5}),
        ("vertical", {(1, 1): 0.5, (1, -1): 0.5}),
        ("horizontal_and_vertical", dict.fromkeys([(1, 1), (-1, 1), (1, -1), (-1, -1)], 0.25)),
    ],
)
def test_half_of_the_images_are_mirrored_in_each_direction_that_is_asked_for(
    flip: str, shares: dict[tuple[int, int], float]
) -> None:
    images = drawn(400)
    results = changed(Changes(flip, 0.0, 0.0), images)
    for (x, y), share in shares.items():
        mirrored = images[:, ::y, ::x]
        assert float(np.isclose(results, mirrored, atol=1e-3).all(axis=(1, 2, 3)).mean()) == about(share)


def test_images_are_turned_by_no_more_than_the_largest_angle_either_way() -> None:
    middle = slice(SIDE // 2 - 5, SIDE // 2 + 6)
    reds = changed(Changes("None", 0.1, 0.0), drawn(300))[:, middle, middle, 0]
    across = reds[:, 5, 10] - reds[:, 5, 0]
    down = reds[:, 10, 5] - reds[:, 0, 5]
    angles = np.arctan2(-down, across) / (2 * np.pi)
    assert np.abs(angles).max() == pytest.approx(0.1, abs=0.01)
    assert abs(float(angles.mean())) < 0.01
    np.testing.assert_allclose(np.hypot(across, down), 10, atol=1e-2)


def test_images_are_zoomed_in_and_out_about_their_centre() -> None:
    results = changed(Changes("None", 0.0, 0.25), drawn(300))
    centre = SIDE // 2
    np.testing.assert_allclose(
        results[:, centre, centre], drawn(1)[0, centre, centre][np.newaxis].repeat(300, 0), atol=1e-3
    )
    scales = (results[:, centre, centre + 5, 0] - results[:, centre, centre - 5, 0]) / 10
    assert (scales.min(), scales.max()) == (pytest.approx(0.75, abs=0.02), pytest.approx(1.25, abs=0.02))


def test_what_lies_outside_of_the_image_is_its_mirror_image_and_no_black() -> None:
    assert changed(Changes("None", 0.0, 0.5), drawn(50))[..., 2].min() == pytest.approx(7, abs=1e-3)


def test_a_seed_gives_the_same_changes_and_every_batch_others() -> None:
    changes, images = Changes("horizontal_and_vertical", 0.2, 0.1), drawn(6)
    layers = [Augmentation(changes, seed) for seed in (1, 1, 2)]
    first, same, other = ([layer(images, training=True).numpy() for _ in range(2)] for layer in layers)
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(first[0], other[0])
    assert not np.allclose(first[0][0], first[0][1])


def test_a_layer_whose_weights_are_put_back_goes_on_as_it_would_have() -> None:
    changes, images = Changes("horizontal", 0.2, 0.1), drawn(3)
    layer, resumed = Augmentation(changes, 3), Augmentation(changes, 3)
    layer(images, training=True)
    resumed.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(images, training=True), resumed(images, training=True))


def test_the_hyperparameters_say_how_much_and_nothing_is_changed_without_being_asked_for() -> None:
    assert augmentation(Hyperparameters.parse({})) is None
    asked = augmentation(Hyperparameters.parse({"augmentation": "True"}))
    assert asked is not None
    assert asked.changes == Changes("horizontal_and_vertical", 0.2, 0.1)
    given = {
        "augmentation_random_flip": "none",
        "augmentation_random_rotation": "-0.5",
        "augmentation_random_zoom": "0",
    }
    asked = augmentation(Hyperparameters.parse({"augmentation": "True", **given}))
    assert asked is not None
    assert asked.changes == Changes("None", 0.5, 0.0)
