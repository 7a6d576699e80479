"""What the image recipes share: the training images, and the ways between bytes, numbers and pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.data import load, unit_interval
from minigan.ops import Array
from minigan.recipes.base import Setting

SIDE = 28
PIXELS = SIDE * SIDE


def training_pixels(data: str, setting: Setting, dtype: Any, *, stop: int | None = None) -> Array:
    """Return the training images (the first `stop` of them) as x / 255, (N, 784)."""
    images = training_images(data, setting)
    if images.shape[1:] != (SIDE, SIDE, 1):
        raise ValueError(
            f"data={data!r} has images {images.shape[1:]}; accepted here: ({SIDE}, {SIDE}, 1), such as mnist"
        )
    return unit_interval(images[:stop], str(dtype))


def training_images(data: str, setting: Setting) -> NDArray[np.uint8]:
    """Return the training images as they are stored, (N, H, W, C) bytes; those of the setting go before."""
    if setting.images is not None:
        return setting.images
    return load(data, "train", data_dir=setting.data_dir).images


def unit(x: Array, dtype: Any) -> Array:
    """x / 255: bytes to [0, 1]."""
    return (x / 255).astype(dtype)


def signed(x: Array, dtype: Any) -> Array:
    """x / 127.5 - 1: bytes to [-1, 1]."""
    return (x / 127.5 - 1).astype(dtype)


def flat_to_images(x: Array) -> NDArray[np.floating]:
    """(N, 784) in [0, 1] -> (N, 28, 28, 1)."""
    return np.asarray(x, dtype=float).reshape(-1, SIDE, SIDE, 1)


def unit_to_images(x: Array) -> NDArray[np.floating]:
    """(N, H, W, C) in [0, 1], as it is."""
    return np.asarray(x, dtype=float)


def signed_to_images(x: Array) -> NDArray[np.floating]:
    """(N, H, W, C) in [-1, 1] -> [0, 1]."""
    return (np.asarray(x, dtype=float) + 1) / 2
