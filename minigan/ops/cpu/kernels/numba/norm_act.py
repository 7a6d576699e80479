# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"
"""The kernels of `minigan.ops.cpu.kernels.numpy.norm_act`, compiled: each element of a part is read and written once.

The loops over channels are short and have one or two results each, so that the compiler vectorises them.  Dropout's
factors are computed for one row at a time, which stays in the L1 cache.  `norm` is None or (mu, scale, beta),
each (C,); `mask` is a `minigan.ops.norm_act.MaskArguments`.

All compiled functions have the same arguments, so that one function, `_start`, calls any of them from Python: three
matrices (R, C), batch norm's mu, scale and beta, the terms linear and constant, two sums in float64, the mask's
integers (RELU ... KEY_HIGH) and real numbers (SLOPE, KEEP_SCALE), all by their addresses; then R, C and a case.  They
distinguish cases at run time: a variant for each case would take longer to compile.  Vectors are copied to the stack,
BLOCK_CHANNELS channels at a time: the compiler knows that it overlaps none of the matrices.
"""

import functools
from typing import Any

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import inlined, kernel, kernel_by_address
from minigan.ops.cpu.kernels.numba.pointers import BLOCK_CHANNELS, block_of, number
from minigan.ops.cpu.threads.team import address_of, call
from minigan.ops.norm_act import ActivationMask

ROWS_PER_SUM = 64
"""Rows that are added up in the array's own precision before the result is added to the sum in float64."""
N_INTEGERS, N_REALS = 6, 2
RELU, DROPS, FIRST, THRESHOLD, KEY_LOW, KEY_HIGH = range(N_INTEGERS)
SLOPE, KEEP_SCALE = range(N_REALS)
ARGUMENTS = "x x x x x x x x d d h d i i i"
"""The types of the arguments of all compiled functions, see `team.address_of`."""


@inlined
def dropout_hash(i, low, high):
    """`reference.dropout_hash`."""
    h = np.uint32(np.uint32(i * np.uint32(0x9E3779B1)) ^ low)
    h = np.uint32(np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)) ^ high)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B))
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    return np.uint32(h ^ (h >> np.uint32(13)))


@inlined
def _dropout_row(factors, at, w, mask, keep_scale):
    """Write dropout's factors of the w numbers from `at` on; without dropout `factors` keeps the ones that it holds."""
    if mask[DROPS]:
        low, high, threshold = mask[KEY_LOW], mask[KEY_HIGH], mask[THRESHOLD]
        begin, zero = np.uint32(mask[FIRST] + np.uint32(at)), number(factors, 0)
        for c in range(w):
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
def _cotangent(d, u, dy, factors, at, w, mu, scale, beta, has_norm, relu, slope, zero):
    """d = f'(v) mask dy, of the w numbers of a row from `at` on."""
    if has_norm:
        for c in range(w):
            v = (u[at + c] - mu[c]) * scale[c] + beta[c]
            d[c] = _activate_backward(v, dy[at + c] * factors[c], relu, slope, zero)
    else:
        for c in range(w):
            d[c] = _activate_backward(u[at + c], dy[at + c] * factors[c], relu, slope, zero)


@inlined
def _set(vector, n, value):
    for c in range(n):
        vector[c] = value


@inlined
def _copy(block, vector, b, w):
    for c in range(w):
        block[c] = vector[b + c]


@functools.cache
def _absent(dtype: Any) -> tuple[Any, Any, Any, Any]:
    """Return a matrix, a vector, a vector of float64 and a mask for arguments that a function does not read."""
    mask = ActivationMask().arguments(0, dtype)
    return np.empty((0, 0), dtype), np.empty(0, dtype), np.empty(0), mask


def _run(
    function: Any, first: Any, second: Any = None, third: Any = None, *, norm: Any = None, mask: Any = None,
    terms: Any = None, sums: Any = None, case: int = 0,
) -> int:  # fmt: skip
    """Call a compiled function."""
    dtype = first.dtype
    matrix, vector, total, no_mask = _absent(dtype)
    mu, scale, beta = (vector, vector, vector) if norm is None else norm
    linear, constant = (vector, vector) if terms is None else terms
    sum_0, sum_1 = (total, total) if sums is None else sums
    found: int = _start(
        address_of(function, ARGUMENTS, dtype.name), first, matrix if second is None else second,
        matrix if third is None else third, mu, scale, beta, linear, constant, sum_0, sum_1,
        np.empty(N_INTEGERS, np.uint32), np.empty(N_REALS),
        no_mask if mask is None else mask, case,
    )  # fmt: skip
    return found


