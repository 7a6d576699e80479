"""The bodies of `minigan.ops.cpu.norm_act` in NumPy; `compiled_rows` has the same, compiled.

Each works on one part of the rows, (h, C) of the matrix, which fits a core's cache, so that the passes of NumPy's
functions over it cost little.  A gate is (relu, slope, drops, first, threshold, low, high, kept), see
`ActivationMask.at`; a norm is None or (mu, scale, beta), each (C,), for v = (u - mu) scale + beta.
"""

from typing import Any

import numpy as np

from minigan.ops.cpu.memory.scratch import scratch
from minigan.ops.protocol import Array

BLOCK = 1 << 15
_STEPS = np.arange(BLOCK, dtype=np.uint32) * np.uint32(0x9E3779B1)


def before(x: Array, u: Array, gate: Any) -> None:
    """u = f(mask x)."""
    np.copyto(u, x)
    _drop(u, gate)
    _activate(u, gate)


def before_back(x: Array, dx: Array, gate: Any) -> None:
    """dx <- mask f'(mask x) dx, in place."""
    v = x
    if gate[2] and _bends(gate):
        v = _like("rows.v", x)
        np.copyto(v, x)
        _drop(v, gate)
    _activate_back(v, dx, gate)
    _drop(dx, gate)


def statistics(u: Array, pivot: Array, rest: Array, m2: Array) -> None:
    """Of each channel: a number near the mean, mean - pivot, and the sum of (u - mean)^2.    (C,), float64."""
    n = len(u)
    ones = np.ones(n, dtype=u.dtype)
    rough = ones @ u
    rough /= n
    d = _like("rows.d", u)
    np.subtract(u, rough, out=d)
    pivot[...] = rough
    np.divide(ones @ d, n, out=rest)
    np.multiply(d, d, out=d)
    m2[...] = ones @ d
    m2 -= n * (rest * rest)


def apply(u: Array, y: Array, norm: Any, gate: Any) -> None:
    """y = mask f(v)."""
    _value(u, y, norm)
    _activate(y, gate)
    _drop(y, gate)


def sums(u: Array, dy: Array, norm: Any, gate: Any, sum_d: Array, sum_dx: Array) -> None:
    """With d = f'(v) mask dy: sum_d = sum of d,  sum_dx = sum of d (u - mu).    (C,), float64."""
    d = _like("rows.d", u)
    _cotangent(u, dy, d, norm, gate)
    ones = np.ones(len(u), dtype=u.dtype)
    sum_d[...] = ones @ d
    t = _like("rows.v", u)
    np.subtract(u, norm[0], out=t)
    np.multiply(t, d, out=t)
    sum_dx[...] = ones @ t


def pull(u: Array, dy: Array, dx: Array, norm: Any, gate: Any, line: Any) -> None:
    """dx = d scale + (u - mu) slope + constant, line = (slope, constant), each (C,); None: dx = d scale."""
    _cotangent(u, dy, dx, norm, gate)
    if norm is not None:
        np.multiply(dx, norm[1], out=dx)
    if line is not None:
        t = _like("rows.v", u)
        np.subtract(u, norm[0], out=t)
        np.multiply(t, line[0], out=t)
        np.add(dx, t, out=dx)
        np.add(dx, line[1], out=dx)


def _like(name: str, x: Array) -> Array:
    return scratch.array(name, x.shape, x.dtype)


def _value(u: Array, v: Array, norm: Any) -> None:
    if norm is None:
        np.copyto(v, u)
        return
    mu, scale, beta = norm
    np.subtract(u, mu, out=v)
    np.multiply(v, scale, out=v)
    np.add(v, beta, out=v)


def _cotangent(u: Array, dy: Array, d: Array, norm: Any, gate: Any) -> None:
    """d = f'(v) mask dy."""
    np.copyto(d, dy)
    _drop(d, gate)
    if _bends(gate):
        v = u
        if norm is not None:
            v = _like("rows.v", u)
            _value(u, v, norm)
        _activate_back(v, d, gate)


def _bends(gate: Any) -> bool:
    return bool(gate[0] or gate[1] != 1)


def _activate(v: Array, gate: Any) -> None:
    """v <- f(v), in place."""
    relu, slope = gate[:2]
    if relu:
        zero = _like("rows.f", v)
        zero.fill(0)
        np.maximum(v, zero, out=v)  # by the number 0 it takes four times as long
    elif slope != 1:
        np.multiply(v, _derivative(v, slope), out=v)


def _derivative(v: Array, slope: Any) -> Array:
    """1 where v > 0, else slope, in a workspace: as a sum of products (np.where takes ten times as long)."""
    positive = v > 0
    f, rest = _like("rows.f", v), _like("rows.rest", v)
    np.multiply(positive, v.dtype.type(1), out=f)
    np.multiply(np.logical_not(positive, out=positive), slope, out=rest)
    return np.add(f, rest, out=f)


def _activate_back(v: Array, d: Array, gate: Any) -> None:
    """d <- f'(v) d, in place."""
    relu, slope = gate[:2]
    if relu:  # on the bits of d: times 0, a masked infinity would be NaN
        bits = f"i{d.itemsize}"
        keep = np.subtract(v <= 0, 1, dtype=bits)
        np.bitwise_and(d.view(bits), keep, out=d.view(bits))
    elif slope != 1:
        np.multiply(d, _derivative(v, slope), out=d)


def _drop(v: Array, gate: Any) -> None:
    """v <- mask v, in place: `reference.dropout`, its hash step by step in two small workspaces."""
    _, _, drops, first, threshold, low, high, kept = gate
    if not drops:
        return
    flat = v.reshape(-1)
    h, t = (scratch.array(name, (BLOCK,), np.uint32) for name in ("rows.hash", "rows.shifted"))
    mask = scratch.array("rows.mask", (BLOCK,), v.dtype)
    for start in range(0, flat.size, BLOCK):
        part = flat[start : start + BLOCK]
        n = part.size
        a, b, m = h[:n], t[:n], mask[:n]
        offset = (int(first) + start) * 0x9E3779B1 & 0xFFFFFFFF
        np.add(_STEPS[:n], np.uint32(offset), out=a)
        np.bitwise_xor(a, low, out=a)
        _mix(a, b, 16, 0x7FEB352D)
        np.bitwise_xor(a, high, out=a)
        _mix(a, b, 15, 0x846CA68B)
        _mix(a, b, 16, 0x85EBCA6B)
        np.bitwise_xor(a, np.right_shift(a, 13, out=b), out=a)
        np.multiply(a >= threshold, kept, out=m)
        np.multiply(part, m, out=part)


def _mix(h: Array, t: Array, shift: int, factor: int) -> None:
    """h <- (h ^ h >> shift) factor."""
    np.bitwise_xor(h, np.right_shift(h, shift, out=t), out=h)
    np.multiply(h, np.uint32(factor), out=h)
