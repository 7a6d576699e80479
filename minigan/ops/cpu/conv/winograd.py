"""Correlations by Winograd's minimal filtering (Lavin and Gray 2016), forwards and both ways back.

With the matrices of F(m, r) (`cook_toom`), V = B^t d B of every tile d of the padded image, U = G g G^t of every kernel
g and M = A dy A^t of every tile of y's cotangent, at each of the n^2 points f,

    y  = A^t (V_f U_f) A                   (tiles, C) times (C, O)
    dx = the sum of B (M_f U_f^t) B^t      the transposed maps in the reverse order; tiles overlap
    dW = G^t (V_f^t M_f) G                 summed over the tiles

At stride s the channels of the s x s phases of the image stand beside each other: C becomes s^2 C, the kernel r x r.

A thread takes whole images, and so no two threads add to one pixel, a few tiles at a time: to the points, n^2 products,
and back, while they are in its cache (`kernels.numba.winograd`; without numba the images of a part at once).
Where there are few tiles, and so U is most of what is read, the threads share each of the three passes.
"""

import math
from collections.abc import Callable

import numpy as np

from minigan.ops.cpu import matmul
from minigan.ops.cpu.conv.plan import Plan
from minigan.ops.cpu.conv.tiles import Tiles, gather, of_image, scatter, transform
from minigan.ops.cpu.executor import Executor, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.memory.scratch import scratch
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

PARTS = 8
ROWS = 96
"""With fewer tiles in each of PARTS parts the threads share the passes."""
MOST = 200
"""Tiles of a part, about, where there are more."""
APART = 16
"""Numbers between rows of U: where these were a multiple of 4 KiB apart, a product would find them in a few places of
the cache."""


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None, plan: Plan, team: Executor) -> Array:
    """y = A^t [(G W G^t) . (B^t x B)] A + b.    x (N, H, W, C)   W (kh, kw, C, O)   y (N, h, w, O)"""
    O = W.shape[3]
    large, small = tiles_of(geometry, plan)
    y = arrays.empty((len(x), *geometry.small, O), x.dtype)
    bias = np.zeros(O, x.dtype) if b is None else b
    images = parts(len(x), large)
    U = _weights(W, geometry, plan, team)
    if images is None:
        _shared("B", x, large, U[..., :O], "A", y, small, bias, plan, team)
    else:
        _alone("B", x, large, U, "A", y, small, bias, plan, team, images)
    return y


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None, plan: Plan, team: Executor) -> Array:
    """x = B [(G W G^t) . (A y A^t)] B^t + b.    Shapes as in `correlate`."""
    C, O = W.shape[2:]
    large, small = tiles_of(geometry, plan)
    x = arrays.empty((len(y), *geometry.large, C), y.dtype)
    bias = np.zeros(C, y.dtype) if b is None else b
    images = parts(len(y), small)
    if images is None:
        U = _weights(W, geometry, plan, team)
        _shared("A", y, small, U[..., :O].swapaxes(1, 2), "B", x, large, bias, plan, team)
    else:
        U = _weights(W, geometry, plan, team, adjoint=True)
        _alone("A", y, small, U, "B", x, large, bias, plan, team, images)
    return x


