# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"
"""What a dense network computes between two products, for one part of a layer's units.

A part is a matrix (N, width) of as many units as fill PART_VECTORS vectors, so that the loops over units have a length
that the compiler knows.  It holds N = S M samples, S sub-batches of M.  Sums over samples are added up in the array's
own precision for ROWS_PER_SUM samples, and then in float64, as in `minigan.ops.cpu.kernels.numba.norm_act`.

Arguments are pointers and int64.  `dense.forward` and `dense.backward` call these functions by address, so each of them
is compiled once for a dtype, and only if a network needs it.
"""

import numpy as np

from minigan.ops.cpu.kernels.numba.functions import sigmoid, tanh
from minigan.ops.cpu.kernels.numba.jit import inlined, kernel_by_address
from minigan.ops.cpu.kernels.numba.norm_act import ROWS_PER_SUM, _activate, _activate_backward, dropout_hash
from minigan.ops.cpu.kernels.numba.pointers import number, row_of, sums_of, width_of

MAX_PIVOTS = 3
"""How often the variance is computed, each time with a pivot nearer to the mean, until it has lost no digits."""
N_NUMBERS = 5
SLOPE, EPS, STEP, VARIANCE_SCALE, NORM_SLOPE = range(N_NUMBERS)
"""A layer's numbers, float64: the slope of its activation; batch norm's eps, its step of the running statistics and the
scale of the biased variance; the slope of the activation after batch norm."""
N_COEFFICIENTS = 5
MU, SCALE, SHIFT, INVERSE_STD, REMAINDER = range(N_COEFFICIENTS)
"""The rows of batch norm's coefficients (N_COEFFICIENTS, units): the mean, in the dtype of x; gamma / std; beta, with
what rounding the mean has lost; 1 / std; the mean minus mu."""
TRAIN, UPDATE, RELU_AFTER, ADD_GRADIENT, WRITE_GRADIENT = 1, 2, 4, 8, 16
"""The bits of `flags`: statistics of the batch; the running ones are updated; the activation after batch norm is a
ReLU; dL/dgamma and dL/dbeta are added to the gradient, or written there."""

SIGNATURES = {
    "load": "x i x i i",
    "store": "x i i x i",
    "load_transposed": "x i x i i",
    "store_transposed": "x i i i x i",
    "add_bias": "x i i x i",
    "sum_of_rows": "x i i i x i",
    "maximum": "x i i i x b i",
    "maximum_backward": "x i i i b i x",
    "drop": "x i i i i h d",
    "rectify": "x i i d",
    "rectify_backward": "x x i i d",
    "hyperbolic_tangent": "x i i d",
    "hyperbolic_tangent_backward": "x x i i d",
    "logistic": "x i i d",
    "logistic_backward": "x x i i d",
    "normalise": "x i i i x x x x d i d i",
    "normalise_backward": "x x i i i d i d i x x",
}
"""Of each function the types of its arguments: x, d, b, h: a pointer to numbers of the network's dtype, float64, uint8,
uint32; i: an int64."""


@kernel_by_address
def load(x, stride, part, N, w):
    """part_nc = x[n stride + c] for c < w, else 0."""
    width = width_of(part)
    for n in range(N):
        if w == width:
            for c in range(width):
                part[n * width + c] = x[n * stride + c]
        else:
            for c in range(width):
                part[n * width + c] = 0
            for c in range(w):
                part[n * width + c] = x[n * stride + c]
    return 0


@kernel_by_address
def store(part, N, w, x, stride):
    """x[n stride + c] = part_nc for c < w."""
    width = width_of(part)
    for n in range(N):
        if w == width:
            for c in range(width):
                x[n * stride + c] = part[n * width + c]
        else:
            for c in range(w):
                x[n * stride + c] = part[n * width + c]
    return 0


