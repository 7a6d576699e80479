"""Matrix products, cut into blocks of rows or columns of the result that the pool's threads compute.

The blocks depend on the sizes alone, so the number of threads does not change the result.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.ops.cpu import elementwise
from minigan.ops.cpu.executor import Executor, are_floats, slices
from minigan.ops.cpu.instruction_set import blas_has_avx512, compiled_products_are_faster
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.threads.pool import NO_MAILBOXES
from minigan.ops.protocol import Array

MIN_PARALLEL_FLOP = 2.4e7
"""Floating-point operations from which a product is given to several threads: about what one thread does in the 0.1 ms
that waking another takes."""
NUMPY_MIN_PARALLEL_FLOP, NUMPY_MIN_PARALLEL_FLOP_AVX512 = 1.2e7, 2e7
"""The same without numba, whose pieces are unequal, and with BLAS kernels that use AVX-512."""
NUMPY_MAX_UNEQUAL_FLOP = 6e7
"""Floating-point operations up to which NumPy's products are cut into two unequal pieces."""
NUMPY_LEAD_FLOP = 2.5e6
"""Floating-point operations that the first of two unequal pieces has more than the second: the calling thread takes
the first one at once, and a worker the second one about 20 us later."""
NUMPY_MIN_LEAD_AVX512 = 0.125
"""The least share of the whole product that the first piece has more than the second, with kernels that use AVX-512."""
NUMPY_MAX_TRANSPOSED_ROWS = 128
"""The most rows of x for which x W^T is computed as (W x^T)^T, which with few rows takes OpenBLAS up to 40 % less time
with AVX-512, and as long with AVX2."""
MIN_COMPILED_FLOP = 2e5
"""Floating-point operations from which a compiled call is faster than NumPy's `@`."""
MAX_SHARED_FLOP = 2e8
"""Floating-point operations up to which a compiled product is computed by a team of threads that poll; larger ones are
cut into blocks for the pool."""
MAX_ROWS_PER_COMPILED_PRODUCT = 384
"""With so many rows, 256 numbers of each (the terms that `multiply` adds in a pass) fit in the second-level cache."""
MAX_BLOCK_LENGTH = 4096
"""The most rows or columns of a block, so that the block is still in the cache when the bias is added."""


def affine(x: Array, W: Array, b: Array | None, executor: Executor) -> Array:
    """y = x W + b.

    Parameters
    ----------
    x
        The batch (N, I), of any dtype; float32 and float64 have the fast paths.
    W
        The weights (I, O).
    b
        The bias (O,), or None for none.
    executor
        Runs the blocks.

    Returns
    -------
    Array
        y (N, O), a new array.

    """
    bias_fits = b is None or (b.dtype == x.dtype and b.shape == W.shape[1:])
    if not are_floats(x, W) or not bias_fits or not _is_large(executor, len(x), *W.shape):
        return elementwise.affine(x, W, b)
    y = arrays.empty((len(x), W.shape[1]), x.dtype)
    _multiply_into(x, W, y, executor, b)
    return y


def affine_into(x: Array, W: Array, b: Array | None, y: Array, executor: Executor) -> None:
    """Write x W + b to `y` without compiled kernels; all arrays have one dtype, float32 or float64.

    Parameters
    ----------
    x, W
        The batch (N, I) and the weights (I, O).
    b
        The bias (O,), or None for none.
    y
        Where the result (N, O) is written.
    executor
        Runs the blocks of a large product.

    """
    if len(W) == 1 or len(x) == 1:
        np.copyto(y, elementwise.affine(x, W, b))
    elif _is_large(executor, len(x), *W.shape):
        _multiply_into(x, W, y, executor, b)
    else:
        np.matmul(x, W, out=y)
        if b is not None:
            np.add(y, b, out=y)


def times_transpose(x: Array, W: Array, executor: Executor | None) -> Array:
    """Return x W^T without compiled kernels.

    Parameters
    ----------
    x, W
        Matrices (N, O) and (I, O) of one dtype, float32 or float64.
    executor
        Runs the blocks of a large product; with None, the product is computed at once.

    Returns
    -------
    Array
        (N, I), a new array.

    """
    N, I, O = len(x), *W.shape
    if O == 1 or N > NUMPY_MAX_TRANSPOSED_ROWS:
        return elementwise.affine(x, W.T) if executor is None else affine(x, W.T, None, executor)
    transposed, y = np.empty((I, N), x.dtype), np.empty((N, I), x.dtype)
    if executor is not None and _is_large(executor, N, I, O):
        _multiply_into(W, x.T, transposed, executor)
    else:
        np.matmul(W, x.T, out=transposed)
    np.copyto(y, transposed.T)
    return y


