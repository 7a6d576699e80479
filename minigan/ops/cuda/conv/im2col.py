"""Compute correlations as matrix products over patches (im2col): every geometry, float32 and float64.

`patches.cu` writes the patches of a slice of the images to memory, and cuBLAS reads them (`Device.gemm`).  A slice has
as many images as the workspace has room for, so that the memory is bounded.
"""

import math
from typing import Any

from minigan.ops.cuda.device.base import Device, blocks_for
from minigan.ops.cuda.vector import REALS
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

MAX_WORKSPACE_BYTES = 256 << 20
"""Most bytes of patches that are in memory at a time; a single image may need more."""
THREADS = 256
"""Most threads per block."""
BLOCKS_PER_PROCESSOR = 16
"""Blocks of THREADS threads per multiprocessor."""
MAX_GRID_BLOCKS = 65535
"""Most blocks along an axis of a grid: CUDA's limit for the second axis."""
MAX_FILL_NUMBERS = 1 << 30
"""Most numbers that one launch of `fill_rows` writes: the kernel counts in 32 bits."""


class PatchCorrelations:
    """The three correlations on a device, as products over patches.

    Shapes are those of `minigan.ops.cuda.conv.convolution.Convolution`; arrays are C-contiguous and of one dtype.

    Parameters
    ----------
    device : Device
        Where to compute.
    precision : str
        The precision of float32 products: "fp32", "tf32" or "bf16".
    workspace : int
        The most bytes of patches that are in memory at a time; a single image may need more.

    """

    def __init__(self, device: Device, precision: str = "fp32", workspace: int = MAX_WORKSPACE_BYTES) -> None:
        self.device, self.precision, self.workspace = device, precision, workspace

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None) -> Array:
        """y = im2col(x) W + b."""
        O = W.shape[3]
        y = self.device.xp.empty((len(x), *geometry.small, O), x.dtype)
        if b is not None:
            self._fill(y, b)
        for images in self._slices(len(x), geometry, W.shape[2], x.itemsize):
            patches = self._im2col(x[images], geometry)
            self._product(patches, W.reshape(-1, O), y[images].reshape(-1, O), beta=0.0 if b is None else 1.0)
        return y

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None) -> Array:
        """x = col2im(y W^T) + b: each pixel is the sum over the patches that contain it."""
        C, O = W.shape[2:]
        x = self.device.xp.empty((len(y), *geometry.large, C), y.dtype)
        matrix = W.reshape(-1, O)
        if are_images(geometry):
            if b is not None:
                self._fill(x, b)
            beta = 0.0 if b is None else 1.0
            self._product(y.reshape(-1, O), matrix, x.reshape(-1, len(matrix)), transpose_b=True, beta=beta)
            return x
        for images in self._slices(len(y), geometry, C, y.itemsize):
            pixels = y[images].reshape(-1, O)
            patches = self.device.xp.empty((len(pixels), len(matrix)), y.dtype)
            self._product(pixels, matrix, patches, transpose_b=True)
            self._launch("add_patches", x[images], geometry, patches, b, x[images])
        return x

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry) -> Array:
        """dW = im2col(x)^T y; the slices are added in order."""
        C, O = x.shape[3], y.shape[3]
        dW = self.device.xp.empty((*geometry.kernel, C, O), x.dtype)
        if not len(x):
            dW.fill(0)
        for images in self._slices(len(x), geometry, C, x.itemsize):
            patches = self._im2col(x[images], geometry)
            beta = 1.0 if images.start else 0.0
            self._product(patches, y[images].reshape(-1, O), dW.reshape(-1, O), transpose_a=True, beta=beta)
        return dW

    def _im2col(self, x: Array, geometry: Geometry) -> Array:
        """Return the patches of images, one in each row.    (N, H, W, C) -> (N h w, kh kw C)"""
        rows, columns = len(x) * math.prod(geometry.small), math.prod(geometry.kernel) * x.shape[3]
        if are_images(geometry):
            return x.reshape(rows, columns)
        patches = self.device.xp.empty((rows, columns), x.dtype)
        self._launch("take_patches", x, geometry, x, patches)
        return patches

    def _slices(self, images: int, geometry: Geometry, C: int, itemsize: int) -> list[slice]:
        """Cut the images into slices whose patches fit the workspace."""
        bytes_per_image = math.prod(geometry.small) * math.prod(geometry.kernel) * C * itemsize
        step = max(1, images if are_images(geometry) else self.workspace // bytes_per_image)
        return [slice(start, min(start + step, images)) for start in range(0, images, step)]

    def _product(self, a: Array, b: Array, out: Array, **options: Any) -> None:
        self.device.gemm(a, b, out, precision=self.precision, **options)

    def _fill(self, y: Array, b: Array) -> None:
        """Set y to b along the last axis, in launches of at most MAX_FILL_NUMBERS numbers."""
        step = max(1, MAX_FILL_NUMBERS // max(1, math.prod(y.shape[1:])))
        for start in range(0, len(y), step):
            part = y[start : start + step]
            grid = blocks_for(part.size, THREADS, BLOCKS_PER_PROCESSOR * self.device.processors)
            self.device.launch("patches", "fill_rows", grid, THREADS, b, part, part.size, len(b), REAL=REALS[y.dtype])

    def _launch(self, kernel: str, x: Array, geometry: Geometry, *arrays: Array | None) -> None:
        """Launch over the images x ("add_patches") or over their patches: a block, or several, for a row of pixels."""
        height, width = geometry.large
        if kernel == "take_patches":
            height, width = geometry.small[0], geometry.small[1] * math.prod(geometry.kernel)
        pack = 16 // x.itemsize
        packs_per_row = width * x.shape[3] // (pack if x.shape[3] % pack == 0 else 1)
        threads = min(THREADS, -(-packs_per_row // 32) * 32)
        grid = blocks_for(packs_per_row, threads, MAX_GRID_BLOCKS), min(len(x) * height, MAX_GRID_BLOCKS)
        sizes = geometry_arguments(len(x), geometry, x.shape[3])
        self.device.launch("patches", kernel, grid, threads, *arrays, *sizes, REAL=REALS[x.dtype])


def are_images(geometry: Geometry) -> bool:
    """Return whether im2col would only copy the images: each patch is one pixel, or each is one whole image.

    >>> are_images(Geometry((4, 4), (1, 1), (4, 4), (1, 1), (1, 1), ((0, 0), (0, 0))))
    True
    """
    if geometry.padded != geometry.large:
        return False
    if geometry.kernel == (1, 1) and geometry.small == geometry.large:
        return True
    whole_image = geometry.small == (1, 1) and geometry.kernel == geometry.large
    return whole_image and all(d == 1 or k == 1 for d, k in zip(geometry.dilation, geometry.kernel, strict=True))


def geometry_arguments(images: int, geometry: Geometry, C: int, *more: int) -> tuple[int, ...]:
    """Return the kernels' arguments: N, H, L, C, h, w (and O), kernel, strides, dilations, padding top and left."""
    (top, _), (left, _) = geometry.padding
    shapes = (images, *geometry.large, C, *geometry.small, *more)
    return (*shapes, *geometry.kernel, *geometry.stride, *geometry.dilation, top, left)
