# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"
"""The kernels of `minigan.ops.cpu.kernels.numpy.norm_act`, compiled: each element of a part is read and written once.

The loops over channels are short and have one or two results each, so that the compiler vectorises them.  Dropout's
factors are computed for one row at a time, which stays in the L1 cache.  `norm` is None or (mu, scale, beta),
each (C,); `mask` is a `minigan.ops.norm_act.MaskArguments`.

The compiled functions take the addresses of C-contiguous matrices and vectors, of workspaces (C,), and of the mask's
integers, in the order of the constants RELU ... KEY_HIGH.  They distinguish cases at run time: a variant for each case
would take longer to compile.
"""

from typing import Any

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import inlined, kernel_by_address
from minigan.ops.cpu.kernels.numba.pointers import number
from minigan.ops.cpu.threads.team import callable_at

ROWS_PER_SUM = 64
"""Rows that are added up in the array's own precision before the result is added to the sum in float64."""
RELU, DROPS, FIRST, THRESHOLD, KEY_LOW, KEY_HIGH = range(6)


@inlined
def dropout_hash(i, low, high):
    """`reference.dropout_hash`."""
    h = np.uint32(np.uint32(i * np.uint32(0x9E3779B1)) ^ low)
    h = np.uint32(np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)) ^ high)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    return np.uint32(h ^ (h >> np.uint32(13)))


@inlined
def _dropout_row(factors, r, C, mask, keep_scale):
    """Write dropout's factors of row r; without dropout `factors` keeps the ones that it holds."""
    if mask[DROPS]:
        low, high, threshold = np.uint32(mask[KEY_LOW]), np.uint32(mask[KEY_HIGH]), np.uint32(mask[THRESHOLD])
        begin, zero = np.uint32(np.uint32(mask[FIRST]) + np.uint32(r * C)), number(factors, 0)
        for c in range(C):
            h = dropout_hash(np.uint32(begin + np.uint32(c)), low, high)
            factors[c] = keep_scale if h >= threshold else zero


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
def _cotangent(d, u, dy, factors, at, C, mu, scale, beta, has_norm, relu, slope, zero):
    """d = f'(v) mask dy, of the row that begins at number `at`."""
    if has_norm:
        for c in range(C):
            v = (u[at + c] - mu[c]) * scale[c] + beta[c]
            d[c] = _activate_backward(v, dy[at + c] * factors[c], relu, slope, zero)
    else:
        for c in range(C):
            d[c] = _activate_backward(u[at + c], dy[at + c] * factors[c], relu, slope, zero)


@inlined
def _set(vector, C, value):
    for c in range(C):
        vector[c] = value


def _run(function: Any, matrices: Any, norm: Any, mask: Any, vectors: Any, n_workspaces: int, *numbers: int) -> None:
    """Call a compiled function of matrices (R, C), the three vectors of batch norm, further vectors and workspaces."""
    x = matrices[0]
    flags = np.array((mask.relu, mask.drops, mask.first, mask.threshold, mask.key_low, mask.key_high), np.int64)
    workspace = np.empty((n_workspaces, x.shape[1]), x.dtype)
    memory = (*matrices, *((None,) * 3 if norm is None else norm), *vectors, *workspace, flags)
    addresses = [0 if one is None else one.ctypes.data for one in memory]
    run = callable_at(function, ARGUMENTS[function], str(x.dtype))
    run(*addresses, *x.shape, float(mask.slope), float(mask.keep_scale), *numbers)


def pre(x: Any, u: Any, mask: Any) -> None:
    """u = f(mask x)."""
    _run(_pre, (x, u), None, mask, (), 1)


def pre_backward(x: Any, dx: Any, mask: Any) -> None:
    """dx <- mask f'(mask x) dx, in place."""
    _run(_pre_backward, (x, dx), None, mask, (), 1)


def statistics(u: Any, pivot: Any, remainder: Any, m2: Any) -> bool:
    """Compute for each channel a number near the mean, mean - pivot, and sum (u - mean)^2.    (C,), float64.

    Return whether the pivot is so far from the mean in a channel that m2 has lost digits.
    """
    memory = (u, pivot, remainder, m2, *np.empty((3, u.shape[1]), u.dtype))
    run = callable_at(_statistics, "x d d d x x x i i", str(u.dtype))
    return bool(run(*(one.ctypes.data for one in memory), *u.shape))


def apply(u: Any, y: Any, norm: Any, mask: Any) -> None:
    """y = mask f(v)."""
    _run(_apply, (u, y), norm, mask, (), 1, norm is not None)


def sums(u: Any, dy: Any, norm: Any, mask: Any, sum_d: Any, sum_dx: Any) -> None:
    """sum_d = sum of d, sum_dx = sum of d (u - mu), with d = f'(v) mask dy.    (C,), float64."""
    _run(_sums, (u, dy), norm, mask, (sum_d, sum_dx), 4)


def backward(u: Any, dy: Any, dx: Any, norm: Any, mask: Any, mean_terms: Any) -> None:
    """dx = d scale + (u - mu) linear + constant, mean_terms = (linear, constant), each (C,), or None for d scale."""
    terms, case = (None, None) if mean_terms is None else mean_terms, (norm is not None) + (mean_terms is not None)
    _run(_backward, (u, dy, dx), norm, mask, terms, 2, case)


