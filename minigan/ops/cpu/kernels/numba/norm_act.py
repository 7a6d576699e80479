# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"
"""The kernels of `minigan.ops.cpu.kernels.numpy.norm_act`, compiled: each element of a part is read and written once.

The loops over channels are short and have one or two results each, so that the compiler vectorises them.  Dropout's
factors are computed for one row at a time, which stays in the L1 cache.  `norm` is None or (mu, scale, beta),
each (C,); `mask` is a `minigan.ops.norm_act.MaskArguments`.

A pass over a matrix is one compiled call: the threads of a team (`minigan.ops.cpu.threads.team`) take its parts one by
one.  All functions of a part have the same arguments, so that `_parts` calls any of them by address: three matrices
(R, C), batch norm's mu, scale and beta, the terms linear and constant, two sums in float64, the mask's integers
(RELU ... KEY_HIGH) and real numbers (SLOPE, KEEP_SCALE), all by their addresses; then R, C and a case.  They
distinguish cases at run time: a variant for each case would take longer to compile.  Vectors are copied to the stack,
BLOCK_CHANNELS channels at a time: the compiler knows that it overlaps none of the matrices.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.ops.cpu.kernels.norm_act import Pass
from minigan.ops.cpu.kernels.numba.jit import inlined, kernel_by_address
from minigan.ops.cpu.kernels.numba.pointers import BLOCK_CHANNELS, block_of, integers, number
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.threads.team import address_of, call, counters_size, next_part, run_together
from minigan.ops.norm_act import ActivationMask, MaskArguments

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


N_PROGRAM = 27
(
    FUNCTION, X, SECOND, THIRD, MU, SCALE, BETA, LINEAR, LINEAR_BYTES, CONSTANT, SUM_0, SUM_1, MASK, MASK_BYTES, REALS,
    CASE, PARTS, ROWS, TOTAL_ROWS, CHANNELS, ITEM_BYTES, COUNTERS, FAR, PRE_MASK, PRE_MASK_BYTES, PRE_REALS, WORKSPACE,
) = range(N_PROGRAM)  # fmt: skip
"""Where the program, a vector of int64, has the addresses and numbers of a pass; LINEAR_BYTES, MASK_BYTES and
PRE_MASK_BYTES are distances between the vectors of successive parts."""
N_PRE = 2
PRE, PRE_BACKWARD = N_PROGRAM, N_PROGRAM + 1
"""Where it has the addresses of the functions of `pre`: u = f0(mask0 x) in a thread's WORKSPACE, and its backward pass;
0 for none."""
MASK_ITEM_BYTES = 4
SUM_ITEM_BYTES = 8


def run(work: Pass, team: NDArray[np.int64]) -> NDArray[np.int64]:
    """Run a pass.  All memory that it needs is allocated here, where an error can be raised.

    Parameters
    ----------
    work
        The pass.
    team
        The mailboxes of the threads that run it together with the calling one.

    Returns
    -------
    (n,) array
        What the function of each part returns: for "statistics" whether the pivot is far from the mean.

    """
    x, dtype = work.x, work.x.dtype
    M, C = x.shape
    n, has_pre = -(-M // work.rows), not work.pre.is_identity
    far, counters = np.zeros(n, np.int64), np.zeros(counters_size(1, len(team) + 1), np.int64)
    mask, mask_bytes, reals = _mask(work, work.post, n)
    program = np.zeros(N_PROGRAM + N_PRE, np.int64)
    kept = [x, *work.others]  # the arrays whose addresses are in the program
    program[X : X + len(kept)] = [a.ctypes.data for a in kept]
    if work.norm is not None:
        kept += (vectors := [np.ascontiguousarray(v, dtype) for v in work.norm])
        program[MU : BETA + 1] = [v.ctypes.data for v in vectors]
    if work.terms is not None:
        kept += (vectors := [np.ascontiguousarray(v, dtype) for v in work.terms])
        program[LINEAR], program[CONSTANT] = (v.ctypes.data for v in vectors)
    case = (work.norm is not None) + (work.terms is not None)
    if work.function == "statistics":
        pivot, *sums = work.sums
        rough = np.empty((n, C), dtype)
        program[LINEAR], program[LINEAR_BYTES] = rough.ctypes.data, C * dtype.itemsize
        program[SUM_0], program[SUM_1] = (a.ctypes.data for a in sums)
    elif work.sums is not None:
        program[SUM_0], program[SUM_1] = (a.ctypes.data for a in work.sums)
    program[FUNCTION] = address_of(_FUNCTIONS[work.function], ARGUMENTS, dtype.name)
    program[MASK : CHANNELS + 1] = mask.ctypes.data, mask_bytes, reals.ctypes.data, case, n, work.rows, M, C
    program[ITEM_BYTES : FAR + 1] = dtype.itemsize, counters.ctypes.data, far.ctypes.data
    if has_pre:
        pre_mask, pre_bytes, pre_reals = _mask(work, work.pre, n)
        workspace = arrays.empty(((len(team) + 1) * work.rows * C,), dtype)
        program[PRE_MASK:PRE] = pre_mask.ctypes.data, pre_bytes, pre_reals.ctypes.data, workspace.ctypes.data
        program[PRE] = address_of(_pre, ARGUMENTS, dtype.name)
        if work.function == "backward":
            program[PRE_BACKWARD] = address_of(_pre_backward, ARGUMENTS, dtype.name)
    run_together(team, address_of(_parts), program)
    if work.function == "statistics":
        pivot[...] = rough
    return far


def _mask(work: Pass, mask: ActivationMask, n: int) -> tuple[Any, int, Any]:
    """Return the integers of a mask for each part, the bytes of a row of them, and its real numbers.

    Without dropout one row serves all parts, and the bytes are 0.
    """
    if not mask.rate:
        table, reals = _constant_mask(mask, work.x.dtype)
        return table, 0, reals
    table, reals = _mask_numbers(mask.arguments(work.first, work.x.dtype))
    table = np.repeat(table, n, axis=0)
    table[:, FIRST] += np.arange(n, dtype=np.uint32) * np.uint32(work.rows * work.x.shape[1] & 0xFFFFFFFF)
    return table, N_INTEGERS * MASK_ITEM_BYTES, reals


@functools.lru_cache(maxsize=256)
def _constant_mask(mask: ActivationMask, dtype: np.dtype[Any]) -> tuple[Any, Any]:
    return _mask_numbers(mask.arguments(0, dtype))


def _mask_numbers(a: MaskArguments) -> tuple[Any, Any]:
    table = np.array([[a.relu, a.drops, a.first, a.threshold, a.key_low, a.key_high]], np.uint32)
    return table, np.array([a.slope, a.keep_scale], float)


@kernel_by_address
def _parts(program, rank, size):
    """Run the parts that no other thread has taken."""
    p = integers(program)
    n, rows, R, C = p[PARTS], p[ROWS], p[TOTAL_ROWS], p[CHANNELS]
    part_bytes, sum_bytes, far = rows * C * p[ITEM_BYTES], C * SUM_ITEM_BYTES, integers(p[FAR])
    u = p[WORKSPACE] + rank * part_bytes
    while True:
        i = next_part(p[COUNTERS], 0, n, rank, size)
        if i < 0:
            return 0
        at, r = i * part_bytes, min(rows, R - i * rows)
        pre_mask = p[PRE_MASK] + i * p[PRE_MASK_BYTES]
        if p[PRE] != 0:
            call(p[PRE], (p[X] + at, u, 0, 0, 0, 0, 0, 0, 0, 0, pre_mask, p[PRE_REALS], r, C, 0))
        else:
            u = p[X] + at
        far[i] = call(
            p[FUNCTION],
            (
                u, p[SECOND] + at, p[THIRD] + at, p[MU], p[SCALE], p[BETA], p[LINEAR] + i * p[LINEAR_BYTES],
                p[CONSTANT], p[SUM_0] + i * sum_bytes, p[SUM_1] + i * sum_bytes, p[MASK] + i * p[MASK_BYTES], p[REALS],
                r, C, p[CASE],
            ),
        )  # fmt: skip
        if p[PRE_BACKWARD] != 0:
            call(p[PRE_BACKWARD], (p[X] + at, p[THIRD] + at, 0, 0, 0, 0, 0, 0, 0, 0, pre_mask, p[PRE_REALS], r, C, 0))


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


_FUNCTIONS = {"pre": _pre, "statistics": _statistics, "apply": _apply, "sums": _sums, "backward": _backward}
"""The function of a part, by the name of the pass."""
