"""LayerNorm, GroupNorm and InstanceNorm2D: normalisation with the statistics of one example, in training and inference.

The numbers of an example are divided into sets: all of them (layer norm), the pixels of a group of channels (group
norm) or of one channel (instance norm).  With the mean mu and the biased variance var of a set of M numbers,

    x_hat = (x - mu) / s,    s = sqrt(var + eps)
    dx    = (d - mean(d) - x_hat mean(d x_hat)) / s,    d = dL/dx_hat, means over the set

as for batch norm, whose set is a channel of the batch.  Nothing depends on the other examples of the batch, so that
there are no running statistics, and a penalty on the gradient of D with respect to one example makes sense.
"""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from minigan import _arguments
from minigan._arguments import scalar, set_numbers, set_sizes
from minigan.initializers import Constant, Initializer, Zeros
from minigan.layers.base import Context, Layer, PairPullback, Parameter, Pullback, Shape, ShapeError, Views
from minigan.layers.pixel_norm import scale_invariant_pullback
from minigan.layers.sizes import require_image
from minigan.ops.protocol import Array, Ops


def standardized(
    x: Array, mean: Callable[[Array], Array], eps: float, xp: Any
) -> tuple[Array, Array, Callable[[Array], Array]]:
    """Return x_hat, 1 / s, and the function that computes dx from dL/dx_hat, whose array it may overwrite.

    ``mean(x)`` returns the mean of each set, to be broadcast to its numbers.
    """
    x_hat = x - mean(x)
    if x.dtype.kind == "f":  # subtract the rounding error of the mean, which may be much larger than s
        x_hat -= mean(x_hat)
    inverse = 1 / xp.sqrt(mean(x_hat * x_hat) + scalar(eps, x.dtype))
    x_hat *= inverse

    def backward(d: Array) -> Array:
        mean_d, mean_d_x = mean(d), mean(d * x_hat)
        d -= mean_d
        d -= x_hat * mean_d_x
        d *= inverse
        return d  # dL/dx = (d - mean(d) - x_hat mean(d x_hat)) / s

    return x_hat, inverse, backward


def standardized_pushforward(
    p: Views, x: Array, x_dot: Array, mean: Callable[[Array], Array], eps: float, ops: Ops,
    sums: Callable[[Array], Array],
) -> tuple[Array, Array, PairPullback]:  # fmt: skip
    """Return y = gamma x_hat + beta, y_dot = gamma J x_dot and their pullback.

    J v = (v - mean(v) - x_hat mean(x_hat v)) / s is the derivative of x_hat along v; `scale_invariant_pullback` has the
    equations of its pullback.  gamma is in both, beta in y alone: dgamma = sum of dy x_hat + dy_dot J x_dot.
    ``sums(v)`` adds v up in the shape of gamma.
    """
    gamma = p["gamma"]
    x_hat, inverse, gradient = standardized(x, mean, eps, ops.xp)

    def J(v: Array) -> Array:
        return gradient(v.copy())

    x_hat_dot = J(x_dot)
    of_x_hat = scale_invariant_pullback(x_hat, 1 / inverse, J, x_dot, mean, centred=True)

    def backward(
        dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
    ) -> tuple[Array | None, Array | None]:
        if g is not None:
            dgamma, dbeta = g["gamma"], g["beta"]
            if dy is not None:
                dgamma += sums(dy * x_hat)
                dbeta += sums(dy)
            if dy_dot is not None:
                dgamma += sums(dy_dot * x_hat_dot)
        d, e = (None if v is None else v * gamma for v in (dy, dy_dot))
        return of_x_hat(d, e, need_dx=need_dx)

    return x_hat * gamma + p["beta"], x_hat_dot * gamma, backward


