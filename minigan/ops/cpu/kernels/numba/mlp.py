# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""One compiled call for a whole chain of small dense layers and for the cost on its logits.

Samples go through the chain in blocks: a block's activations lie feature by feature, (rows, columns), in a core's
first cache, and the inner loops run over samples.  The backward pass runs the block forward again, which costs less
than activations of the whole batch that travel to memory and back.

A plan (layers, 4) has n_in, n_out, whether there is a bias, and the activation behind the layer; theta is the chain's
part of the parameters, W (n_in, n_out) and b (n_out,) of each layer in turn.
"""

import numpy as np

from minigan.ops.cpu.kernels.numba.functions import sigmoid, softplus_sigmoid, tanh
from minigan.ops.cpu.kernels.numba.jit import compiled, kernel

LANES = 64  # blocks are filled up to a multiple, so that no loop has a rest that is too short for vector instructions
LINEAR, RELU, LEAKY_RELU, TANH, SIGMOID = range(5)

summing = compiled({"contract", "reassoc"})
"""As `kernel`, for sums: taken in as many parts as vectors have lanes.  The order is the machine code's: always one."""


# Rows are named by their numbers: a view of each would have to be counted, at the price of the arithmetic.


@summing
def _dot(a, i, b, o, m):
    """sum_j a_ij b_oj over the first m columns."""
    total = a.dtype.type(0)
    for j in range(m):
        total += a[i, j] * b[o, j]
    return total


@summing
def _sum(a, i, m):
    """sum_j a_ij over the first m columns."""
    total = a.dtype.type(0)
    for j in range(m):
        total += a[i, j]
    return total


@kernel
def _combine(y, row, x, low, n, w, at, step, start, m):
    """y_row,j = start + sum_i w_i x_low+i,j over i < n and the first m columns, w_i = w[at + i step]."""
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
    """y_i <- f(y_i)."""
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
    """dy_i <- f'(x_i) dy_i, from y = f(x); 0 where ReLU is, whatever dy is there."""
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
    """C rows from `low` on <- n examples of x (N, C), here (N C,), from `start` on, and zeros up to m."""
    for i in range(C):
        if C == 1:  # copied as it is
            for j in range(n):
                rows[low, j] = x[start + j]
        else:
            for j in range(n):
                rows[low + i, j] = x[(start + j) * C + i]
        for j in range(n, m):
            rows[low + i, j] = 0


@kernel
def _store(x, C, rows, low, start, n):
    """The same n examples of x <- rows."""
    for i in range(C):
        if C == 1:
            for j in range(n):
                x[start + j] = rows[low, j]
        else:
            for j in range(n):
                x[(start + j) * C + i] = rows[low + i, j]


@kernel
def _run(theta, a, plan, slopes, m):
    """From the input in the first rows of a, every layer's activations into the rows behind its input's."""
    at = low = 0
    for k in range(len(plan)):
        n_in, n_out, bias, kind = plan[k, 0], plan[k, 1], plan[k, 2], plan[k, 3]
        slope = theta.dtype.type(slopes[k])
        high = low + n_in
        for o in range(n_out):
            b = theta[at + n_in * n_out + o] if bias else theta.dtype.type(0)
            _combine(a, high + o, a, low, n_in, theta, at + o, n_out, b, m)
            _activate(a, high + o, kind, slope, m)
        at += (n_in + bias) * n_out
        low = high


@kernel
def _pull_back(theta, a, d, plan, slopes, g, need_dx, n, m):
    """From dL/dy in the last rows of d: dL/dtheta added to g, unless g is empty, and, if needed, dL/dx in the first."""
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
                d[high + o, j] = 0  # the columns that fill the block up count for nothing
            if len(g):
                for i in range(n_in):
                    g[at + i * n_out + o] += _dot(a, low + i, d, high + o, m)  # dL/dW = x^T dy
                if bias:
                    g[at + n_in * n_out + o] += _sum(d, high + o, m)  # dL/db = sum_n dy_n
        if k or need_dx:
            for i in range(n_in):
                _combine(d, low + i, d, high, n_out, theta, at + i * n_out, 1, zero, m)  # dL/dx = dy W^T


@kernel
def chain(theta, x, plan, slopes, rows, columns, y):
    """y (N O,) of x (N I,); `rows` is the sum of all widths."""
    n_in, n_out = plan[0, 0], plan[-1, 1]
    a = np.empty((rows, columns), x.dtype)
    N = len(x) // n_in
    for start in range(0, N, columns):
        n = min(columns, N - start)
        m = -(-n // LANES) * LANES
        _load(a, 0, x, n_in, start, n, m)
        _run(theta, a, plan, slopes, m)
        _store(y, n_out, a, rows - n_out, start, n)


@kernel
def chain_backward(theta, x, dy, plan, slopes, rows, columns, g, dx):
    """dL/dtheta is added to g (P,), or (0,): frozen; dL/dx goes to dx (N I,), or (0,): not needed.    dy (N O,)"""
    n_in, n_out = plan[0, 0], plan[-1, 1]
    a, d = np.empty((rows, columns), x.dtype), np.empty((rows, columns), x.dtype)
    N = len(x) // n_in
    for start in range(0, N, columns):
        n = min(columns, N - start)
        m = -(-n // LANES) * LANES
        _load(a, 0, x, n_in, start, n, m)
        _run(theta, a, plan, slopes, m)
        a[:, n:m] = 0
        _load(d, rows - n_out, dy, n_out, start, n, m)
        _pull_back(theta, a, d, plan, slopes, g, len(dx) > 0, n, m)
        if len(dx):
            _store(dx, n_in, d, 0, start, n)


@summing
def mean_softplus(s, sign, weight, ds):
    """weight / N sum_n softplus(sign s_n) and, in ds, its gradient.    s, ds (N,)"""
    total = 0.0
    for j in range(len(s)):
        cost, slope = softplus_sigmoid(sign * np.float64(s[j]))
        total += cost
        ds[j] = sign * weight * slope / len(s)
    return weight * total / len(s)
