# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg"
"""What a dense network computes between two products, for one part of a layer's units.

A part is a matrix (samples, width) of as many units as fill PART_VECTORS vectors, so that the loops over units
have a length that the compiler knows.  Sums over samples are added up in the array's own precision for ROWS_PER_SUM
samples, and then in float64, as in `minigan.ops.cpu.kernels.numba.norm_act`.
"""

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import inlined, inner
from minigan.ops.cpu.kernels.numba.norm_act import ROWS_PER_SUM, _activate, _activate_backward, dropout_hash
from minigan.ops.cpu.kernels.numba.simd import lanes

PART_VECTORS = 2
"""How many vectors of 64 bytes a part's units fill: the columns of one or two tiles of a product.  A part has as many
rows of a transposed product, and together they read the gradients above from the L2 cache."""
MAX_PIVOTS = 3
"""How often the variance is computed, each time with a pivot nearer to the mean, until it has lost no digits."""


@inlined
def width_of(x):
    """Return how many units a part has."""
    return PART_VECTORS * lanes(x)


@inner
def load(x, start, stride, part, w):
    """part_nc = x[start + n stride + c] for c < w, else 0."""
    width, zero = width_of(part), part.dtype.type(0)
    for n in range(part.shape[0]):
        at = np.uintp(start + n * stride)
        if w == width:
            for c in range(width):
                part[n, c] = x[at + np.uintp(c)]
        else:
            for c in range(width):
                part[n, c] = zero
            for c in range(w):
                part[n, c] = x[at + np.uintp(c)]


@inner
def store(part, w, x, start, stride):
    """x[start + n stride + c] = part_nc for c < w."""
    width = width_of(part)
    for n in range(part.shape[0]):
        at = np.uintp(start + n * stride)
        if w == width:
            for c in range(width):
                x[at + np.uintp(c)] = part[n, c]
        else:
            for c in range(w):
                x[at + np.uintp(c)] = part[n, c]


@inner
def load_transposed(x, part, w):
    """part_nc = x_cn for c < w, else 0."""
    zero = part.dtype.type(0)
    for n in range(part.shape[0]):
        for c in range(w):
            part[n, c] = x[c, n]
        for c in range(w, part.shape[1]):
            part[n, c] = zero


@inner
def store_transposed(part, w, x, start, stride):
    """x[start + c stride + n] = part_nc for c < w."""
    for c in range(w):
        at = np.uintp(start + c * stride)
        for n in range(part.shape[0]):
            x[at + np.uintp(n)] = part[n, c]


@inner
def add_bias(part, theta, start, w):
    """part_nc += theta[start + c] for c < w."""
    for n in range(part.shape[0]):
        for c in range(w):
            part[n, c] += theta[np.uintp(start) + np.uintp(c)]


@inner
def sum_of_rows(part, w, g, start, add):
    """g[start + c] = sum_n part_nc, or with `add` that much more, for c < w."""
    sums, total = np.empty(w, part.dtype), np.zeros(w)
    for first in range(0, part.shape[0], ROWS_PER_SUM):
        sums[:] = part.dtype.type(0)
        for n in range(first, min(first + ROWS_PER_SUM, part.shape[0])):
            for c in range(w):
                sums[c] += part[n, c]
        for c in range(w):
            total[c] += sums[c]
    for c in range(w):
        g[start + c] = g[start + c] + total[c] if add else total[c]


@inner
def maximum(a, pieces, w, u, winners, start, stride):
    """u_nc = max_p a_n,(c pieces + p); winners[start + n stride + c] is the first p that has the maximum, or is NaN."""
    for n in range(u.shape[0]):
        at = np.uintp(start + n * stride)
        for c in range(w):
            best, winner, first = a[n, c * pieces], np.uint8(0), c * pieces
            for p in range(1, pieces):
                number = a[n, first + p]
                better = (number > best) | ((number != number) & (best == best))
                best, winner = number if better else best, np.uint8(p) if better else winner
            u[n, c] = best
            winners[at + np.uintp(c)] = winner


