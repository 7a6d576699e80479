"""SpectralNorm: a layer whose weights are divided by their largest singular value (Miyato et al. 2018)."""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from minigan._arguments import set_sizes
from minigan.layers.base import Context, Layer, PairPullback, Parameter, Pullback, Shape, Views
from minigan.layers.conv import Conv2D, ConvTranspose2D
from minigan.layers.dense import Dense
from minigan.ops.protocol import Array, Ops
from minigan.ops.reference import real, zeros

LAYERS = (Dense, Conv2D, ConvTranspose2D)


@dataclass(frozen=True)
class SpectralNorm(Layer):
    """y = f(x; W / sigma),  sigma = |W^T u| = u^T W v,  v = W^T u / sigma.    W (O, R)   u (O,)   v (R,)

    f is a Dense, Conv2D or ConvTranspose2D, and W its weights with a row for each of the O outputs (features or
    channels), which has R weights.  u approximates the first left singular vector, and sigma the spectral norm of W,
    its largest singular value, from below.  A training pass improves u first, by power iterations on the real part of
    W:

        v <- W^T u / |W^T u|,    u <- W v / |W v|

    For the gradient u is constant, d sigma = u^T dW v, and with W~ = W / sigma and G = dL/dW~

        dL/dW = (G - <G, W~> u v^T) / sigma

    Source: Miyato, Kataoka, Koyama and Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018
    (arXiv:1802.05957), Algorithm 1 and equation (12).

    Parameters
    ----------
    inner : Dense, Conv2D or ConvTranspose2D
        f.  Its parameters keep their names, "W" and "b".
    iterations : int
        The number of power iterations in a training pass that updates the running statistics, of which u is one; at
        least 1, the published number, which suffices because W changes slowly.

    Raises
    ------
    TypeError, ValueError
        If `inner` is another layer, or `iterations` is not an int >= 1.
    ShapeError
        In `output_shape` and `forward`, if x does not fit `inner`.

    Notes
    -----
    At first all entries of u are equal.  PyTorch's `torch.nn.utils.parametrizations.spectral_norm` starts from random
    vectors and 15 iterations.  It also stores v, and begins an iteration with W v for the v of the last pass: both are
    equal where W has not changed since.  Weights that are all 0 have no direction, and give NaN.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([SpectralNorm(mg.Dense(8, 6))], rng=np.random.default_rng(0), dtype="float64")
    >>> x = np.eye(8)
    >>> for _ in range(100):
    ...     y, _ = net.forward(x, train=True)
    >>> round(float(np.linalg.svd(y - net.parameters()["0.b"])[1][0]), 6)
    1.0

    """

    inner: Layer
    _: KW_ONLY
    iterations: int = 1

    def __post_init__(self) -> None:
        if type(self.inner) not in LAYERS:
            names = ", ".join(kind.__name__ for kind in LAYERS)
            raise TypeError(f"inner must be one of {names}, got {self.inner!r}")
        set_sizes(self, "iterations")

    @property
    def per_example(self) -> bool:
        """Whether several batches can run as one: yes, each with its own power iterations."""
        return self.inner.per_example

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters of f, W and b."""
        return self.inner.parameters()

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return u (O,), whose entries are all 1 at first; only its direction matters."""
        n_outputs = self._matrix_shape[1]
        return {"u": ((n_outputs,), 1.0)}

    def output_shape(self, shape: Shape) -> Shape:
        """Return the output shape of f."""
        return self.inner.output_shape(shape)

    @property
    def _matrix_shape(self) -> Shape:
        shape = self.inner.parameters()["W"].shape
        O = shape[2] if isinstance(self.inner, ConvTranspose2D) else shape[-1]
        return (math.prod(shape) // O, O)

    def _matrix(self, W: Array) -> Array:
        """Return W^T (R, O) of the weights."""
        if isinstance(self.inner, ConvTranspose2D):  # (kh, kw, O, C)
            W = W.swapaxes(2, 3)
        return W.reshape(self._matrix_shape)

    def _weights(self, matrix: Array) -> Array:
        """Return a matrix (R, O) in the shape of the weights."""
        shape = self.inner.parameters()["W"].shape
        if isinstance(self.inner, ConvTranspose2D):
            return matrix.reshape(*shape[:2], shape[3], shape[2]).swapaxes(2, 3)
        return matrix.reshape(shape)

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return f(x; W / sigma) and its pullback."""
        updates = ctx.train and ctx.update_state and ctx.state is not None
        if not updates or ctx.sub_batches == 1:
            return self._pass(p, x, ctx, updates)
        xp = ctx.ops.xp
        passes = [self._pass(p, part, ctx, updates) for part in xp.split(x, ctx.sub_batches)]  # each updates u

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            parts = zip(passes, xp.split(dy, len(passes)), strict=True)
            dx = [back(part, g, need_dx=need_dx) for (_, back), part in parts]
            return xp.concatenate(dx) if need_dx else None

        return xp.concatenate([y for y, _ in passes]), backward

    def _pass(self, p: Views, x: Array, ctx: Context, updates: bool) -> tuple[Array, Pullback]:
        ops, W = ctx.ops, self._matrix(p["W"])  # W^T in the equations
        if updates:
            self.iterate(ctx.state, real(W), ops)
        normalised, add_gradient = self._normalised(p["W"], ctx)
        y, back = self.inner.forward({**p, "W": normalised}, x, ctx)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is None:
                return back(dy, None, need_dx=need_dx)
            G = zeros(normalised.shape, normalised)
            dx = back(dy, {**g, "W": G}, need_dx=need_dx)
            add_gradient(G, g["W"])
            return dx

        return y, backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return f(x; W / sigma), its derivative along x_dot, and their pullback, for the present u."""
        normalised, add_gradient = self._normalised(p["W"], ctx)
        y, y_dot, back = self.inner.pushforward({**p, "W": normalised}, x, x_dot, ctx)

        def backward(
            dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            if g is None:
                return back(dy, dy_dot, None, need_dx=need_dx)
            G = zeros(normalised.shape, normalised)
            found = back(dy, dy_dot, {**g, "W": G}, need_dx=need_dx)
            add_gradient(G, g["W"])
            return found

        return y, y_dot, backward

    def _normalised(self, weights: Array, ctx: Context) -> tuple[Array, Callable[[Array, Array], None]]:
        """Return W / sigma, and the function that adds dL/dW to its second argument, for G = dL/d(W / sigma)."""
        ops, W = ctx.ops, self._matrix(weights)
        u = _unit(ctx.state["u"][None], ops)  # a new array: a later training pass writes into the state
        v = ops.affine(u, W.T)  # sigma v
        sigma = ops.xp.sqrt((v * v).sum(axis=1, keepdims=True))  # (1, 1)
        v, W = v / sigma, W / sigma

        def add_gradient(of_normalised: Array, target: Array) -> None:
            G = self._matrix(of_normalised)
            target += self._weights((G - (G * W).sum(keepdims=True) * (v.T * u)) / sigma)

        return self._weights(W), add_gradient

    def iterate(self, state: Views, W: Array, ops: Ops) -> None:
        """Improve u, in place, by power iterations with the real matrix W^T (R, O)."""
        u = real(state["u"])[None]
        for _ in range(self.iterations):
            v = _unit(ops.affine(u, W.T), ops)  # v = W^T u / |W^T u|
            u = _unit(ops.affine(v, W), ops)  # u = W v / |W v|
        state["u"][...] = u[0]


def _unit(x: Array, ops: Ops) -> Array:
    """Return x / |x|.    x (1, n)"""
    return x / ops.xp.sqrt((x * x).sum(axis=1, keepdims=True))
