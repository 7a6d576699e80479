"""PixelNorm: the feature vector of each pixel at unit mean square (Karras et al. 2018)."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from minigan._arguments import scalar, set_numbers
from minigan.layers.base import Context, Layer, PairPullback, Pullback, Shape, ShapeError, Views
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class PixelNorm(Layer):
    """y = x / r,  r = sqrt(mean_c x_c^2 + eps);  dx = (dy - y mean_c(dy_c y_c)) / r.    x, y (N, ..., C)

    It has no parameters, and keeps signals in G from growing without limit.  Source: Karras, Aila, Laine and Lehtinen,
    "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018 (arXiv:1710.10196), section 4.2.

    Parameters
    ----------
    eps : float
        What is added to the mean square, > 0, so that a pixel of zeros divides by no zero; 1e-8 as published.

    Raises
    ------
    ValueError
        If `eps` is not > 0.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([PixelNorm()], rng=np.random.default_rng(0), dtype="float64")
    >>> net(np.array([[3.0, -3.0, 3.0, -3.0]])).round(6)
    array([[ 1., -1.,  1., -1.]])

    """

    per_example = True

    _: KW_ONLY
    eps: float = 1e-8

    def __post_init__(self) -> None:
        set_numbers(self, eps="(0, inf)")

    def output_shape(self, shape: Shape) -> Shape:
        """(..., C) -> (..., C)."""
        if not shape:
            raise ShapeError(f"input shape {shape}; expected (..., C)")
        return shape

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x / r and its pullback."""
        mean_square = (x * x).mean(axis=-1, keepdims=True)
        inverse = 1 / ctx.ops.xp.sqrt(mean_square + scalar(self.eps, x.dtype))
        y = x * inverse

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            return (dy - y * (dy * y).mean(axis=-1, keepdims=True)) * inverse  # dL/dx = (dy - y mean(dy y)) / r

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return y, y_dot = J x_dot and their pullback, J v = (v - y mean(y v)) / r.

        `scale_invariant_pullback` has the equations of the pullback.
        """
        y, pullback = self.forward(p, x, ctx)
        r = ctx.ops.xp.sqrt((x * x).mean(axis=-1, keepdims=True) + scalar(self.eps, x.dtype))
        return y, pullback(x_dot), scale_invariant_pullback(y, r, pullback, x_dot, _mean)


def _mean(v: Array) -> Array:
    return v.mean(axis=-1, keepdims=True)


def scale_invariant_pullback(
    y: Array,
    r: Array,
    J: Callable[[Array], Array],
    x_dot: Array,
    mean: Callable[[Array], Array],
    *,
    centred: bool = False,
) -> PairPullback:
    """Return the pullback of (y, y_dot), y = a / r, y_dot = J x_dot, J v = (v - y mean(y v)) / r.

    a is x, or x - mean(x) if `centred`; then J v = (v - mean(v) - y mean(y v)) / r.  r^2 = mean(a^2) + eps, means over
    the numbers that are normalised together, M of them.  J is symmetric.  For e = dL/dy_dot,

        <e, J x_dot> = M F,    F = (mean(e x_dot) [- mean(e) mean(x_dot)] - mean(y x_dot) mean(y e)) / r

    depends on x through y, whose derivative is J, and through r, whose derivative is y / M:

        dx_dot = J e,    dx = J (dy - (mean(y e) x_dot + mean(y x_dot) e) / r) - F y / r
    """

    def backward(
        dy: Array | None, dy_dot: Array | None, g: Any = None, *, need_dx: bool = True
    ) -> tuple[Array | None, Array | None]:
        if not need_dx:
            return None, None
        if dy_dot is None:
            return (None if dy is None else J(dy)), None
        y_e, y_x = mean(y * dy_dot), mean(y * x_dot)
        F = mean(dy_dot * x_dot) - y_x * y_e
        if centred:
            F = F - mean(dy_dot) * mean(x_dot)
        through_y = -(y_e * x_dot + y_x * dy_dot) / r
        if dy is not None:
            through_y = through_y + dy
        return J(through_y) - F * y / (r * r), J(dy_dot)

    return backward
