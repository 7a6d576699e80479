# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""The kernels of `minigan.ops.cpu.kernels.numpy.norm_act`, compiled: each element of a part is read and written once.

The loops over channels are short and have one or two results each, so that the compiler vectorises them.  Dropout's
factors are computed for one row at a time, which stays in the L1 cache.  `norm` is None or (mu, scale, beta),
each (C,); `mask` is a `minigan.ops.norm_act.MaskArguments`.
"""

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import inlined, kernel

ROWS_PER_SUM = 64
"""Rows that are added up in the array's own precision before the result is added to the sum in float64."""


@inlined
def dropout_hash(i, low, high):
    """`reference.dropout_hash`."""
    h = np.uint32(np.uint32(i * np.uint32(0x9E3779B1)) ^ low)
    h = np.uint32(np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)) ^ high)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    return np.uint32(h ^ (h >> np.uint32(13)))


@inlined
def _dropout_row(factors, r, mask, zero):
    """Write dropout's factors of row r; without dropout `factors` keeps the ones that it holds."""
    if mask.drops:
        begin = np.uint32(mask.first + np.uint32(r * factors.size))
        for c in range(factors.size):
            h = dropout_hash(np.uint32(begin + np.uint32(c)), mask.key_low, mask.key_high)
            factors[c] = mask.keep_scale if h >= mask.threshold else zero


@inlined
def _activate(v, relu, slope, zero):
    """f(v).  With `relu`, slope is 1, so that a NaN stays NaN."""
    y = v if v > zero else v * slope
    return zero if relu and v <= zero else y


@inlined
def _activate_backward(v, d, relu, slope, zero):
    """f'(v) d."""
    t = d if v > zero else d * slope
    return zero if relu and v <= zero else t


@inlined
def _cotangent(d, u, dy, factors, r, norm, relu, slope, zero):
    """d = f'(v) mask dy, of row r."""
    if norm is None:
        for c in range(d.size):
            d[c] = _activate_backward(u[r, c], dy[r, c] * factors[c], relu, slope, zero)
    else:
        mu, scale, beta = norm
        for c in range(d.size):
            v = (u[r, c] - mu[c]) * scale[c] + beta[c]
            d[c] = _activate_backward(v, dy[r, c] * factors[c], relu, slope, zero)


@kernel
def pre(x, u, mask):
    """u = f(mask x)."""
    zero, relu, slope = x.dtype.type(0), mask.relu, mask.slope
    factors = np.ones(x.shape[1], x.dtype)
    for r in range(x.shape[0]):
        _dropout_row(factors, r, mask, zero)
        for c in range(x.shape[1]):
            u[r, c] = _activate(x[r, c] * factors[c], relu, slope, zero)


@kernel
def pre_backward(x, dx, mask):
    """dx <- mask f'(mask x) dx, in place."""
    zero, relu, slope = x.dtype.type(0), mask.relu, mask.slope
    factors = np.ones(x.shape[1], x.dtype)
    for r in range(x.shape[0]):
        _dropout_row(factors, r, mask, zero)
        for c in range(x.shape[1]):
            dx[r, c] = _activate_backward(x[r, c] * factors[c], dx[r, c], relu, slope, zero) * factors[c]


@kernel
def statistics(u, pivot, remainder, m2):
    """Compute for each channel a number near the mean, mean - pivot, and sum (u - mean)^2.    (C,), float64.

    Return whether the pivot is so far from the mean in a channel that m2 has lost digits.
    """
    R, C = u.shape
    zero = u.dtype.type(0)
    rough, s, q = np.zeros(C, u.dtype), np.zeros(C, u.dtype), np.zeros(C, u.dtype)
    for r in range(R):
        for c in range(C):
            rough[c] += u[r, c]
    for c in range(C):
        rough[c] /= u.dtype.type(R)
        pivot[c] = rough[c]
        remainder[c] = 0
        m2[c] = 0
    for start in range(0, R, ROWS_PER_SUM):
        s[:] = zero
        q[:] = zero
        for r in range(start, min(start + ROWS_PER_SUM, R)):
            for c in range(C):
                d = u[r, c] - rough[c]
                s[c] += d
                q[c] += d * d
        for c in range(C):
            remainder[c] += s[c]
            m2[c] += q[c]
    far = False
    for c in range(C):
        remainder[c] /= R
        excess = R * (remainder[c] * remainder[c])
        m2[c] -= excess
        far |= excess > m2[c]
    return far


@kernel
def apply(u, y, norm, mask):
    """y = mask f(v)."""
    zero, relu, slope = u.dtype.type(0), mask.relu, mask.slope
    factors = np.ones(u.shape[1], u.dtype)
    for r in range(u.shape[0]):
        _dropout_row(factors, r, mask, zero)
        if norm is None:
            for c in range(u.shape[1]):
                y[r, c] = _activate(u[r, c], relu, slope, zero) * factors[c]
        else:
            mu, scale, beta = norm
            for c in range(u.shape[1]):
                v = (u[r, c] - mu[c]) * scale[c] + beta[c]
                y[r, c] = _activate(v, relu, slope, zero) * factors[c]


@kernel
def sums(u, dy, norm, mask, sum_d, sum_dx):
    """sum_d = sum of d, sum_dx = sum of d (u - mu), with d = f'(v) mask dy.    (C,), float64."""
    R, C = u.shape
    zero, relu, slope = u.dtype.type(0), mask.relu, mask.slope
    factors, d = np.ones(C, u.dtype), np.empty(C, u.dtype)
    s, q = np.zeros(C, u.dtype), np.zeros(C, u.dtype)
    mu = norm[0]
    for c in range(C):
        sum_d[c] = 0
        sum_dx[c] = 0
    for start in range(0, R, ROWS_PER_SUM):
        s[:] = zero
        q[:] = zero
        for r in range(start, min(start + ROWS_PER_SUM, R)):
            _dropout_row(factors, r, mask, zero)
            _cotangent(d, u, dy, factors, r, norm, relu, slope, zero)
            for c in range(C):
                s[c] += d[c]
                q[c] += d[c] * (u[r, c] - mu[c])
        for c in range(C):
            sum_d[c] += s[c]
            sum_dx[c] += q[c]


@kernel
def backward(u, dy, dx, norm, mask, mean_terms):
    """dx = d scale + (u - mu) linear + constant, mean_terms = (linear, constant), each (C,), or None for d scale."""
    R, C = u.shape
    zero, relu, slope = u.dtype.type(0), mask.relu, mask.slope
    factors, d = np.ones(C, u.dtype), np.empty(C, u.dtype)
    for r in range(R):
        _dropout_row(factors, r, mask, zero)
        _cotangent(d, u, dy, factors, r, norm, relu, slope, zero)
        if norm is None:
            for c in range(C):
                dx[r, c] = d[c]
        elif mean_terms is None:
            scale = norm[1]
            for c in range(C):
                dx[r, c] = d[c] * scale[c]
        else:
            mu, scale = norm[0], norm[1]
            linear, constant = mean_terms
            for c in range(C):
                dx[r, c] = d[c] * scale[c] + ((u[r, c] - mu[c]) * linear[c] + constant[c])
