"""The Parzen log-likelihood on MNIST by the published protocol, and its controls."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._names import ConfigError
from minigan.classifier import unit
from minigan.data import Images, load
from minigan.evaluation.controls import clipped_gaussian
from minigan.metrics import Parzen, parzen
from minigan.training.files import PathLike

SAMPLES = 10_000  # of the generator, and control images from the start of the training set
TRAIN = slice(0, 50_000)  # the images from which the controls are computed: those that the paper trained on
VALID = slice(50_000, 51_000)  # the first 1000 images of the usual validation set: choose the bandwidth
GAUSSIAN_SEED = 0  # of the control
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
    its standard error.  Report the controls beside it (`parzen_controls`): 10,000 training images in place of samples
    have about 242.  A figure above theirs does not mean better samples.

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
    train, test = _mnist(train, test, data_dir)
    images = np.asarray(images)
    if len(images) != SAMPLES or images.size != SAMPLES * 784:
        raise ConfigError(f"images has shape {images.shape}; expected ({SAMPLES}, 28, 28, 1) or ({SAMPLES}, 784)")
    return _log_likelihood(images, train, test)


def parzen_controls(
    *, train: Images | None = None, test: Images | None = None, data_dir: PathLike | None = None
) -> dict[str, Parzen]:
    """Return the log-likelihood of MNIST's test images for sets of images that are no samples of a generator.

    A generator's figure means little without them.  With 10,000 real training images, the window is the same and the
    images are perfect; a Gaussian and a single image know no digits.  `minigan.evaluation.k_means_centres` makes the
    control that shows the limits of the measure: 10,000 centres have more than real images, though they are blurred.

    Parameters
    ----------
    train, test : Images, optional
        MNIST; loaded by default.
    data_dir : path, optional
        The folder with the data files.

    Returns
    -------
    dict of str to Parzen
        "real training images": the first 10,000; "clipped Gaussian": 10,000 points of the Gaussian with the mean and
        covariance of the first 50,000, clipped to [0, 1]; "mean image": the mean of the first 50,000.

    Raises
    ------
    ConfigError
        If the training images are not all of MNIST's.

    """
    train, test = _mnist(train, test, data_dir)
    pixels = unit(train.images[TRAIN]).reshape(-1, 784)
    sets = {
        "real training images": pixels[:SAMPLES],
        "clipped Gaussian": clipped_gaussian(pixels, SAMPLES, rng=np.random.default_rng(GAUSSIAN_SEED)),
        "mean image": pixels.mean(axis=0, keepdims=True, dtype=float),  # once: copies have the same density
    }
    return {name: _log_likelihood(images, train, test) for name, images in sets.items()}


def _mnist(train: Images | None, test: Images | None, data_dir: PathLike | None) -> tuple[Images, Images]:
    """Return the training and test images, loaded where they are None; raise ConfigError if some are missing."""
    train = load("mnist", "train", data_dir=data_dir) if train is None else train
    test = load("mnist", "test", data_dir=data_dir) if test is None else test
    if len(train) < VALID.stop:
        raise ConfigError(f"train has {len(train)} images; expected at least {VALID.stop}, the training set of MNIST")
    return train, test


def _log_likelihood(images: NDArray[Any], train: Images, test: Images) -> Parzen:
    return parzen(*(unit(a).reshape(len(a), -1) for a in (images, train.images[VALID], test.images)))
