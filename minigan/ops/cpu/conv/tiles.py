"""The transforms of Winograd's convolutions: tiles of images to points, and points to tiles.

A tile is a square of q x q pixels of one phase of one image, for all channels.  For every tile,

    gather     points = M tile M^t     M (n, q)
    scatter    tile = M points M^t     M (q, n); the tile is written to its place in the image, or added there

The transforms run in NumPy here, or compiled in `minigan.ops.cpu.kernels.numba.tiles`.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.ops.cpu.conv.cook_toom import Matrix, cook_toom
from minigan.ops.cpu.memory import arrays
from minigan.ops.geometry import Pair
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class Tiles:
    """The positions of TH x TW tiles in an image.

    Pixel (i, j) of tile (a, b) in phase (u, v) is the image's pixel
    (sh (a step + i) + u - top, sw (b step + j) + v - left), and zero outside the image.

    Attributes
    ----------
    step
        Pixels of a phase between the starts of neighbouring tiles.
    counts
        TH, TW: tiles in a column and in a row.
    stride
        sh, sw: the phases on each axis.
    padding
        top, left: the rows and columns of padding before the image.

    """

    step: int
    counts: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)

    @property
    def phases(self) -> int:
        """sh sw: the numbers that a channel has at each point of a tile."""
        return self.stride[0] * self.stride[1]

    @property
    def layout(self) -> Any:
        """The positions as the compiled kernels read them: a `TileLayout`."""
        from minigan.ops.cpu.kernels.numba.tiles import TileLayout

        (TH, TW), (sh, sw), (top, left) = self.counts, self.stride, self.padding
        return TileLayout(step=self.step, TH=TH, TW=TW, sh=sh, sw=sw, top=top, left=left)

    def of(self, images: slice) -> slice:
        """Return the range of the tiles of some images; tiles are numbered image by image, row by row."""
        per_image = self.counts[0] * self.counts[1]
        return slice(images.start * per_image, images.stop * per_image)


def gather(name: str, order: Pair, x: Array, points: Array, tiles: Tiles, images: slice, *, compiled: bool) -> None:
    """Compute points = M tile M^t, with M = B^t, A or G of F(m, r).

    Parameters
    ----------
    name
        The matrix: "B" for B^t, "A" or "G".
    order
        (m, r).
    x
        Images (N, H, W, C).
    points
        The result (n n, N TH TW, sh sw, C).
    tiles
        The positions of the tiles in x.
    images
        The images whose tiles are computed; other points are not written.
    compiled
        Whether to run the kernel that numba compiles.

    """
    if compiled:
        from minigan.ops.cpu.kernels.numba import tiles as numba_tiles

        own = tiles.of(images)
        operands = *image_arguments(x), *_point_arguments(points, own.start), tiles.layout
        numba_tiles.gather(transform(name, order), *operands, own.start, own.stop)
        return
    x, points = x[images], points[:, tiles.of(images)]
    matrix = _matrix(name, order)
    q = matrix.shape[1]
    padded = _padded(x, tiles, q)
    padded[...] = 0
    inside, covered = _covered(x, padded, tiles)
    padded[:, *inside] = x[:, *covered]
    pixels = arrays.empty((q, q, len(x), *tiles.counts, *tiles.stride, x.shape[3]), x.dtype)
    np.copyto(pixels, _windows(padded, tiles, q))
    _transform_both_axes(matrix, pixels.reshape(q * q, -1), points)


def scatter(
    name: str, order: Pair, points: Array, x: Array, bias: Array, tiles: Tiles, images: slice, *, compiled: bool
) -> None:
    """Compute tile = M points M^t + bias, with M = A^t or G^t; with M = B tiles overlap and are added.

    Parameters
    ----------
    name
        The matrix: "A" for A^t, "G" for G^t or "B".
    order
        (m, r).
    points
        Points (n n, N TH TW, sh sw, C).
    x
        The result (N, H, W, C).
    bias
        b (C,), added to every pixel once.
    tiles
        The positions of the tiles in x.
    images
        The images that are computed; others are not written.
    compiled
        Whether to run the kernel that numba compiles.

    """
    if compiled:
        from minigan.ops.cpu.kernels.numba import tiles as numba_tiles

        M, own = transform(f"{name}^t", order), tiles.of(images)
        if M.overlap:
            numba_tiles.fill(*image_arguments(x), bias, images.start, images.stop)
        operands = *_point_arguments(points, own.start), *image_arguments(x), bias, tiles.layout
        numba_tiles.scatter(M, *operands, own.start, own.stop)
        return
    x, points = x[images], points[:, tiles.of(images)]
    matrix = _matrix(f"{name}^t", order)
    q, n = matrix.shape
    pixels = arrays.empty((q, q, len(x), *tiles.counts, *tiles.stride, x.shape[3]), x.dtype)
    _transform_both_axes(matrix, points.reshape(n * n, -1), pixels.reshape(q * q, *points.shape[1:]))
    padded = _padded(x, tiles, q)
    if name == "B":
        padded[...] = 0
        windows = _windows(padded, tiles, q)
        for i in range(q):
            for j in range(q):
                windows[i, j] += pixels[i, j]
    else:
        np.copyto(_windows(padded, tiles, q), pixels)
    inside, covered = _covered(x, padded, tiles)
    if covered != (slice(x.shape[1]), slice(x.shape[2])):
        x[...] = bias  # pixels that no tile covers
    np.add(padded[:, *inside], bias, out=x[:, *covered])


@functools.cache
def exact(name: str, order: Pair) -> Matrix:
    """Return the exact matrix by its name in `gather`, one row per point; "B^t", "A^t" and "G^t" name its transpose.

    >>> [[int(b) for b in row] for row in exact("A", (2, 3))]
    [[1, 0], [1, 1], [1, -1], [0, 1]]

    """
    found = cook_toom(*order)
    matrix = {"B": found.Bt, "A": tuple(zip(*found.At, strict=True)), "G": found.G}[name.removesuffix("^t")]
    return tuple(zip(*matrix, strict=True)) if name.endswith("^t") else matrix


@functools.cache
def transform(name: str, order: Pair) -> Any:
    """Return the matrix `exact` for the compiled kernels; "B^t" is the only one whose tiles overlap."""
    from minigan.ops.cpu.kernels.numba import tiles as numba_tiles

    return numba_tiles.Transform(exact(name, order), overlap=name == "B^t")


@functools.cache
def _matrix(name: str, order: Pair) -> Array:
    return np.array(exact(name, order), dtype=float)


def _transform_both_axes(matrix: Array, tiles: Array, out: Array) -> None:
    """out = M tile M^t for many tiles: the Kronecker product M x M times the tiles as columns."""
    square = np.kron(matrix, matrix).astype(tiles.dtype)
    try:
        np.matmul(square, tiles, out=out.reshape(len(square), -1, copy=False))
    except ValueError:  # the memory of a point is not contiguous
        out[...] = (square @ tiles).reshape(out.shape)


def _padded(x: Array, tiles: Tiles, q: int) -> Array:
    """Return memory, undefined, for the part of the padded images that the tiles cover."""
    (TH, TW), (sh, sw) = tiles.counts, tiles.stride
    shape = (len(x), sh * ((TH - 1) * tiles.step + q), sw * ((TW - 1) * tiles.step + q), x.shape[3])
    return arrays.empty(shape, x.dtype)


def _covered(x: Array, padded: Array, tiles: Tiles) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the rows and columns of `padded` that hold the image, and those of the image that are in it."""
    covered = [
        max(0, min(size, padded_size - before))
        for size, padded_size, before in zip(x.shape[1:3], padded.shape[1:3], tiles.padding, strict=True)
    ]
    (top, left), (h, w) = tiles.padding, covered
    return (slice(top, top + h), slice(left, left + w)), (slice(h), slice(w))


