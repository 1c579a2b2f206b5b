"""Images that a formula draws, the same with every library: for numbers that another program computed from them."""

import numpy as np
from numpy.typing import NDArray


def formula_images(side: int = 224) -> NDArray[np.uint8]:
    """Return three images, uint8[3, side, side, 3]: a grid of colours, rings, and stripes on a slope."""
    down, across = np.mgrid[0:side, 0:side]
    grid = np.stack([across, down, across * down // side], axis=-1) % 256
    rings = (down - side // 2) ** 2 + (across - side // 3) ** 2
    stripes = (across // 16 + down // 24) % 3 * 80
    return np.stack(
        [
            grid,
            np.stack([rings // 64, rings // 97, 255 - rings // 113], axis=-1) % 256,
            np.stack([stripes, (stripes + across) % 256, 255 - down], axis=-1),
        ]
    ).astype(np.uint8)
