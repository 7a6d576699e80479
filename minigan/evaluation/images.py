"""The sets of images that are compared, and their conversion to the size that the classifier reads."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.classifier import unit
from minigan.data import Images, downsample, load, resize
from minigan.training.files import PathLike

Floats = NDArray[np.floating]
Shape = tuple[int, int, int]

DIGITS_PER_TEST_IMAGE = 6  # the digits have one split, of which every sixth image is a test image


def splits(data: str, *, data_dir: PathLike | None = None) -> tuple[Images, Images]:
    """Load the training and the test images of a data set.

    The digits have one split: every sixth image is a test image here, although generators are trained on all of them.

    Parameters
    ----------
    data : str
        The name of the data set, as for `minigan.data.load`.
    data_dir : path, optional
        The folder with the data files.

    Returns
    -------
    train, test : Images
        The images with their labels.

    Raises
    ------
    DataError
        If data files are missing or damaged.

    """
    train = load(data, "train", data_dir=data_dir)
    if data != "digits":
        return train, load(data, "test", data_dir=data_dir)
    is_test = np.arange(len(train)) % DIGITS_PER_TEST_IMAGE == DIGITS_PER_TEST_IMAGE - 1
    test, rest = (Images(data, train.images[chosen], train.labels[chosen]) for chosen in (is_test, ~is_test))
    return rest, test


def spread(length: int, n: int) -> NDArray[np.intp]:
    """Return n indices that are evenly spread over 0 ... length - 1.

    >>> spread(10, 4).tolist()
    [0, 2, 5, 7]
    """
    return np.arange(n) * length // n


def to_classifier_size(images: NDArray[Any], shape: Shape) -> Floats:
    """Convert images to the size and the channels that the classifier reads.

    If `shape` has fewer channels, the colours are averaged; then the images are downsampled (`downsample`).

    Parameters
    ----------
    images : array, shape (N, H, H, C)
        Bytes, or floats in [0, 1].
    shape : (int, int, int)
        The shape (H, W, C) of the classifier's images, not larger than that of `images`.

    Returns
    -------
    array of float32, shape (N, *shape)
        The images, in [0, 1].

    """
    side, _, colours = shape
    x = unit(np.asarray(images))
    x = x if colours == x.shape[3] else x.mean(axis=3, keepdims=True)
    return x if x.shape[1:3] == (side, side) else downsample(x, side)


def match_blur(images: NDArray[np.uint8], size: int) -> Floats:
    """Blur real images as samples of `size` x `size` are blurred when they are downsampled.

    The images are enlarged to `size` (`resize`), as for training, and downsampled again.

    Parameters
    ----------
    images : array of uint8, shape (N, H, H, C)
        The real images.
    size : int
        The height and width of the samples in pixels, at least H.

    Returns
    -------
    array of float32, shape (N, H, H, C)
        The images, in [0, 1].

    """
    if size == images.shape[1]:
        return unit(images)
    y = np.empty(images.shape, dtype=np.float32)
    for start in range(0, len(images), 1000):
        y[start : start + 1000] = to_classifier_size(resize(unit(images[start : start + 1000]), size), images.shape[1:])
    return y
