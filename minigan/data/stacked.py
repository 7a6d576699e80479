"""Stacked digits: colour images whose three channels are three random digits, with 1000 modes (Metz et al. 2017)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from minigan._arguments import size
from minigan.data.images import Images

STACKS = 128_000  # the number of training images in PacGAN (Lin et al. 2018, section 4.2)
CHANNELS = 3


@dataclass(frozen=True)
class Stacked:
    """x_n = (d_i, d_j, d_k) as channels, for the row (i, j, k) of `index`.

    Only the indices are stored, 3 MB for 128,000 images in place of 301 MB: `images` makes a batch.  For training:
    ``Transformed(lambda: stacked.images(batches()), prepare)`` with ``batches = EpochBatches(stacked.index, 64, rng)``
    and ``prepare(x)``, which converts bytes, on the backend of D, to the numbers that it reads.

    Parameters
    ----------
    digits : array of uint8, shape (M, H, W, 1)
        The grey images.
    labels : array of uint8, shape (M,)
        Their classes, 0 to 9.
    index : array of int, shape (N, 3)
        The digits of each channel.

    """

    digits: NDArray[np.uint8] = field(repr=False)
    labels: NDArray[np.uint8] = field(repr=False)
    index: NDArray[np.intp] = field(repr=False)

    def __len__(self) -> int:
        return len(self.index)

    def images(self, index: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the images (n, H, W, 3), bytes, of the rows (n, 3) of `index`."""
        return np.ascontiguousarray(np.moveaxis(self.digits[index][..., 0], 1, -1))

    def modes(self, index: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
        """Return the mode 100 a + 10 b + c of each row of `index` (all, by default), for the labels a, b, c."""
        labels = self.labels[self.index if index is None else index].astype(np.intp)
        return labels @ np.array([100, 10, 1])


def stack_digits(digits: Images, *, rng: np.random.Generator, n: int = STACKS) -> Stacked:
    """Draw three digits independently and uniformly for each of n stacked images.

    Parameters
    ----------
    digits : Images
        Grey images (M, H, W, 1) with ten classes, such as ``load("mnist")``.
    rng : numpy.random.Generator
        The random stream of the indices.
    n : int
        The number of stacked images; 128,000 by default, as in PacGAN.

    Returns
    -------
    Stacked
        The stacked images.

    Raises
    ------
    ValueError
        If the images have more than one channel, or n is not an int >= 1.

    Examples
    --------
    >>> one = Images("one", np.zeros((1, 2, 2, 1), np.uint8), np.array([7], np.uint8))
    >>> stacked = stack_digits(one, rng=np.random.default_rng(0), n=4)
    >>> stacked.images(stacked.index).shape, stacked.modes().tolist()
    ((4, 2, 2, 3), [777, 777, 777, 777])

    """
    if digits.images.ndim != 4 or digits.images.shape[3] != 1 or len(digits) == 0:
        raise ValueError(f"digits have shape {digits.images.shape}; expected grey images (M, H, W, 1), M >= 1")
    return Stacked(digits.images, digits.labels, rng.integers(len(digits), size=(size("n", n), CHANNELS)))
