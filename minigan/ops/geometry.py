"""The geometry of a convolution: which pixels of the large and the small image a tap of the kernel connects."""

from dataclasses import dataclass
from typing import Any

Pair = tuple[int, int]
Sides = tuple[Pair, Pair]  # ((top, bottom), (left, right))


@dataclass(frozen=True)
class Geometry:
    """The sizes of one correlation, from a large image (H, W) to a small one (h, w).

    On each axis, tap i of output pixel p reads pixel s p + d i of the padded large image, so

        h = floor((H + top + bottom - d (k - 1) - 1) / s) + 1

    A convolution maps the large image to the small one.  Its input gradient, the transposed convolution, maps the
    small image to the large one over the same pairs of pixels.

    Attributes
    ----------
    large
        H, W: rows and columns of the large image, in pixels and without padding.
    small
        h, w: rows and columns of the small image.
    kernel
        kh, kw: taps on each axis.
    stride
        sh, sw: pixels of the large image between neighbouring output pixels.
    dilation
        dh, dw: pixels of the large image between neighbouring taps; 1 if they are adjacent.
    padding
        ((top, bottom), (left, right)): rows and columns of zeros around the large image.

    """

    large: Pair
    small: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Sides

    @property
    def padded(self) -> Pair:
        """The rows and columns of the large image with its padding."""
        (top, bottom), (left, right) = self.padding
        return self.large[0] + top + bottom, self.large[1] + left + right

    @property
    def inside(self) -> tuple[slice, slice]:
        """The rows and columns of the padded image that hold the large image."""
        (H, W), ((top, _), (left, _)) = self.large, self.padding
        return slice(top, top + H), slice(left, left + W)

    @property
    def taps(self) -> list[tuple[int, int, slice, slice]]:
        """For each tap (i, j) of the kernel: i, j, and the rows and columns of the padded image that it reads."""
        return [
            (i, j, self._reach(0, i), self._reach(1, j)) for i in range(self.kernel[0]) for j in range(self.kernel[1])
        ]

    def _reach(self, axis: int, tap: int) -> slice:
        start, step = tap * self.dilation[axis], self.stride[axis]
        return slice(start, start + step * (self.small[axis] - 1) + 1, step)


def require_images(name: str, images: Any, size: Pair, channels: int | str) -> None:
    """Raise ValueError unless the array holds images of that size.

    Kernels do not check their indices, and NumPy would repeat an axis of length 1.

    Parameters
    ----------
    name
        The argument's name, for the error.
    images
        An array of any shape.
    size
        The expected rows and columns, in pixels.
    channels
        The expected number of channels, or a letter for the error if every number is valid.

    Raises
    ------
    ValueError
        If the shape of `images` is not (N, rows, columns, channels).

    """
    shape = images.shape
    if len(shape) != 4 or shape[1:3] != size or (isinstance(channels, int) and shape[3] != channels):
        raise ValueError(f"{name} has shape {shape}; expected (N, {size[0]}, {size[1]}, {channels})")


def require_same_number(x: Any, y: Any) -> None:
    """Raise ValueError unless x and y have equally many images."""
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} images, y has {len(y)}; expected equal numbers")


def require_weights(W: Any, kernel: Pair) -> tuple[int, int]:
    """Return the channels of the large and of the small image of a correlation with weights W.

    Parameters
    ----------
    W
        An array of any shape.
    kernel
        The expected taps on each axis.

    Returns
    -------
    C, O : int
        The last two axes of W.

    Raises
    ------
    ValueError
        If the shape of W is not (kh, kw, C, O).

    """
    if W.ndim != 4 or W.shape[:2] != kernel:
        raise ValueError(f"W has shape {W.shape}; expected ({kernel[0]}, {kernel[1]}, C, O)")
    C, O = W.shape[2:]
    return C, O


def small_size(n: int, k: int, *, stride: int, dilation: int, padding: Pair) -> int:
    """Return the size of the small image on one axis: floor((n + padding - d (k - 1) - 1) / s) + 1.

    Parameters
    ----------
    n
        The size of the large image, in pixels.
    k
        The number of taps.
    stride, dilation
        s and d, in pixels of the large image.
    padding
        The pixels of padding before and after the image.

    Returns
    -------
    int
        The size in pixels; less than 1 if the kernel does not fit into the padded image.

    Examples
    --------
    >>> small_size(28, 3, stride=2, dilation=1, padding=(0, 1))
    14

    """
    return (n + sum(padding) - dilation * (k - 1) - 1) // stride + 1


def same_padding(n: int, k: int, *, stride: int, dilation: int) -> Pair:
    """Return TensorFlow's "same" padding, with which the small image has ceil(n / stride) pixels.

    Parameters
    ----------
    n
        The size of the large image, in pixels.
    k
        The number of taps.
    stride, dilation
        In pixels of the large image.

    Returns
    -------
    tuple of int
        The pixels of padding before and after the image; if their sum is odd, there is one more after it.

    Examples
    --------
    >>> same_padding(28, 5, stride=2, dilation=1), same_padding(28, 3, stride=2, dilation=1)
    ((1, 2), (0, 1))

    """
    total = max(0, (-(-n // stride) - 1) * stride + dilation * (k - 1) + 1 - n)
    return total // 2, total - total // 2
