# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""A chain of small dense layers in one compiled call, and the cost on its logits.

The batch is computed in blocks of samples.  A block's activations form a matrix (features of all layers, samples) that
fits in the first-level cache, and the inner loops run over samples.  The backward pass computes the block's activations
again, which costs less than writing those of the whole batch to memory and reading them back.

`plan` (layers, 4) holds for each layer n_in, n_out, whether it has a bias, and its activation; `slopes` (layers,) the
activations' slopes.  theta (P,) holds W (n_in, n_out) and b (n_out,) of each layer in turn.
"""

import numpy as np

from minigan.ops.cpu.kernels.numba.functions import sigmoid, softplus_sigmoid, tanh
from minigan.ops.cpu.kernels.numba.jit import jit, kernel

SAMPLES_MULTIPLE = 64
"""Blocks are padded to a multiple of this many samples, so that every loop consists of whole vectors."""
LINEAR, RELU, LEAKY_RELU, TANH, SIGMOID = range(5)

sum_kernel = jit({"contract", "reassoc"})
"""As `kernel`, for functions that sum: the compiler may add in as many partial sums as a vector has lanes.  The machine
code fixes the order, so repeated calls give the same bits."""


# Functions take a matrix and the number of a row, not a view of the row: numba counts references to a view, which takes
# as long as the arithmetic.


@sum_kernel
def _dot(a, i, b, o, m):
    """sum_j a_ij b_oj, over the first m columns."""
    total = a.dtype.type(0)
    for j in range(m):
        total += a[i, j] * b[o, j]
    return total


@sum_kernel
def _sum(a, i, m):
    """sum_j a_ij, over the first m columns."""
    total = a.dtype.type(0)
    for j in range(m):
        total += a[i, j]
    return total


@kernel
def _weighted_sum(y, row, x, low, n, w, at, step, start, m):
    """y_row,j = start + sum_i w_i x_low+i,j for i < n and the first m columns; w_i = w[at + i step]."""
    if n % 2:
        w0 = w[at]
        for j in range(m):
            y[row, j] = start + w0 * x[low, j]
        i = 1
    else:
        w0, w1 = w[at], w[at + step]
        for j in range(m):
            y[row, j] = start + w0 * x[low, j] + w1 * x[low + 1, j]
        i = 2
    if (n - i) % 4:
        w0, w1, k = w[at + i * step], w[at + (i + 1) * step], low + i
        for j in range(m):
            y[row, j] += w0 * x[k, j] + w1 * x[k + 1, j]
        i += 2
    while i < n:
        w0, w1, k = w[at + i * step], w[at + (i + 1) * step], low + i
        w2, w3 = w[at + (i + 2) * step], w[at + (i + 3) * step]
        for j in range(m):
            y[row, j] += w0 * x[k, j] + w1 * x[k + 1, j] + w2 * x[k + 2, j] + w3 * x[k + 3, j]
        i += 4


@kernel
def _activate(y, i, kind, slope, m):
    """y_ij <- f(y_ij), for the first m columns."""
    if kind == RELU:
        for j in range(m):
            y[i, j] = y.dtype.type(0) if y[i, j] <= 0 else y[i, j]
    elif kind == LEAKY_RELU:
        for j in range(m):
            y[i, j] = y[i, j] if y[i, j] > 0 else slope * y[i, j]
    elif kind == TANH:
        for j in range(m):
            y[i, j] = tanh(np.float64(y[i, j]))
    elif kind == SIGMOID:
        for j in range(m):
            y[i, j] = sigmoid(np.float64(y[i, j]))


@kernel
def _activate_backward(dy, y, i, kind, slope, m):
    """dy_ij <- f'(x_ij) dy_ij, computed from y = f(x); where ReLU is 0 the result is 0, even if dy is not finite."""
    one = y.dtype.type(1)
    if kind == RELU:
        for j in range(m):
            dy[i, j] = y.dtype.type(0) if y[i, j] <= 0 else dy[i, j]
    elif kind == LEAKY_RELU:
        for j in range(m):
            dy[i, j] = dy[i, j] if y[i, j] > 0 else slope * dy[i, j]
    elif kind == TANH:
        for j in range(m):
            dy[i, j] *= one - y[i, j] * y[i, j]
    elif kind == SIGMOID:
        for j in range(m):
            dy[i, j] *= y[i, j] * (one - y[i, j])


@kernel
def _load(rows, low, x, C, start, n, m):
    """Copy n samples of x, a vector (N C,), from `start` on to C rows from `low` on; set columns n ... m - 1 to 0."""
    for i in range(C):
        if C == 1:  # x and the row have the same order
            for j in range(n):
                rows[low, j] = x[start + j]
        else:
            for j in range(n):
                rows[low + i, j] = x[(start + j) * C + i]
        for j in range(n, m):
            rows[low + i, j] = 0


