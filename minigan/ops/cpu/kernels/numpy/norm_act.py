"""The kernels of `minigan.ops.cpu.norm_act` in NumPy; `minigan.ops.cpu.kernels.numba.norm_act` has the compiled ones.

Each processes one part of the rows, (h, C) of the matrix.  A part fits into a core's cache, so the several passes of
NumPy's functions over it are cheap.  `norm` is None or (mu, scale, beta), each (C,), for v = (u - mu) scale + beta.
"""

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.ops.cpu.kernels.norm_act import Pass
from minigan.ops.cpu.memory import arrays
from minigan.ops.norm_act import MaskArguments
from minigan.ops.protocol import Array

HASH_BLOCK_SIZE = 1 << 15
"""Elements whose hashes are computed at a time: two such uint32 workspaces fit into a core's cache."""
MASK_BLOCK_SIZE = 1 << 16
"""Elements whose masks are unpacked at a time."""
MAX_KEPT_MASKS, MAX_KEPT_MASK_SIZE = 1024, 1 << 18
"""How many masks of parts are kept for reuse, of at most so many elements: 32 KiB each, together 32 MiB."""
MAX_ALLOCATED_BYTES = 1 << 16
"""Intermediate arrays up to this size are allocated by NumPy."""
_STEPS = np.arange(HASH_BLOCK_SIZE, dtype=np.uint32) * np.uint32(0x9E3779B1)


def run(work: Pass, each: Callable[[Callable[[int], object], int], None]) -> NDArray[np.int64]:
    """Run a pass; ``each(job, n)`` calls job(0) ... job(n - 1), on several threads perhaps.

    Returns
    -------
    (n,) array
        For "statistics" whether the pivot of each part is far from its mean; zeros otherwise.

    """
    x, C, dtype = work.x, work.x.shape[1], work.x.dtype
    parts = [slice(start, min(start + work.rows, len(x))) for start in range(0, len(x), work.rows)]
    far = np.zeros(len(parts), np.int64)

    def job(i: int) -> None:
        part = parts[i]
        begin = work.first + part.start * C
        u: Array = x[part]
        others: list[Any] = [a[part] for a in work.others]
        if not work.pre.is_identity:
            u = arrays.empty(u.shape, dtype)
            pre(x[part], u, work.pre.arguments(begin, dtype))
        sums_of_part: list[Any] = [] if work.sums is None else [a[i] for a in work.sums]
        if work.function == "statistics":
            far[i] = statistics(u, sums_of_part[0], sums_of_part[1], sums_of_part[2])
            return
        mask = work.post.arguments(begin, dtype)
        if work.function == "pre":
            pre(u, others[0], mask)
        elif work.function == "apply":
            apply(u, others[0], work.norm, mask)
        elif work.function == "sums":
            sums(u, others[0], work.norm, mask, sums_of_part[0], sums_of_part[1])
        else:
            backward(u, others[0], others[1], work.norm, mask, work.terms)
            if not work.pre.is_identity:
                pre_backward(x[part], others[1], work.pre.arguments(begin, dtype))

    each(job, len(parts))
    return far


def pre(x: Array, u: Array, mask: MaskArguments) -> None:
    """u = f(mask x)."""
    _finish(_activate(_drop(x, u, mask), u, mask), u)


def pre_backward(x: Array, dx: Array, mask: MaskArguments) -> None:
    """dx <- mask f'(mask x) dx, in place."""
    v = _drop(x, _like(x), mask) if mask.drops and _has_activation(mask) else x
    _activate_backward(v, dx, dx, mask)
    _drop(dx, dx, mask)


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
    _finish(_drop(_activate(_value(u, y, norm), y, mask), y, mask), y)


def sums(u: Array, dy: Array, norm: Any, mask: MaskArguments, sum_d: Array, sum_dx: Array) -> None:
    """sum_d = sum of d, sum_dx = sum of d (u - mu), with d = f'(v) mask dy.    (C,), float64."""
    d = _cotangent(u, dy, _like(u), norm, mask)
    ones = np.ones(len(u), dtype=u.dtype)
    sum_d[...] = ones @ d
    t = _like(u)
    np.subtract(u, norm[0], out=t)
    np.multiply(t, d, out=t)
    sum_dx[...] = ones @ t


def backward(u: Array, dy: Array, dx: Array, norm: Any, mask: MaskArguments, mean_terms: Any) -> None:
    """dx = d scale + (u - mu) linear + constant, mean_terms = (linear, constant), each (C,), or None for d scale."""
    d = _cotangent(u, dy, dx, norm, mask)
    if norm is None:
        _finish(d, dx)
    else:
        np.multiply(d, norm[1], out=dx)
    if mean_terms is not None:
        linear, constant = mean_terms
        t = _like(u)
        np.subtract(u, norm[0], out=t)
        np.multiply(t, linear, out=t)
        np.add(dx, t, out=dx)
        np.add(dx, constant, out=dx)


def _like(x: Array) -> Array:
    """Return a workspace for an array like x; a small one is allocated in less time than a workspace is found."""
    if x.nbytes <= MAX_ALLOCATED_BYTES:
        return np.empty(x.shape, x.dtype)
    return arrays.empty(x.shape, x.dtype)


# The functions below return their result.  They write it to their argument `out`, which may be their input too, unless
# nothing is to be done: then they return their input, so that nothing is copied.


def _finish(x: Array, out: Array) -> None:
    """Copy x to `out` if nothing has been written there."""
    if x is not out:
        np.copyto(out, x)


def _value(u: Array, out: Array, norm: Any) -> Array:
    """v = (u - mu) scale + beta, or u without batch norm."""
    if norm is None:
        return u
    mu, scale, beta = norm
    np.subtract(u, mu, out=out)
    np.multiply(out, scale, out=out)
    return np.add(out, beta, out=out)


