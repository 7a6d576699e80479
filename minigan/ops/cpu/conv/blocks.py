"""Correlations by direct sums in compiled code: one call for each part, which is cut into blocks that fit a cache.

At stride 1 a correlation is the adjoint of the one with the flipped kernel (`direct.flipped_geometry`).  So each of the
three functions may either gather the patches of its input, or multiply first and scatter the products.  With few
channels on one side the work differs by a factor of up to 16, the numbers of a vector: a row of O numbers takes
ceil(O / 16) vectors.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np

from minigan.ops.cpu.conv import im2col
from minigan.ops.cpu.conv.flipped import flipped_geometry, flipped_weights
from minigan.ops.cpu.executor import Executor, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.threads.pool import NO_MAILBOXES
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array

MAX_BLOCK_PIXELS, MIN_BLOCK_PIXELS, MAX_BLOCK_BYTES = 96, 48, 1 << 19
"""The pixels of a block, a multiple of the rows that `multiply` keeps in registers, and its patches' bytes."""
PADDING_ENTRIES = 16
"""Entries between rows of patches.  Without them rows could be a multiple of 4 KiB apart, and would compete for the
same few sets of the cache."""
MIN_MACS_PER_PART = 1 << 22
"""Multiply-adds of a part, about 0.03 ms."""
MAX_PARTS = 8
MIN_SUMMED_PIXELS, MAX_PARTIAL_SUM_ENTRIES = 1 << 11, 1 << 20
"""A weight gradient is cut by images, into partial sums, if there are so many pixels that adding the sums takes little
time, and if the sums fit in a cache; otherwise it is cut by taps."""
VECTOR_BYTES = 64
MACS_PER_MOVED_ENTRY = 8
"""The time to gather or scatter an entry of a patch, in multiply-adds of a product."""


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None, executor: Executor) -> Array:
    """y = im2col(x) W + b.    x (N, H, W, C)   W (kh, kw, C, O)   b (O,)   y (N, h, w, O)"""
    C, O = W.shape[2:]
    flipped = flipped_geometry(geometry)
    if flipped is not None and _scattered(C, O, geometry, W.itemsize) < _gathered(C, O, geometry, W.itemsize):
        V = np.ascontiguousarray(W.transpose(2, 0, 1, 3)[:, ::-1, ::-1])  # (C, kh, kw, O), row c of the flipped kernel
        return _scatter(x, V.reshape(-1), math.prod(V.shape[1:]), O, flipped, b, executor)
    return _gather(x, W, geometry, b, executor)


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None, executor: Executor) -> Array:
    """x = col2im(y W^T) + b.    y (N, h, w, O)   W (kh, kw, C, O)   b (C,)   x (N, H, W, C)"""
    C, O = W.shape[2:]
    flipped = flipped_geometry(geometry)
    if flipped is not None and _gathered(O, C, geometry, W.itemsize) < _scattered(O, C, geometry, W.itemsize):
        return _gather(y, flipped_weights(W), flipped, b, executor)
    from minigan.ops.cpu.kernels.numba.transpose import transpose

    K = W.size // O
    stride = K + PADDING_ENTRIES
    V = arrays.empty((O * stride,), W.dtype)
    transpose(W.reshape(-1), V, K, O, stride)
    return _scatter(y, V, stride, C, geometry, b, executor)


def correlate_weights(x: Array, y: Array, geometry: Geometry, executor: Executor) -> Array:
    """dW = im2col(x)^T y.    x (N, H, W, C)   y (N, h, w, O)   dW (kh, kw, C, O)"""
    C, O, size = x.shape[3], y.shape[3], x.itemsize
    flipped = flipped_geometry(geometry)
    if flipped is not None and _gathered(O, C, geometry, size) < _gathered(C, O, geometry, size):
        return flipped_weights(_weights(y, x, flipped, executor))
    return _weights(x, y, geometry, executor)


