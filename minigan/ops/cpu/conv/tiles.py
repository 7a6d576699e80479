"""Tiles of images to points and back: the transforms of Winograd's convolutions, in NumPy.

A tile is a square of q x q pixels of one phase of one image, for all its channels.
With a matrix M from q numbers to n,

    gather     points = M tile M^t     for every tile          (n x q)
    scatter    tile = M points M^t     for every tile, put or added in its place    (q x n)

`minigan.ops.cpu.kernels.numba.tiles` has the same, compiled.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.ops.cpu.conv.cook_toom import Matrix, cook_toom
from minigan.ops.cpu.memory.scratch import scratch
from minigan.ops.geometry import Pair
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class Tiles:
    """Where tiles lie in an image: TH x TW of them, `step` pixels of a phase apart.

    Pixel (i, j) of tile (a, b) in phase (u, v) is the image's pixel
    (sh (a step + i) + u - top, sw (b step + j) + v - left), and zero outside the image.
    """

    step: int
    counts: Pair
    stride: Pair = (1, 1)
    before: Pair = (0, 0)

    @property
    def phases(self) -> int:
        """How many numbers of a channel lie beside each other: sh sw."""
        return self.stride[0] * self.stride[1]

    @property
    def sizes(self) -> tuple[int, ...]:
        """What the compiled bodies take."""
        return (self.step, *self.counts, *self.stride, *self.before)

    def of(self, images: slice) -> slice:
        """Return which tiles are those of some images."""
        each = self.counts[0] * self.counts[1]
        return slice(images.start * each, images.stop * each)


def gather(name: str, order: Pair, x: Array, points: Array, tiles: Tiles, images: slice, *, compiled: bool) -> None:
    """Points = M tile M^t, M = B^t, A or G of F(m, r).    x (N, H, W, C)   points (n n, N TH TW, sh sw, C)

    Of the `images` only.
    """
    if compiled:
        from minigan.ops.cpu.kernels.numba import tiles as numba_tiles

        some = tiles.of(images)
        arrays = *of_image(x), *_points(points, some.start), tiles.sizes
        numba_tiles.gather(transform(name, order), *arrays, some.start, some.stop)
        return
    x, points = x[images], points[:, tiles.of(images)]
    matrix = _matrix(name, order)
    q = matrix.shape[1]
    padded = _padded(x, tiles, q)
    padded[...] = 0
    inside, shown = _inside(x, padded, tiles)
    padded[:, *inside] = x[:, *shown]
    taken = scratch.array("tiles", (q, q, len(x), *tiles.counts, *tiles.stride, x.shape[3]), x.dtype)
    np.copyto(taken, _windows(padded, tiles, q))
    _both(matrix, taken.reshape(q * q, -1), points)


def scatter(
    name: str, order: Pair, points: Array, x: Array, bias: Array, tiles: Tiles, images: slice, *, compiled: bool
) -> None:
    """Tile = M points M^t + bias, M = A^t or G^t; for M = B the tiles overlap, and add up.    Shapes as in `gather`."""
    if compiled:
        from minigan.ops.cpu.kernels.numba import tiles as numba_tiles

        M, some = transform(f"{name}^t", order), tiles.of(images)
        if M.overlap:
            numba_tiles.fill(*of_image(x), bias, images.start, images.stop)
        arrays = *_points(points, some.start), *of_image(x), bias, tiles.sizes
        numba_tiles.scatter(M, *arrays, some.start, some.stop)
        return
    x, points = x[images], points[:, tiles.of(images)]
    matrix = _matrix(f"{name}^t", order)
    q, n = matrix.shape
    made = scratch.array("tiles", (q, q, len(x), *tiles.counts, *tiles.stride, x.shape[3]), x.dtype)
    _both(matrix, points.reshape(n * n, -1), made.reshape(q * q, *points.shape[1:]))
    padded = _padded(x, tiles, q)
    if name == "B":
        padded[...] = 0
        places = _windows(padded, tiles, q)
        for i in range(q):
            for j in range(q):
                places[i, j] += made[i, j]
    else:
        np.copyto(_windows(padded, tiles, q), made)
    inside, shown = _inside(x, padded, tiles)
    if shown != (slice(x.shape[1]), slice(x.shape[2])):
        x[...] = bias  # where no tile reaches
    np.add(padded[:, *inside], bias, out=x[:, *shown])


@functools.cache
def exact(name: str, order: Pair) -> Matrix:
    """Return what `gather` calls B (B^t), A or G, a point a row, or its transpose for `scatter`: "B^t" and so on.

    >>> [[int(b) for b in row] for row in exact("A", (2, 3))]
    [[1, 0], [1, 1], [1, -1], [0, 1]]
    """
    found = cook_toom(*order)
    matrix = {"B": found.Bt, "A": tuple(zip(*found.At, strict=True)), "G": found.G}[name.removesuffix("^t")]
    return tuple(zip(*matrix, strict=True)) if name.endswith("^t") else matrix


@functools.cache
def transform(name: str, order: Pair) -> Any:
    """Return `exact` as the compiled bodies take it; only the tiles of B^t, transposed, overlap."""
    from minigan.ops.cpu.kernels.numba import tiles as numba_tiles

    return numba_tiles.Transform(exact(name, order), overlap=name == "B^t")


@functools.cache
def _matrix(name: str, order: Pair) -> Array:
    return np.array(exact(name, order), dtype=float)


def _both(matrix: Array, tiles: Array, out: Array) -> None:
    """M tile M^t for many tiles: the Kronecker product M x M times the tiles as columns."""
    square = np.kron(matrix, matrix).astype(tiles.dtype)
    try:
        np.matmul(square, tiles, out=out.reshape(len(square), -1, copy=False))
    except ValueError:  # not one block of memory for a point
        out[...] = (square @ tiles).reshape(out.shape)


def _padded(x: Array, tiles: Tiles, q: int) -> Array:
    """Return room for all that the tiles reach, in scratch."""
    (TH, TW), (sh, sw) = tiles.counts, tiles.stride
    shape = (len(x), sh * ((TH - 1) * tiles.step + q), sw * ((TW - 1) * tiles.step + q), x.shape[3])
    return scratch.array("padded", shape, x.dtype)


def _inside(x: Array, padded: Array, tiles: Tiles) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where the image lies in what the tiles reach, and which part of the image that is."""
    shown = [
        max(0, min(size, room - before))
        for size, room, before in zip(x.shape[1:3], padded.shape[1:3], tiles.before, strict=True)
    ]
    (top, left), (h, w) = tiles.before, shown
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


def of_image(x: Array) -> tuple[Array, tuple[int, ...]]:
    """Return the memory of x and N, H, W, C, and how far apart images, rows and columns are."""
    memory, strides = _flat(x)
    return memory, (*x.shape, *strides[:3])


def _points(points: Array, first: int) -> tuple[Array, tuple[int, ...]]:
    """Return the memory of the points, where tile `first` begins, and how far apart points, tiles and phases are."""
    memory, strides = _flat(points)
    return memory, (first * strides[1], *strides[:3])
