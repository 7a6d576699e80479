# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"
"""The kernels of group norm and instance norm; `minigan.ops.cpu.kernels.numba.row_norm` has the equations."""

from minigan.ops.cpu.kernels.numba.jit import kernel_by_address
from minigan.ops.cpu.kernels.numba.norm_act import ROWS_PER_SUM
from minigan.ops.cpu.kernels.numba.pointers import BLOCK_CHANNELS, block_of, number
from minigan.ops.cpu.kernels.numba.row_norm import ARGUMENTS, DX, SUMS, _copy, _fill, _fill_from, _inverse, _is_far
from minigan.ops.cpu.threads.team import callable_at

__all__ = ["ARGUMENTS", "DX", "SUMS", "backward", "callable_at", "forward"]

PIVOT_ROWS = 8
"""How many rows of an image give the numbers near to the means from which the distances are added up."""


@kernel_by_address
def forward(
    x, _, y, gamma, beta, mu, rest, inverse, sum_d, sum_dx, work, eps, N, P, C, G, fold, case,
):  # fmt: skip
    """Write y, mu, rest and inverse of N examples."""
    s, t, mean, factor, shift = block_of(x), block_of(x), block_of(x), block_of(x), block_of(x)
    channels = C // fold
    width, first, second, third = channels // G, 0, C, 2 * C  # the workspace's rows
    size, near_rows = P * fold * width, min(P, PIVOT_ROWS)
    for n in range(N):
        _fill(work, C, 0)
        for r in range(n * P, n * P + near_rows):
            for c in range(C):
                work[c] += x[r * C + c]
        for g in range(G):
            total = 0.0
            for k in range(g * width, C, channels):
                for c in range(k, k + width):
                    total += work[c]
            for k in range(g * width, C, channels):
                _fill_from(work, k, width, number(x, total / (near_rows * fold * width)))
        again = 3
        while again:
            _fill_from(work, second, 2 * C, 0)
            for b in range(0, C, BLOCK_CHANNELS):
                w = min(BLOCK_CHANNELS, C - b)
                _copy(mean, work, first + b, w)
                for start in range(0, P, ROWS_PER_SUM):
                    _fill(s, w, 0)
                    _fill(t, w, 0)
                    stop = min(start + ROWS_PER_SUM, P)
                    by_four = stop - (stop - start) % 4
                    for r in range(n * P + start, n * P + by_four, 4):
                        at = r * C + b
                        for c in range(w):
                            d0, d1 = x[at + c] - mean[c], x[at + C + c] - mean[c]
                            d2, d3 = x[at + 2 * C + c] - mean[c], x[at + 3 * C + c] - mean[c]
                            s[c] += (d0 + d1) + (d2 + d3)
                            t[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
                    for r in range(n * P + by_four, n * P + stop):
                        at = r * C + b
                        for c in range(w):
                            d0 = x[at + c] - mean[c]
                            s[c] += d0
                            t[c] += d0 * d0
                    for c in range(w):
                        work[second + b + c] += s[c]
                        work[third + b + c] += t[c]
            again -= 1
            far = 0
            for g in range(G):
                total, squares = 0.0, 0.0
                for k in range(g * width, C, channels):
                    for c in range(k, k + width):
                        total += work[second + c]
                        squares += work[third + c]
                pivot = work[g * width]
                mu[n * G + g] = number(x, pivot + total / size)
                rest[n * G + g] = (pivot - mu[n * G + g]) + total / size
                inverse[n * G + g] = _inverse(total, squares, size, eps)
                far |= _is_far(total, squares, size)
                for k in range(g * width, C, channels):
                    _fill_from(work, k, width, mu[n * G + g])
            if not far:
                again = 0
        for g in range(G):
            left, one_by_s = rest[n * G + g], inverse[n * G + g]
            for k in range(0, C, channels):
                for c in range(g * width, g * width + width):
                    work[second + k + c] = gamma[c] * one_by_s
                    work[third + k + c] = beta[c] - left * (gamma[c] * one_by_s)
        for b in range(0, C, BLOCK_CHANNELS):
            w = min(BLOCK_CHANNELS, C - b)
            _copy(mean, work, first + b, w)
            _copy(factor, work, second + b, w)
            _copy(shift, work, third + b, w)
            for r in range(n * P, n * P + P):
                at = r * C + b
                for c in range(w):
                    y[at + c] = (x[at + c] - mean[c]) * factor[c] + shift[c]
    return 0


@kernel_by_address
def backward(
    x, dy, dx, gamma, beta, mu, rest, inverse, sum_d, sum_dx, work, eps, N, P, C, G, fold, case,
):  # fmt: skip
    """Write dx of N examples, and add up dbeta and dgamma, as the case says."""
    s, t, mean = block_of(x), block_of(x), block_of(x)
    factor, slope, shift = block_of(x), block_of(x), block_of(x)
    channels = C // fold
    width, first, second, third, fourth = channels // G, 0, C, 2 * C, 3 * C  # the workspace's rows
    size = P * fold * width
    for n in range(N):
        for k in range(0, C, channels):
            for g in range(G):
                _fill_from(work, first + k + g * width, width, mu[n * G + g])
        _fill_from(work, second, 2 * C, 0)
        for b in range(0, C, BLOCK_CHANNELS):
            w = min(BLOCK_CHANNELS, C - b)
            _copy(mean, work, first + b, w)
            for start in range(0, P, ROWS_PER_SUM):
                _fill(s, w, 0)
                _fill(t, w, 0)
                stop = min(start + ROWS_PER_SUM, P)
                by_four = stop - (stop - start) % 4
                for r in range(n * P + start, n * P + by_four, 4):
                    at = r * C + b
                    for c in range(w):
                        d0, d1, d2, d3 = dy[at + c], dy[at + C + c], dy[at + 2 * C + c], dy[at + 3 * C + c]
                        e0, e1 = d0 * (x[at + c] - mean[c]), d1 * (x[at + C + c] - mean[c])
                        e2, e3 = d2 * (x[at + 2 * C + c] - mean[c]), d3 * (x[at + 3 * C + c] - mean[c])
                        s[c] += (d0 + d1) + (d2 + d3)
                        t[c] += (e0 + e1) + (e2 + e3)
                for r in range(n * P + by_four, n * P + stop):
                    at = r * C + b
                    for c in range(w):
                        s[c] += dy[at + c]
                        t[c] += dy[at + c] * (x[at + c] - mean[c])
                for c in range(w):
                    work[second + b + c] += s[c]
                    work[third + b + c] += t[c]
        for g in range(G):
            left, one_by_s, p, q = rest[n * G + g], inverse[n * G + g], 0.0, 0.0
            for c in range(g * width, g * width + width):
                d, d_x = 0.0, 0.0
                for k in range(0, C, channels):
                    d += work[second + k + c]
                    d_x += work[third + k + c]
                d_x -= left * d
                p += gamma[c] * d
                q += gamma[c] * d_x
                if case & SUMS:
                    sum_d[c] += d
                    sum_dx[c] += d_x * one_by_s
            linear = -q * one_by_s * one_by_s * one_by_s / size
            constant = -p * one_by_s / size - left * linear
            for k in range(0, C, channels):
                for c in range(g * width, g * width + width):
                    work[second + k + c] = gamma[c] * one_by_s
                _fill_from(work, third + k + g * width, width, linear)
                _fill_from(work, fourth + k + g * width, width, constant)
        for b in range(0, C if case & DX else 0, BLOCK_CHANNELS):
            w = min(BLOCK_CHANNELS, C - b)
            _copy(mean, work, first + b, w)
            _copy(factor, work, second + b, w)
            _copy(slope, work, third + b, w)
            _copy(shift, work, fourth + b, w)
            for r in range(n * P, n * P + P):
                at = r * C + b
                for c in range(w):
                    dx[at + c] = dy[at + c] * factor[c] + ((x[at + c] - mean[c]) * slope[c] + shift[c])
    return 0
