"""Flatten and Reshape: the same numbers in another shape.  y is a view of x, or a copy if x is not contiguous."""

import math
from dataclasses import dataclass

from minigan import _arguments
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
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class Flatten(Layer):
    """y = x as (N, I), where I is the product of x's other axes.    x (N, ...)

    Examples
    --------
    >>> Flatten().output_shape((7, 7, 128))
    (6272,)

    """

    per_example = True
    piecewise_linear = True

    def output_shape(self, shape: Shape) -> Shape:
        """(...) -> (product,)."""
        return (math.prod(shape),)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x flattened; the pullback gives dy the shape of x."""
        return _reshape(x, (math.prod(x.shape[1:]),))

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return x and x_dot flattened, and their pullback: the layer is linear."""
        return linear_pushforward(self, p, x, x_dot, ctx)


@dataclass(frozen=True)
class Reshape(Layer):
    """y = x as (N, *shape).    x (N, ...)

    Parameters
    ----------
    shape : int or tuple of int
        The shape of an example of y, with as many numbers as one of x; each at least 1.

    Raises
    ------
    ValueError
        If a size is not an int >= 1.
    ShapeError
        In `output_shape` and `forward`, if x has another number of values.

    Examples
    --------
    >>> Reshape((7, 7, 128)).output_shape((6272,))
    (7, 7, 128)

    """

    per_example = True
    piecewise_linear = True

    shape: Shape

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _arguments.shape("shape", self.shape))

    def output_shape(self, shape: Shape) -> Shape:
        """(...) -> shape."""
        if math.prod(shape) != math.prod(self.shape):
            raise ShapeError(f"input shape {shape} has {math.prod(shape)} numbers; expected {math.prod(self.shape)}")
        return self.shape

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x reshaped; the pullback gives dy the shape of x."""
        return _reshape(x, self.output_shape(x.shape[1:]))

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return x and x_dot reshaped, and their pullback: the layer is linear."""
        return linear_pushforward(self, p, x, x_dot, ctx)


def _reshape(x: Array, shape: Shape) -> tuple[Array, Pullback]:
    def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
        return dy.reshape(x.shape) if need_dx else None

    return x.reshape(len(x), *shape), backward
