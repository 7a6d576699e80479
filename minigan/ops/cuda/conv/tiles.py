"""Correlations whose patches are never written: one kernel takes them from the images into its tiles.

float32 in memory; the operands are rounded on the way to shared memory ("tf32", "bf16") or not ("fp32"), and the sums
are float32.  `convolution.cu`.
"""

import math
from typing import Any

import numpy as np

from minigan.ops.cuda.conv.im2col import numbers
from minigan.ops.cuda.device.base import PRECISIONS, Device, blocks_for
from minigan.ops.cuda.tiles import address
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

THREADS_BY_TILE = {128: 256, 64: 128}
"""tile -> threads of a block."""


class Tiles:
    """The three correlations on a device, in one of its precisions, with tiles of 128 x 128 or 64 x 64.

    Arrays that cannot be read 16 bytes at a time take tiles of 64 always.
    """

    def __init__(self, device: Device, precision: str) -> None:
        self.device, self.precision = device, PRECISIONS.index(precision)

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None, tile: int) -> Array:
        """y = patches(x) W + b."""
        C, O = W.shape[2:]
        y = self.device.xp.empty((len(x), *geometry.small, O), np.float32)
        way = _Way(tile, _packed(x, C) and _packed(W, O))
        grid = (way.tiles(len(x) * math.prod(geometry.small), O),)
        self._launch("correlate", grid, way, x, W, b, y, *numbers(len(x), geometry, C, O))
        return y

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None, tile: int) -> Array:
        """x = sum of y W^T over the pairs of pixels, + b: all phases of the stride's grid in one launch."""
        C, O = W.shape[2:]
        x = self.device.xp.empty((len(y), *geometry.large, C), np.float32)
        way = _Way(tile, _packed(y, O) and _packed(W, O))
        phase = math.prod(-(-size // s) for size, s in zip(geometry.large, geometry.stride, strict=True))
        grid = (way.tiles(len(y) * phase, C), 1, math.prod(geometry.stride))
        self._launch("correlate_adjoint", grid, way, y, W, b, x, *numbers(len(y), geometry, C, O))
        return x

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry, tile: int, parts: int) -> Array:
        """dW = patches(x)^T y: the pixels in `parts`, whose sums a second kernel adds in their order."""
        C, O = x.shape[3], y.shape[3]
        dW = self.device.xp.empty((*geometry.kernel, C, O), np.float32)
        pixels = len(x) * math.prod(geometry.small)
        each = -(-pixels // parts)
        parts = -(-pixels // each)
        sums = dW if parts == 1 else self.device.xp.empty((parts, *dW.shape), np.float32)
        way = _Way(tile, _packed(x, C) and _packed(y, O))
        grid = (way.tiles(math.prod(geometry.kernel) * C, O), 1, parts)
        self._launch("correlate_weights", grid, way, x, y, sums, each, *numbers(len(x), geometry, C, O))
        if parts > 1:
            blocks = blocks_for(dW.size, 256, 16 * self.device.processors)
            self._launch("add_parts", (blocks,), way, sums, dW, parts, dW.size, threads=256)
        return dW

    def _launch(self, kernel: str, grid: tuple[int, ...], way: "_Way", *args: Any, threads: int = 0) -> None:
        defines = {"TILE": way.tile, "PRECISION": self.precision, "PACKED": int(way.packed)}
        self.device.launch("convolution", kernel, grid, threads or THREADS_BY_TILE[way.tile], *args, **defines)


class _Way:
    """Which of the compiled kernels, by its tile and by whether operands are read 16 bytes at a time."""

    def __init__(self, tile: int, packed: bool) -> None:
        self.tile, self.packed = tile if packed else min(THREADS_BY_TILE), packed

    def tiles(self, rows: int, columns: int) -> int:
        """How many tiles a result has."""
        return -(-rows // self.tile) * -(-columns // self.tile)


def _packed(array: Array, n: int) -> bool:
    """Whether rows of n values are packs of four that begin at multiples of 16 bytes."""
    return n % 4 == 0 and address(array) % 16 == 0