@kernel
def _store(x, C, rows, low, start, n):
    """Copy C rows from `low` on to n samples of x, a vector (N C,), from `start` on."""
    for i in range(C):
        if C == 1:
            for j in range(n):
                x[start + j] = rows[low, j]
        else:
            for j in range(n):
                x[(start + j) * C + i] = rows[low + i, j]


@kernel
def _forward_block(theta, a, plan, slopes, m):
    """Compute all activations; a's first rows hold the input, and each layer writes the rows after those it reads."""
    at = low = 0
    for k in range(len(plan)):
        n_in, n_out, bias, kind = plan[k, 0], plan[k, 1], plan[k, 2], plan[k, 3]
        slope = theta.dtype.type(slopes[k])
        high = low + n_in
        for o in range(n_out):
            b = theta[at + n_in * n_out + o] if bias else theta.dtype.type(0)
            _weighted_sum(a, high + o, a, low, n_in, theta, at + o, n_out, b, m)
            _activate(a, high + o, kind, slope, m)
        at += (n_in + bias) * n_out
        low = high


@kernel
def _backward_block(theta, a, d, plan, slopes, g, need_dx, n, m):
    """Add dL/dtheta to g, unless g is empty, and if needed write dL/dx to d's first rows; its last rows hold dL/dy."""
    at, high, zero = len(theta), len(a), theta.dtype.type(0)
    for k in range(len(plan) - 1, -1, -1):
        n_in, n_out, bias, kind = plan[k, 0], plan[k, 1], plan[k, 2], plan[k, 3]
        slope = theta.dtype.type(slopes[k])
        high -= n_out
        low = high - n_in
        at -= (n_in + bias) * n_out
        for o in range(n_out):
            _activate_backward(d, a, high + o, kind, slope, m)
            for j in range(n, m):
                d[high + o, j] = 0  # the padding does not contribute to the sums
            if len(g):
                for i in range(n_in):
                    g[at + i * n_out + o] += _dot(a, low + i, d, high + o, m)  # dL/dW = x^T dy
                if bias:
                    g[at + n_in * n_out + o] += _sum(d, high + o, m)  # dL/db = sum_n dy_n
        if k or need_dx:
            for i in range(n_in):
                _weighted_sum(d, low + i, d, high, n_out, theta, at + i * n_out, 1, zero, m)  # dL/dx = dy W^T


@kernel
def mlp_forward(theta, x, plan, slopes, features, samples, y):
    """Write y (N O,) for x (N I,); a block has `features` rows, those of x and of all layers, and `samples` columns."""
    n_in, n_out = plan[0, 0], plan[-1, 1]
    a = np.empty((features, samples), x.dtype)
    N = len(x) // n_in
    for start in range(0, N, samples):
        n = min(samples, N - start)
        m = -(-n // SAMPLES_MULTIPLE) * SAMPLES_MULTIPLE
        _load(a, 0, x, n_in, start, n, m)
        _forward_block(theta, a, plan, slopes, m)
        _store(y, n_out, a, features - n_out, start, n)


@kernel
def mlp_backward(theta, x, dy, plan, slopes, features, samples, g, dx):
    """Add dL/dtheta to g (P,), unless g is empty, and write dL/dx to dx (N I,), unless dx is empty.    dy (N O,)"""
    n_in, n_out = plan[0, 0], plan[-1, 1]
    a, d = np.empty((features, samples), x.dtype), np.empty((features, samples), x.dtype)
    N = len(x) // n_in
    for start in range(0, N, samples):
        n = min(samples, N - start)
        m = -(-n // SAMPLES_MULTIPLE) * SAMPLES_MULTIPLE
        _load(a, 0, x, n_in, start, n, m)
        _forward_block(theta, a, plan, slopes, m)
        a[:, n:m] = 0
        _load(d, features - n_out, dy, n_out, start, n, m)
        _backward_block(theta, a, d, plan, slopes, g, len(dx) > 0, n, m)
        if len(dx):
            _store(dx, n_in, d, 0, start, n)


@sum_kernel
def mean_softplus(s, sign, weight, ds):
    """Return weight / N sum_n softplus(sign s_n) and write its gradient to ds.    s, ds (N,)"""
    total = 0.0
    for j in range(len(s)):
        cost, slope = softplus_sigmoid(sign * np.float64(s[j]))
        total += cost
        ds[j] = sign * weight * slope / len(s)
    return weight * total / len(s)
