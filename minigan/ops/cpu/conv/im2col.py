"""Patches of images and back: im2col and col2im, in NumPy and (`compiled_patches`) compiled.

A patch is a row of kh kw C numbers, what the kernel sees at one output pixel.  NHWC keeps the kw C numbers of a row of
the kernel together in memory, so that gathering copies runs.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.ops.cpu.memory.scratch import scratch
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array


def gather(x: Array, patches: Array, geometry: Geometry, *, compiled: bool) -> None:
    """patches_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c.    x (N, H, W, C)   patches (N h w, kh kw C)"""
    if compiled:
        from minigan.ops.cpu.kernels.numba import im2col as numba_im2col

        numba_im2col.gather(x.reshape(-1), patches.reshape(-1), _sizes(x, geometry))
        return
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel, geometry.stride, geometry.dilation
    (h, w), (n, C) = geometry.small, (len(x), x.shape[3])
    rows, columns = geometry.inside
    padded = scratch.array("padded", (n, *geometry.padded, C), x.dtype)
    padded[...] = 0
    padded[:, rows, columns] = x
    image, row, column, item = padded.strides
    if dw == 1:  # the taps of one row lie together: runs of kw C numbers
        shape: tuple[int, ...] = (n, h, w, kh, kw * C)
        strides: tuple[int, ...] = (image, sh * row, sw * column, dh * row, item)
    else:
        shape = (n, h, w, kh, kw, C)
        strides = (image, sh * row, sw * column, dh * row, dw * column, item)
    np.copyto(patches.reshape(shape), as_strided(padded, shape, strides, writeable=False))


def scatter(patches: Array, x: Array, geometry: Geometry, bias: Array, *, compiled: bool) -> None:
    """x~_n,(sp+di),(sq+dj),c = b_c + the sum of patches_(npq),(ijc) over p, q, i, j.    Shapes as in `gather`."""
    if compiled:
        from minigan.ops.cpu.kernels.numba import im2col as numba_im2col

        numba_im2col.scatter(patches.reshape(-1), x.reshape(-1), _sizes(x, geometry), bias)
        return
    n, C = len(x), x.shape[3]
    padded = scratch.array("padded", (n, *geometry.padded, C), x.dtype)
    padded[...] = 0
    taps = patches.reshape(n, *geometry.small, *geometry.kernel, C)
    for i, j, rows, columns in geometry.taps:
        padded[:, rows, columns] += taps[:, :, :, i, j]
    np.add(padded[:, *geometry.inside], bias, out=x)


def _sizes(x: Array, geometry: Geometry) -> tuple[int, ...]:
    (top, _), (left, _) = geometry.padding
    return (*x.shape, *geometry.kernel, *geometry.stride, *geometry.dilation, top, left, *geometry.small)
