"""The weight gradient by Winograd's minimal filtering: dW = G^t [V_f^t M_f, summed over the tiles] G.

The notation is that of `minigan.ops.cpu.conv.winograd`.
"""

from collections.abc import Iterator

import numpy as np

from minigan.ops.cpu import matmul
from minigan.ops.cpu.conv.plan import Plan
from minigan.ops.cpu.conv.tiles import Tiles, gather, image_arguments, scatter, transform
from minigan.ops.cpu.conv.winograd import (
    N_PARTS,
    TARGET_TILES_PER_PART,
    for_each_part,
    image_parts,
    tiles_of,
    tiles_of_kernel,
)
from minigan.ops.cpu.executor import Executor, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

MAX_PARTIAL_SUM_ENTRIES = 1 << 22
"""The limit for all partial sums together."""
ChannelBlock = tuple[slice, Array]
"""Some channels of x, and the dU of these channels (n n, sh sw channels, O)."""


def correlate_weights(x: Array, y: Array, geometry: Geometry, plan: Plan, executor: Executor) -> Array:
    """dW = G^t [the sum over tiles of (B^t x B)^t (A y A^t)] G.    x (N, H, W, C)   y (N, h, w, O)   dW as W"""
    O = y.shape[3]
    large, small = tiles_of(geometry, plan)
    no_bias, tiles = np.zeros(O, x.dtype), tiles_of_kernel(geometry)
    dW = arrays.empty((*geometry.kernel, x.shape[3], O), x.dtype)
    few_tiles = image_parts(len(x), large) is None
    if few_tiles or (not executor.compiled and len(_partial_sums(x, y, large, plan)) == 1):
        blocks = _by_pass
    else:
        blocks = _per_thread if executor.compiled else _by_numpy
    for channels, dU in blocks(x, large, y, small, plan, executor):
        by_channel = dU.reshape(plan.n**2, large.phases, -1, O).swapaxes(1, 2)
        kernels = dW.transpose(2, 0, 1, 3)[channels]

        def transform_back(part: slice, points: Array = by_channel, kernels: Array = kernels) -> None:
            scatter("G", plan, points, kernels, no_bias, tiles, part, compiled=executor.compiled)

        for_each_part(transform_back, len(kernels), executor)
    return dW


def _by_pass(
    x: Array, x_tiles: Tiles, y: Array, y_tiles: Tiles, plan: Plan, executor: Executor
) -> Iterator[ChannelBlock]:
    """Yield all channels and their dU, computed pass by pass, each shared by all threads."""
    points, C, O = plan.n**2, x.shape[3], y.shape[3]
    dU = arrays.empty((points, x_tiles.phases * C, O), x.dtype)

    def add(images: slice) -> None:
        """Add the images' term to dU.  The workspaces are released by the return, so that the next call reuses them."""
        count = images.stop - images.start
        rows = x_tiles.of(slice(0, count)).stop
        V = arrays.empty((points, rows, x_tiles.phases, C), x.dtype)
        M = arrays.empty((points, rows, 1, O), x.dtype)

        def transform_part(part: slice) -> None:
            gather("B", plan, x[images], V, x_tiles, part, compiled=executor.compiled)
            gather("A", plan, y[images], M, y_tiles, part, compiled=executor.compiled)

        for_each_part(transform_part, count, executor)
        left = V.reshape(points, rows, -1).swapaxes(1, 2)
        matmul.batched(left, M.reshape(points, rows, O), dU, executor, add=images.start > 0)

    for images in image_parts(len(x), x_tiles) or [slice(0, len(x))]:
        add(images)
    yield slice(0, C), dU