def _windows(padded: Array, tiles: Tiles, q: int) -> Array:
    """Return the tiles as a view (q, q, N, TH, TW, sh, sw, C)."""
    (TH, TW), (sh, sw), m = tiles.counts, tiles.stride, tiles.step
    N, _, _, C = padded.shape
    image, row, column, item = padded.strides
    strides = (sh * row, sw * column, image, sh * m * row, sw * m * column, row, column, item)
    return as_strided(padded, (q, q, N, TH, TW, sh, sw, C), strides)


def _flat(a: Array) -> tuple[Array, list[int]]:
    """Return the memory of an array, from its first entry to its last, as a vector, and its strides in entries."""
    strides = [stride // a.itemsize for stride in a.strides]
    if a.flags.c_contiguous:
        return a.reshape(-1), strides
    length = 1 + sum((size - 1) * stride for size, stride in zip(a.shape, strides, strict=True))
    return as_strided(a, (length,), (a.itemsize,)), strides


def image_arguments(x: Array) -> tuple[Array, Any]:
    """Return the memory of images x (N, H, W, C) as a vector, and their `ImageLayout`, for the compiled kernels."""
    from minigan.ops.cpu.kernels.numba.tiles import ImageLayout

    memory, (image, row, column, _) = _flat(x)
    N, H, W, C = x.shape
    return memory, ImageLayout(N=N, H=H, W=W, C=C, image_stride=image, row_stride=row, column_stride=column)


def _point_arguments(points: Array, first: int) -> tuple[Array, Any]:
    """Return the memory of the points as a vector, and their `PointLayout` from tile `first` on."""
    from minigan.ops.cpu.kernels.numba.tiles import PointLayout

    memory, (point, tile, phase, _) = _flat(points)
    return memory, PointLayout(start=first * tile, point_stride=point, tile_stride=tile, phase_stride=phase)