@kernel
def _start(
    function, first, second, third, mu, scale, beta, linear, constant, sum_0, sum_1, integers, reals, mask,
    case,
):  # fmt: skip
    R, C = first.shape
    integers[RELU], integers[DROPS], integers[FIRST] = mask.relu, mask.drops, mask.first
    integers[THRESHOLD], integers[KEY_LOW], integers[KEY_HIGH] = mask.threshold, mask.key_low, mask.key_high
    reals[SLOPE], reals[KEEP_SCALE] = mask.slope, mask.keep_scale
    return call(
        function,
        (
            first.ctypes.data, second.ctypes.data, third.ctypes.data, mu.ctypes.data, scale.ctypes.data,
            beta.ctypes.data, linear.ctypes.data, constant.ctypes.data, sum_0.ctypes.data, sum_1.ctypes.data,
            integers.ctypes.data, reals.ctypes.data, R, C, case,
        ),
    )  # fmt: skip


def pre(x: Any, u: Any, mask: Any) -> None:
    """u = f(mask x)."""
    _run(_pre, x, u, mask=mask)


def pre_backward(x: Any, dx: Any, mask: Any) -> None:
    """dx <- mask f'(mask x) dx, in place."""
    _run(_pre_backward, x, dx, mask=mask)


def statistics(u: Any, pivot: Any, remainder: Any, m2: Any) -> bool:
    """Compute for each channel a number near the mean, mean - pivot, and sum (u - mean)^2.    (C,), float64.

    Return whether the pivot is so far from the mean in a channel that m2 has lost digits.
    """
    rough = np.empty(u.shape[1], u.dtype)
    far = _run(_statistics, u, terms=(rough, rough), sums=(remainder, m2))
    pivot[:] = rough
    return bool(far)


def apply(u: Any, y: Any, norm: Any, mask: Any) -> None:
    """y = mask f(v)."""
    _run(_apply, u, y, norm=norm, mask=mask, case=int(norm is not None))


def sums(u: Any, dy: Any, norm: Any, mask: Any, sum_d: Any, sum_dx: Any) -> None:
    """sum_d = sum of d, sum_dx = sum of d (u - mu), with d = f'(v) mask dy.    (C,), float64."""
    _run(_sums, u, dy, norm=norm, mask=mask, sums=(sum_d, sum_dx))


def backward(u: Any, dy: Any, dx: Any, norm: Any, mask: Any, mean_terms: Any) -> None:
    """dx = d scale + (u - mu) linear + constant, mean_terms = (linear, constant), each (C,), or None for d scale."""
    case = (norm is not None) + (mean_terms is not None)
    _run(_backward, u, dy, dx, norm=norm, mask=mask, terms=mean_terms, case=case)


@kernel_by_address
def _pre(
    x, u, _, mu, scale, beta, linear, constant, sum_0, sum_1, mask, reals, R, C, case,
):  # fmt: skip
    zero, relu, slope, kept = number(x, 0), mask[RELU] > 0, number(x, reals[SLOPE]), number(x, reals[KEEP_SCALE])
    factors = block_of(x)
    _set(factors, BLOCK_CHANNELS, 1)
    for b in range(0, C, BLOCK_CHANNELS):
        w = min(BLOCK_CHANNELS, C - b)
        for r in range(R):
            at = r * C + b
            _dropout_row(factors, at, w, mask, kept)
            for c in range(w):
                u[at + c] = _activate(x[at + c] * factors[c], relu, slope, zero)
    return 0


@kernel_by_address
def _pre_backward(
    x, dx, _, mu, scale, beta, linear, constant, sum_0, sum_1, mask, reals, R, C, case,
):  # fmt: skip
    zero, relu, slope, kept = number(x, 0), mask[RELU] > 0, number(x, reals[SLOPE]), number(x, reals[KEEP_SCALE])
    factors = block_of(x)
    _set(factors, BLOCK_CHANNELS, 1)
    for b in range(0, C, BLOCK_CHANNELS):
        w = min(BLOCK_CHANNELS, C - b)
        for r in range(R):
            at = r * C + b
            _dropout_row(factors, at, w, mask, kept)
            for c in range(w):
                dx[at + c] = _activate_backward(x[at + c] * factors[c], dx[at + c], relu, slope, zero) * factors[c]
    return 0


@kernel_by_address
def _statistics(
    u, _, _2, mu, scale, beta, pivot, constant, remainder, m2, mask, reals, R, C, case,
):  # fmt: skip
    far, rough, s, q = 0, block_of(u), block_of(u), block_of(u)
    for b in range(0, C, BLOCK_CHANNELS):
        w = min(BLOCK_CHANNELS, C - b)
        _set(rough, w, 0)
        for r in range(R):
            for c in range(w):
                rough[c] += u[r * C + b + c]
        for c in range(w):
            rough[c] /= number(u, R)
            pivot[b + c], remainder[b + c], m2[b + c] = rough[c], 0, 0
        for start in range(0, R, ROWS_PER_SUM):
            _set(s, w, 0)
            _set(q, w, 0)
            for r in range(start, min(start + ROWS_PER_SUM, R)):
                for c in range(w):
                    d = u[r * C + b + c] - rough[c]
                    s[c] += d
                    q[c] += d * d
            for c in range(w):
                remainder[b + c] += s[c]
                m2[b + c] += q[c]
    for c in range(C):
        remainder[c] /= R
        excess = R * (remainder[c] * remainder[c])
        m2[c] -= excess
        far |= excess > m2[c]
    return far