def _cotangent(u: Array, dy: Array, out: Array, norm: Any, mask: MaskArguments) -> Array:
    """d = f'(v) mask dy."""
    d = _drop(dy, out, mask)
    if not _has_activation(mask):
        return d
    return _activate_backward(_value(u, _like(u), norm), d, out, mask)


def _has_activation(mask: MaskArguments) -> bool:
    return bool(mask.relu or mask.slope != 1)


def _activate(v: Array, out: Array, mask: MaskArguments) -> Array:
    """f(v)."""
    if mask.relu:
        zero = _like(v)
        zero.fill(0)
        return np.maximum(v, zero, out=out)  # with the scalar 0 it takes four times as long
    slope = mask.slope
    if slope == 1:
        return v
    if slope > 0:  # not for 0, because 0 times infinity is NaN
        sloped = np.multiply(v, slope, out=_like(v))
        return (np.maximum if slope < 1 else np.minimum)(v, sloped, out=out)
    return np.multiply(v, _derivative(v, slope), out=out)


def _derivative(v: Array, slope: Any) -> Array:
    """Return 1 where v > 0 and slope elsewhere, in a workspace.

    It multiplies and adds, because np.where takes several times as long.
    """
    one, positive, f = v.dtype.type(1), v > 0, _like(v)
    if (one - slope) + slope == 1:
        np.multiply(positive, one - slope, out=f)
        return np.add(f, slope, out=f)
    rest = _like(v)
    np.multiply(positive, one, out=f)
    np.multiply(np.logical_not(positive, out=positive), slope, out=rest)
    return np.add(f, rest, out=f)


def _activate_backward(v: Array, d: Array, out: Array, mask: MaskArguments) -> Array:
    """f'(v) d."""
    if mask.relu:  # clears the bits of d: an infinity times 0 would be NaN
        dropped = (v <= 0).view(np.int8)
        bits, keep = f"i{d.itemsize}", _like(v)
        np.copyto(keep.view(bits), np.subtract(dropped, 1, out=dropped))  # no bit set where v <= 0, otherwise all
        np.bitwise_and(d.view(bits), keep.view(bits), out=out.view(bits))
        return out
    if mask.slope == 1:
        return d
    return np.multiply(d, _derivative(v, mask.slope), out=out)


def _drop(x: Array, out: Array, mask: MaskArguments) -> Array:
    """mask x: `reference.dropout`."""
    if not mask.drops:
        return x
    source, target, packed = x.reshape(-1), out.reshape(-1), _keep_bits(mask, x.size)
    factors = arrays.empty((MASK_BLOCK_SIZE,), x.dtype)
    for start in range(0, x.size, MASK_BLOCK_SIZE):
        stop = min(start + MASK_BLOCK_SIZE, x.size)
        keep = np.unpackbits(packed[start >> 3 : (stop + 7) >> 3], count=stop - start)
        factor = np.multiply(keep, mask.keep_scale, out=factors[: stop - start])
        np.multiply(source[start:stop], factor, out=target[start:stop])
    return out


_kept: dict[tuple[int, ...], Array] = {}
_kept_keys: "deque[tuple[int, ...]]" = deque()


def _keep_bits(mask: MaskArguments, n: int) -> Array:
    """Return which of the part's n elements dropout keeps, packed into bits.

    The bits of the last masks are kept, because the forward and the backward pass read a mask several times, and the
    hash takes five times as long as unpacking its bits.  Every step is safe under the interpreter's lock alone.
    """
    key = (*map(int, (mask.key_low, mask.key_high, mask.threshold, mask.first)), n)
    found = _kept.get(key)
    if found is None:
        found = _hashed_bits(mask, n)
        if n <= MAX_KEPT_MASK_SIZE:
            _kept[key] = found
            _kept_keys.append(key)
            while len(_kept_keys) > MAX_KEPT_MASKS:
                with contextlib.suppress(IndexError):  # another thread has taken the last one
                    _kept.pop(_kept_keys.popleft(), None)
    return found


def release() -> None:
    """Free the masks that are kept."""
    _kept_keys.clear()  # first, so that no mask that another thread adds meanwhile stays without its key
    _kept.clear()


def _hashed_bits(mask: MaskArguments, n: int) -> Array:
    """Compute the bits with the hash of `reference.dropout_hash`, step by step in two small workspaces."""
    packed = np.empty((n + 7) >> 3, np.uint8)
    h, t = (arrays.empty((HASH_BLOCK_SIZE,), np.uint32) for _ in range(2))
    for start in range(0, n, HASH_BLOCK_SIZE):
        size = min(HASH_BLOCK_SIZE, n - start)
        a, b = h[:size], t[:size]
        offset = (int(mask.first) + start) * 0x9E3779B1 & 0xFFFFFFFF
        np.add(_STEPS[:size], np.uint32(offset), out=a)
        np.bitwise_xor(a, mask.key_low, out=a)
        _mix(a, b, 16, 0x7FEB352D)
        np.bitwise_xor(a, mask.key_high, out=a)
        _mix(a, b, 15, 0x846CA68B)
        _mix(a, b, 16, 0x85EBCA6B)
        np.bitwise_xor(a, np.right_shift(a, 13, out=b), out=a)
        packed[start >> 3 : (start + size + 7) >> 3] = np.packbits(a >= mask.threshold)
    return packed


def _mix(h: Array, t: Array, shift: int, factor: int) -> None:
    """h <- (h ^ h >> shift) factor."""
    np.bitwise_xor(h, np.right_shift(h, shift, out=t), out=h)
    np.multiply(h, np.uint32(factor), out=h)
