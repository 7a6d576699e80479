"""PixelShuffle and PixelUnshuffle: channels to pixels and back (depth to space, space to depth)."""

from dataclasses import dataclass

from minigan.layers.base import Context, Layer, PairPullback, Pullback, Shape, ShapeError, Views, linear_pushforward
from minigan.layers.sizes import Size, pair, require_image
from minigan.ops.geometry import Pair
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class PixelShuffle(Layer):
    """y_n,(fp+i),(gq+j),c = x_npq,(c f g + i g + j).    x (N, H, W, C f g)   y (N, H f, W g, C)

    After a convolution with C f g output channels, it is an upsampling with learned weights.  The order of the channels
    is that of PyTorch; in TensorFlow's depth_to_space, c is the fastest index.  Source: Shi et al., "Real-Time Single
    Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", 2016
    (arXiv:1609.05158), equation (4).

    Parameters
    ----------
    factor : int or (int, int)
        f and g, the numbers of rows and of columns that become of one, on both axes or (vertical, horizontal).
        Default: 2.

    Raises
    ------
    ValueError
        If `factor` is not an int >= 1 or two of them.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, H, W, C f g).

    Examples
    --------
    >>> PixelShuffle(2).output_shape((7, 7, 256))
    (14, 14, 64)

    """

    per_example = True

    factor: Size = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", pair("factor", self.factor))

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, C f g) -> (H f, W g, C)."""
        (H, W), (f, g) = require_image(self, shape), pair("factor", self.factor)
        if shape[2] % (f * g):
            raise ShapeError(f"images of {shape[2]} channels given; expected a multiple of {f} x {g}")
        return (H * f, W * g, shape[2] // (f * g))

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y; the pullback puts each dy where its x was."""
        self.output_shape(x.shape[1:])
        factor = pair("factor", self.factor)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return _to_channels(dy, factor) if need_dx else None

        return _to_pixels(x, factor), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return x and x_dot with channels moved to pixels and their pullback: the layer is linear."""
        return linear_pushforward(self, p, x, x_dot, ctx)


@dataclass(frozen=True)
class PixelUnshuffle(Layer):
    """y_npq,(c f g + i g + j) = x_n,(fp+i),(gq+j),c, the inverse of PixelShuffle.    x (N, H f, W g, C)

    y (N, H, W, C f g).  It makes images smaller without losing a number.

    Parameters
    ----------
    factor : int or (int, int)
        f and g, the numbers of rows and of columns that become one, on both axes or (vertical, horizontal).
        Default: 2.

    Raises
    ------
    ValueError
        If `factor` is not an int >= 1 or two of them.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, H f, W g, C).

    Examples
    --------
    >>> PixelUnshuffle(2).output_shape((28, 28, 1))
    (14, 14, 4)

    """

    per_example = True

    factor: Size = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", pair("factor", self.factor))

    def output_shape(self, shape: Shape) -> Shape:
        """(H f, W g, C) -> (H, W, C f g)."""
        (H, W), (f, g) = require_image(self, shape), pair("factor", self.factor)
        if H % f or W % g:
            raise ShapeError(f"images of {H} x {W} given; expected multiples of {f} x {g}")
        return (H // f, W // g, shape[2] * f * g)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y; the pullback puts each dy where its x was."""
        self.output_shape(x.shape[1:])
        factor = pair("factor", self.factor)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return _to_pixels(dy, factor) if need_dx else None

        return _to_channels(x, factor), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return x and x_dot with pixels moved to channels and their pullback: the layer is linear."""
        return linear_pushforward(self, p, x, x_dot, ctx)


def _to_pixels(x: Array, factor: Pair) -> Array:
    """(N, H, W, C f g) -> (N, H f, W g, C)."""
    (N, H, W, channels), (f, g) = x.shape, factor
    C = channels // (f * g)
    return x.reshape(N, H, W, C, f, g).transpose(0, 1, 4, 2, 5, 3).reshape(N, H * f, W * g, C)


def _to_channels(y: Array, factor: Pair) -> Array:
    """(N, H f, W g, C) -> (N, H, W, C f g)."""
    (N, rows, columns, C), (f, g) = y.shape, factor
    H, W = rows // f, columns // g
    return y.reshape(N, H, f, W, g, C).transpose(0, 1, 3, 5, 2, 4).reshape(N, H, W, C * f * g)
