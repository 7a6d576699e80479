"""Correlations as matrix products over im2col, a few images at a time.

Parts of whole images keep the patches in the cache and the memory small; a part has at least ROWS rows of im2col, so
that the product is worth its name.
"""

import math

import numpy as np

from minigan.ops.cpu import matmul
from minigan.ops.cpu.conv import im2col
from minigan.ops.cpu.executor import Executor, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.memory.scratch import scratch
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

CHUNK = 1 << 20
"""Bytes of patches at a time."""
ROWS = 200
"""Rows of patches at a time, at least."""
HEAVY = 1 << 21
"""With so many weights a product reads more of them than of patches: twice the rows at a time, but in two parts."""
WORK = 1 << 21
"""Multiplications of a part, about: enough for a thread, and few enough for several parts in a small layer."""
PARTIAL = 1 << 20
"""Entries of a weight gradient of which several partial sums may be kept; a larger one is cut by rows instead."""
GROUP = 1 << 25
"""Bytes of patches at a time of such a larger one."""


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None, team: Executor) -> Array:
    """y = patches(x) W + b, the bias added to each part while it is in the cache."""
    O = W.shape[3]
    y = arrays.empty((len(x), *geometry.small, O), x.dtype)
    matrix = W.reshape(-1, O)
    parts = _parts(len(x), geometry, x.shape[3], O, x.itemsize)

    def job(i: int) -> None:
        out = y[parts[i]].reshape(-1, O)
        np.matmul(_patches(x[parts[i]], geometry, team), matrix, out=out)
        if b is not None:
            out += b

    team.parallel_for(job, len(parts))
    return y


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None, team: Executor) -> Array:
    """x = the sum of y W^T over the patches that a pixel lies in, + b.

    At stride 1 it may gather instead: it is the correlation of y with the kernel turned by half a turn, whose im2col
    have O channels and not C.  The smaller ones are taken.
    """
    (kh, kw), C, O = geometry.kernel, W.shape[2], W.shape[3]
    turned = turned_geometry(geometry)
    if turned is not None and O <= C:
        return correlate(y, turned_weights(W), turned, b, team)
    x = arrays.empty((len(y), *geometry.large, C), y.dtype)
    matrix, bias = W.reshape(-1, O).T, np.zeros(C, x.dtype) if b is None else b
    parts = _parts(len(y), geometry, C, O, y.itemsize)

    def job(i: int) -> None:
        some = y[parts[i]].reshape(-1, O)
        taken = scratch.array("patches", (len(some), kh * kw * C), y.dtype)
        np.matmul(some, matrix, out=taken)
        im2col.scatter(taken, x[parts[i]], geometry, bias, compiled=team.compiled)

    team.parallel_for(job, len(parts))
    return x


def correlate_weights(x: Array, y: Array, geometry: Geometry, team: Executor) -> Array:
    """dW = patches(x)^T y.

    The parts' sums are added in the order of the parts: the same on any number of threads.
    """
    (kh, kw), C, O = geometry.kernel, x.shape[3], y.shape[3]
    dW = arrays.empty((kh, kw, C, O), x.dtype)
    if dW.size > PARTIAL and len(x):
        _large_weights(x, y, geometry, dW.reshape(-1, O), team)
        return dW
    parts = _parts(len(x), geometry, C, O, x.itemsize)
    sums = max(1, min(len(parts), 8, 4 * PARTIAL // max(1, dW.size)))
    partial = scratch.array("partial", (sums, kh * kw * C, O), x.dtype)

    def job(s: int) -> None:
        total = partial[s]
        total[...] = 0
        for i in range(s, len(parts), sums):
            total += _patches(x[parts[i]], geometry, team).T @ y[parts[i]].reshape(-1, O)

    team.parallel_for(job, sums)
    partial.sum(axis=0, out=dW.reshape(-1, O))
    return dW


def _large_weights(x: Array, y: Array, geometry: Geometry, dW: Array, team: Executor) -> None:
    """For a dW too large for partial sums: the patches of many images, then blocks of rows of dW."""
    O = y.shape[3]
    per = math.prod(geometry.small) * len(dW)  # of an image's im2col
    groups = slices(len(x), max(1, GROUP // (per * x.itemsize)))
    held = arrays.empty((groups[0].stop * math.prod(geometry.small), len(dW)), x.dtype)
    for number, group in enumerate(groups):
        some = x[group]
        rows = held[: len(some) * math.prod(geometry.small)]
        parts = slices(len(some), max(1, CHUNK // (per * x.itemsize)))
        by_image = rows.reshape(len(some), -1, len(dW))

        def take(i: int, some: Array = some, by_image: Array = by_image, parts: list[slice] = parts) -> None:
            part = by_image[parts[i]]
            im2col.gather(some[parts[i]], part.reshape(-1, part.shape[2]), geometry, compiled=team.compiled)

        team.parallel_for(take, len(parts))
        cotangent = y[group].reshape(-1, O)
        blocks = slices(len(dW), matmul.block(len(dW), 2 * len(rows) * dW.size))

        def multiply(
            i: int,
            rows: Array = rows,
            cotangent: Array = cotangent,
            blocks: list[slice] = blocks,
            first: bool = not number,
        ) -> None:
            left = rows[:, blocks[i]].T
            if first:
                np.matmul(left, cotangent, out=dW[blocks[i]])
            else:
                dW[blocks[i]] += left @ cotangent

        team.parallel_for(multiply, len(blocks))


def _patches(x: Array, geometry: Geometry, team: Executor) -> Array:
    """Return the patches (N h w, kh kw C) of a few images, in scratch."""
    C = x.shape[3]
    if geometry.kernel == geometry.stride == (1, 1) and geometry.padded == geometry.large == geometry.small:
        return x.reshape(-1, C)
    taken = scratch.array("patches", (len(x) * math.prod(geometry.small), math.prod(geometry.kernel) * C), x.dtype)
    im2col.gather(x, taken, geometry, compiled=team.compiled)
    return taken


def _parts(images: int, geometry: Geometry, C: int, O: int, itemsize: int) -> list[slice]:
    """Cut the images into equal parts of at most CHUNK bytes of patches and WORK operations, but at least ROWS rows."""
    rows = math.prod(geometry.small)
    taken = rows * C * math.prod(geometry.kernel)
    least = -(-ROWS // rows)
    if C * math.prod(geometry.kernel) * O >= HEAVY:
        least = max(least, min(2 * least, images // 2))
    step = max(1, min(CHUNK // (taken * itemsize), WORK // (taken * (O + 16))), least)
    return slices(images, -(-images // -(-images // step)) if images else 1)


def turned_geometry(geometry: Geometry) -> Geometry | None:
    """Return the geometry of the adjoint as a correlation; None where it is not one (a stride, much padding).

    The padding after y is what the windows of all large pixels need: output_padding makes it more than before y.
    """
    if geometry.stride != (1, 1):
        return None
    padding = []
    for axis in (0, 1):
        reach = geometry.dilation[axis] * (geometry.kernel[axis] - 1)
        before = reach - geometry.padding[axis][0]
        padding.append((before, geometry.large[axis] + reach - geometry.small[axis] - before))
    if min(padding[0] + padding[1]) < 0:
        return None
    sides = padding[0], padding[1]
    return Geometry(geometry.small, geometry.large, geometry.kernel, (1, 1), geometry.dilation, sides)


def turned_weights(W: Array) -> Array:
    """Return the kernel turned by half a turn, its ends exchanged.    (kh, kw, C, O) -> (kh, kw, O, C)"""
    return np.ascontiguousarray(W[::-1, ::-1].swapaxes(2, 3))
