"""Padding, upsampling and pooling of images (N, H, W, C)."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from minigan.layers.base import (
    Context,
    Layer,
    PairPullback,
    Pullback,
    Shape,
    ShapeError,
    Views,
    linear_pushforward,
)
from minigan.layers.sizes import Size, pair, require_image, sides
from minigan.ops.geometry import Geometry, Pair, Sides, small_size
from minigan.ops.protocol import Array
from minigan.ops.reference import real, zeros


@dataclass(frozen=True)
class ZeroPad2D(Layer):
    """y = x with zeros around it.    x (N, H, W, C)   y (N, H + top + bottom, W + left + right, C)

    Parameters
    ----------
    padding : int or ((top, bottom), (left, right))
        The numbers of rows and columns of zeros; an int is the number on every side.  Default: 1.

    Raises
    ------
    ValueError
        If `padding` is anything else.

    Examples
    --------
    >>> ZeroPad2D(((0, 1), (0, 1))).output_shape((14, 14, 32))
    (15, 15, 32)

    """

    per_example = True

    padding: int | Sides = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "padding", sides(self.padding))

    def _geometry(self, size: Pair) -> Geometry:
        return Geometry(size, size, (1, 1), (1, 1), (1, 1), sides(self.padding))

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, C) -> (H + top + bottom, W + left + right, C)."""
        return (*self._geometry(require_image(self, shape)).padded, shape[2])

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x with its padding; the pullback crops dy."""
        geometry = self._geometry(require_image(self, x.shape[1:]))
        rows, columns = geometry.inside
        y = zeros((len(x), *geometry.padded, x.shape[3]), x)
        y[:, rows, columns] = x

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return dy[:, rows, columns].copy() if need_dx else None

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return x and x_dot with their padding, and their pullback: the layer is linear."""
        return linear_pushforward(self, p, x, x_dot, ctx)


@dataclass(frozen=True)
class UpSample2D(Layer):
    """y_npqc = x_n,floor(p / f),floor(q / f),c: nearest neighbour.    x (N, H, W, C)   y (N, H f, W f, C)

    Parameters
    ----------
    factor : int or (int, int)
        f, the number of copies of each pixel, on both axes or (vertical, horizontal).  Default: 2.

    Raises
    ------
    ValueError
        If `factor` is not an int >= 1 or two of them.

    Examples
    --------
    >>> UpSample2D(2).output_shape((7, 7, 128))
    (14, 14, 128)

    """

    per_example = True

    factor: Size = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", pair("factor", self.factor))

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, C) -> (H f, W f, C)."""
        (H, W), (fh, fw) = require_image(self, shape), pair("factor", self.factor)
        return (H * fh, W * fw, shape[2])

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x with each pixel repeated; the pullback adds up dy over the copies of a pixel."""
        (H, W), (fh, fw) = require_image(self, x.shape[1:]), pair("factor", self.factor)
        N, C = len(x), x.shape[3]

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return dy.reshape(N, H, fh, W, fw, C).sum(axis=(2, 4)) if need_dx else None

        return x.repeat(fh, axis=1).repeat(fw, axis=2), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return x and x_dot with each pixel repeated, and their pullback: the layer is linear."""
        return linear_pushforward(self, p, x, x_dot, ctx)


@dataclass(frozen=True)
class _Pool2D(Layer):
    """The sizes and the geometry of both pooling layers; rows and columns that fill no window are left out."""

    per_example = True

    pool_size: Size = 2
    _: KW_ONLY
    stride: Size | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "pool_size", pair("pool_size", self.pool_size))
        stride = self.pool_size if self.stride is None else self.stride
        object.__setattr__(self, "stride", pair("stride", stride))

    def _geometry(self, size: Pair) -> Geometry:
        k, s = pair("pool_size", self.pool_size), pair("stride", self.stride)
        h, w = (small_size(n, k[a], stride=s[a], dilation=1, padding=(0, 0)) for a, n in enumerate(size))
        if h < 1 or w < 1:
            raise ShapeError(f"images of {size[0]} x {size[1]} given; expected at least {k[0]} x {k[1]}")
        return Geometry(size, (h, w), k, s, (1, 1), ((0, 0), (0, 0)))

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, C) -> (h, w, C)."""
        return (*self._geometry(require_image(self, shape)).small, shape[2])