@kernel_by_address
def _pre(x, u, mu, scale, beta, factors, mask, R, C, slope, keep_scale):
    zero, relu, slope_, kept = number(x, 0), mask[RELU] > 0, number(x, slope), number(x, keep_scale)
    _set(factors, C, 1)
    for r in range(R):
        _dropout_row(factors, r, C, mask, kept)
        for c in range(C):
            u[r * C + c] = _activate(x[r * C + c] * factors[c], relu, slope_, zero)
    return 0


@kernel_by_address
def _pre_backward(x, dx, mu, scale, beta, factors, mask, R, C, slope, keep_scale):
    zero, relu, slope_, kept = number(x, 0), mask[RELU] > 0, number(x, slope), number(x, keep_scale)
    _set(factors, C, 1)
    for r in range(R):
        _dropout_row(factors, r, C, mask, kept)
        for c in range(C):
            i = r * C + c
            dx[i] = _activate_backward(x[i] * factors[c], dx[i], relu, slope_, zero) * factors[c]
    return 0


@kernel_by_address
def _statistics(u, pivot, remainder, m2, rough, s, q, R, C):
    _set(rough, C, 0)
    for r in range(R):
        for c in range(C):
            rough[c] += u[r * C + c]
    for c in range(C):
        rough[c] /= number(u, R)
        pivot[c] = rough[c]
        remainder[c] = 0
        m2[c] = 0
    for start in range(0, R, ROWS_PER_SUM):
        _set(s, C, 0)
        _set(q, C, 0)
        for r in range(start, min(start + ROWS_PER_SUM, R)):
            for c in range(C):
                d = u[r * C + c] - rough[c]
                s[c] += d
                q[c] += d * d
        for c in range(C):
            remainder[c] += s[c]
            m2[c] += q[c]
    far = 0
    for c in range(C):
        remainder[c] /= R
        excess = R * (remainder[c] * remainder[c])
        m2[c] -= excess
        far |= excess > m2[c]
    return far


@kernel_by_address
def _apply(u, y, mu, scale, beta, factors, mask, R, C, slope, keep_scale, has_norm):
    zero, relu, slope_, kept = number(u, 0), mask[RELU] > 0, number(u, slope), number(u, keep_scale)
    _set(factors, C, 1)
    for r in range(R):
        _dropout_row(factors, r, C, mask, kept)
        if has_norm:
            for c in range(C):
                v = (u[r * C + c] - mu[c]) * scale[c] + beta[c]
                y[r * C + c] = _activate(v, relu, slope_, zero) * factors[c]
        else:
            for c in range(C):
                y[r * C + c] = _activate(u[r * C + c], relu, slope_, zero) * factors[c]
    return 0


@kernel_by_address
def _sums(u, dy, mu, scale, beta, sum_d, sum_dx, factors, d, s, q, mask, R, C, slope, keep_scale):
    zero, relu, slope_, kept = number(u, 0), mask[RELU] > 0, number(u, slope), number(u, keep_scale)
    _set(factors, C, 1)
    _set(sum_d, C, 0)
    _set(sum_dx, C, 0)
    for start in range(0, R, ROWS_PER_SUM):
        _set(s, C, 0)
        _set(q, C, 0)
        for r in range(start, min(start + ROWS_PER_SUM, R)):
            _dropout_row(factors, r, C, mask, kept)
            _cotangent(d, u, dy, factors, r * C, C, mu, scale, beta, True, relu, slope_, zero)
            for c in range(C):
                s[c] += d[c]
                q[c] += d[c] * (u[r * C + c] - mu[c])
        for c in range(C):
            sum_d[c] += s[c]
            sum_dx[c] += q[c]
    return 0


@kernel_by_address
def _backward(u, dy, dx, mu, scale, beta, linear, constant, factors, d, mask, R, C, slope, keep_scale, case):
    """Case 0: no batch norm; 1: its statistics are constants; 2: those of the batch."""
    zero, relu, slope_, kept = number(u, 0), mask[RELU] > 0, number(u, slope), number(u, keep_scale)
    _set(factors, C, 1)
    for r in range(R):
        at = r * C
        _dropout_row(factors, r, C, mask, kept)
        _cotangent(d, u, dy, factors, at, C, mu, scale, beta, case > 0, relu, slope_, zero)
        if case == 0:
            for c in range(C):
                dx[at + c] = d[c]
        elif case == 1:
            for c in range(C):
                dx[at + c] = d[c] * scale[c]
        else:
            for c in range(C):
                dx[at + c] = d[c] * scale[c] + ((u[at + c] - mu[c]) * linear[c] + constant[c])
    return 0


ARGUMENTS = {
    _pre: "x x x x x x l i i f f",
    _pre_backward: "x x x x x x l i i f f",
    _apply: "x x x x x x l i i f f i",
    _sums: "x x x x x d d x x x x l i i f f",
    _backward: "x x x x x x x x x x l i i f f i",
}
"""The types of the arguments of the compiled functions, see `team.address_of`."""
