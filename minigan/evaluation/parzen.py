"""The Parzen log-likelihood on MNIST by the published protocol, with real training images as a control."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._names import ConfigError
from minigan.classifier import unit
from minigan.data import Images, load
from minigan.metrics import Parzen, parzen
from minigan.training.files import PathLike

SAMPLES = 10_000  # of the generator, and control images from the start of the training set
VALID = slice(50_000, 51_000)  # the first 1000 images of the usual validation set: choose the bandwidth
PUBLISHED = "published: GAN 225 +- 2 (Goodfellow et al. 2014, Table 1)"


def fits(data: str, shape: tuple[int, ...], n: int) -> bool:
    """Return whether n samples of images of this shape, trained on `data`, fit the protocol."""
    return data == "mnist" and shape == (28, 28, 1) and n >= SAMPLES


def mnist_parzen(
    images: NDArray[Any], *, train: Images | None = None, test: Images | None = None, data_dir: PathLike | None = None
) -> Parzen:
    """Return the log-likelihood of MNIST's test images by `minigan.metrics.parzen`.

    The published protocol (Goodfellow et al. 2014, section 5, and its code): 10,000 samples in [0, 1]; the bandwidth
    from ``np.logspace(-1, 0, 10)`` on the first 1000 of ``train[50000:]``; the mean over the 10,000 test images with
    its standard error.  Report a control beside it: 10,000 training images in place of samples have about 242.  A
    figure above the control's does not mean better samples: 10,000 centres of k-means reach 334.

    Parameters
    ----------
    images : array, shape (10000, 28, 28, 1) or (10000, 784)
        The samples: floats in [0, 1], or bytes.
    train, test : Images, optional
        MNIST; loaded by default.
    data_dir : path, optional
        The folder with the data files.

    Returns
    -------
    Parzen
        The mean with its interval and standard error, in nats, and the bandwidth.

    Raises
    ------
    ConfigError
        If there are not 10,000 images of 784 pixels, or the training images are not all of MNIST's.

    """
    train = load("mnist", "train", data_dir=data_dir) if train is None else train
    test = load("mnist", "test", data_dir=data_dir) if test is None else test
    images = np.asarray(images)
    if len(images) != SAMPLES or images.size != SAMPLES * 784:
        raise ConfigError(f"images has shape {images.shape}; expected ({SAMPLES}, 28, 28, 1) or ({SAMPLES}, 784)")
    if len(train) < VALID.stop:
        raise ConfigError(f"train has {len(train)} images; expected at least {VALID.stop}, the training set of MNIST")
    sets = (unit(a).reshape(len(a), -1) for a in (images, train.images[VALID], test.images))
    return parzen(*sets)
