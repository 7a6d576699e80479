"""Correlations and their adjoints by Winograd's minimal filtering (Lavin and Gray 2016).

With the matrices of F(m, r) (`cook_toom`), V = B^t d B for every tile d of the padded image, U = G g G^t for every
kernel g and M = A dy A^t for every tile of y's cotangent, at each of the n^2 points f,

    y  = A^t (V_f U_f) A                   (tiles, C) times (C, O)
    dx = the sum of B (M_f U_f^t) B^t      the transposed maps in the reverse order; tiles overlap
    dW = G^t (V_f^t M_f) G                 summed over the tiles

At stride s the channels of the s x s phases of the image are concatenated: C becomes s^2 C, and the kernel r x r.

A thread takes whole images, so that no two threads add to the same pixel.  It transforms a block of tiles, multiplies
and transforms back while the block is in its cache (`kernels.numba.winograd`; NumPy takes all images of a part at
once).  If there are few tiles, U is most of what is read, and the threads share each of the three passes instead.
"""

import math
from collections.abc import Callable

import numpy as np

from minigan.ops.cpu import matmul
from minigan.ops.cpu.conv.plan import Plan
from minigan.ops.cpu.conv.tiles import Tiles, gather, image_arguments, scatter, transform
from minigan.ops.cpu.executor import Executor, slices
from minigan.ops.cpu.instruction_set import compiled_products_are_faster
from minigan.ops.cpu.memory import arrays
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

N_PARTS = 8
"""The number of parts of a pass; images are cut into at least so many, whatever the number of threads."""
MIN_TILES_PER_PART = 96
"""If N_PARTS parts would have fewer tiles, the threads share each pass."""
TARGET_TILES_PER_PART = 200
"""A part has as many images as are needed for so many tiles."""
NUMPY_TARGET_TILES_PER_PART = 128
"""The same for NumPy's kernels, which write all points of a part before they multiply them: smaller parts stay in the
cache."""
PADDING_ENTRIES = 16
"""Entries between the rows of U.  Without them rows could be a multiple of 4 KiB apart, and would compete for the same
few sets of the cache."""


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None, plan: Plan, executor: Executor) -> Array:
    """y = A^t [(G W G^t) . (B^t x B)] A + b.    x (N, H, W, C)   W (kh, kw, C, O)   y (N, h, w, O)"""
    O = W.shape[3]
    large, small = tiles_of(geometry, plan)
    y = arrays.empty((len(x), *geometry.small, O), x.dtype)
    bias = np.zeros(O, x.dtype) if b is None else b
    parts = image_parts(len(x), large, compiled=executor.compiled)
    U = _weights(W, geometry, plan, executor)
    if parts is None:
        _by_pass("B", x, large, U[..., :O], "A", y, small, bias, plan, executor)
    else:
        _per_thread("B", x, large, U, "A", y, small, bias, plan, executor, parts)
    return y


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None, plan: Plan, executor: Executor) -> Array:
    """x = B [(G W G^t) . (A y A^t)] B^t + b.    Shapes as in `correlate`."""
    C, O = W.shape[2:]
    large, small = tiles_of(geometry, plan)
    x = arrays.empty((len(y), *geometry.large, C), y.dtype)
    bias = np.zeros(C, y.dtype) if b is None else b
    parts = image_parts(len(y), small, compiled=executor.compiled)
    if parts is None and not (executor.compiled and compiled_products_are_faster()):
        U = _weights(W, geometry, plan, executor)
        _by_pass("A", y, small, U[..., :O].swapaxes(1, 2), "B", x, large, bias, plan, executor)
        return x
    U = _weights(W, geometry, plan, executor, adjoint=True)
    if parts is None:
        _by_pass("A", y, small, U[..., : large.phases * C], "B", x, large, bias, plan, executor)
    else:
        _per_thread("A", y, small, U, "B", x, large, bias, plan, executor, parts)
    return x


