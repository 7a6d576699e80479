"""The modes of stacked digits: the classifier reads each channel, and three classes are one of 1000 modes."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.classifier.network import CLASSES, Classifier, unit
from minigan.layers.base import ShapeError
from minigan.metrics import ModeCounts, ModeReport, mode_report

CHANNELS = 3
MODES = CLASSES**CHANNELS
IMAGES_PER_BLOCK = 500


def read_modes(net: Classifier, images: NDArray[Any]) -> NDArray[np.intp]:
    """Return 100 a + 10 b + c for the classes a, b, c that a classifier reads in the three channels.

    Parameters
    ----------
    net : Classifier
        A classifier of grey images.
    images : array, shape (N, H, W, 3)
        Bytes, or floats in [0, 1]; N >= 1.

    Returns
    -------
    array of int, shape (N,)
        The modes, 0 to 999.

    Raises
    ------
    ShapeError
        If the images have another shape than the classifier's with three channels.

    """
    side, colours = net.config.side, net.config.colours
    images = np.asarray(images)
    if colours != 1 or images.ndim != 4 or images.shape[1:] != (side, side, CHANNELS) or len(images) == 0:
        raise ShapeError(
            f"images have shape {images.shape}, the classifier {colours} channels; expected (N, {side}, {side}, 3) "
            "with N >= 1, and a classifier of one channel"
        )
    modes = np.empty(len(images), dtype=np.intp)
    for start in range(0, len(images), IMAGES_PER_BLOCK):
        x = unit(images[start : start + IMAGES_PER_BLOCK])
        grey = np.moveaxis(x, 3, 1).reshape(-1, side, side, 1)  # the channels of an image follow each other
        classes = net.predict(grey)[1].argmax(axis=1).reshape(-1, CHANNELS)
        modes[start : start + IMAGES_PER_BLOCK] = classes @ np.array([100, 10, 1])
    return modes


def stacked_modes(
    net: Classifier, images: NDArray[Any], *, expected: ArrayLike | None = None, seed: int = 0
) -> ModeReport:
    """Return how many of the 1000 modes occur, and KL(modes of the images || modes of the data).

    The protocol of Metz et al. 2017 and of PacGAN (Lin et al. 2018, section 4.2): 26,000 samples and a classifier of
    digits.  In PacGAN's code (github.com/fjxmlzn/PacGAN, `log_metrics` of its stacked MNIST experiments), the KL
    divergence is that of the samples' modes from the uniform distribution, the default here.  Every image is read as
    some mode, so that "high quality" is 1 and noise is not seen: report a distance of features beside it.  For data
    without any missing mode, the KL of 26,000 images is still about 999 / 52,000 = .019; and as the digits of MNIST are
    not equally frequent, their own distribution over the modes is .0043 from the uniform one.

    Parameters
    ----------
    net : Classifier
        A classifier of grey digits.
    images : array, shape (N, H, W, 3)
        Bytes, or floats in [0, 1].
    expected : array (1000,), optional
        The weights of the modes in the data, such as ``np.bincount(stacked.modes(), minlength=1000)``; uniform by
        default.
    seed : int
        The seed of the bootstrap.

    Returns
    -------
    ModeReport
        Modes and KL with intervals.

    Raises
    ------
    ShapeError
        If the images do not fit the classifier.

    """
    counts = np.bincount(read_modes(net, images), minlength=MODES)
    return mode_report(ModeCounts(counts, counts), expected=expected, seed=seed)
