"""Gradient checks: complex step per parameter and along a direction, and the gates.

For analytic f, Im f(x + i h v) / h = <grad f, v> + O(h^2), with no subtraction: at h = 1e-30 it is exact to rounding.
"""

import numpy as np

H = 1e-30
TENSOR_GATE = 1e-13  # |d| / max |g|, per tensor
DIRECTION_GATE = 2e-15  # |d| / (||g|| ||v||)


def cotangent(rng, shape):
    """A random dy: an all-ones one is blind behind batch norm and softmax."""
    return rng.standard_normal(shape)


def complex_step(f, x):
    """The gradient of the real function f at x, one entry at a time."""
    g = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        z = x.astype(complex)
        z[index] += 1j * H
        g[index] = np.imag(f(z)) / H
    return g


def assert_tensor(got, want, scale=None, gate=TENSOR_GATE):
    """|got - want| <= gate max |want|; `scale` replaces the maximum where the gradient is structurally zero."""
    scale = np.abs(want).max() if scale is None else scale
    error = np.abs(got - want).max() / scale
    assert error <= gate, f"relative error {error:.3g}, gate {gate:g}"


def direction_error(g, v, derivative, at_least=0.0):
    """|<g, v> - derivative| / (||g|| ||v||), with ||g|| no smaller than `at_least`."""
    return abs(g.ravel() @ v.ravel() - derivative) / (max(np.linalg.norm(g), at_least) * np.linalg.norm(v))
