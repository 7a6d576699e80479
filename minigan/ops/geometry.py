"""The geometry of a convolution: which pixel of the large image meets which pixel of the small one."""

from dataclasses import dataclass

Pair = tuple[int, int]
Sides = tuple[Pair, Pair]  # ((top, bottom), (left, right))


@dataclass(frozen=True)
class Geometry:
    """One correlation, from a large image (H, W) to a small one (h, w).

    Output pixel p and kernel tap i meet at pixel s p + d i of the padded large image, on each axis:

        h = floor((H + top + bottom - d (k - 1) - 1) / s) + 1

    A convolution goes from large to small; its input gradient, which is the transposed convolution, from small to large
    over the same pairs of pixels.
    """

    large: Pair
    small: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Sides

    @property
    def padded(self) -> Pair:
        """The size of the large image with its padding."""
        (top, bottom), (left, right) = self.padding
        return self.large[0] + top + bottom, self.large[1] + left + right

    @property
    def inside(self) -> tuple[slice, slice]:
        """Where the large image lies in the padded one."""
        (H, W), ((top, _), (left, _)) = self.large, self.padding
        return slice(top, top + H), slice(left, left + W)

    @property
    def taps(self) -> list[tuple[int, int, slice, slice]]:
        """For each kernel tap (i, j): the rows and columns of the padded image that it reads."""
        return [
            (i, j, self._reach(0, i), self._reach(1, j)) for i in range(self.kernel[0]) for j in range(self.kernel[1])
        ]

    def _reach(self, axis: int, tap: int) -> slice:
        start, step = tap * self.dilation[axis], self.stride[axis]
        return slice(start, start + step * (self.small[axis] - 1) + 1, step)


def small_size(n: int, k: int, *, stride: int, dilation: int, padding: Pair) -> int:
    """Return the size after a convolution; < 1 where the kernel does not fit.

    >>> small_size(28, 3, stride=2, dilation=1, padding=(0, 1))
    14
    """
    return (n + sum(padding) - dilation * (k - 1) - 1) // stride + 1


def same_padding(n: int, k: int, *, stride: int, dilation: int) -> Pair:
    """Return TensorFlow's "same" padding: as many outputs as ceil(n / stride), the odd pixel after.

    >>> same_padding(28, 5, stride=2, dilation=1), same_padding(28, 3, stride=2, dilation=1)
    ((1, 2), (0, 1))
    """
    total = max(0, (-(-n // stride) - 1) * stride + dilation * (k - 1) + 1 - n)
    return total // 2, total - total // 2
