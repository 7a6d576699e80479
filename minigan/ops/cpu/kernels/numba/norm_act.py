# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""The bodies of `numpy_rows`, compiled: every number of a part is read once, worked on and written.

The loops over channels are kept short, with one or two results each, so that the compiler makes vector instructions of
them; dropout's mask is made a row at a time, in the first cache.
"""

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import inlined, kernel

ROWS = 64
"""Rows that are summed in the array's own precision before they go into the sum in float64."""


@inlined
def _hash(i, low, high):
    """`reference.dropout_hash`."""
    h = np.uint32(np.uint32(i * np.uint32(0x9E3779B1)) ^ low)
    h = np.uint32(np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)) ^ high)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    return np.uint32(h ^ (h >> np.uint32(13)))


@inlined
def _mask(row, r, gate, zero):
    """Write the mask of row r, where there is dropout (elsewhere `row` holds ones already)."""
    if gate[2]:
        first, threshold, low, high, kept = gate[3], gate[4], gate[5], gate[6], gate[7]
        begin = np.uint32(first + np.uint32(r * row.size))
        for c in range(row.size):
            row[c] = kept if _hash(np.uint32(begin + np.uint32(c)), low, high) >= threshold else zero


@inlined
def _activate(v, relu, slope, zero):
    """f(v).  A ReLU has the slope 1: where v is neither positive nor masked, it is NaN."""
    y = v if v > zero else v * slope
    return zero if relu and v <= zero else y


@inlined
def _activate_back(v, d, relu, slope, zero):
    """f'(v) d."""
    t = d if v > zero else d * slope
    return zero if relu and v <= zero else t


@inlined
def _cotangent(d, u, dy, mask, r, norm, relu, slope, zero):
    """d = f'(v) mask dy, of row r."""
    if norm is None:
        for c in range(d.size):
            d[c] = _activate_back(u[r, c], dy[r, c] * mask[c], relu, slope, zero)
    else:
        mu, scale, beta = norm
        for c in range(d.size):
            v = (u[r, c] - mu[c]) * scale[c] + beta[c]
            d[c] = _activate_back(v, dy[r, c] * mask[c], relu, slope, zero)


@kernel
def before(x, u, gate):
    """u = f(mask x)."""
    zero, relu, slope = x.dtype.type(0), gate[0], gate[1]
    mask = np.ones(x.shape[1], x.dtype)
    for r in range(x.shape[0]):
        _mask(mask, r, gate, zero)
        for c in range(x.shape[1]):
            u[r, c] = _activate(x[r, c] * mask[c], relu, slope, zero)


@kernel
def before_back(x, dx, gate):
    """dx <- mask f'(mask x) dx, in place."""
    zero, relu, slope = x.dtype.type(0), gate[0], gate[1]
    mask = np.ones(x.shape[1], x.dtype)
    for r in range(x.shape[0]):
        _mask(mask, r, gate, zero)
        for c in range(x.shape[1]):
            dx[r, c] = _activate_back(x[r, c] * mask[c], dx[r, c], relu, slope, zero) * mask[c]


@kernel
def statistics(u, pivot, rest, m2):
    """Of each channel: a number near the mean, mean - pivot, and the sum of (u - mean)^2.    (C,), float64."""
    R, C = u.shape
    zero = u.dtype.type(0)
    rough, s, q = np.zeros(C, u.dtype), np.zeros(C, u.dtype), np.zeros(C, u.dtype)
    for r in range(R):
        for c in range(C):
            rough[c] += u[r, c]
    for c in range(C):
        rough[c] /= u.dtype.type(R)
        pivot[c] = rough[c]
        rest[c] = 0
        m2[c] = 0
    for start in range(0, R, ROWS):
        s[:] = zero
        q[:] = zero
        for r in range(start, min(start + ROWS, R)):
            for c in range(C):
                d = u[r, c] - rough[c]
                s[c] += d
                q[c] += d * d
        for c in range(C):
            rest[c] += s[c]
            m2[c] += q[c]
    for c in range(C):
        rest[c] /= R
        m2[c] -= R * (rest[c] * rest[c])


@kernel
def apply(u, y, norm, gate):
    """y = mask f(v)."""
    zero, relu, slope = u.dtype.type(0), gate[0], gate[1]
    mask = np.ones(u.shape[1], u.dtype)
    for r in range(u.shape[0]):
        _mask(mask, r, gate, zero)
        if norm is None:
            for c in range(u.shape[1]):
                y[r, c] = _activate(u[r, c], relu, slope, zero) * mask[c]
        else:
            mu, scale, beta = norm
            for c in range(u.shape[1]):
                v = (u[r, c] - mu[c]) * scale[c] + beta[c]
                y[r, c] = _activate(v, relu, slope, zero) * mask[c]


@kernel
def sums(u, dy, norm, gate, sum_d, sum_dx):
    """With d = f'(v) mask dy: sum_d = sum of d,  sum_dx = sum of d (u - mu).    (C,), float64."""
    R, C = u.shape
    zero, relu, slope = u.dtype.type(0), gate[0], gate[1]
    mask, d = np.ones(C, u.dtype), np.empty(C, u.dtype)
    s, q = np.zeros(C, u.dtype), np.zeros(C, u.dtype)
    mu = norm[0]
    for c in range(C):
        sum_d[c] = 0
        sum_dx[c] = 0
    for start in range(0, R, ROWS):
        s[:] = zero
        q[:] = zero
        for r in range(start, min(start + ROWS, R)):
            _mask(mask, r, gate, zero)
            _cotangent(d, u, dy, mask, r, norm, relu, slope, zero)
            for c in range(C):
                s[c] += d[c]
                q[c] += d[c] * (u[r, c] - mu[c])
        for c in range(C):
            sum_d[c] += s[c]
            sum_dx[c] += q[c]


@kernel
def pull(u, dy, dx, norm, gate, line):
    """dx = d scale + (u - mu) slope + constant, line = (slope, constant), each (C,); None: dx = d scale."""
    R, C = u.shape
    zero, relu, slope = u.dtype.type(0), gate[0], gate[1]
    mask, d = np.ones(C, u.dtype), np.empty(C, u.dtype)
    for r in range(R):
        _mask(mask, r, gate, zero)
        _cotangent(d, u, dy, mask, r, norm, relu, slope, zero)
        if norm is None:
            for c in range(C):
                dx[r, c] = d[c]
        elif line is None:
            scale = norm[1]
            for c in range(C):
                dx[r, c] = d[c] * scale[c]
        else:
            mu, scale = norm[0], norm[1]
            tilt, constant = line
            for c in range(C):
                dx[r, c] = d[c] * scale[c] + ((u[r, c] - mu[c]) * tilt[c] + constant[c])
