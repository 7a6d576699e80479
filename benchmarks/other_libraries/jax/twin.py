"""Convert a minigan network to a pure JAX function, and its weights and optimizer to pytrees.

Images are (N, H, W, C) and weights (kh, kw, C, O) on both sides, so parameters and running statistics are used
unchanged, in dictionaries with minigan's names ("0.W", "2.running_mean", ...).

Randomness is an argument: `masks`, the source of the dropout masks of one pass, is either a key of `jax.random` or (for
the check) a tuple of the masks themselves, one per Dropout layer, computed by minigan's hash.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from minigan.layers import Dropout
from minigan.ops import Array, get_ops
from minigan.ops.geometry import Geometry

Tree = dict[str, Any]
Apply = Callable[..., tuple[jax.Array, Tree]]
"""``apply(p, s, x, masks, train=True) -> y, s'``: p are parameters, s running statistics, s' those after the pass."""

AXES = ("NHWC", "HWIO", "NHWC")
"""The layouts of x, W and y."""


def tree(arrays: dict[str, Array]) -> Tree:
    """Return copies of named arrays in JAX; minigan's are views of one vector, which is updated in place."""
    return {name: jnp.array(value) for name, value in arrays.items()}


def function(net: Any) -> Apply:
    """Return a network as a pure function.

    Parameters
    ----------
    net
        A minigan network, of layers that `LAYERS` has, BatchNorm and Dropout.

    Returns
    -------
    Callable
        ``apply(p, s, x, masks, train=True) -> y, s'``, as `Apply` describes it.

    """

    def apply(p: Tree, s: Tree, x: jax.Array, masks: Any, train: bool = True) -> tuple[jax.Array, Tree]:
        sources, s = _mask_sources(masks), dict(s)
        for i, layer in enumerate(net.layers):
            kind = type(layer).__name__
            own = {name: p[f"{i}.{name}"] for name in layer.parameters()}
            if kind == "BatchNorm":
                running = {name: s[f"{i}.{name}"] for name in layer.state()}
                x, running = _batch_norm(layer, own, running, x, train)
                s |= {f"{i}.{name}": value for name, value in running.items()}
            elif kind == "Dropout":
                x = _dropout(x, layer.rate, sources) if train and layer.rate > 0 else x
            else:
                x = LAYERS[kind](layer, own, x)
        return x, s

    return apply


# --- layers ---------------------------------------------------------------------------------------


