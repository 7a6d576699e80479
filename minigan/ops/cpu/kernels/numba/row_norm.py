# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"
"""The kernels of `minigan.ops.cpu.example_norm`: normalisation of each example with its own statistics.

mu is the mean of a set of numbers rounded to the array's dtype, `rest` the mean minus mu, and s = sqrt(var + eps).

    y  = (x - mu) gamma / s + (beta - rest gamma / s)
    dx = dy gamma / s + (x - mu) linear + constant    linear = -q / (n s^3)    constant = -p / (n s) - rest linear
    with p = sum of gamma dy and q = sum of gamma dy (x - mu - rest) over the n numbers of the set

`row_norm`: the set are the C numbers of a row, and gamma and beta are (C,) (layer norm).  LANES sums are added up side
by side, so that the compiler vectorises them.
`image_norm`: an example has P rows of C channels in G groups, and the set are all channels of a group in all rows.
Where C is small, FOLD rows are one: the C numbers of a row are those of FOLD pixels with C / FOLD channels each.

Sums are added up in the array's own precision for ROWS_PER_SUM rows and then in float64, as in `norm_act`.  Vectors are
copied to the stack, BLOCK_CHANNELS at a time: the compiler knows that they overlap none of the matrices.

All functions have the same arguments, by their addresses: the matrices x, dy and y or dx; gamma and beta; in float64
mu, rest and inverse = 1 / s of each set, the sums of dy and of dy x_hat over the examples, and a workspace (4, max(N,
C)).  Then eps and the integers N, P, C, G, FOLD and a case.
"""

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import inlined, kernel_by_address
from minigan.ops.cpu.kernels.numba.norm_act import ROWS_PER_SUM
from minigan.ops.cpu.kernels.numba.pointers import BLOCK_CHANNELS, block_of, number
from minigan.ops.cpu.threads.team import callable_at

__all__ = ["ARGUMENTS", "DX", "SUMS", "backward", "callable_at", "forward"]

ARGUMENTS = "x x x x x d d d d d d f i i i i i i"
"""The types of the arguments of all compiled functions, see `team.address_of`."""
LANES = 64
"""How many numbers of a row are added up side by side."""
FAR = 4.0
"""The limit of (mean - pivot)^2 / var above which the sums are computed once more, with the mean as the pivot: below
it, the variance has a few times the rounding error of the sum of squares."""
DX, SUMS = 1, 2
"""The bits of a backward function's case: which results are needed."""


@inlined
def _fill(vector, n, value):
    for c in range(n):
        vector[c] = value


@inlined
def _fill_from(vector, first, n, value):
    for c in range(first, first + n):
        vector[c] = value


@inlined
def _copy(block, vector, b, w):
    for c in range(w):
        block[c] = number(block, vector[b + c])


@inlined
def _lanes_sum(lanes):
    """The sum of LANES numbers, added up in halves."""
    for c in range(32):
        lanes[c] += lanes[c + 32]
    for c in range(16):
        lanes[c] += lanes[c + 16]
    for c in range(8):
        lanes[c] += lanes[c + 8]
    return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]))


@inlined
def _inverse(total, squares, n, eps):
    """1 / s, of the sums of x - pivot and of its squares; NaN where they are NaN."""
    variance = squares / n - (total / n) * (total / n)
    return 1 / np.sqrt((0.0 if variance < 0 else variance) + eps)


@inlined
def _is_far(total, squares, n):
    """Whether the pivot is so far from the mean that the variance has lost digits."""
    return total * total > FAR * (squares * n - total * total)


