# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""A chain of small dense layers in one compiled call, and the cost on its logits.

The batch is computed in blocks of n samples, padded to `padded_n`.  A block's activations form a matrix (features of x
and of all layers, samples) that usually fits in the L1 cache (float32, few layers), and the inner loops run over
samples.  The backward pass computes the block's activations again, which costs less than writing those of the whole
batch to memory and reading them back.

`plan` (layers, 4) holds for each layer n_in, n_out, whether it has a bias, and its activation's code; `slopes`
(layers,) the activations' slopes.  theta (P,) holds W (n_in, n_out) and b (n_out,) of each layer in turn.
"""

import numpy as np

from minigan.ops.cpu.kernels.numba.functions import sigmoid, softplus_sigmoid, tanh
from minigan.ops.cpu.kernels.numba.jit import jit, kernel

SAMPLES_MULTIPLE = 64
"""Blocks are padded to a multiple of this many samples, so that every loop consists of whole vectors."""
ACTIVATION_CODES = {"": 0, "ReLU": 1, "LeakyReLU": 2, "Tanh": 3, "Sigmoid": 4}
"""The code in `plan` of each activation's layer class; "" for none."""
RELU, LEAKY_RELU, TANH, SIGMOID = (ACTIVATION_CODES[name] for name in ("ReLU", "LeakyReLU", "Tanh", "Sigmoid"))

sum_kernel = jit({"contract", "reassoc"})
"""Like `kernel`, for functions that sum: the compiler may keep one partial sum for each lane of a vector register.  The
machine code fixes the order, so repeated calls give the same bits."""


# Functions take a matrix and the index of a row, not a view of the row: numba counts references to a view, which takes
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
def _weighted_sum(y, row, x, first, n, w, offset, step, start, m):
    """y_row,j = start + sum_i w_i x_first+i,j for i < n and the first m columns; w_i = w[offset + i step]."""
    # Two terms (or one) first, two more if needed, so that the main loop adds four in each pass over the row.
    if n % 2:
        w0 = w[offset]
        for j in range(m):
            y[row, j] = start + w0 * x[first, j]
        i = 1
    else:
        w0, w1 = w[offset], w[offset + step]
        for j in range(m):
            y[row, j] = start + w0 * x[first, j] + w1 * x[first + 1, j]
        i = 2
    if (n - i) % 4:
        w0, w1, k = w[offset + i * step], w[offset + (i + 1) * step], first + i
        for j in range(m):
            y[row, j] += w0 * x[k, j] + w1 * x[k + 1, j]
        i += 2
    while i < n:
        w0, w1, k = w[offset + i * step], w[offset + (i + 1) * step], first + i
        w2, w3 = w[offset + (i + 2) * step], w[offset + (i + 3) * step]
        for j in range(m):
            y[row, j] += w0 * x[k, j] + w1 * x[k + 1, j] + w2 * x[k + 2, j] + w3 * x[k + 3, j]
        i += 4


@kernel
def _activate(y, i, code, slope, m):
    """y_ij <- f(y_ij), for the first m columns."""
    if code == RELU:
        for j in range(m):
            y[i, j] = y.dtype.type(0) if y[i, j] <= 0 else y[i, j]
    elif code == LEAKY_RELU:
        for j in range(m):
            y[i, j] = y[i, j] if y[i, j] > 0 else slope * y[i, j]
    elif code == TANH:
        for j in range(m):
            y[i, j] = tanh(np.float64(y[i, j]))
    elif code == SIGMOID:
        for j in range(m):
            y[i, j] = sigmoid(np.float64(y[i, j]))


@kernel
def _activate_backward(dy, y, i, code, slope, m):
    """dy_ij <- f'(x_ij) dy_ij, computed from y = f(x); where ReLU is 0 the result is 0, even if dy is not finite."""
    one = y.dtype.type(1)
    if code == RELU:
        for j in range(m):
            dy[i, j] = y.dtype.type(0) if y[i, j] <= 0 else dy[i, j]
    elif code == LEAKY_RELU:
        for j in range(m):
            dy[i, j] = dy[i, j] if y[i, j] > 0 else slope * dy[i, j]
    elif code == TANH:
        for j in range(m):
            dy[i, j] *= one - y[i, j] * y[i, j]
    elif code == SIGMOID:
        for j in range(m):
            dy[i, j] *= y[i, j] * (one - y[i, j])


@kernel
def _load(rows, first, x, C, start, n, padded_n):
    """Copy n samples of x, a vector (N C,), beginning with sample `start`, to C rows, beginning with row `first`.

    Columns n ... padded_n - 1 are set to 0.
    """
    for i in range(C):
        if C == 1:  # x and the row have the same order
            for j in range(n):
                rows[first, j] = x[start + j]
        else:
            for j in range(n):
                rows[first + i, j] = x[(start + j) * C + i]
        for j in range(n, padded_n):
            rows[first + i, j] = 0


