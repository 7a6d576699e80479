"""The subjects of the claims about second derivatives: each layer's pushforward, and gradient penalties.

The values are computed by `forward` and its pullback alone, so that nothing of a pushforward is compared with itself.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

import minigan as mg
from minigan.gan.penalties import R1, R2, GradientPenalty, WassersteinPenalty
from minigan.layers.base import Layer, Shape
from minigan.network import Network
from verify.arithmetic.dual import Array
from verify.library.differentiable import Differentiable, layout
from verify.library.subjects import constant, like, network

PENALTIES: dict[str, GradientPenalty] = {"r1": R1(2.0), "r2": R2(3.0), "wasserstein": WassersteinPenalty(10.0)}


def of_pushforward(
    layer: Layer | Sequence[Layer], shape: Shape, rng: np.random.Generator, *, train: bool, n: int = 3, ops: str = "cpu"
) -> tuple[Differentiable, Differentiable]:
    """Return L = <dy, y> + <dy_dot, J x_dot> as a function of (x, x_dot, theta), and of (dy, dy_dot).

    Parameters
    ----------
    layer, shape, rng, train, n, ops
        As for `verify.library.subjects.of_layer`.

    Returns
    -------
    Differentiable
        L as a function of x, x_dot and theta.  Its value is <dy, y> + <x_dot, J^T dy_dot>, by `forward` and its
        pullback; its gradient is that of the pushforward's pullback.
    Differentiable
        The same value as a function of dy and dy_dot; its gradient is (y, y_dot) of the pushforward.

    """
    net = network(layer, rng, ops=ops)
    x, x_dot = rng.standard_normal((2, n, *shape))
    seed = int(rng.integers(2**32))
    labels = rng.integers(net.n_classes, size=n) if net.n_classes else None

    def given(x: Array) -> Any:
        return x if labels is None else (x, labels)

    def keys(twin: Network) -> list[list[int]]:
        return twin.draw_keys(n, np.random.default_rng(seed))

    out = net.forward(given(x), train=train, keys=keys(net), update_state=False)[0].shape
    dy, dy_dot = rng.standard_normal((2, *out))
    point, tensors = layout(x=x, x_dot=x_dot, **net.parameters())
    cotangents, of_outputs = layout(y=dy, y_dot=dy_dot)

    def value(x: Array, x_dot: Array, twin: Network, dy: Array, dy_dot: Array) -> Any:
        y, backward = twin.forward(given(x), train=train, keys=keys(twin), update_state=False)
        return (dy * y).sum() + (x_dot * backward(dy_dot)).sum()

    def unpacked(t: Array) -> tuple[Array, Array, Network]:
        return t[: x.size].reshape(x.shape), t[x.size : 2 * x.size].reshape(x.shape), like(net, t, t[2 * x.size :])

    def of_inputs(t: Array) -> Any:
        return value(*unpacked(t), constant(dy, t), constant(dy_dot, t))

    def gradient(t: Array) -> Array:
        z, z_dot, twin = unpacked(t)
        backward = twin.pushforward(given(z), z_dot, train=train, keys=keys(twin))[2]
        g = twin.zeros_like_theta()
        dx, dx_dot = backward(constant(dy, t), constant(dy_dot, t), g)
        return np.concatenate([dx.ravel(), dx_dot.ravel(), g])

    def of_cotangents(t: Array) -> Any:
        a, b = t[: dy.size].reshape(out), t[dy.size :].reshape(out)
        return value(constant(x, t), constant(x_dot, t), like(net, t), a, b)

    def outputs(t: Array) -> Array:
        y, y_dot, _ = like(net, t).pushforward(given(constant(x, t)), constant(x_dot, t), train=train, keys=keys(net))
        return np.concatenate([y.ravel(), y_dot.ravel()])

    scale = float(np.linalg.norm(cotangents))
    return (
        Differentiable(point, tensors, of_inputs, gradient, scale),
        Differentiable(cotangents, of_outputs, of_cotangents, outputs, scale),
    )


def of_penalty(penalty: GradientPenalty, rng: np.random.Generator, *, ops: str = "cpu") -> Differentiable:
    """Return P as a function of theta_D; its value uses grad_x D of the pullback, its gradient the pushforward.

    D has dense, convolution and maxout layers, smooth and kinked activations and dropout.
    """
    layers: list[Layer] = [
        mg.Conv2D(1, 2, 2), mg.Tanh(), mg.Dropout(0.3), mg.Flatten(), mg.Maxout(4, 3, pieces=2), mg.Softplus(),
        mg.Dense(3, 3), mg.LeakyReLU(0.2), mg.Dense(3, 1),
    ]  # fmt: skip
    D = network(layers, rng, ops=ops)
    x_real, x_fake = rng.standard_normal((2, 3, 3, 2, 1))
    seed = int(rng.integers(2**32))
    point, tensors = layout(**D.parameters())
    last = list(D.parameters())[-1]
    del tensors[last]  # P does not depend on the bias of D(x); a claim of its own checks that its gradient is 0
    point = point[: next(iter(reversed(tensors.values()))).stop]

    def at(t: Array) -> tuple[Network, Array, Array, np.random.Generator]:
        theta = np.concatenate([t, constant(D.parameters()[last], t)])
        return like(D, t, theta), constant(x_real, t), constant(x_fake, t), np.random.default_rng(seed)

    def value(t: Array) -> Any:
        twin, real, fake, stream = at(t)
        x = penalty.points(twin, real, fake, rng=stream)
        s, backward = twin.forward(x, train=True, keys=twin.draw_keys(len(x), stream), update_state=False)
        return penalty.of_gradient(twin, backward(constant(np.ones(s.shape), t)))[0]

    def gradient(t: Array) -> Array:
        twin, real, fake, stream = at(t)
        g = twin.zeros_like_theta()
        penalty.add_gradient(twin, real, fake, g, rng=stream)
        return g[: len(t)]

    return Differentiable(point, tensors, value, gradient)
