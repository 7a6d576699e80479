"""Correlations as matrix products over patches, a few images at a time.

A patch is a row of kh kw C numbers, and NHWC keeps kw C of them together in memory: gathering patches copies runs, and
the product is one GEMM of the pixels by O.  Chunks of images keep the patches in the cache and the memory small.
"""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.ops import reference
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

CHUNK = 1 << 22
"""Bytes of patches at a time."""


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
    """y = patches(x) W + b."""
    if x.dtype.kind != "f" or x.dtype != W.dtype:
        return reference.correlate(x, W, geometry, b)
    y = np.empty((len(x), *geometry.small, W.shape[3]), dtype=x.dtype)
    matrix = W.reshape(-1, W.shape[3])
    for some, patches in _patches(x, geometry):
        np.matmul(patches, matrix, out=y[some].reshape(-1, W.shape[3]))
    if b is not None:
        y += b
    return y


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
    """x = the sum of y W^T over the patches that a pixel lies in, + b.

    At stride 1 this gathers: it is a correlation of y with the kernel turned by half a turn.  Otherwise patches are
    added into place.
    """
    if y.dtype.kind != "f" or y.dtype != W.dtype:
        return reference.correlate_adjoint(y, W, geometry, b)
    turned = _turned(geometry)
    if turned is not None:
        return correlate(y, np.ascontiguousarray(W[::-1, ::-1].swapaxes(2, 3)), turned, b)
    (kh, kw), C, O = geometry.kernel, W.shape[2], W.shape[3]
    inside, matrix = geometry.inside, W.reshape(-1, O).T
    x = np.empty((len(y), *geometry.large, C), dtype=y.dtype)
    for some in _chunks(len(y), geometry, C, y.itemsize):
        patches = (y[some].reshape(-1, O) @ matrix).reshape(-1, *geometry.small, kh, kw, C)
        padded = np.zeros((len(patches), *geometry.padded, C), dtype=y.dtype)
        for i, j, rows, columns in geometry.taps:
            padded[:, rows, columns] += patches[:, :, :, i, j]
        x[some] = padded[:, *inside]
    if b is not None:
        x += b
    return x


def correlate_weights(x: Array, y: Array, geometry: Geometry) -> Array:
    """dW = patches(x)^T y."""
    if x.dtype.kind != "f" or x.dtype != y.dtype:
        return reference.correlate_weights(x, y, geometry)
    O = y.shape[3]
    dW = np.zeros((*geometry.kernel, x.shape[3], O), dtype=x.dtype)
    matrix = dW.reshape(-1, O)
    for some, patches in _patches(x, geometry):
        matrix += patches.T @ y[some].reshape(-1, O)
    return dW


def _patches(x: Array, geometry: Geometry) -> Iterator[tuple[slice, Array]]:
    """For a few images at a time: which, and their patches (n h w, kh kw C)."""
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel, geometry.stride, geometry.dilation
    (h, w), C = geometry.small, x.shape[3]
    if geometry.kernel == geometry.stride == (1, 1) and geometry.padded == geometry.large == geometry.small:
        yield slice(len(x)), x.reshape(-1, C)
        return
    rows, columns = geometry.inside
    for some in _chunks(len(x), geometry, C, x.itemsize):
        part = x[some]
        n = len(part)
        padded = np.zeros((n, *geometry.padded, C), dtype=x.dtype)
        padded[:, rows, columns] = part
        image, row, column, item = padded.strides
        if dw == 1:  # the taps of one row lie together: runs of kw C numbers
            shape: tuple[int, ...] = (n, h, w, kh, kw * C)
            strides: tuple[int, ...] = (image, sh * row, sw * column, dh * row, item)
        else:
            shape = (n, h, w, kh, kw, C)
            strides = (image, sh * row, sw * column, dh * row, dw * column, item)
        yield some, as_strided(padded, shape, strides, writeable=False).reshape(n * h * w, kh * kw * C)


def _chunks(images: int, geometry: Geometry, C: int, itemsize: int) -> Iterator[slice]:
    size = itemsize * C * geometry.kernel[0] * geometry.kernel[1] * geometry.small[0] * geometry.small[1]
    step = max(1, CHUNK // size)
    for start in range(0, images, step):
        yield slice(start, start + step)


def _turned(geometry: Geometry) -> Geometry | None:
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