@inlined
def _row_sums(x, at, C, pivot, lanes, squares):
    """The sums of d = x - pivot and of d^2 over the C numbers from x[at] on."""
    total, total_squares, full = 0.0, 0.0, C - C % LANES
    for first in range(0, full, LANES * ROWS_PER_SUM):
        _fill(lanes, LANES, 0)
        _fill(squares, LANES, 0)
        last = min(first + LANES * ROWS_PER_SUM, full)
        by_four = last - (last - first) % (4 * LANES)
        for k in range(at + first, at + by_four, 4 * LANES):
            for c in range(LANES):
                d0, d1 = x[k + c] - pivot, x[k + LANES + c] - pivot
                d2, d3 = x[k + 2 * LANES + c] - pivot, x[k + 3 * LANES + c] - pivot
                lanes[c] += (d0 + d1) + (d2 + d3)
                squares[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
        for k in range(at + by_four, at + last, LANES):
            for c in range(LANES):
                d0 = x[k + c] - pivot
                lanes[c] += d0
                squares[c] += d0 * d0
        total += _lanes_sum(lanes)
        total_squares += _lanes_sum(squares)
    for c in range(at + full, at + C):
        d0 = x[c] - pivot
        total += d0
        total_squares += d0 * d0
    return total, total_squares


@kernel_by_address
def forward(
    x, _, y, gamma, beta, mu, rest, inverse, sum_d, sum_dx, work, eps, N, P, C, G, fold, case,
):  # fmt: skip
    """Write y, mu, rest and inverse of N rows of C numbers; P = G = 1."""
    lanes, squares = block_of(x), block_of(x)
    for n in range(N):
        pivot, left = x[n * C], 0.0
        for _attempt in range(3):
            total, total_squares = _row_sums(x, n * C, C, pivot, lanes, squares)
            mean = number(x, pivot + total / C)
            left = (pivot - mean) + total / C
            if not _is_far(total, total_squares, C):
                break
            pivot = mean
        mu[n], rest[n], inverse[n] = mean, left, _inverse(total, total_squares, C, eps)
    slope, shift = block_of(x), block_of(x)
    for b in range(0, C, BLOCK_CHANNELS):
        w = min(BLOCK_CHANNELS, C - b)
        _copy(slope, gamma, b, w)
        _copy(shift, beta, b, w)
        for n in range(N):
            at = n * C + b
            mean, one_by_s = number(x, mu[n]), number(x, inverse[n])
            offset = number(x, -rest[n] * inverse[n])
            for c in range(w):
                y[at + c] = ((x[at + c] - mean) * one_by_s + offset) * slope[c] + shift[c]
    return 0


@kernel_by_address
def backward(
    x, dy, dx, gamma, beta, mu, rest, inverse, sum_d, sum_dx, work, eps, N, P, C, G, fold, case,
):  # fmt: skip
    """Write dx of N rows of C numbers, and add up dbeta and dgamma, as the case says; P = G = 1."""
    lanes, products, full = block_of(x), block_of(x), C - C % LANES
    for n in range(N if case & DX else 0):
        at, p, q, mean = n * C, 0.0, 0.0, number(x, mu[n])
        for first in range(0, full, LANES * ROWS_PER_SUM):
            _fill(lanes, LANES, 0)
            _fill(products, LANES, 0)
            last = min(first + LANES * ROWS_PER_SUM, full)
            by_two = last - (last - first) % (2 * LANES)
            for k in range(first, by_two, 2 * LANES):
                for c in range(LANES):
                    d0, d1 = dy[at + k + c] * gamma[k + c], dy[at + k + LANES + c] * gamma[k + LANES + c]
                    lanes[c] += d0 + d1
                    products[c] += d0 * (x[at + k + c] - mean) + d1 * (x[at + k + LANES + c] - mean)
            for k in range(by_two, last, LANES):
                for c in range(LANES):
                    d0 = dy[at + k + c] * gamma[k + c]
                    lanes[c] += d0
                    products[c] += d0 * (x[at + k + c] - mean)
            p += _lanes_sum(lanes)
            q += _lanes_sum(products)
        for c in range(full, C):
            d = dy[at + c] * gamma[c]
            p += d
            q += d * (x[at + c] - mean)
        linear = -(q - rest[n] * p) * inverse[n] * inverse[n] * inverse[n] / C
        work[n], work[N + n] = linear, -p * inverse[n] / C - rest[n] * linear
    slope, s, t = block_of(x), block_of(x), block_of(x)
    for b in range(0, C, BLOCK_CHANNELS):
        w = min(BLOCK_CHANNELS, C - b)
        _copy(slope, gamma, b, w)
        for start in range(0, N, ROWS_PER_SUM):
            _fill(s, w, 0)
            _fill(t, w, 0)
            for n in range(start, min(start + ROWS_PER_SUM, N)):
                at = n * C + b
                mean, one_by_s = number(x, mu[n]), number(x, inverse[n])
                if case & SUMS:
                    offset = number(x, -rest[n] * inverse[n])
                    for c in range(w):
                        s[c] += dy[at + c]
                        t[c] += dy[at + c] * ((x[at + c] - mean) * one_by_s + offset)
                if case & DX:
                    linear, constant = number(x, work[n]), number(x, work[N + n])
                    for c in range(w):
                        d = dy[at + c] * (slope[c] * one_by_s)
                        dx[at + c] = d + ((x[at + c] - mean) * linear + constant)
            if case & SUMS:
                for c in range(w):
                    sum_d[b + c] += s[c]
                    sum_dx[b + c] += t[c]
    return 0