@dataclass(frozen=True)
class AvgPool2D(_Pool2D):
    """y_npqc = mean_ij x_n,(sp+i),(sq+j),c.    x (N, H, W, C)   y (N, h, w, C)

    h = floor((H - pool_size) / stride) + 1: rows and columns that fill no window are left out.

    Parameters
    ----------
    pool_size : int or (int, int)
        The size of a window, in pixels, on both axes or (vertical, horizontal).  Default: 2.
    stride : int, (int, int) or None
        s, the distance between windows in pixels; None, the default: `pool_size`, so that windows do not overlap.

    Raises
    ------
    ValueError
        If a size is not an int >= 1 or two of them.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, H, W, C) or smaller than a window.

    Examples
    --------
    >>> AvgPool2D(2).output_shape((7, 7, 16))
    (3, 3, 16)

    """

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return the mean of each window; the pullback divides dy equally among the window's pixels."""
        geometry = self._geometry(require_image(self, x.shape[1:]))
        taps = geometry.taps

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            dx, share = zeros(x.shape, dy), dy / len(taps)
            for _, _, rows, columns in taps:
                dx[:, rows, columns] += share
            return dx

        y: Array = sum((x[:, rows, columns] for _, _, rows, columns in taps), start=zeros((), x)) / len(taps)
        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return the means of each window of x and of x_dot, and their pullback: the layer is linear."""
        return linear_pushforward(self, p, x, x_dot, ctx)


@dataclass(frozen=True)
class MaxPool2D(_Pool2D):
    """y_npqc = max_ij x_n,(sp+i),(sq+j),c.    x (N, H, W, C)   y (N, h, w, C)

    Where pixels tie, the gradient goes to the first in row-major order.  Complex x is compared by its real part.

    Parameters
    ----------
    pool_size : int or (int, int)
        The size of a window, in pixels, on both axes or (vertical, horizontal).  Default: 2.
    stride : int, (int, int) or None
        s, the distance between windows in pixels; None, the default: `pool_size`, so that windows do not overlap.

    Raises
    ------
    ValueError
        If a size is not an int >= 1 or two of them.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, H, W, C) or smaller than a window.

    Examples
    --------
    >>> MaxPool2D(3, stride=2).output_shape((28, 28, 16))
    (13, 13, 16)

    """

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return the maximum of each window; the pullback passes dy to that pixel alone."""
        xp, windows, winner = ctx.ops.xp, *self._windows(x, ctx)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return self._to_winner(dy, winner, x, ctx) if need_dx else None

        return xp.take_along_axis(windows, winner[None], axis=0)[0], backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return the maximum of each window, x_dot at the same pixel, and their pullback."""
        windows, winner = self._windows(x, ctx)
        y, y_dot = (
            ctx.ops.xp.take_along_axis(v, winner[None], axis=0)[0] for v in (windows, self._windows(x_dot, ctx)[0])
        )

        def backward(
            dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            dx, dx_dot = (
                None if dv is None or not need_dx else self._to_winner(dv, winner, x, ctx) for dv in (dy, dy_dot)
            )
            return dx, dx_dot

        return y, y_dot, backward

    def _windows(self, x: Array, ctx: Context) -> tuple[Array, Array]:
        """Return the pixels of each window (kh kw, N, h, w, C), and the index of its maximum (N, h, w, C)."""
        taps = self._geometry(require_image(self, x.shape[1:])).taps
        windows = _stacked(ctx.ops.xp, [x[:, rows, columns] for _, _, rows, columns in taps])
        return windows, real(windows).argmax(axis=0)

    def _to_winner(self, dy: Array, winner: Array, x: Array, ctx: Context) -> Array:
        """Return dx: dy at the pixel of x that has the maximum of the window, else 0."""
        dx = zeros(x.shape, dy)
        for n, (_, _, rows, columns) in enumerate(self._geometry(require_image(self, x.shape[1:])).taps):
            dx[:, rows, columns] += ctx.ops.xp.where(winner == n, dy, 0)
        return dx


def _stacked(xp: Any, arrays: list[Array]) -> Array:
    """Stack arrays, at most eight per call: for more, CuPy copies a table from the host, which no CUDA graph can."""
    if len(arrays) <= 8:
        return xp.stack(arrays)
    return xp.concatenate([_stacked(xp, arrays[:-8]), xp.stack(arrays[-8:])])
