"""Common parts of the image recipes: the training images, and conversions between bytes, floats and pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._names import ConfigError
from minigan.data import Images, load, unit_interval
from minigan.layers.base import Shape
from minigan.ops.protocol import Array
from minigan.recipes.options import RunOptions

SIDE = 28
PIXELS = SIDE * SIDE


def training_pixels(data: str, run_options: RunOptions, dtype: Any, *, stop: int | None = None) -> Array:
    """Return the training images, or the first `stop` of them, as vectors x / 255, an array (N, 784)."""
    return unit_interval(training_images(data, run_options, shape=(SIDE, SIDE, 1)).images[:stop], str(dtype))


def training_images(data: str, run_options: RunOptions, *, shape: Shape | None = None) -> Images:
    """Return the training images, bytes (N, H, W, C); raise ConfigError unless (H, W, C) is `shape`."""
    if run_options.images is not None:  # these take precedence over the data set
        found = Images(data, run_options.images, np.zeros(len(run_options.images), np.uint8))
    else:
        found = load(data, "train", data_dir=run_options.data_dir)
    if run_options.labels is not None:
        found = Images(data, found.images, run_options.labels)
    if run_options.images is not None and shape is not None and found.images.shape[1:] != shape:
        raise ConfigError(f"images: got shape {found.images.shape}; expected (N, {', '.join(map(str, shape))})")
    if shape is not None and found.images.shape[1:] != shape:
        raise ConfigError(f"data={data!r} has images {found.images.shape[1:]}; expected {shape}, such as mnist")
    return found


def training_classes(
    data: str, run_options: RunOptions, classes: int, *, shape: Shape | None = None
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return the training images (N, H, W, C) and their classes (N,), for a conditional recipe.

    Raises
    ------
    ConfigError
        If images were given without labels, a label is not in 0 ... classes - 1, or (H, W, C) is not `shape`.

    """
    if run_options.images is not None and run_options.labels is None:
        raise ConfigError("images without labels: a conditional recipe needs labels, the class of each image")
    found = training_images(data, run_options, shape=shape)
    if found.labels.max() >= classes:
        raise ConfigError(f"labels must be in 0 ... {classes - 1}, got {found.labels.max()}")
    return found.images, found.labels


def unit(x: Array, dtype: Any) -> Array:
    """Return x / 255: bytes as numbers in [0, 1]."""
    return (x / 255).astype(dtype)


def signed(x: Array, dtype: Any) -> Array:
    """Return x / 127.5 - 1: bytes as numbers in [-1, 1]."""
    return (x / 127.5 - 1).astype(dtype)


def flat_to_images(x: Array) -> NDArray[np.floating]:
    """Return vectors (N, 784) in [0, 1] as images (N, 28, 28, 1)."""
    return np.asarray(x, dtype=float).reshape(-1, SIDE, SIDE, 1)


def unit_to_images(x: Array) -> NDArray[np.floating]:
    """Return images (N, H, W, C) in [0, 1] unchanged, as float64."""
    return np.asarray(x, dtype=float)


def signed_to_images(x: Array) -> NDArray[np.floating]:
    """Return images (N, H, W, C) in [-1, 1] as images in [0, 1]."""
    return (np.asarray(x, dtype=float) + 1) / 2


def held_out_images(data: str, run_options: RunOptions) -> Images:
    """Return the test images, or a user's own images, without labels, if they replace the data set."""
    if run_options.images is not None:
        return training_images(data, run_options)
    return load(data, "test", data_dir=run_options.data_dir)