def _gather(x: Array, W: Array, geometry: Geometry, b: Array | None, executor: Executor) -> Array:
    O, K = W.shape[3], W.size // W.shape[3]
    y = arrays.empty((len(x), *geometry.small, O), x.dtype)
    pixels = len(x) * math.prod(geometry.small)
    parts = slices(pixels, -(-pixels // _count(pixels * W.size)))
    _run("correlate", x, y, W, geometry, executor, parts=parts, b=b, K=K, block=_block(K, x.itemsize, parts[0].stop))
    return y


def _scatter(
    y: Array, V: Array, V_stride: int, C: int, geometry: Geometry, b: Array | None, executor: Executor
) -> Array:
    """x = col2im(y V) + b.    V (O, kh kw C), with rows V_stride numbers apart"""
    O, K = y.shape[3], math.prod(geometry.kernel) * C
    x = arrays.empty((len(y), *geometry.large, C), y.dtype)
    pixels = math.prod(geometry.small)
    parts = slices(len(y), -(-len(y) // _count(len(y) * pixels * K * O)))
    block = _block(K, x.itemsize, parts[0].stop * pixels)
    _run("correlate_adjoint", x, y, V, geometry, executor, parts=parts, b=b, K=K, block=block, stride=V_stride)
    return x


def _weights(x: Array, y: Array, geometry: Geometry, executor: Executor) -> Array:
    """`correlate_weights`, with the patches of x.  A part computes the sum of some images, or the sums of some taps."""
    C, O, taps = x.shape[3], y.shape[3], math.prod(geometry.kernel)
    dW = arrays.empty((*geometry.kernel, C, O), x.dtype)
    pixels = len(x) * math.prod(geometry.small)
    count = _count(pixels * dW.size)
    by_images = pixels >= MIN_SUMMED_PIXELS and count * dW.size <= MAX_PARTIAL_SUM_ENTRIES
    parts = slices(pixels, -(-pixels // (count if by_images else 1)))
    groups = slices(taps, taps if by_images else -(-taps // (2 * count)))
    sums = dW.reshape(1, -1) if len(parts) == 1 else arrays.empty((len(parts), dW.size), x.dtype)
    K = groups[0].stop * C
    block = _block(K, x.itemsize, parts[0].stop)
    _run("correlate_weights", x, y, sums[0], geometry, executor, parts=parts, groups=groups, K=K, block=block)
    if len(parts) > 1:
        sums.sum(axis=0, out=dW.reshape(-1))
    return dW


def _run(
    name: str, x: Array, y: Array, weights: Array, geometry: Geometry, executor: Executor, *, parts: list[slice],
    K: int, block: int, b: Array | None = None, groups: Sequence[slice] = (slice(0, 1),), stride: int = 0,
) -> None:  # fmt: skip
    """Run a function of `kernels.numba.patches` for all parts; its threads have a workspace of `block` patches each."""
    from minigan.ops.cpu.kernels.numba.matmul import product_address
    from minigan.ops.cpu.kernels.numba.patches import Program
    from minigan.ops.cpu.threads.team import run_together

    team, runs, dtype = executor.team(), len(parts) * len(groups), x.dtype.name
    threads = len(team) + 1 if len(team) else min(MAX_PARTS, runs)
    workspace = arrays.empty((threads, block, K + PADDING_ENTRIES), x.dtype)
    counter = np.zeros(1, np.int64)
    adjoint = name == "correlate_adjoint"
    arguments = Program(
        counter=_address(counter), parts=len(parts), part_size=parts[0].stop, total=parts[-1].stop, groups=len(groups),
        group_size=groups[0].stop, large=_address(x), large_size=x.size, small=_address(y), weights=_address(weights),
        weights_size=weights.size, weights_stride=stride, bias=0 if b is None else _address(b), has_bias=b is not None,
        workspace=_address(workspace), stride=workspace.shape[2], block=block, item_bytes=x.itemsize,
        product=product_address(dtype), move=_function("scatter_patches" if adjoint else "gather_patches", dtype),
        add_bias=0 if adjoint or b is None else _function("add_bias", dtype),
        set_rows=_function("set_rows", dtype) if adjoint else 0,
    )  # fmt: skip
    program = np.array((*arguments, *im2col.sizes(x, geometry, y.shape[3])), np.int64)
    function = _function(name, "")
    if len(team) or runs == 1:
        run_together(team if runs > 1 else NO_MAILBOXES, function, program)
    else:  # threads that do not poll: there are more of them than cores, or this is a part of a job
        index = Program._fields.index("workspace")

        def job(i: int) -> None:
            own = program.copy()
            own[index] = _address(workspace[i])
            run_together(NO_MAILBOXES, function, own)

        executor.parallel_for(job, threads)


def _address(x: Array) -> int:
    return int(x.ctypes.data)


@functools.cache
def _function(name: str, dtype: str) -> int:
    """Return the address of a compiled function of `kernels.numba.patches`, or of one that it calls."""
    from minigan.ops.cpu.kernels.numba import dense_units, im2col, patches
    from minigan.ops.cpu.threads.team import address_of

    others = {
        "gather_patches": (im2col.gather_patches, im2col.GATHER),
        "scatter_patches": (im2col.scatter_patches, im2col.SCATTER),
        "set_rows": (im2col.set_rows, im2col.SET),
        "add_bias": (dense_units.add_bias, dense_units.SIGNATURES["add_bias"]),
    }
    if name in others:
        return int(address_of(*others[name], dtype))
    return int(address_of(getattr(patches, name)))


def _block(K: int, itemsize: int, pixels: int) -> int:
    """Return how many pixels a block has, for patches of K entries: a part of so many pixels has equal blocks."""
    most = max(MIN_BLOCK_PIXELS, min(MAX_BLOCK_PIXELS, MAX_BLOCK_BYTES // (K * itemsize)))
    return _round_up(-(-pixels // -(-pixels // most)), 4)


def _count(macs: int) -> int:
    """Return the number of parts, a power of 2, for so many multiply-adds."""
    return min(MAX_PARTS, 1 << (macs // MIN_MACS_PER_PART).bit_length() >> 1) or 1


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _gathered(C: int, O: int, geometry: Geometry, itemsize: int) -> int:
    """Return the cost for a pixel, in multiply-adds, of gathering patches with C channels and multiplying them."""
    return math.prod(geometry.kernel) * C * (_round_up(O, VECTOR_BYTES // itemsize) + MACS_PER_MOVED_ENTRY)


def _scattered(C: int, O: int, geometry: Geometry, itemsize: int) -> int:
    """Return the cost for a pixel of multiplying its C channels and scattering the products to O channels."""
    products = math.prod(geometry.kernel) * O
    return C * _round_up(products, VECTOR_BYTES // itemsize) + products * MACS_PER_MOVED_ENTRY