def _by_pass(
    matrix_x: str, x: Array, x_tiles: Tiles, U: Array, matrix_y: str, y: Array, y_tiles: Tiles, bias: Array, plan: Plan,
    executor: Executor,
) -> None:  # fmt: skip
    """y = scatter(gather(x)_f U_f) + bias, pass by pass, each shared by all threads.    U (n n, K, N)"""
    points, K, N = U.shape
    count = x_tiles.of(slice(0, len(x))).stop
    V = arrays.empty((points, count, x_tiles.phases, K // x_tiles.phases), x.dtype)
    M = arrays.empty((points, count, y_tiles.phases, N // y_tiles.phases), x.dtype)
    for_each_part(
        lambda part: gather(matrix_x, plan, x, V, x_tiles, part, compiled=executor.compiled), len(x), executor
    )
    matmul.batched(V.reshape(points, count, K), U, M.reshape(points, count, N), executor)
    for_each_part(
        lambda part: scatter(matrix_y, plan, M, y, bias, y_tiles, part, compiled=executor.compiled), len(x), executor
    )


def _per_thread(
    matrix_x: str, x: Array, x_tiles: Tiles, U: Array, matrix_y: str, y: Array, y_tiles: Tiles, bias: Array, plan: Plan,
    executor: Executor, parts: list[slice],
) -> None:  # fmt: skip
    """y = scatter(gather(x)_f U_f) + bias, all passes of a part by one thread.    U (n n, K, N + PADDING_ENTRIES)"""
    points, K, N = U.shape[0], U.shape[1], U.shape[2] - PADDING_ENTRIES
    U_strides = K * (N + PADDING_ENTRIES), N + PADDING_ENTRIES

    def by_numba(i: int) -> None:
        from minigan.ops.cpu.kernels.numba import tiles as numba_tiles
        from minigan.ops.cpu.kernels.numba.matmul import product_address
        from minigan.ops.cpu.kernels.numba.winograd import filter_tiles, workspace_entries

        V, M = (arrays.empty((workspace_entries(points, n),), x.dtype) for n in (K, N))
        From, tiles = transform(f"{matrix_y}^t", plan), x_tiles.of(parts[i])
        if From.overlap:
            numba_tiles.fill(*image_arguments(y), bias, parts[i].start, parts[i].stop)
        reads, writes = (*image_arguments(x), x_tiles.layout), (*image_arguments(y), y_tiles.layout)
        rest = (bias, V, M, (points, K, N), product_address(x.dtype), tiles.start, tiles.stop)
        filter_tiles(transform(matrix_x, plan), From, *reads, U.reshape(-1), U_strides, *writes, *rest)

    def by_numpy(i: int) -> None:
        part = parts[i]
        _by_pass(matrix_x, x[part], x_tiles, U[..., :N], matrix_y, y[part], y_tiles, bias, plan, executor)

    executor.parallel_for(by_numba if executor.compiled else by_numpy, len(parts))


def _weights(W: Array, geometry: Geometry, plan: Plan, executor: Executor, *, adjoint: bool = False) -> Array:
    """U = G W G^t of each phase of the kernel (n n, sh sw C, O), or its transpose at each point (n n, O, sh sw C).

    Each row has PADDING_ENTRIES more entries, which are undefined.

    To `gather` the weights are C images (kh, kw) with O channels and one tile; taps outside the kernel are zero.
    """
    C, O = W.shape[2:]
    tiles, points = tiles_of_kernel(geometry), plan.n**2
    if adjoint:
        W = _transposed(W, executor)
        U = arrays.empty((points, O, tiles.phases * C + PADDING_ENTRIES), W.dtype)
        target = U[..., : tiles.phases * C].reshape(points, O, tiles.phases, C)
    else:
        U = arrays.empty((points, tiles.phases * C, O + PADDING_ENTRIES), W.dtype)
        target = U[..., :O].reshape(points, tiles.phases, C, O).swapaxes(1, 2)
    kernels = W.transpose(2, 0, 1, 3)
    for_each_part(
        lambda part: gather("G", plan, kernels, target, tiles, part, compiled=executor.compiled), len(kernels), executor
    )
    return U


def _transposed(W: Array, executor: Executor) -> Array:
    """Return W (kh, kw, C, O) as an array (kh, kw, O, C) in C order."""
    if not executor.compiled:
        return np.ascontiguousarray(W.swapaxes(2, 3))
    from minigan.ops.cpu.kernels.numba.transpose import transpose

    kh, kw, C, O = W.shape
    V = arrays.empty((kh, kw, O, C), W.dtype)
    source, target = W.reshape(kh * kw, -1), V.reshape(kh * kw, -1)
    executor.parallel_for(lambda tap: transpose(source[tap], target[tap], C, O, C), kh * kw)
    return V


def for_each_part(job: Callable[[slice], None], images: int, executor: Executor) -> None:
    """Run job(part) in parallel for at most N_PARTS parts of whole images."""
    parts = slices(images, -(-images // N_PARTS))
    executor.parallel_for(lambda i: job(parts[i]), len(parts))


def tiles_of(geometry: Geometry, plan: Plan) -> tuple[Tiles, Tiles]:
    """Return the tiles of the large image, n x n and overlapping, and those of the small image, m x m."""
    counts = -(-geometry.small[0] // plan.m), -(-geometry.small[1] // plan.m)
    (top, _), (left, _) = geometry.padding
    return Tiles(plan.m, counts, geometry.stride, (top, left)), Tiles(plan.m, counts)


def tiles_of_kernel(geometry: Geometry) -> Tiles:
    """Return the one tile of a kernel."""
    return Tiles(1, (1, 1), geometry.stride)


def image_parts(images: int, tiles: Tiles, *, compiled: bool = True) -> list[slice] | None:
    """Cut the images into equal parts, each for one thread, or return None if the parts would be too small.

    The parts depend on the kernels, numba's or NumPy's, as their costs do.
    """
    per_image = math.prod(tiles.counts)
    target = TARGET_TILES_PER_PART if compiled else NUMPY_TARGET_TILES_PER_PART
    step = min(-(-target // per_image), images // N_PARTS)
    if step * per_image < MIN_TILES_PER_PART:
        return None
    return slices(images, -(-images // -(-images // step)))
