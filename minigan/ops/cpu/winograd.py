"""Correlations by Winograd's minimal filtering (Lavin and Gray 2016), forwards and both ways back.

With the matrices of F(m, r) (`cook_toom`), V = B^t d B of every tile d of the padded image, U = G g G^t of every kernel
g and M = A dy A^t of every tile of y's cotangent, at each of the n^2 points f,

    y  = A^t (V_f U_f) A                   (tiles, C) times (C, O)
    dx = the sum of B (M_f U_f^t) B^t      the transposed maps in the reverse order; tiles overlap
    dW = G^t (V_f^t M_f) G                 summed over the tiles

At stride s the channels of the s x s phases of the image stand beside each other: C becomes s^2 C, the kernel r x r.
Three passes: to the points, n^2 products, and back, over a few images at a time.  Where there are enough of them, a
thread takes ROWS tiles through all three, so that what it has made is still in its cache; else the threads share each
pass, on up to WORKSPACE bytes of points.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigan.ops.cpu import gemm, memory
from minigan.ops.cpu.plan import Plan
from minigan.ops.cpu.scratch import scratch
from minigan.ops.cpu.team import Team, pieces
from minigan.ops.cpu.tiles import Tiles, gather, scatter
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

WORKSPACE = 1 << 24
ROWS = 200
APART = 16
"""Numbers between the points: where these were a multiple of 4 KiB apart, a tile's would share a few lines of the
cache."""
PART = 1 << 17
"""Numbers that a thread transforms at a time, at least, where threads share a pass."""
ALONE = 8
"""So many times ROWS tiles, and each thread takes its own through all passes."""
PARTIAL = 1 << 22
"""Entries that the partial sums of a weight gradient may have together."""


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None, plan: Plan, team: Team) -> Array:
    """y = A^t [(G W G^t) . (B^t x B)] A + b.    x (N, H, W, C)   W (kh, kw, C, O)   y (N, h, w, O)"""
    C, O = W.shape[2:]
    large, small = _tiles(geometry, plan)
    U, y = _weights(W, geometry, plan, team), memory.empty((len(x), *geometry.small, O), x.dtype)
    bias = np.zeros(O, x.dtype) if b is None else b

    def run(images: slice) -> None:
        V, M = _workspaces(images, large, plan, C, O, x.dtype)
        _to_points("B", plan, x[images], V, large, team)
        gemm.batched(_flat(V), U, _flat(M), team)
        _from_points("A", plan, M, y[images], bias, small, team)

    _chunks(len(x), large, plan, C, O, x.itemsize).each(run, team)
    return y


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None, plan: Plan, team: Team) -> Array:
    """x = B [(G W G^t) . (A y A^t)] B^t + b.    Shapes as in `correlate`."""
    C, O = W.shape[2:]
    large, small = _tiles(geometry, plan)
    U = _weights(W, geometry, plan, team).swapaxes(1, 2)
    x = memory.empty((len(y), *geometry.large, C), y.dtype)
    bias = np.zeros(C, y.dtype) if b is None else b

    def run(images: slice) -> None:
        V, M = _workspaces(images, large, plan, C, O, y.dtype)
        _to_points("A", plan, y[images], M, small, team)
        gemm.batched(_flat(M), U, _flat(V), team)
        _from_points("B", plan, V, x[images], bias, large, team)

    _chunks(len(y), large, plan, C, O, y.itemsize).each(run, team)
    return x


def correlate_weights(x: Array, y: Array, geometry: Geometry, plan: Plan, team: Team) -> Array:
    """dW = G^t [the sum over tiles of (B^t x B)^t (A y A^t)] G.    Shapes as in `correlate`.

    The partial sums, of every ALONE-th chunk, are added in their order: the same on any number of threads.
    """
    C, O = x.shape[3], y.shape[3]
    large, small = _tiles(geometry, plan)
    shape = plan.n**2, C * large.phases, O
    chunks = _chunks(len(x), large, plan, C, O, x.itemsize, alone=ALONE * math.prod(shape) <= PARTIAL)
    sums = ALONE if chunks.alone else 1
    partial = scratch.array("partial", (sums, *shape), x.dtype)

    def run(s: int) -> None:
        for k, images in enumerate(chunks.images[s::sums]):
            V, M = _workspaces(images, large, plan, C, O, x.dtype)
            _to_points("B", plan, x[images], V, large, team)
            _to_points("A", plan, y[images], M, small, team)
            gemm.batched(_flat(V).swapaxes(1, 2), _flat(M), partial[s], team, add=k > 0)

    if chunks.alone:
        team.each(run, sums)
    else:
        run(0)
    dU = partial.sum(axis=0) if sums > 1 else partial[0]
    dW = memory.empty((*geometry.kernel, C, O), x.dtype)
    by_channel = dU.reshape(plan.n**2, large.phases, C, O).swapaxes(1, 2)
    _from_points("G", plan, by_channel, dW.transpose(2, 0, 1, 3), np.zeros(O, x.dtype), _of_kernel(geometry), team)
    return dW


def _weights(W: Array, geometry: Geometry, plan: Plan, team: Team) -> Array:
    """U = G W G^t of each phase of the kernel.    (n n, sh sw C, O)

    A kernel is an image (kh, kw) of one tile, of O channels, and there are C of them.  Taps beyond it are zero.
    """
    C, O = W.shape[2:]
    tiles = _of_kernel(geometry)
    U = memory.empty((plan.n**2, tiles.phases, C, O), W.dtype)
    _to_points("G", plan, W.transpose(2, 0, 1, 3), U.swapaxes(1, 2), tiles, team)
    return U.reshape(len(U), -1, O)


def _to_points(name: str, plan: Plan, x: Array, points: Array, tiles: Tiles, team: Team) -> None:
    def job(images: slice) -> None:
        gather(name, plan, x, points, tiles, images, compiled=team.compiled)

    _each(job, len(x), points, team)


def _from_points(name: str, plan: Plan, points: Array, x: Array, bias: Array, tiles: Tiles, team: Team) -> None:
    def job(images: slice) -> None:
        scatter(name, plan, points, x, bias, tiles, images, compiled=team.compiled)

    _each(job, len(x), points, team)


def _each(job: Callable[[slice], None], images: int, points: Array, team: Team) -> None:
    """Run job(images) for parts of whole images, so that no two threads add to one pixel."""
    parts = pieces(images, max(1, PART * images // max(1, points.size)))
    team.each(lambda i: job(parts[i]), len(parts))


def _tiles(geometry: Geometry, plan: Plan) -> tuple[Tiles, Tiles]:
    """Return the tiles of the large image, n x n and overlapping, and those of the small one, m x m."""
    counts = -(-geometry.small[0] // plan.m), -(-geometry.small[1] // plan.m)
    (top, _), (left, _) = geometry.padding
    return Tiles(plan.m, counts, geometry.stride, (top, left)), Tiles(plan.m, counts)


def _of_kernel(geometry: Geometry) -> Tiles:
    return Tiles(1, (1, 1), geometry.stride)


@dataclass(frozen=True)
class _Chunks:
    """The images, cut, and whether a thread takes each of them alone."""

    images: list[slice]
    alone: bool

    def each(self, run: Callable[[slice], None], team: Team) -> None:
        """Run run(images) for each chunk; what one alone shares with others is then its own."""
        if self.alone:
            team.each(lambda i: run(self.images[i]), len(self.images))
        else:
            for images in self.images:
                run(images)


def _chunks(images: int, tiles: Tiles, plan: Plan, C: int, O: int, itemsize: int, *, alone: bool = True) -> _Chunks:
    """Cut the images into equal chunks."""
    per = math.prod(tiles.counts)
    least = max(1, -(-ROWS // per))
    alone = alone and images >= ALONE * least
    step = least if alone else max(least, WORKSPACE // (plan.n**2 * per * (C * tiles.phases + O) * itemsize))
    return _Chunks(pieces(images, -(-images // -(-images // step))), alone)


def _workspaces(images: slice, tiles: Tiles, plan: Plan, C: int, O: int, dtype: np.dtype) -> tuple[Array, Array]:
    """Return room for the points of large and small images, in scratch.    (n n, tiles, phases, channels)"""
    count = (images.stop - images.start) * math.prod(tiles.counts)

    def room(name: str, phases: int, channels: int) -> Array:
        length = count * phases * channels
        points = scratch.array(name, (plan.n**2, length + APART), dtype)[:, :length]
        return points.reshape(plan.n**2, count, phases, channels)

    return room("large points", tiles.phases, C), room("small points", 1, O)


def _flat(points: Array) -> Array:
    """Return phases and channels as one axis."""
    return points.reshape(*points.shape[:2], -1)