def _partial_sums(x: Array, y: Array, x_tiles: Tiles, plan: Plan) -> list[slice]:
    """Cut the images into groups, each with a partial sum: as many as MAX_PARTIAL_SUM_ENTRIES allows, a power of 2."""
    entries = plan.n**2 * x_tiles.phases * x.shape[3] * y.shape[3]
    allowed = max(1, min(N_PARTS, len(x), MAX_PARTIAL_SUM_ENTRIES // entries))
    return slices(len(x), -(-len(x) // (1 << (allowed.bit_length() - 1))))


def _by_numpy(
    x: Array, x_tiles: Tiles, y: Array, y_tiles: Tiles, plan: Plan, executor: Executor
) -> Iterator[ChannelBlock]:
    """Yield all channels and their dU, each group of images by one thread, which takes a few of them at a time."""
    points, C, O = plan.n**2, x.shape[3], y.shape[3]
    groups = _partial_sums(x, y, x_tiles, plan)
    sums = arrays.empty((len(groups), points, x_tiles.phases * C, O), x.dtype)
    step = -(-TARGET_TILES_PER_PART // x_tiles.of(slice(0, 1)).stop)

    def add(images: slice, total: Array, *, first: bool) -> None:
        """Add the images' term.  The workspaces are released by the return, so that the next call reuses them."""
        these = slice(0, images.stop - images.start)
        tiles = x_tiles.of(these).stop
        V = arrays.empty((points, tiles, x_tiles.phases, C), x.dtype)
        M = arrays.empty((points, tiles, 1, O), x.dtype)
        gather("B", plan, x[images], V, x_tiles, these, compiled=False)
        gather("A", plan, y[images], M, y_tiles, these, compiled=False)
        left, right = V.reshape(points, tiles, -1).swapaxes(1, 2), M.reshape(points, tiles, O)
        if first:
            np.matmul(left, right, out=total)
        else:
            total += np.matmul(left, right, out=arrays.empty(total.shape, x.dtype))

    def job(i: int) -> None:
        start, stop = groups[i].start, groups[i].stop
        for begin in range(start, stop, step):
            add(slice(begin, min(begin + step, stop)), sums[i], first=begin == start)

    executor.parallel_for(job, len(groups))
    yield slice(0, C), sums[0] if len(groups) == 1 else sums.sum(axis=0)


def _per_thread(
    x: Array, x_tiles: Tiles, y: Array, y_tiles: Tiles, plan: Plan, executor: Executor
) -> Iterator[ChannelBlock]:
    """Yield blocks of channels and their dU, all passes of a part by one thread.

    The work is cut by images, as far as MAX_PARTIAL_SUM_ENTRIES allows, and then by channels.  The partial sums are
    added in a fixed order.
    """
    from minigan.ops.cpu.kernels.numba.matmul import product_address
    from minigan.ops.cpu.kernels.numba.winograd import correlate_tiles, workspace_entries

    C, O = x.shape[3], y.shape[3]
    points, per_channel = plan.n**2, plan.n**2 * x_tiles.phases * O
    images = slices(len(x), -(-len(x) // max(1, min(N_PARTS, MAX_PARTIAL_SUM_ENTRIES // (per_channel * C)))))
    channels = slices(C, -(-C * len(images) // N_PARTS))
    sums = arrays.empty((len(images), per_channel * C), x.dtype)

    def block_of(total: Array, block: slice) -> Array:
        return total[per_channel * block.start : per_channel * block.stop].reshape(points, -1, O)

    def job(i: int) -> None:
        block, part = channels[i // len(images)], images[i % len(images)]
        dU, tiles = block_of(sums[i % len(images)], block), x_tiles.of(part)
        K = dU.shape[1]
        V, M = (arrays.empty((workspace_entries(points, n),), x.dtype) for n in (K, O))
        reads = (*image_arguments(x[..., block]), x_tiles.layout, *image_arguments(y), y_tiles.layout)
        rest = (dU.reshape(-1), V, M, dU.shape, product_address(x.dtype), tiles.start, tiles.stop)
        correlate_tiles(transform("B", plan), transform("A", plan), *reads, *rest)

    executor.parallel_for(job, len(channels) * len(images))
    total = sums[0] if len(images) == 1 else sums.sum(axis=0)
    yield from ((block, block_of(total, block)) for block in channels)
