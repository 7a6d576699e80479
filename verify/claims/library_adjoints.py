r"""Claims: exact adjoints, <A u, dy> = <u, A^T dy> on whole numbers, where float64 does not round.

A layer that is linear in x (or in its weights) has a pullback that is the transpose; a piecewise linear one, where no
mask changes between x and x + u.  All numbers here are small multiples of a power of 2, so every product and sum of the
library is exact in float64.  The two sides, computed in rationals from its results, must be equal on both backends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

import minigan as mg
from minigan.layers.base import Layer, Shape
from minigan.network import Network
from verify.arithmetic.dual import Array
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim


@dataclass(frozen=True)
class Linear:
    """A (piecewise) linear layer, the shape of x, and whether it is linear in its weights too."""

    layer: Layer
    shape: Shape
    weights: bool = False  # linear in W and b for fixed x, too


PIECEWISE_LINEAR = {
    "BatchNorm at inference": Linear(mg.BatchNorm(3, eps=0.25), (2, 3)),  # var 0.75: 1 / sqrt(var + eps) = 1
    "ConcatEmbedding": Linear(mg.ConcatEmbedding(4, 2), (3,), weights=True),
    "Dense": Linear(mg.Dense(4, 3), (4,), weights=True),
    "Dense 1-5": Linear(mg.Dense(1, 5), (1,), weights=True),
    "Dense, no bias": Linear(mg.Dense(3, 2, bias=False), (3,), weights=True),
    "Dropout": Linear(mg.Dropout(0.5), (5,)),  # mask 0 or 2
    "Embedding": Linear(mg.Embedding(4, 2), (3,), weights=True),
    "Flatten": Linear(mg.Flatten(), (2, 3)),
    "LeakyReLU": Linear(mg.LeakyReLU(0.25), (2, 5)),
    "Maxout": Linear(mg.Maxout(4, 3, pieces=5), (4,), weights=True),
    "PixelShuffle": Linear(mg.PixelShuffle((2, 3)), (1, 2, 12)),
    "PixelUnshuffle": Linear(mg.PixelUnshuffle((2, 3)), (2, 3, 2)),
    "Projection": Linear(mg.Projection(4, 3), (4,), weights=True),
    "ReLU": Linear(mg.ReLU(), (2, 5)),
    "ReflectionPad2D": Linear(mg.ReflectionPad2D(((1, 2), (0, 1))), (3, 2, 2)),
    "Reshape": Linear(mg.Reshape((3, 2)), (6,)),
}


def whole_numbers(rng: np.random.Generator, shape: Shape, size: int) -> Array:
    """Return whole numbers in [-size, size] without 0, as float64."""
    return (rng.integers(1, size + 1, shape) * rng.choice([-1, 1], shape)).astype(float)


def adjoints(proof: Proof, fault: Callable[[Array], Array] = lambda g: g) -> None:
    """Check <f(x + u) - f(x), dy> = <u, dx>, and the same in the parameters, as an equation of rationals."""
    for name, item in PIECEWISE_LINEAR.items():
        for ops in ("reference", "cpu"):
            for k in range(proof.scale(quick=5, full=20, deep=100)):
                equal = _adjoint(proof.rng, item, ops, fault)
                proof.holds(f"{name}, {ops}, {k}: <A u, dy> = <u, A^T dy>", equal)


def _adjoint(rng: np.random.Generator, item: Linear, ops: str, fault: Callable[[Array], Array]) -> bool:
    net = Network([item.layer], rng=rng, dtype="float64", ops=ops)
    for statistic, value in net.state.items():
        value[...] = 3.0 if statistic.endswith("mean") else 0.75
    train, mask = isinstance(item.layer, mg.Dropout), int(rng.integers(2**32))
    labels = rng.integers(net.n_classes, size=6) if net.n_classes else None

    def f(x: Array, theta: Array) -> tuple[Array, Callable[..., Array]]:
        net.theta = theta
        batch = x if labels is None else (x, labels)
        return net.forward(batch, train=train, rng=np.random.default_rng(mask))

    while True:
        x, theta = whole_numbers(rng, (6, *item.shape), 500), whole_numbers(rng, net.theta.shape, 900)
        u, v = whole_numbers(rng, x.shape, 3), whole_numbers(rng, theta.shape, 3)
        y_u, y_v = f(x + u, theta)[0], f(x, theta + v)[0]
        y_0 = f(x, theta)[0]
        # These layers are convex in x and in theta: with equality at the middle, no kink lies between.
        if (y_u + f(x - u, theta)[0] == 2 * y_0).all() and (y_v + f(x, theta - v)[0] == 2 * y_0).all():
            break
    y, backward = f(x, theta)
    dy, g = whole_numbers(rng, y.shape, 9), net.zeros_like_theta()
    dx = fault(backward(dy, g))
    equal = dot(y_u - y, dy) == dot(u, dx)
    return equal and (not item.weights or dot(y_v - y, dy) == dot(fault(g), v))


def dot(a: Array, b: Array) -> Fraction:
    """Return <a, b> of two arrays of floats, exactly."""
    pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
    return sum((Fraction(x) * Fraction(y) for x, y in pairs), Fraction(0))


def _one_off(g: Array) -> Array:
    wrong = g.copy()
    wrong.reshape(-1)[0] += 1
    return wrong


claim(
    "Lib.adjoint.integers",
    "The pullbacks of the (piecewise) linear layers are exact transposes.",
    latex=r"\langle A u, \bar y\rangle = \langle u, A^{\mathsf T} \bar y\rangle",
    source=Source("minigan", "layers"),
    rigor="exact-rational",
    idea="Multiples of a power of 2 below 2^53: float64 arithmetic is exact and both sides must be equal.",
    controls={
        "one entry of each gradient is off by 1": partial(adjoints, fault=_one_off),
        "gradients times 1 + 2^-40": partial(adjoints, fault=lambda g: g * (1 + 2.0**-40)),
    },
)(adjoints)