@kernel
def _store(x, C, rows, first, start, n):
    """Copy C rows, beginning with row `first`, to n samples of x, a vector (N C,), beginning with sample `start`."""
    for i in range(C):
        if C == 1:
            for j in range(n):
                x[start + j] = rows[first, j]
        else:
            for j in range(n):
                x[(start + j) * C + i] = rows[first + i, j]


@kernel
def _forward_block(theta, activations, plan, slopes, padded_n):
    """Compute the rows of all layers.  The first rows hold x; each layer reads its inputs and writes the next rows."""
    theta_offset = in_row = 0
    for k in range(len(plan)):
        n_in, n_out, bias, code = plan[k, 0], plan[k, 1], plan[k, 2], plan[k, 3]
        slope = theta.dtype.type(slopes[k])
        out_row = in_row + n_in
        for o in range(n_out):
            b = theta[theta_offset + n_in * n_out + o] if bias else theta.dtype.type(0)
            row, weights = out_row + o, theta_offset + o
            _weighted_sum(activations, row, activations, in_row, n_in, theta, weights, n_out, b, padded_n)
            _activate(activations, row, code, slope, padded_n)
        theta_offset += (n_in + bias) * n_out
        in_row = out_row


@kernel
def _backward_block(theta, activations, gradients, plan, slopes, g, need_dx, n, padded_n):
    """Add dL/dtheta to g, unless g is empty, and write dL/dx, if needed, to the first rows of `gradients`.

    The last rows of `gradients` hold dL/dy.
    """
    theta_offset, out_row, zero = len(theta), len(activations), theta.dtype.type(0)
    for k in range(len(plan) - 1, -1, -1):
        n_in, n_out, bias, code = plan[k, 0], plan[k, 1], plan[k, 2], plan[k, 3]
        slope = theta.dtype.type(slopes[k])
        out_row -= n_out
        in_row = out_row - n_in
        theta_offset -= (n_in + bias) * n_out
        for o in range(n_out):
            row = out_row + o
            _activate_backward(gradients, activations, row, code, slope, padded_n)
            for j in range(n, padded_n):
                gradients[row, j] = 0  # the padding does not contribute to the sums
            if len(g):
                for i in range(n_in):  # dL/dW = x^T dy
                    g[theta_offset + i * n_out + o] += _dot(activations, in_row + i, gradients, row, padded_n)
                if bias:  # dL/db = sum_n dy_n
                    g[theta_offset + n_in * n_out + o] += _sum(gradients, row, padded_n)
        if k or need_dx:
            for i in range(n_in):  # dL/dx = dy W^T
                row, weights = in_row + i, theta_offset + i * n_out
                _weighted_sum(gradients, row, gradients, out_row, n_out, theta, weights, 1, zero, padded_n)


@kernel
def mlp_forward(theta, x, plan, slopes, block_rows, block_samples, y):
    """Write y (N O,) for x (N I,).

    A block has `block_rows` rows, one for each feature of x and of all layers, and `block_samples` columns.
    """
    n_in, n_out = plan[0, 0], plan[-1, 1]
    activations = np.empty((block_rows, block_samples), x.dtype)
    N = len(x) // n_in
    for start in range(0, N, block_samples):
        n = min(block_samples, N - start)
        padded_n = -(-n // SAMPLES_MULTIPLE) * SAMPLES_MULTIPLE
        _load(activations, 0, x, n_in, start, n, padded_n)
        _forward_block(theta, activations, plan, slopes, padded_n)
        _store(y, n_out, activations, block_rows - n_out, start, n)


@kernel
def mlp_backward(theta, x, dy, plan, slopes, block_rows, block_samples, g, dx):
    """Add dL/dtheta to g (P,), unless g is empty, and write dL/dx to dx (N I,), unless dx is empty.    dy (N O,)"""
    n_in, n_out = plan[0, 0], plan[-1, 1]
    activations = np.empty((block_rows, block_samples), x.dtype)
    gradients = np.empty((block_rows, block_samples), x.dtype)
    N = len(x) // n_in
    for start in range(0, N, block_samples):
        n = min(block_samples, N - start)
        padded_n = -(-n // SAMPLES_MULTIPLE) * SAMPLES_MULTIPLE
        _load(activations, 0, x, n_in, start, n, padded_n)
        _forward_block(theta, activations, plan, slopes, padded_n)
        activations[:, n:padded_n] = 0  # so that 0 (gradient) times an infinite padding value is not NaN
        _load(gradients, block_rows - n_out, dy, n_out, start, n, padded_n)
        _backward_block(theta, activations, gradients, plan, slopes, g, len(dx) > 0, n, padded_n)
        if len(dx):
            _store(dx, n_in, gradients, 0, start, n)


@sum_kernel
def mean_softplus(s, sign, weight, ds):
    """Return weight / N sum_n softplus(sign s_n) and write its gradient to ds.    s, ds (N,)"""
    total = 0.0
    for j in range(len(s)):
        cost, derivative = softplus_sigmoid(sign * np.float64(s[j]))
        total += cost
        ds[j] = sign * weight * derivative / len(s)
    return weight * total / len(s)
