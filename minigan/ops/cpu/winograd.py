"""Correlations by Winograd's minimal filtering (Lavin and Gray 2016), forwards and both ways back.

With the matrices of F(m, r) (`cook_toom`), V = B^t d B of every tile d of the padded image, U = G g G^t of every kernel
g and M = A dy A^t of every tile of y's cotangent, at each of the n^2 points f,

    y  = A^t (V_f U_f) A                   (tiles, C) times (C, O)
    dx = the sum of B (M_f U_f^t) B^t      the transposed maps in the reverse order; tiles overlap
    dW = G^t (V_f^t M_f) G                 summed over the tiles

At stride s the channels of the s x s phases of the image stand beside each other: C becomes s^2 C, the kernel r x r.
Three passes, each shared by the threads: to the points, n^2 products, and back.  A few images at a time, WORKSPACE
bytes of points, at least ROWS tiles.
"""

import math
from collections.abc import Callable

import numpy as np

from minigan.ops.cpu import gemm
from minigan.ops.cpu.plan import Plan
from minigan.ops.cpu.scratch import scratch
from minigan.ops.cpu.team import Team, pieces
from minigan.ops.cpu.tiles import Tiles, gather, scatter
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

WORKSPACE = 1 << 25
ROWS = 200
PART = 1 << 17
"""Numbers that a thread transforms at a time, at least."""


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None, plan: Plan, team: Team) -> Array:
    """y = A^t [(G W G^t) . (B^t x B)] A + b.    x (N, H, W, C)   W (kh, kw, C, O)   y (N, h, w, O)"""
    C, O = W.shape[2:]
    large, small = _tiles(geometry, plan)
    U, y = _weights(W, geometry, plan, team), np.empty((len(x), *geometry.small, O), dtype=x.dtype)
    bias = np.zeros(O, x.dtype) if b is None else b
    for images in _chunks(len(x), large, plan, C, O, x.itemsize):
        V, M = _workspaces(images, large, plan, C, O, x.dtype)
        _to_points("B", plan, x[images], V, large, team)
        gemm.batched(_flat(V), U, _flat(M), team)
        _from_points("A", plan, M, y[images], bias, small, team)
    return y


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None, plan: Plan, team: Team) -> Array:
    """x = B [(G W G^t) . (A y A^t)] B^t + b.    Shapes as in `correlate`."""
    C, O = W.shape[2:]
    large, small = _tiles(geometry, plan)
    U = _weights(W, geometry, plan, team).swapaxes(1, 2)
    x = np.empty((len(y), *geometry.large, C), dtype=y.dtype)
    bias = np.zeros(C, y.dtype) if b is None else b
    for images in _chunks(len(y), large, plan, C, O, y.itemsize):
        V, M = _workspaces(images, large, plan, C, O, y.dtype)
        _to_points("A", plan, y[images], M, small, team)
        gemm.batched(_flat(M), U, _flat(V), team)
        _from_points("B", plan, V, x[images], bias, large, team)
    return x


def correlate_weights(x: Array, y: Array, geometry: Geometry, plan: Plan, team: Team) -> Array:
    """dW = G^t [the sum over tiles of (B^t x B)^t (A y A^t)] G.    Shapes as in `correlate`."""
    C, O = x.shape[3], y.shape[3]
    large, small = _tiles(geometry, plan)
    dU = np.empty((plan.n**2, C * large.phases, O), dtype=x.dtype)
    for images in _chunks(len(x), large, plan, C, O, x.itemsize):
        V, M = _workspaces(images, large, plan, C, O, x.dtype)
        _to_points("B", plan, x[images], V, large, team)
        _to_points("A", plan, y[images], M, small, team)
        gemm.batched(_flat(V).swapaxes(1, 2), _flat(M), dU, team, add=images.start > 0)
    dW = np.empty((*geometry.kernel, C, O), dtype=x.dtype)
    by_channel = dU.reshape(plan.n**2, large.phases, C, O).swapaxes(1, 2)
    _from_points("G", plan, by_channel, dW.transpose(2, 0, 1, 3), np.zeros(O, x.dtype), _of_kernel(geometry), team)
    return dW


def _weights(W: Array, geometry: Geometry, plan: Plan, team: Team) -> Array:
    """U = G W G^t of each phase of the kernel.    (n n, sh sw C, O)

    A kernel is an image (kh, kw) of one tile, of O channels, and there are C of them.  Taps beyond it are zero.
    """
    C, O = W.shape[2:]
    tiles = _of_kernel(geometry)
    U = np.empty((plan.n**2, tiles.phases, C, O), dtype=W.dtype)
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


def _chunks(images: int, tiles: Tiles, plan: Plan, C: int, O: int, itemsize: int) -> list[slice]:
    """Cut the images into equal chunks."""
    per = math.prod(tiles.counts)
    step = max(1, WORKSPACE // (plan.n**2 * per * (C * tiles.phases + O) * itemsize), -(-ROWS // per))
    return pieces(images, -(-images // -(-images // step)))


def _workspaces(images: slice, tiles: Tiles, plan: Plan, C: int, O: int, dtype: np.dtype) -> tuple[Array, Array]:
    """Return room for the points of large and small images, in scratch.    (n n, tiles, phases, channels)"""
    count = (images.stop - images.start) * math.prod(tiles.counts)
    V = scratch.array("large points", (plan.n**2, count, tiles.phases, C), dtype)
    return V, scratch.array("small points", (plan.n**2, count, 1, O), dtype)


def _flat(points: Array) -> Array:
    """Return phases and channels as one axis."""
    return points.reshape(*points.shape[:2], -1)