def add_product(x: Array, y: Array, out: Array, executor: Executor, *, overwrite: bool = False) -> None:
    """Add x^T y to `out` in place, or with `overwrite` write it there.

    Parameters
    ----------
    x
        A batch (N, I), of any dtype; float32 and float64 have the fast paths.
    y
        A batch (N, O).
    out
        The matrix (I, O) to which the product is added in place.
    executor
        Runs the blocks.
    overwrite
        Whether the product replaces what `out` holds.

    """
    if are_floats(x, y) and out.dtype == x.dtype and _is_large(executor, len(x), x.shape[1], y.shape[1]):
        _multiply_into(x.T, y, out, executor, add=not overwrite)
    elif overwrite:
        np.matmul(x.T, y, out=out)
    else:
        out += x.T @ y


def _multiply_into(
    a: Array, b: Array, out: Array, executor: Executor, bias: Array | None = None, *, add: bool = False
) -> None:
    """Write a b + bias to `out`, or with `add` add a b to it; the longer side of `out` is cut into blocks."""
    rows, columns = out.shape
    if a.shape != (rows, b.shape[0]) or b.shape[1] != columns:
        raise ValueError(f"cannot multiply {a.shape} by {b.shape}; expected factors of a product of shape {out.shape}")
    by_rows, flop = rows >= columns, 2 * rows * columns * a.shape[1]
    length = max(rows, columns)
    blocks = slices(length, block(length, flop)) if executor.compiled else _numpy_blocks(length, flop)
    small = flop < MAX_SHARED_FLOP
    compiled = _compiled_product(a, b, out, executor if small else None, add=add) if executor.compiled else None
    if small and compiled is not None:
        compiled(slice(0, rows), slice(0, columns))
        if bias is not None:
            out += bias
        return
    product = compiled or _blas_product(a, b, out, add=add)

    def job(i: int) -> None:
        part = (blocks[i], slice(0, columns)) if by_rows else (slice(0, rows), blocks[i])
        product(*part)
        if bias is not None:
            out[part] += bias[part[1]]

    executor.parallel_for(job, len(blocks))


Product = Callable[[slice, slice], None]
"""Computes some rows and columns of a product and writes them into its result."""


def _blas_product(a: Array, b: Array, out: Array, *, add: bool) -> Product:
    def product(rows: slice, columns: slice) -> None:
        part = out[rows, columns]
        if add:
            part += np.matmul(a[rows], b[:, columns], out=arrays.empty(part.shape, part.dtype))
        else:
            np.matmul(a[rows], b[:, columns], out=part)

    return product


def _compiled_product(a: Array, b: Array, out: Array, executor: Executor | None, *, add: bool) -> Product | None:
    """Return the product by numba's `multiply`, or None if an array is neither contiguous nor a transpose of one.

    The rows of `b` have to be contiguous for `multiply`.  If its columns are, out^T = b^T a^T is computed instead, into
    a workspace.  With an executor, its team computes the product.
    """
    from minigan.ops.cpu.kernels.numba.shared_matmul import multiply_together

    team = NO_MAILBOXES if executor is None else executor.team()

    def run(*product: Any) -> None:
        multiply_together(team, *product)  # type: ignore[no-untyped-call, unused-ignore]

    if not out.flags.carray:
        return None
    (a_memory, a_strides), (b_memory, b_strides), out_memory = _memory(a), _memory(b), out.reshape(-1)
    K, width = b.shape
    if a_memory is None or b_memory is None:
        return None

    def product(rows: slice, columns: slice) -> None:
        a_layout = (rows.start * a_strides[0], *a_strides)
        b_layout, out_layout = (columns.start, width), (rows.start * width + columns.start, width)
        sizes = rows.stop - rows.start, columns.stop - columns.start, K
        run(a_memory, a_layout, b_memory, b_layout, out_memory, out_layout, sizes, add)

    def transposed(rows: slice, columns: slice) -> None:
        T, N = rows.stop - rows.start, columns.stop - columns.start
        a_transposed = arrays.empty((K, T), a.dtype)
        np.copyto(a_transposed, a[rows].T)
        out_transposed = arrays.empty((N, T), a.dtype)
        b_layout = columns.start * b_strides[1], b_strides[1], b_strides[0]
        result = a_transposed.reshape(-1), (0, T), out_transposed.reshape(-1), (0, T), (N, T, K), False
        run(b_memory, b_layout, *result)
        if add:
            out[rows, columns] += out_transposed.T
        else:
            out[rows, columns] = out_transposed.T

    return product if b_strides[1] == 1 else transposed


def _memory(x: Array) -> tuple[Array | None, tuple[int, int]]:
    """Return a matrix's memory as a vector and its strides, in numbers; None if neither x nor x^T is contiguous."""
    if x.flags.c_contiguous and x.flags.aligned:
        return x.reshape(-1), (x.shape[1], 1)
    if x.flags.f_contiguous and x.flags.aligned:
        return x.T.reshape(-1), (1, x.shape[0])
    return None, (0, 0)