@kernel_by_address
def load_transposed(x, row, part, N, w):
    """part_nc = x[c row + n] for c < w, else 0."""
    width = width_of(part)
    for n in range(N):
        for c in range(w):
            part[n * width + c] = x[c * row + n]
        for c in range(w, width):
            part[n * width + c] = 0
    return 0


@kernel_by_address
def store_transposed(part, columns, N, w, x, stride):
    """x[c stride + n] = part_nc for c < w.    part (N, columns)"""
    for c in range(w):
        for n in range(N):
            x[c * stride + n] = part[n * columns + c]
    return 0


@kernel_by_address
def add_bias(part, columns, N, bias, w):
    """part_nc += b_c for c < w.    part (N, columns)"""
    for n in range(N):
        for c in range(w):
            part[n * columns + c] += bias[c]
    return 0


@kernel_by_address
def sum_of_rows(part, columns, N, w, g, add):
    """g_c = sum_n part_nc, or with `add` that much more, for c < w.    part (N, columns)"""
    width, s, total = width_of(part), row_of(part), sums_of(part)
    for left in range(0, w, width):
        n_columns = min(width, w - left)
        for c in range(width):
            total[c] = 0
        for first in range(0, N, ROWS_PER_SUM):
            for c in range(width):
                s[c] = 0
            for n in range(first, min(first + ROWS_PER_SUM, N)):
                for c in range(n_columns):
                    s[c] += part[n * columns + left + c]
            for c in range(width):
                total[c] += s[c]
        for c in range(n_columns):
            g[left + c] = g[left + c] + total[c] if add else total[c]
    return 0


@kernel_by_address
def maximum(a, N, pieces, w, u, winners, stride):
    """u_nc = max_p a_n,(c pieces + p); winners[n stride + c] is the first p that has the maximum, or is NaN."""
    width = width_of(u)
    for n in range(N):
        for c in range(w):
            first = n * width * pieces + c * pieces
            best, winner = a[first], np.uint8(0)
            for p in range(1, pieces):
                candidate = a[first + p]
                better = (candidate > best) | ((candidate != candidate) & (best == best))
                best, winner = candidate if better else best, np.uint8(p) if better else winner
            u[n * width + c] = best
            winners[n * stride + c] = winner
    return 0


@kernel_by_address
def maximum_backward(du, N, pieces, w, winners, stride, da):
    """da_n,(c pieces + p) = du_nc for the winning piece p, else 0."""
    width = width_of(du)
    for i in range(N * width * pieces):
        da[i] = 0
    for n in range(N):
        for c in range(w):
            da[n * width * pieces + c * pieces + np.int64(winners[n * stride + c])] = du[n * width + c]
    return 0


@kernel_by_address
def drop(part, S, M, unit, stride, words, keep_scale):
    """part_nc <- factor part_nc.    words (S, 3): of each sub-batch threshold, key_low and key_high

    For sample n of its sub-batch the factor is keep_scale, or 0 where the hash of n stride + unit + c is below the
    threshold.
    """
    width, zero, kept = width_of(part), number(part, 0), number(part, keep_scale[0])
    for s in range(S):
        threshold, low, high = words[3 * s], words[3 * s + 1], words[3 * s + 2]
        for n in range(M):
            begin = np.uint32(n * stride + unit)
            for c in range(width):
                h = dropout_hash(np.uint32(begin + np.uint32(c)), low, high)
                part[(s * M + n) * width + c] *= kept if h >= threshold else zero
    return 0


@kernel_by_address
def rectify(y, n, relu, numbers):
    """y_i <- ReLU or LeakyReLU of y_i, for i < n."""
    zero, slope = number(y, 0), number(y, 1.0 if relu else numbers[SLOPE])
    for i in range(n):
        y[i] = _activate(y[i], relu > 0, slope, zero)
    return 0


