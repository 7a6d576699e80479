"""Activations: y = f(x) elementwise (Softmax: along the last axis).  They have no parameters.

x, y, dx and dy have one shape, (N, ...), and the network's dtype.
"""

from collections.abc import Callable
from dataclasses import dataclass

from minigan._arguments import scalar, set_numbers
from minigan.layers.base import Context, Layer, PairPullback, Pullback, Views
from minigan.ops.protocol import Array
from minigan.ops.reference import real


@dataclass(frozen=True)
class ReLU(Layer):
    """y = max(x, 0);  dx = 0 where x <= 0, else dy.

    The derivative at x = 0 is taken as 0.  dx is 0 where x <= 0 even if dy is infinite or NaN there.  NaN in x, and in
    dy where x > 0, is passed on.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> mg.Network([ReLU()], rng=np.random.default_rng(0))(np.array([[-1.0, 2.0]], "float32"))
    array([[0., 2.]], dtype=float32)

    """

    per_example = True
    piecewise_linear = True

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return max(x, 0) and its pullback."""
        ops = ctx.ops
        y = ops.relu(x)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return ops.relu_backward(dy, y) if need_dx else None

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return max(x, 0), x_dot where x > 0 (else 0), and their pullback; the second derivative is 0."""
        ops = ctx.ops
        y = ops.relu(x) if ctx.y is None else ctx.y
        return y, ops.relu_backward(x_dot, y), _along(lambda v: ops.relu_backward(v, y))


@dataclass(frozen=True)
class LeakyReLU(Layer):
    """y = x where x > 0, else slope x;  dx = dy where x > 0, else slope dy.

    Parameters
    ----------
    slope : float
        The slope for x <= 0, any finite number: 0.2 in DCGAN.  It has no default, as PyTorch's (0.01) and Keras's (0.3)
        differ.

    Raises
    ------
    ValueError
        If `slope` is not a finite number.

    """

    per_example = True
    piecewise_linear = True

    slope: float

    def __post_init__(self) -> None:
        set_numbers(self, slope="(-inf, inf)")

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return x or slope x, and its pullback."""
        where, positive, slope = ctx.ops.xp.where, real(x) > 0, scalar(self.slope, x.dtype)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return where(positive, dy, slope * dy) if need_dx else None

        return where(positive, x, slope * x), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return f(x), f'(x) x_dot and their pullback; f' is 1 or `slope`, and the second derivative is 0."""
        where, positive, slope = ctx.ops.xp.where, real(x) > 0, scalar(self.slope, x.dtype)

        def scaled(v: Array) -> Array:
            return where(positive, v, slope * v)

        return scaled(x) if ctx.y is None else ctx.y, scaled(x_dot), _along(scaled)


@dataclass(frozen=True)
class Tanh(Layer):
    """y = tanh x;  dx = dy (1 - y^2)."""

    per_example = True

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return tanh x and its pullback."""
        y = ctx.ops.xp.tanh(x)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            dx = y * y
            dx = ctx.ops.xp.subtract(1, dx, out=dx)
            dx *= dy
            return dx

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return y, f' x_dot and their pullback: f' = 1 - y^2, f'' = -2 y f'."""
        y = ctx.ops.xp.tanh(x)
        slope = 1 - y * y
        return y, slope * x_dot, _curved(slope, -2 * y * slope, x_dot)


@dataclass(frozen=True)
class Sigmoid(Layer):
    """y = 1 / (1 + e^-x);  dx = dy y (1 - y).

    Use it as the last layer of G for pixels in [0, 1].  D has to return logits: the objectives apply the sigmoid
    themselves, so that log D is never the logarithm of a rounded number.
    """

    per_example = True

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return sigma(x) and its pullback."""
        y = ctx.ops.sigmoid(x)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            dx = 1 - y
            dx *= y
            dx *= dy
            return dx

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return y, f' x_dot and their pullback: f' = y (1 - y), f'' = (1 - 2 y) f'."""
        y = ctx.ops.sigmoid(x)
        slope = y * (1 - y)
        return y, slope * x_dot, _curved(slope, (1 - 2 * y) * slope, x_dot)


@dataclass(frozen=True)
class Softplus(Layer):
    """y = log(1 + e^x);  dx = dy / (1 + e^-x)."""

    per_example = True

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return log(1 + e^x) and its pullback."""
        ops = ctx.ops

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return dy * ops.sigmoid(x) if need_dx else None

        return ops.softplus(x), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return y, f' x_dot and their pullback: f' = s, f'' = s (1 - s) with s = 1 / (1 + e^-x)."""
        slope = ctx.ops.sigmoid(x)
        return ctx.ops.softplus(x), slope * x_dot, _curved(slope, slope * (1 - slope), x_dot)


@dataclass(frozen=True)
class Softmax(Layer):
    """y_k = e^x_k / sum_j e^x_j along the last axis;  dx = y (dy - sum_k dy_k y_k).

    The greatest x_k is subtracted from x first, which does not change y, so that no exponential overflows.
    """

    per_example = True

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return the softmax and its pullback."""
        e = ctx.ops.xp.exp(x - real(x).max(axis=-1, keepdims=True))  # the shift does not change y
        y = e / e.sum(axis=-1, keepdims=True)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return y * (dy - (dy * y).sum(axis=-1, keepdims=True)) if need_dx else None

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return y, y_dot = J x_dot and their pullback, with J v = y (v - <y, v>).

        y_dot = y (x_dot - <y, x_dot>) depends on y too, so that
        dx = J (dy + dy_dot (x_dot - <y, x_dot>) - <dy_dot, y> x_dot)  and  dx_dot = J dy_dot.
        """
        y = self.forward(p, x, ctx)[0]

        def inner(a: Array, b: Array) -> Array:
            return (a * b).sum(axis=-1, keepdims=True)

        def J(v: Array) -> Array:
            return y * (v - inner(y, v))

        def backward(
            dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            if not need_dx:
                return None, None
            if dy_dot is None:
                return (None if dy is None else J(dy)), None
            of_y_dot = dy_dot * (x_dot - inner(y, x_dot)) - inner(dy_dot, y) * x_dot
            return J(of_y_dot if dy is None else dy + of_y_dot), J(dy_dot)

        return y, J(x_dot), backward


def _along(scaled: Callable[[Array], Array]) -> PairPullback:
    """Return the pullback of (f(x), f'(x) x_dot) where f'' = 0: it multiplies dy and dy_dot by f'(x)."""

    def backward(
        dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
    ) -> tuple[Array | None, Array | None]:
        dx, dx_dot = (None if dv is None or not need_dx else scaled(dv) for dv in (dy, dy_dot))
        return dx, dx_dot

    return backward


def _curved(slope: Array, curvature: Array, x_dot: Array) -> PairPullback:
    """Return the pullback of (f(x), f'(x) x_dot): dx = f' dy + f'' x_dot dy_dot,  dx_dot = f' dy_dot.

    slope, curvature: f'(x) and f''(x), of the shape of x
    """

    def backward(
        dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
    ) -> tuple[Array | None, Array | None]:
        if not need_dx:
            return None, None
        if dy_dot is None:
            return (None if dy is None else slope * dy), None
        bend = curvature * x_dot * dy_dot
        return (bend if dy is None else slope * dy + bend), slope * dy_dot

    return backward
