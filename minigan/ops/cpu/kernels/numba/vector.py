# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""The bodies of `numpy_flat`, compiled: one pass over the vectors."""

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import kernel


@kernel
def adam(theta, g, m, v, rate, beta1, rest1, beta2, rest2, root, eps):
    """rate = lr / (1 - beta1^t),  root = 1 / sqrt(1 - beta2^t),  rest = 1 - beta."""
    for i in range(theta.size):
        m[i] = beta1 * m[i] + rest1 * g[i]
        v[i] = beta2 * v[i] + rest2 * (g[i] * g[i])
        theta[i] -= rate * (m[i] / (np.sqrt(v[i]) * root + eps))


@kernel
def rmsprop(theta, g, v, lr, rho, rest, eps):
    """rest = 1 - rho."""
    for i in range(theta.size):
        v[i] = rho * v[i] + rest * (g[i] * g[i])
        theta[i] -= lr * (g[i] / (np.sqrt(v[i]) + eps))


@kernel
def momentum(theta, g, u, lr, momentum, nesterov):
    """The step is momentum u - lr g (Nesterov), or u."""
    for i in range(theta.size):
        u[i] = momentum * u[i] - lr * g[i]
        theta[i] += momentum * u[i] - lr * g[i] if nesterov else u[i]


@kernel
def finite(x):
    """Whether no number is infinite or NaN: 0 x is 0 for all others."""
    wrong, zero = 0, x.dtype.type(0)
    for i in range(x.size):
        wrong |= x[i] * zero != zero
    return wrong == 0