@inner
def maximum_backward(du, pieces, w, winners, start, stride, da):
    """da_n,(c pieces + p) = du_nc for the winning piece p, else 0."""
    da[:] = da.dtype.type(0)
    for n in range(du.shape[0]):
        at = np.uintp(start + n * stride)
        for c in range(w):
            da[n, np.uintp(c * pieces) + np.uintp(winners[at + np.uintp(c)])] = du[n, c]


@inner
def drop(part, first, last, start, stride, mask, keep_scale):
    """part_nc <- factor part_nc for the samples first ... last - 1.    mask: threshold, key_low and key_high, as uint32

    The factor is keep_scale, or 0 where the hash of (n - first) stride + start + c is below the threshold.
    """
    width, zero = width_of(part), part.dtype.type(0)
    threshold, low, high = mask
    for n in range(first, last):
        begin = np.uint32((n - first) * stride + start)
        for c in range(width):
            kept = dropout_hash(np.uint32(begin + np.uint32(c)), low, high) >= threshold
            part[n, c] *= keep_scale if kept else zero


@inner
def moments(u, first, last, pivot, distance, var):
    """Compute the mean, as pivot + distance, and the biased variance of the samples first ... last - 1.

    The pivot has u's dtype; distance and var are float64; all are (width,).
    """
    width, R = width_of(u), last - first
    s, q = np.empty(width, u.dtype), np.empty(width, u.dtype)
    pivot[:] = 0
    total, squares = np.empty(width), np.empty(width)
    for n in range(first, last):
        for c in range(width):
            pivot[c] += u[n, c]
    for c in range(width):
        pivot[c] /= u.dtype.type(R)
    for attempt in range(MAX_PIVOTS):
        total[:] = 0
        squares[:] = 0
        for start in range(first, last, ROWS_PER_SUM):
            s[:] = 0
            q[:] = 0
            for n in range(start, min(start + ROWS_PER_SUM, last)):
                for c in range(width):
                    d = u[n, c] - pivot[c]
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
        if not far or attempt == MAX_PIVOTS - 1:
            return
        for c in range(width):
            pivot[c] += distance[c]


@inner
def normalise(u, first, last, mu, scale, shift, relu, slope):
    """u <- f((u - mu) scale + shift), for the samples first ... last - 1.    mu, scale, shift (width,)"""
    width, zero = width_of(u), u.dtype.type(0)
    for n in range(first, last):
        for c in range(width):
            u[n, c] = _activate((u[n, c] - mu[c]) * scale[c] + shift[c], relu, slope, zero)


@inner
def normalise_backward(d, u, first, last, mu, scale, shift, relu, slope, sum_d, sum_dx):
    """d <- f'(v) d; sum_d = sum of d, sum_dx = sum of d (u - mu), over the samples first ... last - 1."""
    width, zero = width_of(u), u.dtype.type(0)
    s, q = np.empty(width, u.dtype), np.empty(width, u.dtype)
    sum_d[:] = 0
    sum_dx[:] = 0
    for start in range(first, last, ROWS_PER_SUM):
        s[:] = zero
        q[:] = zero
        for n in range(start, min(start + ROWS_PER_SUM, last)):
            for c in range(width):
                distance = u[n, c] - mu[c]
                t = _activate_backward(distance * scale[c] + shift[c], d[n, c], relu, slope, zero)
                d[n, c] = t
                s[c] += t
                q[c] += t * distance
        for c in range(width):
            sum_d[c] += s[c]
            sum_dx[c] += q[c]


@inner
def combine(d, u, first, last, mu, scale, linear, constant):
    """d <- d scale + (u - mu) linear + constant, for the samples first ... last - 1.    all else (width,)"""
    width = width_of(u)
    for n in range(first, last):
        for c in range(width):
            d[n, c] = d[n, c] * scale[c] + ((u[n, c] - mu[c]) * linear[c] + constant[c])


@inner
def multiply_columns(d, first, last, scale):
    """d <- d scale, for the samples first ... last - 1.    scale (width,)"""
    for n in range(first, last):
        for c in range(width_of(d)):
            d[n, c] *= scale[c]