def batched(a: Array, b: Array, out: Array, executor: Executor, *, add: bool = False) -> None:
    """Write a_f b_f to out_f for each f, or with `add` add it to out_f.

    Few or large products are cut by rows, or by columns if they have few rows, so that all threads finish at about the
    same time.  Many small products are grouped into parts.

    Parameters
    ----------
    a
        The left factors (F, T, K), float32 or float64.
    b
        The right factors (F, K, O), of the same dtype.
    out
        The results (F, T, O), of the same dtype, written in place.
    executor
        Runs the parts.
    add
        Whether the products are added to what `out` holds.

    """
    F, T, O = out.shape
    flop = 2 * T * O * a.shape[2]
    cuts = max(1, min(-(-32 // F), int(flop / MIN_PARALLEL_FLOP)))
    by_rows = T >= 384 or T >= O
    size = _round_up_to_16(max(192 if by_rows else 128, -(-(T if by_rows else O) // cuts)))
    blocks = slices(T if by_rows else O, size)
    products = [(f, part) for f in range(F) for part in blocks]
    per_part = max(1, int(MIN_PARALLEL_FLOP / 2 * len(blocks) / max(1, flop)))
    by_numba = _compiled_batch(a, b, out, add=add) if executor.compiled else None

    def by_blas(f: int, rows: slice, columns: slice) -> None:
        left, right, into = a[f, rows], b[f][:, columns], out[f, rows, columns]
        if add:
            into += np.matmul(left, right, out=arrays.empty(into.shape, into.dtype))
        else:
            np.matmul(left, right, out=into)

    product = by_numba or by_blas

    def job(i: int) -> None:
        for f, part in products[i * per_part : (i + 1) * per_part]:
            product(f, *((part, slice(0, O)) if by_rows else (slice(0, T), part)))

    executor.parallel_for(job, -(-len(products) // per_part))


def _compiled_batch(a: Array, b: Array, out: Array, *, add: bool) -> Callable[[int, slice, slice], None] | None:
    """Return the product of some rows and columns of a_f b_f by `multiply`; None if BLAS is faster or has to be used.

    `multiply` reads rows of `b` and of `out` as vectors, so their numbers have to be adjacent.
    """
    if (
        not (a.size and b.size)
        or b.strides[2] != b.itemsize
        or out.strides[2] != out.itemsize
        or not compiled_products_are_faster()
    ):
        return None
    from minigan.ops.cpu.kernels.numba.matmul import multiply

    (a_memory, a_strides), (b_memory, b_strides), (c_memory, c_strides) = (_strided_memory(x) for x in (a, b, out))
    K = a.shape[2]

    def product(f: int, rows: slice, columns: slice) -> None:
        for begin in range(rows.start, rows.stop, MAX_ROWS_PER_COMPILED_PRODUCT):
            T = min(rows.stop - begin, MAX_ROWS_PER_COMPILED_PRODUCT)
            a_layout = f * a_strides[0] + begin * a_strides[1], a_strides[1], a_strides[2]
            b_layout = f * b_strides[0] + columns.start, b_strides[1]
            c_layout = f * c_strides[0] + begin * c_strides[1] + columns.start, c_strides[1]
            sizes = T, columns.stop - columns.start, K
            multiply(a_memory, a_layout, b_memory, b_layout, c_memory, c_layout, sizes, add)  # type: ignore[no-untyped-call, unused-ignore]

    return product


def _strided_memory(x: Array) -> tuple[Array, list[int]]:
    """Return the memory of an array, from its first entry to its last, as a vector, and its strides in entries."""
    strides = [stride // x.itemsize for stride in x.strides]
    length = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, strides, strict=True))
    return as_strided(x, (length,), (x.itemsize,)), strides


def block(length: int, flop: float) -> int:
    """Return how many rows or columns each block of a product has.

    Parameters
    ----------
    length
        How many rows or columns the result has.
    flop
        How many floating-point operations the whole product takes; a large product is cut into about 8 blocks.

    Returns
    -------
    int
        A multiple of 16, at least 64 unless the result is smaller, and at most MAX_BLOCK_LENGTH.

    """
    cuts = max(1, min(8, length // 64, int(2 * flop / MIN_PARALLEL_FLOP)))
    return min(MAX_BLOCK_LENGTH, _round_up_to_16(-(-length // cuts)))


def _numpy_blocks(length: int, flop: float) -> list[slice]:
    """Cut the longer side of a product for NumPy: a small one into two pieces, of which the first is larger."""
    if flop > NUMPY_MAX_UNEQUAL_FLOP:
        return slices(length, block(length, flop))
    lead = max(NUMPY_LEAD_FLOP / flop, NUMPY_MIN_LEAD_AVX512 if blas_has_avx512() else 0)
    return slices(length, min(length, _round_up_to_16(math.ceil(length * (0.5 + lead / 2)))))


def _round_up_to_16(n: int) -> int:
    """Round up to a multiple of 16, the float32 numbers of a vector register of 64 bytes."""
    return -(-n // 16) * 16


def _is_large(executor: Executor, *sizes: int) -> bool:
    """Return whether a product of these three sizes takes long enough for this module's fast paths."""
    if min(sizes) <= 1:
        return False
    if executor.compiled:
        least = MIN_COMPILED_FLOP
    else:
        least = NUMPY_MIN_PARALLEL_FLOP_AVX512 if blas_has_avx512() else NUMPY_MIN_PARALLEL_FLOP
    return 2.0 * math.prod(sizes) >= least
