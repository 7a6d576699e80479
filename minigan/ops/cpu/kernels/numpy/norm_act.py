"""The kernels of `minigan.ops.cpu.norm_act` in NumPy; `minigan.ops.cpu.kernels.numba.norm_act` has the compiled ones.

Each processes one part of the rows, (h, C) of the matrix.  A part fits into a core's cache, so the several passes of
NumPy's functions over it are cheap.  `norm` is None or (mu, scale, beta), each (C,), for v = (u - mu) scale + beta.
"""

from typing import Any

import numpy as np

from minigan.ops.cpu.memory import arrays
from minigan.ops.norm_act import MaskArguments
from minigan.ops.protocol import Array

HASH_BLOCK_SIZE = 1 << 15
"""Elements whose hashes are computed at a time: two such uint32 workspaces fit into a core's cache."""
_STEPS = np.arange(HASH_BLOCK_SIZE, dtype=np.uint32) * np.uint32(0x9E3779B1)


def pre(x: Array, u: Array, mask: MaskArguments) -> None:
    """u = f(mask x)."""
    np.copyto(u, x)
    _drop(u, mask)
    _activate(u, mask)


def pre_backward(x: Array, dx: Array, mask: MaskArguments) -> None:
    """dx <- mask f'(mask x) dx, in place."""
    v = x
    if mask.drops and _has_activation(mask):
        v = _like(x)
        np.copyto(v, x)
        _drop(v, mask)
    _activate_backward(v, dx, mask)
    _drop(dx, mask)


def statistics(u: Array, pivot: Array, remainder: Array, m2: Array) -> bool:
    """Compute for each channel a number near the mean, mean - pivot, and sum (u - mean)^2.    (C,), float64.

    Return whether the pivot is so far from the mean in a channel that m2 has lost digits.
    """
    n = len(u)
    ones = np.ones(n, dtype=u.dtype)
    rough = ones @ u
    rough /= n
    d = _like(u)
    np.subtract(u, rough, out=d)
    pivot[...] = rough
    np.divide(ones @ d, n, out=remainder)
    np.multiply(d, d, out=d)
    m2[...] = ones @ d
    excess = n * (remainder * remainder)
    m2 -= excess
    return bool((excess > m2).any())


def apply(u: Array, y: Array, norm: Any, mask: MaskArguments) -> None:
    """y = mask f(v)."""
    _value(u, y, norm)
    _activate(y, mask)
    _drop(y, mask)


def sums(u: Array, dy: Array, norm: Any, mask: MaskArguments, sum_d: Array, sum_dx: Array) -> None:
    """sum_d = sum of d, sum_dx = sum of d (u - mu), with d = f'(v) mask dy.    (C,), float64."""
    d = _like(u)
    _cotangent(u, dy, d, norm, mask)
    ones = np.ones(len(u), dtype=u.dtype)
    sum_d[...] = ones @ d
    t = _like(u)
    np.subtract(u, norm[0], out=t)
    np.multiply(t, d, out=t)
    sum_dx[...] = ones @ t


def backward(u: Array, dy: Array, dx: Array, norm: Any, mask: MaskArguments, mean_terms: Any) -> None:
    """dx = d scale + (u - mu) linear + constant, mean_terms = (linear, constant), each (C,), or None for d scale."""
    _cotangent(u, dy, dx, norm, mask)
    if norm is not None:
        np.multiply(dx, norm[1], out=dx)
    if mean_terms is not None:
        linear, constant = mean_terms
        t = _like(u)
        np.subtract(u, norm[0], out=t)
        np.multiply(t, linear, out=t)
        np.add(dx, t, out=dx)
        np.add(dx, constant, out=dx)


def _like(x: Array) -> Array:
    return arrays.empty(x.shape, x.dtype)


def _value(u: Array, v: Array, norm: Any) -> None:
    """v = (u - mu) scale + beta, or u without batch norm."""
    if norm is None:
        np.copyto(v, u)
        return
    mu, scale, beta = norm
    np.subtract(u, mu, out=v)
    np.multiply(v, scale, out=v)
    np.add(v, beta, out=v)


def _cotangent(u: Array, dy: Array, d: Array, norm: Any, mask: MaskArguments) -> None:
    """d = f'(v) mask dy."""
    np.copyto(d, dy)
    _drop(d, mask)
    if _has_activation(mask):
        v = u
        if norm is not None:
            v = _like(u)
            _value(u, v, norm)
        _activate_backward(v, d, mask)


def _has_activation(mask: MaskArguments) -> bool:
    return bool(mask.relu or mask.slope != 1)


def _activate(v: Array, mask: MaskArguments) -> None:
    """v <- f(v), in place."""
    if mask.relu:
        zero = _like(v)
        zero.fill(0)
        np.maximum(v, zero, out=v)  # with the scalar 0 it takes four times as long
    elif mask.slope != 1:
        np.multiply(v, _derivative(v, mask.slope), out=v)


def _derivative(v: Array, slope: Any) -> Array:
    """Return 1 where v > 0 and slope elsewhere, in a workspace.

    It adds two products, because np.where takes ten times as long.
    """
    positive = v > 0
    f, rest = _like(v), _like(v)
    np.multiply(positive, v.dtype.type(1), out=f)
    np.multiply(np.logical_not(positive, out=positive), slope, out=rest)
    return np.add(f, rest, out=f)


def _activate_backward(v: Array, d: Array, mask: MaskArguments) -> None:
    """d <- f'(v) d, in place."""
    if mask.relu:  # clears the bits of d: an infinity times 0 would be NaN
        bits = f"i{d.itemsize}"
        keep = np.subtract(v <= 0, 1, dtype=bits)
        np.bitwise_and(d.view(bits), keep, out=d.view(bits))
    elif mask.slope != 1:
        np.multiply(d, _derivative(v, mask.slope), out=d)


def _drop(v: Array, mask: MaskArguments) -> None:
    """v <- mask v, in place: `reference.dropout`, with its hash computed step by step in two small workspaces."""
    if not mask.drops:
        return
    flat = v.reshape(-1)
    h, t = (arrays.empty((HASH_BLOCK_SIZE,), np.uint32) for _ in range(2))
    factors = arrays.empty((HASH_BLOCK_SIZE,), v.dtype)
    for start in range(0, flat.size, HASH_BLOCK_SIZE):
        part = flat[start : start + HASH_BLOCK_SIZE]
        n = part.size
        a, b, m = h[:n], t[:n], factors[:n]
        offset = (int(mask.first) + start) * 0x9E3779B1 & 0xFFFFFFFF
        np.add(_STEPS[:n], np.uint32(offset), out=a)
        np.bitwise_xor(a, mask.key_low, out=a)
        _mix(a, b, 16, 0x7FEB352D)
        np.bitwise_xor(a, mask.key_high, out=a)
        _mix(a, b, 15, 0x846CA68B)
        _mix(a, b, 16, 0x85EBCA6B)
        np.bitwise_xor(a, np.right_shift(a, 13, out=b), out=a)
        np.multiply(a >= mask.threshold, mask.keep_scale, out=m)
        np.multiply(part, m, out=part)


def _mix(h: Array, t: Array, shift: int, factor: int) -> None:
    """h <- (h ^ h >> shift) factor."""
    np.bitwise_xor(h, np.right_shift(h, shift, out=t), out=h)
    np.multiply(h, np.uint32(factor), out=h)