def _shared(
    to: str, x: Array, of_x: Tiles, U: Array, back: str, y: Array, of_y: Tiles, bias: Array, plan: Plan, team: Executor
) -> None:
    """y = back (to(x)_f U_f) + bias, a pass after the other.    U (n n, K, N)"""
    points, K, N = U.shape
    count = of_x.of(slice(0, len(x))).stop
    V = scratch.array("V", (points, count, of_x.phases, K // of_x.phases), x.dtype)
    M = scratch.array("M", (points, count, of_y.phases, N // of_y.phases), x.dtype)
    each_part(lambda images: gather(to, plan, x, V, of_x, images, compiled=team.compiled), len(x), team)
    matmul.batched(V.reshape(points, count, K), U, M.reshape(points, count, N), team)
    each_part(lambda images: scatter(back, plan, M, y, bias, of_y, images, compiled=team.compiled), len(x), team)


def _alone(
    to: str, x: Array, of_x: Tiles, U: Array, back: str, y: Array, of_y: Tiles, bias: Array, plan: Plan, team: Executor,
    parts: list[slice],
) -> None:  # fmt: skip
    """y = back (to(x)_f U_f) + bias, each part by one thread.    U (n n, K, N + APART)"""
    points, K, N = U.shape[0], U.shape[1], U.shape[2] - APART

    def compiled(i: int) -> None:
        from minigan.ops.cpu.kernels.numba import tiles as numba_tiles
        from minigan.ops.cpu.kernels.numba.winograd import filter_tiles, room

        V, M = (scratch.array(name, (room(points, n),), x.dtype) for name, n in (("V", K), ("M", N)))
        From, tiles = transform(f"{back}^t", plan), of_x.of(parts[i])
        if From.overlap:
            numba_tiles.fill(*of_image(y), bias, parts[i].start, parts[i].stop)
        reads, writes = (*of_image(x), of_x.sizes), (*of_image(y), of_y.sizes)
        run = (bias, V, M, (points, K, N), tiles.start, tiles.stop)
        filter_tiles(transform(to, plan), From, *reads, U.reshape(-1), (K * (N + APART), N + APART), *writes, *run)

    def without(i: int) -> None:
        some = parts[i]
        _shared(to, x[some], of_x, U[..., :N], back, y[some], of_y, bias, plan, team)

    team.parallel_for(compiled if team.compiled else without, len(parts))


def _weights(W: Array, geometry: Geometry, plan: Plan, team: Executor, *, adjoint: bool = False) -> Array:
    """U = G W G^t of each phase of the kernel (n n, sh sw C, O), or its transpose at each point (n n, O, sh sw C).

    There is room between the rows: APART more numbers, undefined.

    A kernel is an image (kh, kw) of one tile, of O channels, and there are C of them.  Taps beyond it are zero.
    """
    C, O = W.shape[2:]
    tiles, points = tiles_of_kernel(geometry), plan.n**2
    if adjoint:
        W = np.ascontiguousarray(W.swapaxes(2, 3))
        U = arrays.empty((points, O, tiles.phases * C + APART), W.dtype)
        into = U[..., : tiles.phases * C].reshape(points, O, tiles.phases, C)
    else:
        U = arrays.empty((points, tiles.phases * C, O + APART), W.dtype)
        into = U[..., :O].reshape(points, tiles.phases, C, O).swapaxes(1, 2)
    kernels = W.transpose(2, 0, 1, 3)
    each_part(lambda part: gather("G", plan, kernels, into, tiles, part, compiled=team.compiled), len(kernels), team)
    return U


def each_part(job: Callable[[slice], None], images: int, team: Executor) -> None:
    """Run job(images) for parts of whole images."""
    parts = slices(images, -(-images // PARTS))
    team.parallel_for(lambda i: job(parts[i]), len(parts))


def tiles_of(geometry: Geometry, plan: Plan) -> tuple[Tiles, Tiles]:
    """Return the tiles of the large image, n x n and overlapping, and those of the small one, m x m."""
    counts = -(-geometry.small[0] // plan.m), -(-geometry.small[1] // plan.m)
    (top, _), (left, _) = geometry.padding
    return Tiles(plan.m, counts, geometry.stride, (top, left)), Tiles(plan.m, counts)


def tiles_of_kernel(geometry: Geometry) -> Tiles:
    """Return the one tile of a kernel."""
    return Tiles(1, (1, 1), geometry.stride)


def parts(images: int, tiles: Tiles) -> list[slice] | None:
    """Cut the images into equal parts for one thread each; None where they would be too small."""
    step = min(images_of(tiles), images // PARTS)
    if step * math.prod(tiles.counts) < ROWS:
        return None
    return slices(images, -(-images // -(-images // step)))


def images_of(tiles: Tiles) -> int:
    """Return how many have MOST tiles."""
    return -(-MOST // math.prod(tiles.counts))
