"""The weight gradient of `minigan.ops.cpu.conv.winograd`: dW = G^t [V_f^t M_f, summed over the tiles] G."""

from collections.abc import Iterator

import numpy as np

from minigan.ops.cpu import matmul
from minigan.ops.cpu.conv.plan import Plan
from minigan.ops.cpu.conv.tiles import Tiles, gather, of_image, scatter, transform
from minigan.ops.cpu.conv.winograd import PARTS, each_part, parts, tiles_of, tiles_of_kernel
from minigan.ops.cpu.executor import Executor, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.memory.scratch import scratch
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

PARTIAL = 1 << 22
"""Entries that the partial sums may have together."""
Block = tuple[slice, Array]
"""Channels of x, and dU of them (n n, sh sw channels, O)."""


def correlate_weights(x: Array, y: Array, geometry: Geometry, plan: Plan, team: Executor) -> Array:
    """dW = G^t [the sum over tiles of (B^t x B)^t (A y A^t)] G.    x (N, H, W, C)   y (N, h, w, O)   dW as W"""
    O = y.shape[3]
    large, small = tiles_of(geometry, plan)
    none, tiles = np.zeros(O, x.dtype), tiles_of_kernel(geometry)
    dW = arrays.empty((*geometry.kernel, x.shape[3], O), x.dtype)
    few = parts(len(x), large) is None or not team.compiled
    for channels, dU in (_shared if few else _alone)(x, large, y, small, plan, team):
        by_channel = dU.reshape(plan.n**2, large.phases, -1, O).swapaxes(1, 2)
        kernels = dW.transpose(2, 0, 1, 3)[channels]

        def back(part: slice, points: Array = by_channel, kernels: Array = kernels) -> None:
            scatter("G", plan, points, kernels, none, tiles, part, compiled=team.compiled)

        each_part(back, len(kernels), team)
    return dW


def _shared(x: Array, of_x: Tiles, y: Array, of_y: Tiles, plan: Plan, team: Executor) -> Iterator[Block]:
    """The passes one after the other, the threads sharing each."""
    points, C, O = plan.n**2, x.shape[3], y.shape[3]
    dU = arrays.empty((points, of_x.phases * C, O), x.dtype)

    def add(some: slice) -> None:
        """Add the images' part of dU.  The workspaces end with the call, so that the next one gets them again."""
        images = slice(0, some.stop - some.start)
        rows = of_x.of(images).stop
        V = scratch.array("V", (points, rows, of_x.phases, C), x.dtype)
        M = scratch.array("M", (points, rows, 1, O), x.dtype)

        def read(part: slice) -> None:
            gather("B", plan, x[some], V, of_x, part, compiled=team.compiled)
            gather("A", plan, y[some], M, of_y, part, compiled=team.compiled)

        each_part(read, images.stop, team)
        left = V.reshape(points, rows, -1).swapaxes(1, 2)
        matmul.batched(left, M.reshape(points, rows, O), dU, team, add=some.start > 0)

    for some in parts(len(x), of_x) or [slice(0, len(x))]:
        add(some)
    yield slice(0, C), dU


def _alone(x: Array, of_x: Tiles, y: Array, of_y: Tiles, plan: Plan, team: Executor) -> Iterator[Block]:
    """Cut by images, as far as there is room for the partial sums, which are added in their order; then by channels."""
    from minigan.ops.cpu.kernels.numba.winograd import correlate_tiles, room

    C, O = x.shape[3], y.shape[3]
    points, per_channel = plan.n**2, plan.n**2 * of_x.phases * O
    images = slices(len(x), -(-len(x) // max(1, min(PARTS, PARTIAL // (per_channel * C)))))
    channels = slices(C, -(-C * len(images) // PARTS))
    sums = arrays.empty((len(images), per_channel * C), x.dtype)

    def of(total: Array, some: slice) -> Array:
        return total[per_channel * some.start : per_channel * some.stop].reshape(points, -1, O)

    def job(i: int) -> None:
        some, part = channels[i // len(images)], images[i % len(images)]
        dU, tiles = of(sums[i % len(images)], some), of_x.of(part)
        V, M = (scratch.array(name, (room(points, n),), x.dtype) for name, n in (("V", dU.shape[1]), ("M", O)))
        reads = (*of_image(x[..., some]), of_x.sizes, *of_image(y), of_y.sizes)
        run = (dU.reshape(-1), V, M, dU.shape, tiles.start, tiles.stop)
        correlate_tiles(transform("B", plan), transform("A", plan), *reads, *run)

    team.parallel_for(job, len(channels) * len(images))
    total = sums[0] if len(images) == 1 else sums.sum(axis=0)
    yield from ((some, of(total, some)) for some in channels)
