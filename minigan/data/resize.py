"""Enlarge images by bilinear interpolation and downsample them by area means, both as products with two matrices."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._arguments import size as checked

IMAGES_PER_BLOCK = 256  # converted to float64 at once


def resize(images: NDArray[Any], size: int) -> NDArray[Any]:
    """y_npqc = sum_ij A_pi B_qj x_nijc, bilinear.    x (N, H, W, C)   A (size, H)   B (size, W)   y (N, size, size, C)

    Pixels are squares with their value at the centre: row p of y is at u = (p + 1/2) H / size - 1/2 in the rows of x,
    or at the edge row if u is outside, and with i = floor(u), t = u - i

        y_p = (1 - t) x_i + t x_(i+1),   so   A_pi = 1 - t,  A_p(i+1) = t,

    and B likewise for columns.

    Parameters
    ----------
    images : array, shape (N, H, W, C)
        x, bytes or floating numbers.
    size : int
        The height and width of y in pixels, at least those of x: a smaller size would leave out pixels.

    Returns
    -------
    array, shape (N, size, size, C)
        y, in the dtype of x; bytes are rounded to the nearest (halves to even).

    Raises
    ------
    ValueError
        If x is not (N, H, W, C), or `size` is not an int >= 1 or is too small.
    TypeError
        If x is neither bytes nor floating.

    """
    size, (H, W) = _checked(images, size)
    if size < max(H, W):
        raise ValueError(f"size={size} is smaller than the images ({H} x {W}); expected {max(H, W)} or more")
    return _product(_weights(H, size), _weights(W, size), images)


def downsample(images: NDArray[Any], size: int) -> NDArray[Any]:
    """y_npqc = sum_ij A_pi B_qj x_nijc, the mean over each new pixel's area.    x (N, H, W, C)   y (N, size, size, C)

    Row p of y covers the rows from p r to (p + 1) r of x, r = H / size >= 1, of which the first and the last may be
    covered in part:

        A_pi = |[p r, (p + 1) r] and [i, i + 1]| / r,

    and B likewise for columns.  If `size` divides H and W, these are block means.

    Parameters
    ----------
    images : array, shape (N, H, W, C)
        x, bytes or floating numbers.
    size : int
        The height and width of y in pixels, at most those of x.

    Returns
    -------
    array, shape (N, size, size, C)
        y, in the dtype of x; bytes are rounded to the nearest (halves to even).

    Raises
    ------
    ValueError
        If x is not (N, H, W, C), or `size` is not an int >= 1 or is too large.
    TypeError
        If x is neither bytes nor floating.

    """
    size, (H, W) = _checked(images, size)
    if size > min(H, W):
        raise ValueError(f"size={size} is larger than the images ({H} x {W}); expected {min(H, W)} or less")
    return _product(_areas(H, size), _areas(W, size), images)


def _checked(images: NDArray[Any], size: int) -> tuple[int, tuple[int, int]]:
    size = checked("size", size)
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise ValueError(f"images have shape {images.shape}; expected (N, H, W, C)")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise TypeError(f"images are {images.dtype}; expected uint8 or floating")
    return size, images.shape[1:3]


def _product(A: NDArray[np.float64], B: NDArray[np.float64], images: NDArray[Any]) -> NDArray[Any]:
    """Return y = A x B^T for each image and channel, computed in float64."""
    N, H, W, C = images.shape
    y = np.empty((N, len(A), len(B), C), dtype=images.dtype)
    for start in range(0, N, IMAGES_PER_BLOCK):
        x = images[start : start + IMAGES_PER_BLOCK].astype(np.float64)
        rows = (A @ x.reshape(-1, H, W * C)).reshape(-1, len(A), W, C)
        block = B @ rows
        y[start : start + IMAGES_PER_BLOCK] = np.rint(block) if images.dtype == np.uint8 else block
    return y


def _areas(n: int, size: int) -> NDArray[np.float64]:
    """Return A (size, n) of `downsample`."""
    edges = np.arange(size + 1)[:, None] * n / size
    covered = np.clip(edges - np.arange(n), 0, 1)  # the part of pixel i that is before each edge
    return np.diff(covered, axis=0) * size / n


def _weights(n: int, size: int) -> NDArray[np.float64]:
    """Return A (size, n) of `resize`."""
    u = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    i = np.minimum(u.astype(int), max(n - 2, 0))
    A, p, t = np.zeros((size, n)), np.arange(size), u - i
    A[p, i] += 1 - t
    A[p, np.minimum(i + 1, n - 1)] += t
    return A