@kernel_by_address
def rectify_backward(dy, y, n, relu, numbers):
    """dy_i <- f'(x_i) dy_i, from y = f(x); where ReLU is 0 the result is 0, even if dy is not finite."""
    zero, slope = number(y, 0), number(y, 1.0 if relu else numbers[SLOPE])
    for i in range(n):
        dy[i] = _activate_backward(y[i], dy[i], relu > 0, slope, zero)
    return 0


@kernel_by_address
def hyperbolic_tangent(y, n, relu, numbers):
    """y_i <- tanh y_i, for i < n."""
    for i in range(n):
        y[i] = tanh(np.float64(y[i]))
    return 0


@kernel_by_address
def hyperbolic_tangent_backward(dy, y, n, relu, numbers):
    """dy_i <- (1 - y_i^2) dy_i."""
    one = number(y, 1)
    for i in range(n):
        dy[i] *= one - y[i] * y[i]
    return 0


@kernel_by_address
def logistic(y, n, relu, numbers):
    """y_i <- sigmoid y_i, for i < n."""
    for i in range(n):
        y[i] = sigmoid(np.float64(y[i]))
    return 0


@kernel_by_address
def logistic_backward(dy, y, n, relu, numbers):
    """dy_i <- y_i (1 - y_i) dy_i."""
    one = number(y, 1)
    for i in range(n):
        dy[i] *= y[i] * (one - y[i])
    return 0


@kernel_by_address
def normalise(u, S, M, w, gamma, beta, mean, var, coefficients, units, numbers, flags):
    """u <- f((u - mu) gamma / std + beta), and save the coefficients; training updates the running statistics."""
    width, zero, one, train = width_of(u), number(u, 0), number(u, 1), flags & TRAIN
    mu, scale, shift, pivot, distance, variance = row_of(u), row_of(u), row_of(u), row_of(u), sums_of(u), sums_of(u)
    step, eps, slope = number(u, numbers[STEP]), number(u, numbers[EPS]), number(u, numbers[NORM_SLOPE])
    for c in range(width):
        mu[c] = scale[c] = shift[c] = 0
    for s in range(S):
        if train:
            _moments(u, s * M, (s + 1) * M, pivot, distance, variance)
        for c in range(w):
            if not train:
                pivot[c], variance[c], distance[c] = mean[c], var[c], 0
            mu[c] = pivot[c] + distance[c]
            if train and flags & UPDATE:
                _move(mean, c, mu[c], step)
                _move(var, c, number(u, number(u, variance[c]) * numbers[VARIANCE_SCALE]), step)
            inverse_std = one / np.sqrt(number(u, variance[c]) + eps)
            scale[c] = gamma[c] * inverse_std
            remainder = (np.float64(pivot[c]) - mu[c]) + distance[c]
            shift[c] = beta[c] - remainder * scale[c]
            at = s * N_COEFFICIENTS * units + c
            coefficients[at + MU * units], coefficients[at + SCALE * units] = mu[c], scale[c]
            coefficients[at + SHIFT * units], coefficients[at + INVERSE_STD * units] = shift[c], inverse_std
            coefficients[at + REMAINDER * units] = remainder
        for n in range(s * M, (s + 1) * M):
            for c in range(width):
                i = n * width + c
                u[i] = _activate((u[i] - mu[c]) * scale[c] + shift[c], flags & RELU_AFTER > 0, slope, zero)
    return 0


@inlined
def _move(state, c, batch, step):
    """Move a running statistic towards the batch's, as `BatchNorm.update` does."""
    stay = number(state, 1) - step
    if step > 0.5:
        state[c] = batch + stay * (state[c] - batch)
    else:
        state[c] += step * (batch - state[c])


