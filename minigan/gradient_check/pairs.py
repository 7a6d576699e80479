"""Each hand-written gradient of a network or an objective, beside the derivative that it must equal.

The derivatives use nothing but `forward` (and, for a pushforward, the pullback of `forward`) in complex numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.gradient_check.numeric import H, complex_step
from minigan.losses import Objective, generator_cost
from minigan.network import Network
from minigan.ops import get_ops, to_host
from minigan.ops.protocol import Array

Choose = Callable[[int], Array]
"""``choose(size)`` returns which entries of a flattened tensor are compared."""
Stream = Callable[[], np.random.Generator]
"""Returns the same random stream in each call, so that all passes have the same dropout masks."""


@dataclass(frozen=True)
class Pair:
    """A gradient and what it must equal, at the compared entries of a tensor.

    Parameters
    ----------
    name : str
        The tensor: "x", "0.W", "s_fake".
    got, want : array (K,)
        The hand-written gradient, and the derivative.
    entries : array (K,)
        The entries of the flattened tensor.
    shape : tuple of int
        The shape of the tensor.

    """

    name: str
    got: Array
    want: Array
    entries: Array
    shape: tuple[int, ...]


def every_entry(size: int) -> Array:
    """Choose all entries."""
    return np.arange(size)


def in_dtype(net: Network, dtype: Any) -> Network:
    """Return a copy of a network in another dtype, on its backend or, if that has not the dtype, on "reference"."""
    ops = net.ops if net.ops.dtypes is None or np.dtype(dtype) in net.ops.dtypes else get_ops("reference")
    copy = type(net)(net.layers, rng=np.random.default_rng(0), dtype=dtype, ops=ops)
    copy.theta = ops.xp.asarray(to_host(net.theta)).astype(dtype)
    copy.state_vector[...] = ops.xp.asarray(to_host(net.state_vector))
    return copy


def network_pairs(
    net: Network,
    x: Array,
    dy: Array,
    *,
    train: bool,
    stream: Stream,
    labels: Array | None = None,
    choose: Choose = every_entry,
) -> Iterator[Pair]:
    """Yield dx and the gradient of each parameter for L = <dy, y>, from the pullback and by the complex step.

    Parameters
    ----------
    net : Network
        The network, in float64.
    x : array (N, ...)
        The examples.
    dy : array (N, ...)
        The cotangent, of y's shape.
    train : bool
        The mode of the passes; running statistics do not change.
    stream : callable
        Returns the random stream of each pass.
    labels : array (N,), optional
        For layers that read them.
    choose : callable, optional
        Which entries of each tensor are compared; by default all.

    """
    twin, theta = in_dtype(net, complex), to_host(net.theta)

    def loss(z: Array, parameters: Array) -> Any:
        twin.theta = parameters
        y = twin.forward(_given(z.astype(complex), labels), train=train, rng=stream(), update_state=False)[0]
        return (dy * y).sum()

    g = net.zeros_like_theta()
    _, backward = net.forward(_given(x, labels), train=train, rng=stream(), update_state=False)
    dx = to_host(backward(dy, g))
    yield _pair("x", dx, x, lambda z: loss(z, theta), choose)
    yield from _parameter_pairs(net, to_host(g), theta, lambda parameters: loss(x, parameters), choose)


def pushforward_pairs(
    net: Network,
    x: Array,
    x_dot: Array,
    dy: Array,
    dy_dot: Array,
    *,
    train: bool,
    stream: Stream,
    labels: Array | None = None,
    choose: Choose = every_entry,
) -> Iterator[Pair]:
    """Yield what a pushforward and its pullback return, and the derivatives that they must equal.

    y and y_dot are compared with the complex step along x_dot, and the pullback with the derivatives of
    <dy, y> + <x_dot, J^T dy_dot>, where J^T dy_dot is what the pullback of `forward` returns.

    Parameters
    ----------
    net, x, train, stream, labels, choose
        As for `network_pairs`.
    x_dot : array (N, ...)
        The direction, of x's shape.
    dy, dy_dot : array (N, ...)
        The cotangents of y and y_dot, of y's shape.

    """
    twin, theta = in_dtype(net, complex), to_host(net.theta)

    def passed(z: Array) -> Any:
        return twin.forward(_given(z.astype(complex), labels), train=train, rng=stream(), update_state=False)

    def loss(z: Array, z_dot: Array, parameters: Array) -> Any:
        twin.theta = parameters
        y, pullback = passed(z)
        return (dy * y).sum() + (z_dot * pullback(dy_dot.astype(complex))).sum()

    y, y_dot, backward = net.pushforward(_given(x, labels), x_dot, train=train, rng=stream())
    along, chosen = passed(x + 1j * H * x_dot)[0], choose(y.size)
    for name, got, want in (("y", y, along.real), ("y_dot", y_dot, along.imag / H)):
        yield Pair(name, to_host(got).ravel()[chosen], want.ravel()[chosen], chosen, y.shape)
    g = net.zeros_like_theta()
    dx, dx_dot = (to_host(v) for v in backward(dy, dy_dot, g))
    yield _pair("x", dx, x, lambda z: loss(z, x_dot, theta), choose)
    yield _pair("x_dot", dx_dot, x_dot, lambda z: loss(x, z, theta), choose)
    yield from _parameter_pairs(net, to_host(g), theta, lambda parameters: loss(x, x_dot, parameters), choose)


def objective_pairs(
    objective: Objective, s_real: Array, s_fake: Array, *, choose: Choose = every_entry
) -> Iterator[Pair]:
    """Yield ds_real and ds_fake of D's cost, and ds_fake of G's cost, with their derivatives.

    Parameters
    ----------
    objective : Objective
        The objective.
    s_real, s_fake : array (N, K), (M, K)
        Logits.
    choose : callable, optional
        As for `network_pairs`.

    """
    real, fake = s_real.astype(complex), s_fake.astype(complex)
    _, ds_real, ds_fake = objective.discriminator(s_real, s_fake)
    yield _pair("s_real of J_D", ds_real, s_real, lambda s: objective.discriminator(s, fake)[0], choose)
    yield _pair("s_fake of J_D", ds_fake, s_fake, lambda s: objective.discriminator(real, s)[0], choose)
    ds = generator_cost(objective, s_fake, s_real)[1]
    yield _pair("s_fake of J_G", ds, s_fake, lambda s: generator_cost(objective, s, real)[0], choose)


def one_side_pairs(objective: Objective, s: Array, *, choose: Choose = every_entry) -> Iterator[Pair]:
    """Yield the gradients of both parts of J_D by `one_side`, with their derivatives.    s (N, K)"""
    for is_real, name in ((True, "s of one_side, real"), (False, "s of one_side, fake")):

        def cost(z: Array, *, real: bool = is_real) -> Any:
            return objective.one_side(z, real=real)[0]

        yield _pair(name, objective.one_side(s, real=is_real)[1], s, cost, choose)


def _given(x: Array, labels: Array | None) -> Any:
    return x if labels is None else (x, labels)


def _pair(name: str, got: Array, x: Array, f: Callable[[Array], Any], choose: Choose) -> Pair:
    entries = choose(x.size)
    return Pair(name, got.ravel()[entries], complex_step(f, x, entries), entries, x.shape)


def _parameter_pairs(net: Network, g: Array, theta: Array, f: Callable[[Array], Any], choose: Choose) -> Iterator[Pair]:
    start = 0
    for name, view in net.parameters().items():
        entries = choose(view.size)
        chosen = start + entries
        yield Pair(name, g[chosen], complex_step(f, theta, chosen), entries, view.shape)
        start += view.size
