"""Small networks: the work of many array operations in one compiled call (`minigan.ops.cpu.compiled_small`).

An array operation of NumPy costs a microsecond before it computes anything; ten dense units on a thousand samples are
computed in less.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.ops.protocol import Array

WIDEST = 32  # features; wider layers are left to BLAS
REAL = frozenset({np.dtype("float32"), np.dtype("float64")})


@functools.cache
def _compiled() -> Any:
    """numba is imported where it is first needed."""
    from minigan.ops.cpu import compiled_small

    return compiled_small


class Chain:
    """y = f_L(... f_1(x W_1 + b_1) ... W_L + b_L), f an activation or nothing.    x (N, I)   y (N, O)

    theta (P,) holds W_1, b_1, W_2, ...  `layers`: n_in, n_out, whether there is a bias, the activation's name ("" for
    none) and its slope, of each layer.
    """

    def __init__(self, layers: Sequence[tuple[int, int, bool, str, float]]) -> None:
        kinds = {"": 0, "ReLU": 1, "LeakyReLU": 2, "Tanh": 3, "Sigmoid": 4}
        self._plan = np.array([(n_in, n_out, bias, kinds[name]) for n_in, n_out, bias, name, _ in layers])
        self._slopes = np.array([float(slope) for *_, slope in layers])
        self._rows = int(self._plan[0, 0] + self._plan[:, 1].sum())
        self._n_out = int(self._plan[-1, 1])

    def forward(self, theta: Array, x: Array) -> Array:
        """Return y."""
        y = np.empty((len(x), self._n_out), x.dtype)
        _compiled().chain(theta, _plain(x), self._plan, self._slopes, self._rows, y)
        return y

    def backward(self, theta: Array, x: Array, dy: Array, g: Array | None, *, need_dx: bool) -> Array | None:
        """Add dL/dtheta to g (None: frozen) and return dL/dx, if needed."""
        dtheta = np.zeros(0 if g is None else len(theta), x.dtype)
        dx = np.empty((len(x) if need_dx else 0, x.shape[1]), x.dtype)
        _compiled().chain_backward(theta, _plain(x), _plain(dy), self._plan, self._slopes, self._rows, dtheta, dx)
        if g is not None:
            g += dtheta
        return dx if need_dx else None


def mean_softplus(s: Array, sign: int, weight: float) -> tuple[Any, Array]:
    """weight mean softplus(sign s) and its gradient."""
    s = _plain(s)
    ds = np.empty(s.shape, s.dtype)
    value = _compiled().mean_softplus(s.reshape(-1), sign, weight, ds.reshape(-1))
    return s.dtype.type(value), ds


def _plain(x: Array) -> Array:
    """C-contiguous, aligned and writable, as the kernels are compiled for."""
    return x if x.flags.carray else x.copy()
