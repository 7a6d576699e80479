"""ReflectionPad2D: images continued by their mirror image."""

from dataclasses import dataclass
from typing import Any

from minigan.layers.base import Context, Layer, PairPullback, Pullback, Shape, ShapeError, Views, linear_pushforward
from minigan.layers.sizes import require_image, sides
from minigan.ops.geometry import Pair, Sides
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class ReflectionPad2D(Layer):
    """y_npqc = x_n,r(p - top),r(q - left),c.    x (N, H, W, C)   y (N, H + top + bottom, W + left + right, C)

    r(-i) = i and r(H - 1 + i) = H - 1 - i: the image is reflected at its first and last pixels, which are not repeated.
    As with CycleGAN's 3 x 3 convolutions, a convolution of padding 0 after it keeps the size without dark borders.

    Parameters
    ----------
    padding : int or ((top, bottom), (left, right))
        The numbers of rows and columns that are added; an int is the number on every side.  Default: 1.

    Raises
    ------
    ValueError
        If `padding` is anything else.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, H, W, C), or H or W is not larger than the padding of a side.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([ReflectionPad2D(((0, 0), (1, 2)))], rng=np.random.default_rng(0))
    >>> net(np.array([1, 2, 3]).reshape(1, 1, 3, 1)).ravel()
    array([2., 1., 2., 3., 2., 1.], dtype=float32)

    """

    per_example = True

    padding: int | Sides = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "padding", sides(self.padding))

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, C) -> (H + top + bottom, W + left + right, C)."""
        size = require_image(self, shape)
        (top, bottom), (left, right) = sides(self.padding)
        if max(top, bottom) >= size[0] or max(left, right) >= size[1]:
            least = max(top, bottom) + 1, max(left, right) + 1
            raise ShapeError(f"images of {size[0]} x {size[1]} given; expected at least {least[0]} x {least[1]}")
        return (size[0] + top + bottom, size[1] + left + right, shape[2])

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x with its reflections; the pullback adds dy of each reflection to its pixel."""
        self.output_shape(x.shape[1:])
        xp, (rows, columns) = ctx.ops.xp, sides(self.padding)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return _folded(_folded(dy, 2, columns), 1, rows) if need_dx else None

        return _reflected(_reflected(x, 1, rows, xp), 2, columns, xp), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return x and x_dot with their reflections and their pullback: the layer is linear."""
        return linear_pushforward(self, p, x, x_dot, ctx)


def _reflected(x: Array, axis: int, padding: Pair, xp: Any) -> Array:
    """Return x with reflections before and after it on an axis."""
    first, last, mirror = *_reflections(x.shape[axis], axis, padding), _on(axis, slice(None, None, -1))
    return xp.concatenate([x[first][mirror], x, x[last][mirror]], axis=axis)


def _folded(dy: Array, axis: int, padding: Pair) -> Array:
    """Return the gradients of the pixels, with those of their reflections added: the adjoint of `_reflected`."""
    before, after = padding
    n = dy.shape[axis] - before - after
    first, last, mirror = *_reflections(n, axis, padding), _on(axis, slice(None, None, -1))
    dx = dy[_on(axis, slice(before, before + n))].copy()
    dx[first] += dy[_on(axis, slice(0, before))][mirror]
    dx[last] += dy[_on(axis, slice(before + n, None))][mirror]
    return dx


def _reflections(n: int, axis: int, padding: Pair) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the indices of the pixels that are reflected before and after the n ones of an axis."""
    before, after = padding
    return _on(axis, slice(1, 1 + before)), _on(axis, slice(n - 1 - after, n - 1))


def _on(axis: int, part: slice) -> tuple[slice, ...]:
    """Return the index of a part of an axis."""
    return (slice(None),) * axis + (part,)
