"""Layers that read the labels of a batch: `Embedding`, `ConcatEmbedding` and `Projection`.

The input of such a network is a tuple, ``net((x, labels))``, of x (N, ...) and whole numbers k (N,), the classes.  The
network passes k on in `Context.labels`, so that the layers between need not know of labels.  k has no gradient; E, the
vectors of the classes, has one:

    y_n = E[k_n]        dE[c] = sum of dy_n over all n with k_n = c        E (K, F)   dy (N, F)

The gradient of a class that does not occur is exactly 0.
"""

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from minigan._arguments import set_flags, set_sizes
from minigan.initializers import GlorotUniform, Initializer, Normal, Zeros
from minigan.layers.base import (
    Context,
    Layer,
    PairPullback,
    Parameter,
    Pullback,
    Shape,
    ShapeError,
    Views,
    require_features,
)
from minigan.ops.protocol import Array
from minigan.ops.reference import zeros

MAX_MASKED_NUMBERS = 1 << 24
"""The most numbers of the masked copies of dy that a sum over classes makes at once on a GPU: 64 MB in float32."""


@dataclass(frozen=True)
class Embedding(Layer):
    """y_n = E[k_n],    dE[c] = sum of dy_n over k_n = c,    dx = 0.    k (N,)   E (K, F)   y (N, F)

    y does not depend on x, of which only N is used.  As the shortcut of `Residual`, it adds a vector of each class.
    Example: ``Residual([Dense(8, 8)], [Embedding(10, 8)])`` computes x W + b + E[k].

    Parameters
    ----------
    classes, features : int
        K, the number of classes, and F, the number of features of y; at least 1.
    init : Initializer
        The initial distribution of E; N(0, 1) by default, as in PyTorch: the scale of the noise next to it.

    Raises
    ------
    ValueError
        If a size is not an int >= 1; in `forward`, if the batch has no labels.

    Examples
    --------
    >>> import minigan as mg
    >>> net = mg.Network([Embedding(10, 3)], rng=np.random.default_rng(0))
    >>> y = net((np.zeros((4, 1)), np.array([7, 0, 7, 9])))
    >>> y.shape, (y[0] == y[2]).all()
    ((4, 3), np.True_)

    """

    per_example = True

    classes: int
    features: int
    _: KW_ONLY
    init: Initializer = Normal(1.0)

    def __post_init__(self) -> None:
        set_sizes(self, "classes", "features")

    @property
    def n_classes(self) -> int:
        """K, the number of classes of the labels that the layer reads."""
        return self.classes

    def parameters(self) -> dict[str, Parameter]:
        """Return E (K, F)."""
        return {"E": Parameter((self.classes, self.features), self.init, self.classes, self.features)}

    def output_shape(self, shape: Shape) -> Shape:
        """(...) -> (F,)."""
        return (self.features,)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return E[k] and its pullback."""
        k = require_labels(ctx, len(x))

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is not None:
                add_rows(g["E"], k, dy, ctx.ops.xp)  # dL/dE[c] = sum of dy_n over k_n = c
            return zeros(x.shape, x) if need_dx else None  # dL/dx = 0

        return rows_of(p["E"], k, ctx.ops.xp), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return E[k], zeros, because it does not depend on x, and their pullback."""
        y, pullback = self.forward(p, x, ctx)

        def backward(
            dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            if dy is not None and g is not None:
                pullback(dy, g, need_dx=False)
            return None, None

        return y, zeros(y.shape, y), backward


@dataclass(frozen=True)
class ConcatEmbedding(Layer):
    """y_n = (x_n, E[k_n]),    dx = dy_1...C,    dE[c] = sum of dy_n,C+1...C+F over k_n = c.

    x (N, ..., C)   k (N,)   E (K, F)   y (N, ..., C + F).  An image has the same F values at every pixel.  As the first
    layer of G, it makes noise and a label the input of the network (Mirza and Osindero, "Conditional Generative
    Adversarial Nets", 2014, figure 1, with an embedding in place of the one-hot vector: the next layer's product with a
    one-hot vector is an embedding, too).

    Parameters
    ----------
    classes, features : int
        K, the number of classes, and F, the number of features that are appended; at least 1.
    init : Initializer
        The initial distribution of E; N(0, 1) by default: the scale of the noise next to it.

    Raises
    ------
    ValueError
        If a size is not an int >= 1; in `forward`, if the batch has no labels.

    Examples
    --------
    >>> ConcatEmbedding(10, 16).output_shape((100,))
    (116,)

    """

    per_example = True

    classes: int
    features: int
    _: KW_ONLY
    init: Initializer = Normal(1.0)

    def __post_init__(self) -> None:
        set_sizes(self, "classes", "features")

    @property
    def n_classes(self) -> int:
        """K, the number of classes of the labels that the layer reads."""
        return self.classes

    def parameters(self) -> dict[str, Parameter]:
        """Return E (K, F)."""
        return {"E": Parameter((self.classes, self.features), self.init, self.classes, self.features)}

    def output_shape(self, shape: Shape) -> Shape:
        """(..., C) -> (..., C + F)."""
        if not shape:
            raise ShapeError("input shape (); expected (..., C)")
        return (*shape[:-1], shape[-1] + self.features)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return (x, E[k]) and its pullback."""
        xp, k, C = ctx.ops.xp, require_labels(ctx, len(x)), x.shape[-1]
        y = xp.empty((*x.shape[:-1], C + self.features), dtype=x.dtype)
        y[..., :C] = x
        y[..., C:] = rows_of(p["E"], k, xp).reshape(len(x), *(1,) * (x.ndim - 2), -1)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is not None:
                of_pixels = dy[..., C:].reshape(len(dy), -1, self.features)
                add_rows(g["E"], k, of_pixels.sum(axis=1), xp)  # dL/dE[c] = sum of dy_n,C+1...C+F over k_n = c
            return xp.ascontiguousarray(dy[..., :C]) if need_dx else None  # dL/dx = dy_1...C

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return (x, E[k]), (x_dot, 0) and their pullback."""
        y, pullback = self.forward(p, x, ctx)
        y_dot = zeros(y.shape, y)
        y_dot[..., : x.shape[-1]] = x_dot

        def backward(
            dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            dx = None if dy is None or (g is None and not need_dx) else pullback(dy, g, need_dx=need_dx)
            return dx, None if dy_dot is None or not need_dx else pullback(dy_dot)

        return y, y_dot, backward


@dataclass(frozen=True)
class Projection(Layer):
    """s_n = <w + E[k_n], x_n> + b.    x (N, F)   k (N,)   w (F,)   E (K, F)   s (N, 1)

    The last layer of a projection discriminator: x = phi are the features of an example, <w, x> + b says whether it is
    real, and <E[k], x> whether it belongs to its class k.  Source: Miyato and Koyama, "cGANs with Projection
    Discriminator", 2018, equation (3), with V = E^T and psi affine.

        dx_n = ds_n (w + E[k_n])    dw = sum_n ds_n x_n    db = sum_n ds_n    dE[c] = sum of ds_n x_n over k_n = c

    Parameters
    ----------
    features, classes : int
        F, the number of features, and K, the number of classes; at least 1.
    bias : bool
        Whether to add b.
    weight_init : Initializer
        The initial distribution of w and of E; Glorot's uniform one by default, as for `Dense`.  Both have the fans of
        a product with F inputs and one output, as one row of E is used for an example.
    bias_init : Initializer
        The initial distribution of b; zeros by default.

    Raises
    ------
    ValueError
        If a size is not an int >= 1, or `bias` is not True or False; in `forward`, if the batch has no labels.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, F).

    Examples
    --------
    >>> Projection(128, 10).output_shape((128,))
    (1,)

    """

    per_example = True

    features: int
    classes: int
    _: KW_ONLY
    bias: bool = True
    weight_init: Initializer = GlorotUniform()
    bias_init: Initializer = Zeros()

    def __post_init__(self) -> None:
        set_sizes(self, "features", "classes")
        set_flags(self, "bias")

    @property
    def n_classes(self) -> int:
        """K, the number of classes of the labels that the layer reads."""
        return self.classes

    def parameters(self) -> dict[str, Parameter]:
        """Return w (F,), E (K, F) and b (1,)."""
        F, K = self.features, self.classes
        w, E = (Parameter(shape, self.weight_init, F, 1) for shape in ((F,), (K, F)))
        return {"w": w, "E": E, **({"b": Parameter((1,), self.bias_init, F, 1)} if self.bias else {})}

    def output_shape(self, shape: Shape) -> Shape:
        """(F,) -> (1,)."""
        if shape != (self.features,):
            raise ShapeError(f"input shape {shape}; expected ({self.features},)")
        return (1,)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return <w + E[k], x> + b and its pullback."""
        require_features(self, x, self.features)
        xp, k, b = ctx.ops.xp, require_labels(ctx, len(x)), p.get("b")
        v = p["w"] + rows_of(p["E"], k, xp)
        s = (x * v).sum(axis=1, keepdims=True)

        def backward(ds: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is not None:
                dv, dw = ds * x, g["w"]
                dw += ctx.ops.sum_rows(dv)  # dL/dw = sum_n ds_n x_n
                add_rows(g["E"], k, dv, xp)  # dL/dE[c] = sum of ds_n x_n over k_n = c
                if b is not None:
                    db = g["b"]
                    db += ctx.ops.sum_rows(ds)  # dL/db = sum_n ds_n
            return ds * v if need_dx else None  # dL/dx_n = ds_n (w + E[k_n])

        return s if b is None else s + b, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return <w + E[k], x> + b, <w + E[k], x_dot> and their pullback."""
        s, pullback = self.forward(p, x, ctx)
        xp, k = ctx.ops.xp, require_labels(ctx, len(x))
        v = p["w"] + rows_of(p["E"], k, xp)

        def backward(
            ds: Array | None, ds_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            dx = None if ds is None or (g is None and not need_dx) else pullback(ds, g, need_dx=need_dx)
            if ds_dot is None:
                return dx, None
            if g is not None:
                dv, dw = ds_dot * x_dot, g["w"]
                dw += ctx.ops.sum_rows(dv)  # dL/dw = sum_n ds_n x_n + ds_dot_n x_dot_n; s_dot does not depend on b
                add_rows(g["E"], k, dv, xp)
            return dx, ds_dot * v if need_dx else None

        return s, (x_dot * v).sum(axis=1, keepdims=True), backward


def require_labels(ctx: Context, n: int) -> Array:
    """Return the labels of the batch (N,); raise ValueError if it has none, or ShapeError if N is not n."""
    if ctx.labels is None:
        raise ValueError("reads labels, but the batch has none; expected a tuple (x, labels) as the network's input")
    if ctx.labels.shape != (n,):
        raise ShapeError(f"labels have shape {ctx.labels.shape} for {n} examples; expected ({n},)")
    return ctx.labels


def rows_of(E: Array, k: Array, xp: Any) -> Array:
    """Return E[k], an array (N, F); on a GPU, where labels are not read back to check them, NaN for no class."""
    if xp is np:
        return E[k]
    valid = (k >= 0) & (k < len(E))
    return xp.where(valid[:, None], E[xp.where(valid, k, 0)], math.nan).astype(E.dtype, copy=False)


def add_rows(dE: Array, k: Array, dy: Array, xp: Any) -> None:
    """Add to dE[c], for each class c, the sum of dy_n over k_n = c, in place.    k (N,)   dy (N, F)   dE (K, F)

    The sum is added up in the order of n, so that its bits do not depend on the number of threads.  A GPU, whose
    scattered additions have no order, sums masked copies of dy.
    """
    if xp is np:
        sums = zeros(dE.shape, dy)
        np.add.at(sums, k, dy)
        dE += sums
        return
    step = max(1, MAX_MASKED_NUMBERS // dy.size)
    for start in range(0, len(dE), step):
        of_class = k == xp.arange(start, min(start + step, len(dE)))[:, None]  # (classes, N)
        part = dE[start : start + step]
        part += xp.where(of_class[:, :, None], dy, 0).sum(axis=1)
