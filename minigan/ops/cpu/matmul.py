"""Matrix products, cut into blocks of rows or columns of the result that the threads share.

The blocks depend on the sizes alone, so the result does not depend on the number of threads.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.ops.cpu import elementwise
from minigan.ops.cpu.executor import Executor, are_floats, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.memory.scratch import scratch
from minigan.ops.protocol import Array

WORTH = 2.4e7
"""Floating-point operations below which a product is not worth a second thread: what one does in a tenth of a
millisecond, which it takes to wake another."""
CALL = 2e5
"""Below which it is not worth a compiled call."""
TOGETHER = 2e8
"""Below which the threads do not cut a compiled product into parts of a job, but share it where they listen."""
BLOCK = 4096
"""Most columns of a block: what a product has written is still in the cache when the bias is added."""


def affine(x: Array, W: Array, b: Array | None, team: Executor) -> Array:
    """y = x W + b.    x (N, I)   W (I, O)   b (O,)   y (N, O)"""
    if not are_floats(x, W) or (b is not None and b.dtype != x.dtype) or not _worth(team, len(x), *W.shape):
        return elementwise.affine(x, W, b)
    y = arrays.empty((len(x), W.shape[1]), x.dtype)
    _into(x, W, y, team, b)
    return y


def add_product(x: Array, y: Array, out: Array, team: Executor) -> None:
    """Out <- out + x^T y, a block at a time.    x (N, I)   y (N, O)   out (I, O)"""
    if are_floats(x, y) and out.dtype == x.dtype and _worth(team, len(x), x.shape[1], y.shape[1]):
        _into(x.T, y, out, team, add=True)
    else:
        out += x.T @ y


def _into(a: Array, b: Array, out: Array, team: Executor, bias: Array | None = None, *, add: bool = False) -> None:
    """Out = a b + bias, or with `add` out + a b, the longer side of `out` cut into blocks."""
    rows, columns = out.shape
    if a.shape != (rows, b.shape[0]) or b.shape[1] != columns:
        raise ValueError(f"factors of shapes {a.shape} and {b.shape} for a result of shape {out.shape}")
    by_rows = rows >= columns
    blocks = slices(max(rows, columns), block(max(rows, columns), 2 * rows * columns * a.shape[1]))
    small = 2 * rows * columns * a.shape[1] < TOGETHER
    compiled = _in_registers(a, b, out, team if small else None, add=add) if team.compiled else None
    if small and compiled is not None:
        compiled(slice(0, rows), slice(0, columns))
        if bias is not None:
            out += bias
        return
    product = compiled or _by_blas(a, b, out, add=add)

    def job(i: int) -> None:
        some, every = blocks[i], slice(0, columns if by_rows else rows)
        cut = (some, every) if by_rows else (every, some)
        product(*cut)
        if bias is not None:
            out[cut] += bias[cut[1]]

    team.parallel_for(job, len(blocks))


Product = Callable[[slice, slice], None]
"""Some rows and some columns of a result."""


def _by_blas(a: Array, b: Array, out: Array, *, add: bool) -> Product:
    def product(rows: slice, columns: slice) -> None:
        part = out[rows, columns]
        if add:
            part += np.matmul(a[rows], b[:, columns], out=scratch.array("product", part.shape, part.dtype))
        else:
            np.matmul(a[rows], b[:, columns], out=part)

    return product


def _in_registers(a: Array, b: Array, out: Array, team: Executor | None, *, add: bool) -> Product | None:
    """`compiled_product`, where the arrays lie as it takes them: b a matrix as made, or the transpose of one.

    Then out^t = b^t a^t, a few rows at a time.  With a team, its threads share the product.
    """
    from minigan.ops.cpu.kernels.numba.matmul import multiply

    def run(*product: Any) -> None:
        if team is None or not team.share(*product):
            multiply(*product)

    if not out.flags.carray:
        return None
    (left, of_left), (right, of_right), into = _memory(a), _memory(b), out.reshape(-1)
    K, width = b.shape
    if left is None or right is None:
        return None

    def product(rows: slice, columns: slice) -> None:
        of_a = (rows.start * of_left[0], *of_left)
        sizes = rows.stop - rows.start, columns.stop - columns.start, K
        of_c = rows.start * width + columns.start, width
        run(left, of_a, right, (columns.start, width), into, of_c, sizes, add)

    def transposed(rows: slice, columns: slice) -> None:
        T, N = rows.stop - rows.start, columns.stop - columns.start
        factor = scratch.array("product.a", (K, T), a.dtype)
        np.copyto(factor, a[rows].T)
        made = scratch.array("product", (N, T), a.dtype)
        of_b = columns.start * of_right[1], of_right[1], of_right[0]
        run(right, of_b, factor.reshape(-1), (0, T), made.reshape(-1), (0, T), (N, T, K), False)
        if add:
            out[rows, columns] += made.T
        else:
            out[rows, columns] = made.T

    return product if of_right[1] == 1 else transposed


def _memory(x: Array) -> tuple[Array | None, tuple[int, int]]:
    """Return the memory of a matrix and how far apart rows and columns are; None where it is a part of another."""
    if x.flags.c_contiguous and x.flags.aligned:
        return x.reshape(-1), (x.shape[1], 1)
    if x.flags.f_contiguous and x.flags.aligned:
        return x.T.reshape(-1), (1, x.shape[0])
    return None, (0, 0)


def batched(a: Array, b: Array, out: Array, team: Executor, *, add: bool = False) -> None:
    """Out_f = a_f b_f for each f, or with `add` out_f += a_f b_f.    a (F, T, K)   b (F, K, O)   out (F, T, O)

    Few or large products are cut by rows, and those of few rows by columns, so that the threads end together; many
    small ones are put together.
    """
    F, T, O = out.shape
    flops = 2 * T * O * a.shape[2]
    cuts = max(1, min(-(-32 // F), int(flops / WORTH)))
    by_rows = T >= 384 or T >= O
    size = _multiple(max(192 if by_rows else 128, -(-(T if by_rows else O) // cuts)))
    blocks = slices(T if by_rows else O, size)
    parts = [(f, some) for f in range(F) for some in blocks]
    together = max(1, int(WORTH / 2 * len(blocks) / max(1, flops)))

    def job(i: int) -> None:
        for f, some in parts[i * together : (i + 1) * together]:
            left, right, into = (a[f, some], b[f], out[f, some]) if by_rows else (a[f], b[f][:, some], out[f][:, some])
            if add:
                into += np.matmul(left, right, out=scratch.array("product", into.shape, into.dtype))
            else:
                np.matmul(left, right, out=into)

    team.parallel_for(job, -(-len(parts) // together))


def block(length: int, flops: float) -> int:
    """Return how many rows or columns a block has: about 8 blocks of a large product, at least 64 wide."""
    cuts = max(1, min(8, length // 64, int(2 * flops / WORTH)))
    return min(BLOCK, _multiple(-(-length // cuts)))


def _multiple(n: int) -> int:
    """Round up to a multiple of 16, the width of the processor's vectors."""
    return -(-n // 16) * 16


def _worth(team: Executor, *sizes: int) -> bool:
    return 2.0 * math.prod(sizes) >= (CALL if team.compiled else WORTH) and min(sizes) > 1
