"""Correlations as matrix products over im2col, a few images at a time.

A part consists of whole images.  It is small enough that its patches stay in the cache, and has at least
MIN_PATCH_ROWS_PER_PART rows, because BLAS is slow on smaller products.
"""

import math

import numpy as np

from minigan.ops.cpu import matmul
from minigan.ops.cpu.conv.flipped import flipped_geometry, flipped_weights
from minigan.ops.cpu.conv.im2col import col2im, im2col
from minigan.ops.cpu.executor import Executor, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

MAX_PATCH_BYTES_PER_PART = 1 << 20
MIN_PATCH_ROWS_PER_PART = 200
"""The minimum has priority over both maxima."""
MAX_MACS_PER_PART = 1 << 21
"""Multiply-adds: enough work for a thread, and little enough that a small layer has several parts."""
MIN_WEIGHTS_FOR_LARGER_PARTS = 1 << 21
"""From so many weights on a product reads more weights than patches, so its parts have twice the rows."""
MAX_PARTIAL_SUM_ENTRIES = 1 << 20
"""A weight gradient with at most so many entries is summed in several partial sums; a larger one is cut by rows."""
MAX_PARTIAL_SUMS = 8
MAX_PATCH_BYTES_PER_GROUP = 1 << 25
"""Patches of a larger weight gradient that are in memory at a time."""


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None, executor: Executor) -> Array:
    """y = im2col(x) W + b.    x (N, H, W, C)   W (kh, kw, C, O)   b (O,)   y (N, h, w, O)

    The bias is added to each part while the part is in the cache.
    """
    O = W.shape[3]
    y = arrays.empty((len(x), *geometry.small, O), x.dtype)
    matrix = W.reshape(-1, O)
    parts = _parts(len(x), geometry, x.shape[3], O, x.itemsize)

    def job(i: int) -> None:
        out = y[parts[i]].reshape(-1, O)
        np.matmul(_patches(x[parts[i]], geometry, executor), matrix, out=out)
        if b is not None:
            out += b

    executor.parallel_for(job, len(parts))
    return y


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None, executor: Executor) -> Array:
    """x = col2im(y W^T) + b.    y (N, h, w, O)   W (kh, kw, C, O)   b (C,)   x (N, H, W, C)

    At stride 1 this is also the correlation of y with the flipped kernel, whose patches have O channels instead of C.
    The one with fewer channels is used.
    """
    (kh, kw), C, O = geometry.kernel, W.shape[2], W.shape[3]
    flipped = flipped_geometry(geometry)
    if flipped is not None and O <= C:
        return correlate(y, flipped_weights(W), flipped, b, executor)
    x = arrays.empty((len(y), *geometry.large, C), y.dtype)
    matrix, bias = W.reshape(-1, O).T, np.zeros(C, x.dtype) if b is None else b
    parts = _parts(len(y), geometry, C, O, y.itemsize)

    def job(i: int) -> None:
        cotangent = y[parts[i]].reshape(-1, O)
        patches = arrays.empty((len(cotangent), kh * kw * C), y.dtype)
        np.matmul(cotangent, matrix, out=patches)
        col2im(patches, x[parts[i]], geometry, bias, compiled=executor.compiled)

    executor.parallel_for(job, len(parts))
    return x


def correlate_weights(x: Array, y: Array, geometry: Geometry, executor: Executor) -> Array:
    """dW = im2col(x)^T y.    x (N, H, W, C)   y (N, h, w, O)   dW (kh, kw, C, O)

    The partial sums are added in a fixed order, so the result is the same on any number of threads.
    """
    (kh, kw), C, O = geometry.kernel, x.shape[3], y.shape[3]
    dW = arrays.empty((kh, kw, C, O), x.dtype)
    if dW.size > MAX_PARTIAL_SUM_ENTRIES and len(x):
        _large_weights(x, y, geometry, dW.reshape(-1, O), executor)
        return dW
    parts = _parts(len(x), geometry, C, O, x.itemsize)
    sums = max(1, min(len(parts), MAX_PARTIAL_SUMS, 4 * MAX_PARTIAL_SUM_ENTRIES // max(1, dW.size)))
    partial = arrays.empty((sums, kh * kw * C, O), x.dtype)

    def job(s: int) -> None:
        total = partial[s]
        total[...] = 0
        for i in range(s, len(parts), sums):
            total += _patches(x[parts[i]], geometry, executor).T @ y[parts[i]].reshape(-1, O)

    executor.parallel_for(job, sums)
    partial.sum(axis=0, out=dW.reshape(-1, O))
    return dW


def _large_weights(x: Array, y: Array, geometry: Geometry, dW: Array, executor: Executor) -> None:
    """Compute a dW too large for partial sums: for each group of images the patches, then blocks of rows of dW."""
    O = y.shape[3]
    patch_entries = math.prod(geometry.small) * len(dW)  # of one image
    groups = slices(len(x), max(1, MAX_PATCH_BYTES_PER_GROUP // (patch_entries * x.itemsize)))
    workspace = arrays.empty((groups[0].stop * math.prod(geometry.small), len(dW)), x.dtype)
    for number, group in enumerate(groups):
        images = x[group]
        patches = workspace[: len(images) * math.prod(geometry.small)]
        parts = slices(len(images), max(1, MAX_PATCH_BYTES_PER_PART // (patch_entries * x.itemsize)))
        by_image = patches.reshape(len(images), -1, len(dW))

        def gather(i: int, images: Array = images, by_image: Array = by_image, parts: list[slice] = parts) -> None:
            part = by_image[parts[i]]
            im2col(images[parts[i]], part.reshape(-1, part.shape[2]), geometry, compiled=executor.compiled)

        executor.parallel_for(gather, len(parts))
        cotangent = y[group].reshape(-1, O)
        blocks = slices(len(dW), matmul.block(len(dW), 2 * len(patches) * dW.size))

        def multiply(
            i: int,
            patches: Array = patches,
            cotangent: Array = cotangent,
            blocks: list[slice] = blocks,
            first: bool = not number,
        ) -> None:
            left = patches[:, blocks[i]].T
            if first:
                np.matmul(left, cotangent, out=dW[blocks[i]])
            else:
                dW[blocks[i]] += left @ cotangent

        executor.parallel_for(multiply, len(blocks))


def _patches(x: Array, geometry: Geometry, executor: Executor) -> Array:
    """Return im2col(x) (N h w, kh kw C); for a 1 x 1 kernel, stride 1 and no padding, a view of x."""
    C = x.shape[3]
    if geometry.kernel == geometry.stride == (1, 1) and geometry.padded == geometry.large == geometry.small:
        return x.reshape(-1, C)
    patches = arrays.empty((len(x) * math.prod(geometry.small), math.prod(geometry.kernel) * C), x.dtype)
    im2col(x, patches, geometry, compiled=executor.compiled)
    return patches


def _parts(images: int, geometry: Geometry, C: int, O: int, itemsize: int) -> list[slice]:
    """Cut the images into equal parts within the limits above."""
    rows = math.prod(geometry.small)
    entries = rows * C * math.prod(geometry.kernel)  # patches of one image
    min_images = -(-MIN_PATCH_ROWS_PER_PART // rows)
    if C * math.prod(geometry.kernel) * O >= MIN_WEIGHTS_FOR_LARGER_PARTS:
        min_images = max(min_images, min(2 * min_images, images // 2))  # but still two parts
    max_images = min(MAX_PATCH_BYTES_PER_PART // (entries * itemsize), MAX_MACS_PER_PART // (entries * (O + 16)))
    step = max(1, max_images, min_images)
    return slices(images, -(-images // -(-images // step)) if images else 1)
