# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""One compiled call for a whole chain of small dense layers and for the cost on its logits.

Samples go through the chain in blocks: a block's activations lie feature by feature, (width, COLUMNS), in a core's
first cache, and the inner loops run over samples.  The backward pass runs the block forward again, which costs less
than activations of the whole batch that travel to memory and back.

A plan (layers, 4) has n_in, n_out, whether there is a bias, and the activation behind the layer; theta is the chain's
part of the parameters, W (n_in, n_out) and b (n_out,) of each layer in turn.
"""

import numba
import numpy as np

from minigan.ops.cpu.compiled_functions import sigmoid, softplus_sigmoid, tanh
from minigan.ops.cpu.jit import kernel

COLUMNS = 256  # samples of a block
LANES = 64  # blocks are filled up to a multiple, so that no loop has a rest that is too short for vector instructions
LINEAR, RELU, LEAKY_RELU, TANH, SIGMOID = range(5)

summing = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
"""As `kernel`, for sums: taken in as many parts as vectors have lanes.  The order is the machine code's: always one."""


@summing
def _dot(a, b, m):
    """sum_j a_j b_j over the first m columns."""
    total = a.dtype.type(0)
    for j in range(m):
        total += a[j] * b[j]
    return total


@summing
def _sum(a, m):
    """sum_j a_j over the first m columns."""
    total = a.dtype.type(0)
    for j in range(m):
        total += a[j]
    return total


@kernel
def _combine(y, x, w, first, stride, m):
    """y_j += sum_i w_i x_ij over the first m columns, w_i = w[first + i stride]; four rows of x a pass over y."""
    n = len(x)
    for i in range(0, n - 3, 4):
        w0, w1, w2, w3 = (
            w[first + i * stride],
            w[first + (i + 1) * stride],
            w[first + (i + 2) * stride],
            w[first + (i + 3) * stride],
        )
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(m):
            y[j] += w0 * x0[j] + w1 * x1[j] + w2 * x2[j] + w3 * x3[j]
    for i in range(n - n % 4, n):
        wi, xi = w[first + i * stride], x[i]
        for j in range(m):
            y[j] += wi * xi[j]


@kernel
def _activate(y, kind, slope, m):
    """y <- f(y)."""
    if kind == RELU:
        for j in range(m):
            y[j] = y.dtype.type(0) if y[j] <= 0 else y[j]
    elif kind == LEAKY_RELU:
        for j in range(m):
            y[j] = y[j] if y[j] > 0 else slope * y[j]
    elif kind == TANH:
        for j in range(m):
            y[j] = tanh(np.float64(y[j]))
    elif kind == SIGMOID:
        for j in range(m):
            y[j] = sigmoid(np.float64(y[j]))


@kernel
def _activate_backward(dy, y, kind, slope, m):
    """dy <- f'(x) dy, from y = f(x); 0 where ReLU is, whatever dy is there."""
    one = y.dtype.type(1)
    if kind == RELU:
        for j in range(m):
            dy[j] = y.dtype.type(0) if y[j] <= 0 else dy[j]
    elif kind == LEAKY_RELU:
        for j in range(m):
            dy[j] = dy[j] if y[j] > 0 else slope * dy[j]
    elif kind == TANH:
        for j in range(m):
            dy[j] *= one - y[j] * y[j]
    elif kind == SIGMOID:
        for j in range(m):
            dy[j] *= y[j] * (one - y[j])


@kernel
def _load(rows, x, start, n, m):
    """rows (C, COLUMNS) <- n examples of x (N, C) from `start` on, and zeros up to m."""
    for i in range(x.shape[1]):
        row = rows[i]
        for j in range(n):
            row[j] = x[start + j, i]
        row[n:m] = 0


@kernel
def _store(x, rows, start, n):
    """The same n examples of x <- rows."""
    for i in range(x.shape[1]):
        row = rows[i]
        for j in range(n):
            x[start + j, i] = row[j]


@kernel
def _run(theta, a, plan, slopes, m):
    """From the input in the first rows of a, every layer's activations into the rows behind its input's."""
    at = low = 0
    for k in range(len(plan)):
        n_in, n_out, bias, kind = plan[k, 0], plan[k, 1], plan[k, 2], plan[k, 3]
        slope = theta.dtype.type(slopes[k])
        high = low + n_in
        for o in range(n_out):
            y = a[high + o]
            y[:m] = theta[at + n_in * n_out + o] if bias else theta.dtype.type(0)
            _combine(y, a[low:high], theta, at + o, n_out, m)
            _activate(y, kind, slope, m)
        at += (n_in + bias) * n_out
        low = high


@kernel
def _pull_back(theta, a, d, plan, slopes, g, need_dx, n, m):
    """From dL/dy in the last rows of d: dL/dtheta added to g, unless g is empty, and, if needed, dL/dx in the first."""
    at, high = len(theta), len(a)
    for k in range(len(plan) - 1, -1, -1):
        n_in, n_out, bias, kind = plan[k, 0], plan[k, 1], plan[k, 2], plan[k, 3]
        slope = theta.dtype.type(slopes[k])
        high -= n_out
        low = high - n_in
        at -= (n_in + bias) * n_out
        for o in range(n_out):
            dy = d[high + o]
            _activate_backward(dy, a[high + o], kind, slope, m)
            dy[n:m] = 0  # the columns that fill the block up count for nothing
            if len(g):
                for i in range(n_in):
                    g[at + i * n_out + o] += _dot(a[low + i], dy, m)  # dL/dW = x^T dy
                if bias:
                    g[at + n_in * n_out + o] += _sum(dy, m)  # dL/db = sum_n dy_n
        if k or need_dx:
            for i in range(n_in):
                dx = d[low + i]
                dx[:m] = 0
                _combine(dx, d[high : high + n_out], theta, at + i * n_out, 1, m)  # dL/dx = dy W^T


@kernel
def chain(theta, x, plan, slopes, rows, y):
    """y (N, O) of x (N, I); `rows` is the sum of all widths."""
    a = np.empty((rows, COLUMNS), x.dtype)
    for start in range(0, len(x), COLUMNS):
        n = min(COLUMNS, len(x) - start)
        m = -(-n // LANES) * LANES
        _load(a, x, start, n, m)
        _run(theta, a, plan, slopes, m)
        _store(y, a[rows - y.shape[1] :], start, n)


@kernel
def chain_backward(theta, x, dy, plan, slopes, rows, g, dx):
    """dL/dtheta is added to g (P,), or (0,): frozen; dL/dx goes to dx (N, I), or (0, I): not needed."""
    a, d = np.empty((rows, COLUMNS), x.dtype), np.empty((rows, COLUMNS), x.dtype)
    for start in range(0, len(x), COLUMNS):
        n = min(COLUMNS, len(x) - start)
        m = -(-n // LANES) * LANES
        _load(a, x, start, n, m)
        _run(theta, a, plan, slopes, m)
        a[:, n:m] = 0
        _load(d[rows - dy.shape[1] :], dy, start, n, m)
        _pull_back(theta, a, d, plan, slopes, g, len(dx) > 0, n, m)
        if len(dx):
            _store(dx, d, start, n)


@summing
def mean_softplus(s, sign, weight, ds):
    """weight / N sum_n softplus(sign s_n) and, in ds, its gradient.    s, ds (N,)"""
    total = 0.0
    for j in range(len(s)):
        cost, slope = softplus_sigmoid(sign * np.float64(s[j]))
        total += cost
        ds[j] = sign * weight * slope / len(s)
    return weight * total / len(s)
