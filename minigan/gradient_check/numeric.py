"""Derivatives by the complex step, Im f(x + i h v) / h = <grad f(x), v> + O(h^2), and relative errors.

There is no subtraction, so that at h = 1e-30 the derivative is exact to rounding (Squire and Trapp 1998, doi:
10.1137/S003614459631241X).  f must be complex-analytic where x is: abs, sign, conj and real are not.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.ops.protocol import Array

H = 1e-30
MAX_TENSOR_ERROR = 1e-13
"""The bound of |d| / max |g| in each tensor for which the layers of this library are tested."""
MAX_DIRECTION_ERROR = 2e-15
"""Their bound of |d| / (||g|| ||v||) along a direction v."""


def complex_step(f: Callable[[Array], Any], x: Array, entries: Sequence[int] | Array | None = None) -> Array:
    """Return the gradient of a real function, one entry at a time.

    Parameters
    ----------
    f : callable
        ``f(z)`` returns a number, for complex z of the shape of x.
    x : array
        Where the gradient is taken, real.
    entries : sequence of int, optional
        The entries of the flattened gradient to compute; by default all.

    Returns
    -------
    array
        The gradient, of the shape of x; or (K,) for K `entries`.

    Examples
    --------
    >>> complex_step(lambda z: (z**3).sum(), np.array([1.0, 2.0]))
    array([ 3., 12.])

    """
    chosen = range(x.size) if entries is None else entries
    g = np.empty(len(chosen))
    for k, i in enumerate(chosen):
        z = x.astype(complex)
        z[np.unravel_index(int(i), x.shape)] += 1j * H
        g[k] = np.imag(f(z)) / H
    return g.reshape(x.shape) if entries is None else g


def tensor_error(got: Array, want: Array, scale: float | None = None) -> float:
    """Return max |got - want| / scale: infinity if it is NaN, or if the scale is 0 and the arrays differ.

    The scale is max |want|, unless it is given.
    """
    if not got.size:
        return 0.0
    scale = float(np.abs(want).max()) if scale is None else scale
    return _ratio(float(np.abs(got - want).max()), scale)


def direction_error(g: Array, v: Array, derivative: complex) -> float:
    """Return |<g, v> - derivative| / (||g|| ||v||), or infinity as `tensor_error` does."""
    return _ratio(float(abs((g * v).sum() - derivative)), float(np.linalg.norm(g)) * float(np.linalg.norm(v)))


def _ratio(error: float, scale: float) -> float:
    if not error < np.inf:  # NaN, too
        return np.inf
    return error / scale if scale else (0.0 if error == 0 else np.inf)