@dataclass(frozen=True)
class LayerNorm(Layer):
    """y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps).    x, y (..., *shape)   gamma, beta (*shape)

    mu and var are the mean and the biased variance over the last axes, those of `shape`.  Source: Ba, Kiros and Hinton,
    "Layer Normalization", 2016 (arXiv:1607.06450), equation (3).

    Parameters
    ----------
    shape : int or tuple of int
        The sizes of the last axes of x, over which mu and var are computed; each at least 1.  (H, W, C) normalises
        whole images, C every pixel.
    eps : float
        What is added to var, > 0, so that constant numbers divide by no zero; 1e-5 as in PyTorch.
    gamma_init, beta_init : Initializer
        The initial distributions of gamma and beta; 1 and 0 by default, so that y = x_hat at first.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    ShapeError
        In `output_shape` and `forward`, if the last axes of x are not `shape`.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([LayerNorm(4)], rng=np.random.default_rng(0), dtype="float64")
    >>> y = net(np.array([[1.0, 2.0, 3.0, 4.0]]))
    >>> bool(abs(y.mean()) < 1e-12), round(float(y.std()), 4)
    (True, 1.0)

    """

    per_example = True

    shape: int | Shape
    _: KW_ONLY
    eps: float = 1e-5
    gamma_init: Initializer = Constant(1.0)
    beta_init: Initializer = Zeros()

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _arguments.shape("shape", self.shape))
        if not self.sizes:
            raise ValueError("shape is empty; expected one size or more")
        set_numbers(self, eps="(0, inf)")

    @property
    def sizes(self) -> Shape:
        """The sizes of the last axes, a tuple also where `shape` is an int."""
        return _arguments.shape("shape", self.shape)

    def parameters(self) -> dict[str, Parameter]:
        """Return gamma and beta, each of `shape`."""
        return scale_and_shift(self.sizes, self.gamma_init, self.beta_init)

    def output_shape(self, shape: Shape) -> Shape:
        """(..., *shape) -> (..., *shape)."""
        if len(shape) < len(self.sizes) or shape[-len(self.sizes) :] != self.sizes:
            raise ShapeError(f"input shape {shape}; expected (..., {', '.join(map(str, self.sizes))})")
        return shape

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Normalise each set of numbers of `shape`."""
        self.output_shape(x.shape[1:])
        ops, gamma, size = ctx.ops, p["gamma"], math.prod(self.sizes)
        x_hat, _, input_gradient = standardized(x, self._mean, self.eps, ops.xp)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is not None:
                dgamma, dbeta = g["gamma"], g["beta"]
                dgamma += ops.sum_rows((dy * x_hat).reshape(-1, size)).reshape(self.sizes)  # sum of dy x_hat
                dbeta += ops.sum_rows(dy.reshape(-1, size)).reshape(self.sizes)  # sum of dy
            return input_gradient(dy * gamma) if need_dx else None

        return x_hat * gamma + p["beta"], backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return y, y_dot = gamma J x_dot, with the derivative J of x_hat, and their pullback."""
        self.output_shape(x.shape[1:])
        ops, size = ctx.ops, math.prod(self.sizes)

        def sums(v: Array) -> Array:
            return ops.sum_rows(v.reshape(-1, size)).reshape(self.sizes)

        return standardized_pushforward(p, x, x_dot, self._mean, self.eps, ops, sums)

    def _mean(self, v: Array) -> Array:
        """Return the mean over the last axes."""
        mean: Array = v.mean(axis=tuple(range(-len(self.sizes), 0)), keepdims=True)
        return mean


@dataclass(frozen=True)
class GroupNorm(Layer):
    """y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps).    x, y (N, ..., C)   gamma, beta (C,)

    mu and var are the mean and the biased variance over a group of C / G consecutive channels and all pixels of one
    example.  Source: Wu and He, "Group Normalization", 2018 (arXiv:1803.08494), equations (1), (2), (3) and (7).

    Parameters
    ----------
    groups : int
        G, the number of groups; at least 1 and a divisor of `channels`.
    channels : int
        C, the size of the last axis of x; at least 1.
    eps : float
        What is added to var, > 0, so that a constant group divides by no zero; 1e-5 as in PyTorch.
    gamma_init, beta_init : Initializer
        The initial distributions of gamma and beta; 1 and 0 by default, so that y = x_hat at first.

    Raises
    ------
    ValueError
        If a parameter is outside its range, or `groups` does not divide `channels`.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, ..., C).

    Examples
    --------
    >>> GroupNorm(4, 32).output_shape((14, 14, 32))
    (14, 14, 32)
    >>> GroupNorm(5, 32)
    Traceback (most recent call last):
    ValueError: groups=5 with channels=32; expected a divisor of 32

    """

    per_example = True

    groups: int
    channels: int
    _: KW_ONLY
    eps: float = 1e-5
    gamma_init: Initializer = Constant(1.0)
    beta_init: Initializer = Zeros()

    def __post_init__(self) -> None:
        set_sizes(self, "groups", "channels")
        set_numbers(self, eps="(0, inf)")
        if self.channels % self.groups:
            raise ValueError(
                f"groups={self.groups} with channels={self.channels}; expected a divisor of {self.channels}"
            )

    def parameters(self) -> dict[str, Parameter]:
        """Return gamma (C,) and beta (C,)."""
        return scale_and_shift((self.channels,), self.gamma_init, self.beta_init)

    def output_shape(self, shape: Shape) -> Shape:
        """(..., C) -> (..., C)."""
        if not shape or shape[-1] != self.channels:
            raise ShapeError(f"input shape {shape}; expected (..., {self.channels})")
        return shape

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Normalise each group of channels of each example."""
        self.output_shape(x.shape[1:])
        return _normalise(p, x, self.groups, self.eps, ctx)

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return y, y_dot = gamma J x_dot, with the derivative J of x_hat, and their pullback."""
        self.output_shape(x.shape[1:])
        return _pushforward(p, x, x_dot, self.groups, self.eps, ctx)


