"""Small networks: the work of many array operations in one compiled call (`minigan.ops.cpu.kernels.numba.mlp`).

An array operation of NumPy costs a microsecond before it computes anything; ten dense units on a thousand samples are
computed in less.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.ops.cpu.executor import contiguous
from minigan.ops.protocol import Array

WIDEST = 32  # features; wider layers are left to BLAS
CACHED = 6144  # numbers of a block, twice: what a first cache holds


@functools.cache
def _compiled() -> Any:
    """numba is imported where it is first needed."""
    from minigan.ops.cpu.kernels.numba import mlp as numba_mlp

    return numba_mlp


class Chain:
    """y = f_L(... f_1(x W_1 + b_1) ... W_L + b_L), f an activation or nothing.    x (N, I)   y (N, O)

    theta (P,) holds W_1, b_1, W_2, ...  `layers`: n_in, n_out, whether there is a bias, the activation's name ("" for
    none) and its slope, of each layer.
    """

    def __init__(self, layers: Sequence[tuple[int, int, bool, str, float]]) -> None:
        kinds = {"": 0, "ReLU": 1, "LeakyReLU": 2, "Tanh": 3, "Sigmoid": 4}
        plan = np.array([(n_in, n_out, bias, kinds[name]) for n_in, n_out, bias, name, _ in layers])
        slopes = np.array([float(slope) for *_, slope in layers])
        rows = int(plan[0, 0] + plan[:, 1].sum())
        columns = min(1024, max(256, CACHED // rows // 64 * 64))
        self._block = plan, slopes, rows, columns
        self._n_out = int(plan[-1, 1])

    def forward(self, theta: Array, x: Array) -> Array:
        """Return y."""
        y = np.empty(len(x) * self._n_out, x.dtype)
        _compiled().chain(theta, _numbers(x), *self._block, y)
        return y.reshape(len(x), self._n_out)

    def backward(self, theta: Array, x: Array, dy: Array, g: Array | None, *, need_dx: bool) -> Array | None:
        """Add dL/dtheta to g (None: frozen) and return dL/dx, if needed."""
        dtheta = np.zeros(0 if g is None else len(theta), x.dtype)
        dx = np.empty(x.size if need_dx else 0, x.dtype)
        _compiled().chain_backward(theta, _numbers(x), _numbers(dy), *self._block, dtheta, dx)
        if g is not None:
            g += dtheta
        return dx.reshape(x.shape) if need_dx else None


def mean_softplus(s: Array, sign: int, weight: float) -> tuple[Any, Array]:
    """weight mean softplus(sign s) and its gradient."""
    ds = np.empty(s.size, s.dtype)
    value = _compiled().mean_softplus(_numbers(s), sign, weight, ds)
    return s.dtype.type(value), ds.reshape(s.shape)


def _numbers(x: Array) -> Array:
    """x in C order as a vector, aligned and writable, as the kernels are compiled for."""
    return contiguous(x).reshape(-1)
