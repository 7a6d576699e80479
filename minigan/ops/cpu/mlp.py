"""Small dense networks: many array operations in one compiled call (`minigan.ops.cpu.kernels.numba.mlp`).

A NumPy operation costs about a microsecond before it computes anything.  Ten dense units on a thousand samples take
less than that to compute.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.ops.cpu.executor import contiguous
from minigan.ops.protocol import Array

MAX_FEATURES = 32
"""The widest layer for which these kernels are used; BLAS computes wider ones faster."""
MAX_BLOCK_NUMBERS = 6144
"""How many numbers a block of samples may have in all layers, unless MIN_BLOCK_SAMPLES requires more.  Two such blocks
in float32, the activations and gradients of the backward pass, take 48 KiB, the size of many L1 caches."""
MIN_BLOCK_SAMPLES, MAX_BLOCK_SAMPLES = 256, 1024
"""The fewest samples of a block, so that the loops over samples are long, and the most."""


@functools.cache
def _kernels() -> Any:
    """Import numba when it is first needed."""
    from minigan.ops.cpu.kernels.numba import mlp as numba_mlp

    return numba_mlp


class MLP:
    """y = f_L(... f_1(x W_1 + b_1) ... W_L + b_L), each f_l an activation or the identity.    x (N, I)   y (N, O)

    Parameters
    ----------
    layers
        For each layer: n_in, n_out, whether it has a bias, the name of its activation ("" for none) and that
        activation's slope (0.0 if it has none).

    """

    def __init__(self, layers: Sequence[tuple[int, int, bool, str, float]]) -> None:
        codes = _kernels().ACTIVATION_CODES
        plan = np.array([(n_in, n_out, bias, codes[name]) for n_in, n_out, bias, name, _ in layers])
        slopes = np.array([float(slope) for *_, slope in layers])
        block_rows = int(plan[0, 0] + plan[:, 1].sum())
        rounded = MAX_BLOCK_NUMBERS // block_rows // 64 * 64
        self._plan = plan, slopes, block_rows, min(MAX_BLOCK_SAMPLES, max(MIN_BLOCK_SAMPLES, rounded))
        self._n_out = int(plan[-1, 1])

    def forward(self, theta: Array, x: Array) -> Array:
        """Return y (N, O).    theta (P,) holds W_1, b_1, W_2, ..., each in C order   x (N, I)"""
        y = np.empty(len(x) * self._n_out, x.dtype)
        _kernels().mlp_forward(theta, _vector(x), *self._plan, y)
        return y.reshape(len(x), self._n_out)

    def backward(
        self, theta: Array, x: Array, dy: Array, g: Array | None, *, need_dx: bool, overwrite: bool = False
    ) -> Array | None:
        """Add dL/dtheta to g (P,), or with `overwrite` write it there, unless g is None (frozen).

        Return dL/dx (N, I), or None if it is not needed.
        """
        if overwrite and g is not None and g.flags.carray:
            dtheta = g
            g.fill(0)
        else:
            dtheta = np.zeros(0 if g is None else len(theta), x.dtype)
        dx = np.empty(x.size if need_dx else 0, x.dtype)
        _kernels().mlp_backward(theta, _vector(x), _vector(dy), *self._plan, dtheta, dx)
        if g is not None and g is not dtheta:
            if overwrite:
                g[...] = dtheta
            else:
                g += dtheta
        return dx.reshape(x.shape) if need_dx else None


def mean_softplus(s: Array, sign: int, weight: float) -> tuple[Any, Array]:
    """weight / N sum_n softplus(sign s_n) and its gradient in s, sign weight sigmoid(sign s_n) / N.

    Parameters
    ----------
    s
        The logits, (N,) or (N, 1), float32 or float64.
    sign
        1 or -1.
    weight
        A factor of the mean.

    Returns
    -------
    value
        A scalar of the logits' dtype.
    ds
        The gradient, of the shape of s.

    """
    ds = np.empty(s.size, s.dtype)
    value = _kernels().mean_softplus(_vector(s), sign, weight, ds)
    return s.dtype.type(value), ds.reshape(s.shape)


def _vector(x: Array) -> Array:
    """Return x as a vector in the memory layout for which the kernels are compiled: C order, aligned, writable."""
    return contiguous(x).reshape(-1)
