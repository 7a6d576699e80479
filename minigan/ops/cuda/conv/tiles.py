"""Compute correlations by implicit GEMM (`convolution.cu`): patches go from the images to shared memory directly.

Arrays are float32.  The operands are rounded on the way to shared memory ("tf32", "bf16") or not ("fp32"), and the sums
are float32.
"""

import math
from typing import Any

import numpy as np

from minigan.ops.cuda.conv.im2col import geometry_arguments
from minigan.ops.cuda.device.base import PRECISIONS, Device, blocks_for
from minigan.ops.cuda.tiles import address
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

THREADS_BY_TILE = {128: 256, 64: 128}
"""Threads per block, by the side of the tile."""
SUM_THREADS = 256
"""Threads per block of the kernel that adds the parts of a weight gradient."""
SUM_BLOCKS_PER_PROCESSOR = 16
"""Blocks of SUM_THREADS threads per multiprocessor."""


class TileCorrelations:
    """The three correlations on a device, with tiles of 128 x 128 or 64 x 64.

    Arrays that cannot be read 16 bytes at a time always use tiles of 64.  Shapes are those of
    `minigan.ops.cuda.conv.convolution.Convolution`; arrays are C-contiguous float32.

    Parameters
    ----------
    device : Device
        Where to compute.
    precision : str
        To what operands are rounded: "fp32" (not at all), "tf32" or "bf16".

    """

    def __init__(self, device: Device, precision: str) -> None:
        self.device, self.precision = device, PRECISIONS.index(precision)

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None, tile: int) -> Array:
        """y = im2col(x) W + b."""
        C, O = W.shape[2:]
        y = self.device.xp.empty((len(x), *geometry.small, O), np.float32)
        variant = _Variant(tile, _is_packed(x, C) and _is_packed(W, O))
        grid = (variant.tiles(len(x) * math.prod(geometry.small), O),)
        self._launch("correlate", grid, variant, x, W, b, y, *geometry_arguments(len(x), geometry, C, O))
        return y

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None, tile: int) -> Array:
        """x = col2im(y W^T) + b: all phases of the stride's grid in one launch."""
        C, O = W.shape[2:]
        x = self.device.xp.empty((len(y), *geometry.large, C), np.float32)
        variant = _Variant(tile, _is_packed(y, O) and _is_packed(W, O))
        pixels_per_phase = math.prod(-(-size // s) for size, s in zip(geometry.large, geometry.stride, strict=True))
        grid = (variant.tiles(len(y) * pixels_per_phase, C), 1, math.prod(geometry.stride))
        self._launch("correlate_adjoint", grid, variant, y, W, b, x, *geometry_arguments(len(y), geometry, C, O))
        return x

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry, tile: int, parts: int) -> Array:
        """dW = im2col(x)^T y: the pixels are split into `parts`, and a second kernel adds their sums in order."""
        C, O = x.shape[3], y.shape[3]
        dW = self.device.xp.empty((*geometry.kernel, C, O), np.float32)
        pixels = len(x) * math.prod(geometry.small)
        pixels_per_part = -(-pixels // parts)
        parts = -(-pixels // pixels_per_part)
        sums = dW if parts == 1 else self.device.xp.empty((parts, *dW.shape), np.float32)
        variant = _Variant(tile, _is_packed(x, C) and _is_packed(y, O))
        grid = (variant.tiles(math.prod(geometry.kernel) * C, O), 1, parts)
        self._launch(
            "correlate_weights", grid, variant, x, y, sums, pixels_per_part, *geometry_arguments(len(x), geometry, C, O)
        )
        if parts > 1:
            blocks = blocks_for(dW.size, SUM_THREADS, SUM_BLOCKS_PER_PROCESSOR * self.device.processors)
            self._launch("add_parts", (blocks,), variant, sums, dW, parts, dW.size, threads=SUM_THREADS)
        return dW

    def _launch(self, kernel: str, grid: tuple[int, ...], variant: "_Variant", *args: Any, threads: int = 0) -> None:
        defines = {"TILE": variant.tile, "PRECISION": self.precision, "PACKED": int(variant.packed)}
        self.device.launch("convolution", kernel, grid, threads or THREADS_BY_TILE[variant.tile], *args, **defines)


class _Variant:
    """A compiled variant of the kernels: the side of its tile, and whether it reads operands 16 bytes at a time."""

    def __init__(self, tile: int, packed: bool) -> None:
        self.tile, self.packed = tile if packed else min(THREADS_BY_TILE), packed

    def tiles(self, rows: int, columns: int) -> int:
        """Return the number of tiles of a result."""
        return -(-rows // self.tile) * -(-columns // self.tile)


def _is_packed(array: Array, n: int) -> bool:
    """Return whether rows of n values consist of packs of four that begin at multiples of 16 bytes."""
    return n % 4 == 0 and address(array) % 16 == 0
