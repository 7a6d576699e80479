"""The kernels of `minigan.ops.cpu.vector` in NumPy; `minigan.ops.cpu.kernels.numba.vector` has the same, compiled.

Each works on one block of the vectors.  The equations are those of `minigan.ops.reference`; all scalars have the
vectors' dtype.
"""

from typing import Any

import numpy as np

from minigan.ops.cpu.memory import arrays
from minigan.ops.protocol import Array


def adam(
    theta: Array, g: Array, m: Array, v: Array, rate: Any, beta1: Any, rest1: Any, beta2: Any, rest2: Any, root: Any,
    eps: Any,
) -> None:  # fmt: skip
    """One update in place.    rate = lr / (1 - beta1^t)   root = 1 / sqrt(1 - beta2^t)   rest = 1 - beta"""
    t = arrays.empty(g.shape, g.dtype)
    np.multiply(m, beta1, out=m)
    np.add(m, np.multiply(g, rest1, out=t), out=m)
    np.multiply(v, beta2, out=v)
    np.multiply(g, g, out=t)
    np.add(v, np.multiply(t, rest2, out=t), out=v)
    np.add(np.sqrt(v, out=t), eps / root, out=t)  # sqrt(v) root + eps, divided by root: one pass less
    np.divide(m, t, out=t)
    np.subtract(theta, np.multiply(t, rate / root, out=t), out=theta)


def rmsprop(theta: Array, g: Array, v: Array, lr: Any, rho: Any, rest: Any, eps: Any) -> None:
    """One update in place.    rest = 1 - rho"""
    t = arrays.empty(g.shape, g.dtype)
    np.multiply(v, rho, out=v)
    np.multiply(g, g, out=t)
    np.add(v, np.multiply(t, rest, out=t), out=v)
    np.sqrt(v, out=t)
    np.add(t, eps, out=t)
    np.divide(g, t, out=t)
    np.subtract(theta, np.multiply(t, lr, out=t), out=theta)


def momentum(theta: Array, g: Array, u: Array, lr: Any, momentum: Any, nesterov: bool) -> None:
    """One update in place: theta moves by momentum u - lr g (Nesterov), or by u."""
    t = arrays.empty(g.shape, g.dtype)
    np.multiply(u, momentum, out=u)
    np.subtract(u, np.multiply(g, lr, out=t), out=u)
    if nesterov:
        np.subtract(theta, t, out=theta)
        np.add(theta, np.multiply(u, momentum, out=t), out=theta)
    else:
        np.add(theta, u, out=theta)


def decay(theta: Array, rate: Any) -> None:
    """theta <- theta - rate theta, in place."""
    t = arrays.empty(theta.shape, theta.dtype)
    np.subtract(theta, np.multiply(theta, rate, out=t), out=theta)


def sum_of_squares(x: Array) -> float:
    """Return the sum of the squares, computed in float64; it may be infinite."""
    t = arrays.empty(x.shape, np.dtype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.multiply(x, x, out=t, dtype=np.float64).sum())


def finite(x: Array) -> bool:
    """Return whether all numbers are finite."""
    return bool(np.isfinite(x, out=arrays.empty(x.shape, bool)).all())