@kernel_by_address
def _apply(
    u, y, _, mu, scale, beta, linear, constant, sum_0, sum_1, mask, reals, R, C, case,
):  # fmt: skip
    zero, relu, slope, kept = number(u, 0), mask[RELU] > 0, number(u, reals[SLOPE]), number(u, reals[KEEP_SCALE])
    factors = block_of(u)
    _set(factors, BLOCK_CHANNELS, 1)
    mean, factor, shift = block_of(u), block_of(u), block_of(u)
    for b in range(0, C, BLOCK_CHANNELS):
        w = min(BLOCK_CHANNELS, C - b)
        if case > 0:
            _copy(mean, mu, b, w)
            _copy(factor, scale, b, w)
            _copy(shift, beta, b, w)
        for r in range(R):
            at = r * C + b
            _dropout_row(factors, at, w, mask, kept)
            if case > 0:
                for c in range(w):
                    v = (u[at + c] - mean[c]) * factor[c] + shift[c]
                    y[at + c] = _activate(v, relu, slope, zero) * factors[c]
            else:
                for c in range(w):
                    y[at + c] = _activate(u[at + c], relu, slope, zero) * factors[c]
    return 0


@kernel_by_address
def _sums(
    u, dy, _, mu, scale, beta, linear, constant, sum_d, sum_dx, mask, reals, R, C, case,
):  # fmt: skip
    zero, relu, slope, kept = number(u, 0), mask[RELU] > 0, number(u, reals[SLOPE]), number(u, reals[KEEP_SCALE])
    factors, d, s, q = block_of(u), block_of(u), block_of(u), block_of(u)
    mean, factor, shift = block_of(u), block_of(u), block_of(u)
    _set(factors, BLOCK_CHANNELS, 1)
    _set(sum_d, C, 0)
    _set(sum_dx, C, 0)
    for b in range(0, C, BLOCK_CHANNELS):
        w = min(BLOCK_CHANNELS, C - b)
        _copy(mean, mu, b, w)
        _copy(factor, scale, b, w)
        _copy(shift, beta, b, w)
        for start in range(0, R, ROWS_PER_SUM):
            _set(s, w, 0)
            _set(q, w, 0)
            for r in range(start, min(start + ROWS_PER_SUM, R)):
                at = r * C + b
                _dropout_row(factors, at, w, mask, kept)
                _cotangent(d, u, dy, factors, at, w, mean, factor, shift, True, relu, slope, zero)
                for c in range(w):
                    s[c] += d[c]
                    q[c] += d[c] * (u[at + c] - mean[c])
            for c in range(w):
                sum_d[b + c] += s[c]
                sum_dx[b + c] += q[c]
    return 0


@kernel_by_address
def _backward(
    u, dy, dx, mu, scale, beta, linear, constant, sum_0, sum_1, mask, reals, R, C, case,
):  # fmt: skip
    """Case 0: no batch norm; 1: its statistics are constants; 2: those of the batch."""
    zero, relu, slope, kept = number(u, 0), mask[RELU] > 0, number(u, reals[SLOPE]), number(u, reals[KEEP_SCALE])
    factors, d = block_of(u), block_of(u)
    _set(factors, BLOCK_CHANNELS, 1)
    mean, factor, shift, slopes, rest = block_of(u), block_of(u), block_of(u), block_of(u), block_of(u)
    for b in range(0, C, BLOCK_CHANNELS):
        w = min(BLOCK_CHANNELS, C - b)
        if case > 0:
            _copy(mean, mu, b, w)
            _copy(factor, scale, b, w)
            _copy(shift, beta, b, w)
        if case > 1:
            _copy(slopes, linear, b, w)
            _copy(rest, constant, b, w)
        for r in range(R):
            at = r * C + b
            _dropout_row(factors, at, w, mask, kept)
            _cotangent(d, u, dy, factors, at, w, mean, factor, shift, case > 0, relu, slope, zero)
            if case == 0:
                for c in range(w):
                    dx[at + c] = d[c]
            elif case == 1:
                for c in range(w):
                    dx[at + c] = d[c] * factor[c]
            else:
                for c in range(w):
                    dx[at + c] = d[c] * factor[c] + ((u[at + c] - mean[c]) * slopes[c] + rest[c])
    return 0