@dataclass(frozen=True)
class InstanceNorm2D(Layer):
    """y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps).    x, y (N, H, W, C)   gamma, beta (C,)

    mu and var are the mean and the biased variance over the H W pixels of one channel of one image: `GroupNorm` with a
    group for each channel.  Source: Ulyanov, Vedaldi and Lempitsky, "Instance Normalization", 2016 (arXiv:1607.08022),
    equation (2); gamma and beta as in batch norm.

    Parameters
    ----------
    channels : int
        C, the number of channels of x; at least 1.
    eps : float
        What is added to var, > 0, so that a constant channel divides by no zero; 1e-5 as in PyTorch.
    gamma_init, beta_init : Initializer
        The initial distributions of gamma and beta; 1 and 0 by default, so that y = x_hat at first.  PyTorch has both
        with ``affine=True`` only.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, H, W, C), or H W = 1, where y = beta would not depend on x.

    Examples
    --------
    >>> InstanceNorm2D(64).output_shape((28, 28, 64))
    (28, 28, 64)

    """

    per_example = True

    channels: int
    _: KW_ONLY
    eps: float = 1e-5
    gamma_init: Initializer = Constant(1.0)
    beta_init: Initializer = Zeros()

    def __post_init__(self) -> None:
        set_sizes(self, "channels")
        set_numbers(self, eps="(0, inf)")

    def parameters(self) -> dict[str, Parameter]:
        """Return gamma (C,) and beta (C,)."""
        return scale_and_shift((self.channels,), self.gamma_init, self.beta_init)

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, C) -> (H, W, C)."""
        if require_image(self, shape, self.channels) == (1, 1):
            raise ShapeError("images of 1 x 1 given; expected two pixels or more, of which the variance is taken")
        return shape

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Normalise each channel of each image."""
        self.output_shape(x.shape[1:])
        return _normalise(p, x, self.channels, self.eps, ctx)

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return y, y_dot = gamma J x_dot, with the derivative J of x_hat, and their pullback."""
        self.output_shape(x.shape[1:])
        return _pushforward(p, x, x_dot, self.channels, self.eps, ctx)


def scale_and_shift(shape: Shape, gamma_init: Initializer, beta_init: Initializer) -> dict[str, Parameter]:
    """Return the parameters gamma and beta, each of `shape`."""
    size = math.prod(shape)
    return {"gamma": Parameter(shape, gamma_init, size, size), "beta": Parameter(shape, beta_init, size, size)}


def _normalise(p: Views, x: Array, groups: int, eps: float, ctx: Context) -> tuple[Array, Pullback]:
    """Normalise each of the G groups of channels of each example."""
    ops, gamma, C = ctx.ops, p["gamma"], x.shape[-1]
    rows = x.reshape(len(x), -1, C)  # (N, pixels, C)
    x_hat, _, input_gradient = standardized(rows, _group_mean(groups), eps, ops.xp)

    def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
        dy = dy.reshape(rows.shape)
        if g is not None:
            dgamma, dbeta = g["gamma"], g["beta"]
            dgamma += ops.sum_rows(dy * x_hat)  # dL/dgamma = sum of dy x_hat over examples and pixels
            dbeta += ops.sum_rows(dy)  # dL/dbeta = sum of dy
        return input_gradient(dy * gamma).reshape(x.shape) if need_dx else None

    return (x_hat * gamma + p["beta"]).reshape(x.shape), backward


def _pushforward(
    p: Views, x: Array, x_dot: Array, groups: int, eps: float, ctx: Context
) -> tuple[Array, Array, PairPullback]:
    """Normalise each of the G groups of channels of each example, and push x_dot forward."""
    rows = len(x), -1, x.shape[-1]  # (N, pixels, C)
    y, y_dot, pullback = standardized_pushforward(
        p, x.reshape(rows), x_dot.reshape(rows), _group_mean(groups), eps, ctx.ops, ctx.ops.sum_rows
    )

    def backward(
        dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
    ) -> tuple[Array | None, Array | None]:
        found = pullback(*(None if v is None else v.reshape(rows) for v in (dy, dy_dot)), g, need_dx=need_dx)
        dx, dx_dot = (None if v is None else v.reshape(x.shape) for v in found)
        return dx, dx_dot

    return y.reshape(x.shape), y_dot.reshape(x.shape), backward


def _group_mean(groups: int) -> Callable[[Array], Array]:
    """Return the function that computes the mean of each group (N, 1, C) of an array (N, pixels, C)."""

    def mean(a: Array) -> Array:  # the sum over the pixels, then over the channels
        N, pixels, C = a.shape
        width = C // groups
        if width == 1:
            return a.sum(axis=1, keepdims=True) / pixels
        sums = a.sum(axis=1).reshape(N, groups, width).sum(axis=2) / (pixels * width)
        return sums.repeat(width, axis=1).reshape(N, 1, C)

    return mean