@inlined
def _moments(u, first, last, pivot, distance, var):
    """Compute the mean, as pivot + distance, and the biased variance of the samples first ... last - 1."""
    width, R = width_of(u), last - first
    s, q, total, squares = row_of(u), row_of(u), sums_of(u), sums_of(u)
    for c in range(width):
        pivot[c] = 0
    for n in range(first, last):
        for c in range(width):
            pivot[c] += u[n * width + c]
    for c in range(width):
        pivot[c] /= number(u, R)
    attempt, far = 0, True
    while far:
        if attempt > 0:
            for c in range(width):
                pivot[c] += distance[c]
        for c in range(width):
            total[c] = squares[c] = 0
        for start in range(first, last, ROWS_PER_SUM):
            for c in range(width):
                s[c] = q[c] = 0
            for n in range(start, min(start + ROWS_PER_SUM, last)):
                for c in range(width):
                    d = u[n * width + c] - pivot[c]
                    s[c] += d
                    q[c] += d * d
            for c in range(width):
                total[c] += s[c]
                squares[c] += q[c]
        far = False
        for c in range(width):
            distance[c] = total[c] / R
            excess = R * (distance[c] * distance[c])
            m2 = squares[c] - excess
            far |= excess > m2
            var[c] = 0.0 if m2 < 0 else m2 / R
        attempt += 1
        far &= attempt < MAX_PIVOTS


@kernel_by_address
def normalise_backward(d, u, S, M, w, coefficients, units, numbers, flags, g_gamma, g_beta):
    """Apply the pullback of batch norm and of the activation after it to d, and compute dL/dgamma and dL/dbeta."""
    width, zero, train = width_of(u), number(u, 0), flags & TRAIN
    mu, scale, shift, linear, constant = row_of(u), row_of(u), row_of(u), row_of(u), row_of(u)
    s_, q, sum_d, sum_dx, dgamma, dbeta = row_of(u), row_of(u), sums_of(u), sums_of(u), sums_of(u), sums_of(u)
    slope = number(u, numbers[NORM_SLOPE])
    for c in range(width):
        mu[c] = scale[c] = shift[c] = linear[c] = constant[c] = 0
        dgamma[c] = dbeta[c] = 0
    for s in range(S):
        first, last, at = s * M, (s + 1) * M, s * N_COEFFICIENTS * units
        for c in range(w):
            mu[c], scale[c] = coefficients[at + MU * units + c], coefficients[at + SCALE * units + c]
            shift[c] = coefficients[at + SHIFT * units + c]
        for c in range(width):
            sum_d[c] = sum_dx[c] = 0
        for start in range(first, last, ROWS_PER_SUM):
            for c in range(width):
                s_[c] = q[c] = 0
            for n in range(start, min(start + ROWS_PER_SUM, last)):
                for c in range(width):
                    i = n * width + c
                    distance = u[i] - mu[c]
                    t = _activate_backward(distance * scale[c] + shift[c], d[i], flags & RELU_AFTER > 0, slope, zero)
                    d[i] = t
                    s_[c] += t
                    q[c] += t * distance
            for c in range(width):
                sum_d[c] += s_[c]
                sum_dx[c] += q[c]
        for c in range(w):
            inverse_std = coefficients[at + INVERSE_STD * units + c]
            remainder = coefficients[at + REMAINDER * units + c]
            d_gamma = (sum_dx[c] - remainder * sum_d[c]) * inverse_std
            dgamma[c] += d_gamma
            dbeta[c] += sum_d[c]
            if train:
                factor = -scale[c] * d_gamma * inverse_std / M
                linear[c], constant[c] = factor, -scale[c] * sum_d[c] / M - factor * remainder
        for n in range(first, last):
            for c in range(width):
                i = n * width + c
                if train:
                    d[i] = d[i] * scale[c] + ((u[i] - mu[c]) * linear[c] + constant[c])
                else:
                    d[i] *= scale[c]
    for c in range(w):
        if flags & ADD_GRADIENT:
            g_gamma[c] += dgamma[c]
            g_beta[c] += dbeta[c]
        elif flags & WRITE_GRADIENT:
            g_gamma[c], g_beta[c] = dgamma[c], dbeta[c]
    return 0
