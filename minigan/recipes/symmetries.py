"""A layer that shows a network an image in its eight positions: four turns, each also mirrored."""

from collections.abc import Iterator
from dataclasses import dataclass

from minigan.layers import register_layer
from minigan.layers.base import Context, Layer, PairPullback, Pullback, Shape, ShapeError, Views, linear_pushforward
from minigan.ops.protocol import Array

POSITIONS = tuple((mirrored, turns) for mirrored in (False, True) for turns in range(4))
"""Whether an image is mirrored, and by how many quarter turns it is then turned anticlockwise."""


@register_layer
@dataclass(frozen=True)
class Symmetries(Layer):
    """y = (x in its eight positions), side by side as channels.    x (N, H, H, C)   y (N, H, H, 8 C)

    y_{..., kC : (k+1)C} = g_k x with the elements g_k of the symmetry group of the square (`POSITIONS`), so that
    dx = sum_k g_k^-1 dy_{..., kC : (k+1)C}.  It has no parameters.

    A convolution sees only the surroundings of a pixel, so a chain of a few convolutions cannot turn an image: Zhu et
    al. (2017) report among the limitations that geometric changes fail.  After this layer it can, because the pixels
    of all positions at one place lie side by side.  Cohen and Welling (2016) build whole networks on this group.

    Raises
    ------
    ShapeError
        In `output_shape` and `forward`, if x is not a batch of square images.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> x = np.arange(4.0, dtype="float32").reshape(1, 2, 2, 1)
    >>> y = mg.Network([Symmetries()], rng=np.random.default_rng(0))(x)
    >>> y[0, :, :, 1].tolist()
    [[1.0, 3.0], [0.0, 2.0]]

    """

    per_example = True

    def output_shape(self, shape: Shape) -> Shape:
        """(H, H, C) -> (H, H, 8 C)."""
        if len(shape) != 3 or shape[0] != shape[1]:
            raise ShapeError(f"x has shape (N, {', '.join(map(str, shape))}); expected square images (N, H, H, C)")
        return (*shape[:2], len(POSITIONS) * shape[2])

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return the eight positions of x; the pullback moves each part of dy back and adds them."""
        xp, channels = ctx.ops.xp, x.shape[-1]
        self.output_shape(x.shape[1:])
        y = xp.concatenate([turned(mirror(x) if mirrored else x, turns) for mirrored, turns in POSITIONS], axis=3)

        def parts(dy: Array) -> Iterator[Array]:
            for k, (mirrored, turns) in enumerate(POSITIONS):
                part = turned(dy[..., k * channels : (k + 1) * channels], -turns)
                yield mirror(part) if mirrored else part

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            first, *rest = parts(dy)
            dx = xp.ascontiguousarray(first).copy()
            for part in rest:
                dx += part
            return dx

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return the eight positions of x and of x_dot, and their pullback: the layer is linear."""
        return linear_pushforward(self, p, x, x_dot, ctx)


def mirror(x: Array) -> Array:
    """Return images (N, H, W, C) mirrored left to right, as a view."""
    return x[:, :, ::-1]


def turned(x: Array, turns: int) -> Array:
    """Return images (N, H, W, C) turned anticlockwise by a number of quarter turns, as a view.

    >>> import numpy as np
    >>> turned(np.array([[1, 2], [3, 4]]).reshape(1, 2, 2, 1), 1)[0, :, :, 0].tolist()
    [[2, 4], [1, 3]]
    """
    turns %= 4
    if turns == 2:
        return x[:, ::-1, ::-1]
    if turns == 0:
        return x
    across = x.swapaxes(1, 2)  # mirrored at the main diagonal
    return across[:, ::-1] if turns == 1 else across[:, :, ::-1]