def _correlate(x: jax.Array, W: jax.Array, geometry: Geometry) -> jax.Array:
    """y_npqo = sum_ijc x~_n,(sp+di),(sq+dj),c W_ijco.    x (N, H, W, C)   W (kh, kw, C, O)   y (N, h, w, O)"""
    return lax.conv_general_dilated(
        x, W, geometry.stride, geometry.padding, rhs_dilation=geometry.dilation, dimension_numbers=AXES
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _adjoint(y: jax.Array, W: jax.Array, geometry: Geometry) -> jax.Array:
    """The input gradient of `_correlate`.    y (N, h, w, O)   W (kh, kw, C, O)   x (N, H, W, C)

    `lax.conv_transpose` inserts stride - 1 zeros between the pixels of y, which gives (h - 1) s + 1 rows, and pads them
    by d (k - 1) - top rows before, and by as many rows after as H rows of x need.
    """
    padding = []
    for axis in (0, 1):
        reach = geometry.dilation[axis] * (geometry.kernel[axis] - 1)
        before = reach - geometry.padding[axis][0]
        spread = (geometry.small[axis] - 1) * geometry.stride[axis] + 1
        padding.append((before, geometry.large[axis] + reach - spread - before))
    return lax.conv_transpose(
        y, W, geometry.stride, padding, rhs_dilation=geometry.dilation, dimension_numbers=AXES, transpose_kernel=True
    )


def _adjoint_forward(y: jax.Array, W: jax.Array, geometry: Geometry) -> tuple[jax.Array, Any]:
    return _adjoint(y, W, geometry), (y, W)


def _adjoint_backward(geometry: Geometry, saved: Any, dx: jax.Array) -> tuple[jax.Array, jax.Array]:
    """dy is `_correlate` of dx, and dW its weight gradient with x and y exchanged.

    It is written by hand because XLA has no fast CPU kernel for the dW that JAX derives at a stride of 2 or more, which
    takes seconds per layer instead of a tenth of a second.
    """
    y, W = saved
    dy, back = jax.vjp(lambda W: _correlate(dx, W, geometry), W)
    return dy, back(y)[0]


_adjoint.defvjp(_adjoint_forward, _adjoint_backward)


def _conv(layer: Any, p: Tree, x: jax.Array) -> jax.Array:
    """W * x + b."""
    y = _correlate(x, p["W"], layer.geometry(x.shape[1:3]))
    return y + p["b"] if layer.bias else y


def _conv_transpose(layer: Any, p: Tree, x: jax.Array) -> jax.Array:
    """W^T * x + b."""
    y = _adjoint(x, p["W"], layer.geometry(x.shape[1:3]))
    return y + p["b"] if layer.bias else y


def _dense(layer: Any, p: Tree, x: jax.Array) -> jax.Array:
    """x W + b.    x (N, I)   W (I, O)"""
    y = x @ p["W"]
    return y + p["b"] if layer.bias else y


def _maxout(layer: Any, p: Tree, x: jax.Array) -> jax.Array:
    """The maximum of P affine maps.    x (N, I)   W (I, O P)   y (N, O)"""
    return (x @ p["W"] + p["b"]).reshape(len(x), layer.n_out, layer.pieces).max(axis=2)


def _zero_pad(layer: Any, p: Tree, x: jax.Array) -> jax.Array:
    return jnp.pad(x, ((0, 0), *layer.padding, (0, 0)))


LAYERS: dict[str, Callable[[Any, Tree, jax.Array], jax.Array]] = {
    "Conv2D": _conv,
    "ConvTranspose2D": _conv_transpose,
    "Dense": _dense,
    "Maxout": _maxout,
    "ZeroPad2D": _zero_pad,
    "Reshape": lambda layer, p, x: x.reshape(len(x), *layer.shape),
    "Flatten": lambda layer, p, x: x.reshape(len(x), -1),
    "ReLU": lambda layer, p, x: jax.nn.relu(x),
    "LeakyReLU": lambda layer, p, x: jnp.where(
        x > 0, x, layer.slope * x
    ),  # jax.nn.leaky_relu has the derivative 1 at 0
    "Tanh": lambda layer, p, x: jnp.tanh(x),
    "Sigmoid": lambda layer, p, x: jax.nn.sigmoid(x),
}
"""By the class of minigan's layer: y from layer, parameters and x.  `function` handles BatchNorm and Dropout itself."""


def _batch_norm(layer: Any, p: Tree, running: Tree, x: jax.Array, train: bool) -> tuple[jax.Array, Tree]:
    """gamma (x - mu) / sqrt(var + eps) + beta, and the running statistics after it.    x (..., C)"""
    mu, var = running["running_mean"], running["running_var"]
    if train:
        M = x.size // layer.channels
        rows = tuple(range(x.ndim - 1))
        mean, spread = mu, var
        mu, var = x.mean(axis=rows), x.var(axis=rows)
        share = layer.momentum if layer.convention == "new" else 1 - layer.momentum
        batch = var * (M / (M - 1)) if layer.unbiased else var
        running = {"running_mean": mean + share * (mu - mean), "running_var": spread + share * (batch - spread)}
    return (x - mu) * (p["gamma"] * lax.rsqrt(var + layer.eps)) + p["beta"], running


# --- dropout --------------------------------------------------------------------------------------


def _dropout(x: jax.Array, rate: float, sources: Iterator[Any]) -> jax.Array:
    """Return x / (1 - rate) where the mask keeps it, else 0."""
    source, is_mask = next(sources)
    keep = source if is_mask else jax.random.bernoulli(source, 1 - rate, x.shape)
    return jnp.where(keep, x / (1 - rate), 0)


def _mask_sources(masks: Any) -> Iterator[Any]:
    """Yield for each Dropout layer a mask and True, or a key and False."""
    if isinstance(masks, tuple):
        yield from ((mask, True) for mask in masks)
    else:
        while True:
            masks, key = jax.random.split(masks)
            yield key, False


def dropout_masks(net: Any, shape: tuple[int, ...], n: int, rng: np.random.Generator) -> tuple[Array, ...]:
    """Draw a key for each Dropout layer as minigan does; return the masks.

    Parameters
    ----------
    net
        A minigan network.
    shape
        The shape of its input without N.
    n
        The number of examples.
    rng
        The stream of minigan's dropout keys.

    Returns
    -------
    tuple of Array
        For each Dropout layer a mask (n, ...), true where x is kept.

    """
    found, ops = [], get_ops("reference")
    for layer in net.layers:
        if isinstance(layer, Dropout) and layer.rate > 0:
            key = int(rng.integers(2**64, dtype=np.uint64))
            found.append(ops.dropout(np.ones((n, *shape)), layer.rate, key) > 0)
        shape = layer.output_shape(shape)
    return tuple(found)


# --- optimizers -----------------------------------------------------------------------------------


class Adam:
    """Adam as a pure function: ``update(p, g, o, ()) -> p', o'`` with o = {t, m, v}; the constants are minigan's."""

    def __init__(self, adam: Any) -> None:
        self.lr, self.beta1, self.beta2, self.eps = adam.lr, adam.beta1, adam.beta2, adam.eps

    def init(self, p: Tree) -> Tree:
        """t = 0, m = v = 0."""
        return {"t": jnp.zeros((), int), "m": jax.tree.map(jnp.zeros_like, p), "v": jax.tree.map(jnp.zeros_like, p)}

    def rates(self, t: int) -> tuple[float, ...]:
        """Return (): without a schedule all rates are constants of the compiled function."""
        return ()

    def update(self, p: Tree, g: Tree, o: Tree, rates: Any) -> tuple[Tree, Tree]:
        """m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2, p <- p - lr m_hat / (sqrt(v_hat) + eps)."""
        t, dtype = o["t"] + 1, next(iter(p.values())).dtype
        m = jax.tree.map(lambda m, g: self.beta1 * m + (1 - self.beta1) * g, o["m"], g)
        v = jax.tree.map(lambda v, g: self.beta2 * v + (1 - self.beta2) * g**2, o["v"], g)
        a, b = (1 - jnp.asarray(beta, dtype) ** t for beta in (self.beta1, self.beta2))
        step = jax.tree.map(lambda m, v: self.lr * (m / a) / (jnp.sqrt(v / b) + self.eps), m, v)
        return jax.tree.map(jnp.subtract, p, step), {"t": t, "m": m, "v": v}


class SGD:
    """Momentum descent as a pure function: ``update(p, g, o, (lr, momentum)) -> p', o'`` with o = {u}.

    `rates` evaluates the schedules of minigan's SGD outside the compiled function.
    """

    def __init__(self, minigan_optimizer: Any) -> None:
        self.minigan_optimizer = minigan_optimizer

    def init(self, p: Tree) -> Tree:
        """u = 0."""
        return {"u": jax.tree.map(jnp.zeros_like, p)}

    def rates(self, t: int) -> tuple[float, ...]:
        """Return the rate and momentum of step t = 1, 2, ..."""
        return self.minigan_optimizer.lr(t), self.minigan_optimizer.momentum(t)

    def update(self, p: Tree, g: Tree, o: Tree, rates: Any) -> tuple[Tree, Tree]:
        """u <- momentum u - lr g, p <- p + u."""
        lr, momentum = rates
        u = jax.tree.map(lambda u, g: momentum * u - lr * g, o["u"], g)
        return jax.tree.map(jnp.add, p, u), {"u": u}


def optimizer(minigan_optimizer: Any) -> Adam | SGD:
    """Return the pure function that computes what minigan's optimizer does."""
    return Adam(minigan_optimizer) if type(minigan_optimizer).__name__ == "Adam" else SGD(minigan_optimizer)
