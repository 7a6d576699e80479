"""Correlations as matrix products over patches, some images at a time: every geometry, float32 and float64.

The products are the library's (`Device.gemm`); the patches are written to memory and read again (`patches.cu`), in
pieces of whole images so that the workspace is bounded.
"""

import math
from typing import Any

from minigan.ops.cuda.device.base import Device, blocks_for
from minigan.ops.cuda.vector import REALS
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

MAX_WORKSPACE_BYTES = 256 << 20
"""Bytes of patches at a time, at most, but one image at least."""
THREADS = 256
BLOCKS_PER_PROCESSOR = 16
"""Of these threads, on each processor of the device."""
MAX_GRID_ROWS = 65535
"""Of a grid."""


class Patches:
    """The three correlations on a device, with products in one of its precisions."""

    def __init__(self, device: Device, precision: str = "fp32", workspace: int = MAX_WORKSPACE_BYTES) -> None:
        self.device, self.precision, self.workspace = device, precision, workspace

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None) -> Array:
        """y = patches(x) W + b."""
        O = W.shape[3]
        y = self.device.xp.empty((len(x), *geometry.small, O), x.dtype)
        if b is not None:
            self._fill(y, b)
        for some in self._parts(len(x), geometry, W.shape[2], x.itemsize):
            rows = self._taken(x[some], geometry)
            self._product(rows, W.reshape(-1, O), y[some].reshape(-1, O), beta=0.0 if b is None else 1.0)
        return y

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None) -> Array:
        """x = the sum of y W^T over the patches that a pixel lies in, + b."""
        C, O = W.shape[2:]
        x = self.device.xp.empty((len(y), *geometry.large, C), y.dtype)
        matrix = W.reshape(-1, O)
        if are_images(geometry):
            if b is not None:
                self._fill(x, b)
            beta = 0.0 if b is None else 1.0
            self._product(y.reshape(-1, O), matrix, x.reshape(-1, len(matrix)), transpose_b=True, beta=beta)
            return x
        for some in self._parts(len(y), geometry, C, y.itemsize):
            part = y[some].reshape(-1, O)
            rows = self.device.xp.empty((len(part), len(matrix)), y.dtype)
            self._product(part, matrix, rows, transpose_b=True)
            self._launch("add_patches", x[some], geometry, rows, b, x[some])
        return x

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry) -> Array:
        """dW = patches(x)^T y, the parts added in their order."""
        C, O = x.shape[3], y.shape[3]
        dW = self.device.xp.empty((*geometry.kernel, C, O), x.dtype)
        if not len(x):
            dW.fill(0)
        for some in self._parts(len(x), geometry, C, x.itemsize):
            rows = self._taken(x[some], geometry)
            beta = 1.0 if some.start else 0.0
            self._product(rows, y[some].reshape(-1, O), dW.reshape(-1, O), transpose_a=True, beta=beta)
        return dW

    def _taken(self, x: Array, geometry: Geometry) -> Array:
        """Return the patches of a few images.    (N, H, W, C) -> (N h w, kh kw C)"""
        rows, columns = len(x) * math.prod(geometry.small), math.prod(geometry.kernel) * x.shape[3]
        if are_images(geometry):
            return x.reshape(rows, columns)
        taken = self.device.xp.empty((rows, columns), x.dtype)
        self._launch("take_patches", x, geometry, x, taken)
        return taken

    def _parts(self, images: int, geometry: Geometry, C: int, itemsize: int) -> list[slice]:
        """Cut the images into parts whose patches fit the workspace."""
        of_one = math.prod(geometry.small) * math.prod(geometry.kernel) * C * itemsize
        step = max(1, images if are_images(geometry) else self.workspace // of_one)
        return [slice(start, min(start + step, images)) for start in range(0, images, step)]

    def _product(self, a: Array, b: Array, out: Array, **options: Any) -> None:
        self.device.gemm(a, b, out, precision=self.precision, **options)

    def _fill(self, y: Array, b: Array) -> None:
        """y <- b along the last axis, some images at a time: the kernel counts in 32 bits."""
        per = max(1, (1 << 30) // max(1, math.prod(y.shape[1:])))
        for start in range(0, len(y), per):
            part = y[start : start + per]
            grid = blocks_for(part.size, THREADS, BLOCKS_PER_PROCESSOR * self.device.processors)
            self.device.launch("patches", "fill_rows", grid, THREADS, b, part, part.size, len(b), REAL=REALS[y.dtype])

    def _launch(self, kernel: str, x: Array, geometry: Geometry, *arrays: Array | None) -> None:
        """Launch over the images x, or over their patches: blocks for each row of pixels."""
        height, width = geometry.large
        if kernel == "take_patches":
            height, width = geometry.small[0], geometry.small[1] * math.prod(geometry.kernel)
        pack = 16 // x.itemsize
        line = width * x.shape[3] // (pack if x.shape[3] % pack == 0 else 1)
        threads = min(THREADS, -(-line // 32) * 32)
        grid = blocks_for(line, threads, MAX_GRID_ROWS), min(len(x) * height, MAX_GRID_ROWS)
        sizes = numbers(len(x), geometry, x.shape[3])
        self.device.launch("patches", kernel, grid, threads, *arrays, *sizes, REAL=REALS[x.dtype])


def are_images(geometry: Geometry) -> bool:
    """Whether the patches are the images themselves, number for number: single pixels, or the whole image.

    >>> are_images(Geometry((4, 4), (1, 1), (4, 4), (1, 1), (1, 1), ((0, 0), (0, 0))))
    True
    """
    if geometry.padded != geometry.large:
        return False
    if geometry.kernel == (1, 1) and geometry.small == geometry.large:
        return True
    whole = geometry.small == (1, 1) and geometry.kernel == geometry.large
    return whole and all(d == 1 or k == 1 for d, k in zip(geometry.dilation, geometry.kernel, strict=True))


def numbers(images: int, geometry: Geometry, C: int, *more: int) -> tuple[int, ...]:
    """Return the sizes in the kernels' order: N, H, L, C, h, w (and O), taps, strides, dilations, padding before."""
    (top, _), (left, _) = geometry.padding
    shapes = (images, *geometry.large, C, *geometry.small, *more)
    return (*shapes, *geometry.kernel, *geometry.stride, *geometry.dilation, top, left)
