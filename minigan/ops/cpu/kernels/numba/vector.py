# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""The kernels of `minigan.ops.cpu.kernels.numpy.vector`, compiled: one pass over the vectors."""

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import kernel


@kernel
def adam(theta, g, m, v, rate, beta1, rest1, beta2, rest2, root, eps):
    """One update in place.    rate = lr / (1 - beta1^t)   root = 1 / sqrt(1 - beta2^t)   rest = 1 - beta"""
    for i in range(theta.size):
        m[i] = beta1 * m[i] + rest1 * g[i]
        v[i] = beta2 * v[i] + rest2 * (g[i] * g[i])
        theta[i] -= rate * (m[i] / (np.sqrt(v[i]) * root + eps))


@kernel
def rmsprop(theta, g, v, lr, rho, rest, eps):
    """One update in place.    rest = 1 - rho"""
    for i in range(theta.size):
        v[i] = rho * v[i] + rest * (g[i] * g[i])
        theta[i] -= lr * (g[i] / (np.sqrt(v[i]) + eps))


@kernel
def momentum(theta, g, u, lr, momentum, nesterov):
    """One update in place: theta moves by momentum u - lr g (Nesterov), or by u."""
    for i in range(theta.size):
        u[i] = momentum * u[i] - lr * g[i]
        theta[i] += momentum * u[i] - lr * g[i] if nesterov else u[i]


@kernel
def decay(theta, rate):
    """theta <- theta - rate theta, in place."""
    for i in range(theta.size):
        theta[i] -= rate * theta[i]


@kernel
def sum_of_squares(x):
    """Return the sum of the squares, computed in float64: four sums, so that an addition need not wait for the last."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = x.size - x.size % 4
    for i in range(0, whole, 4):
        p, q, r, s = np.float64(x[i]), np.float64(x[i + 1]), np.float64(x[i + 2]), np.float64(x[i + 3])
        a, b, c, d = a + p * p, b + q * q, c + r * r, d + s * s
    for i in range(whole, x.size):
        p = np.float64(x[i])
        a += p * p
    return (a + b) + (c + d)


@kernel
def finite(x):
    """Return whether all numbers are finite: 0 x is 0 for them, and NaN for others."""
    wrong, zero = 0, x.dtype.type(0)
    for i in range(x.size):
        wrong |= x[i] * zero != zero
    return wrong == 0
