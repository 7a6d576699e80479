"""Matrix products of operands as they lie in memory, for compiled kernels; they are small or cut to fit a core's cache.

A BLAS library first copies both operands into its own order.  For the products of a few hundred rows and columns that
convolutions consist of, that takes a fifth of the time.  Here nothing is copied: a tile of the result, TILE_ROWS rows
by TILE_VECTORS vectors of columns, stays in registers during the sum, and each number of `a` is broadcast to a vector.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg"

import functools
from typing import Any

from llvmlite import binding
from numba.core import cgutils, types
from numba.core import config as numba_config
from numba.core.extending import intrinsic

from minigan.ops.cpu.kernels.numba.jit import inlined, kernel_by_address
from minigan.ops.cpu.kernels.numba.pointers import on_stack, size_of
from minigan.ops.cpu.kernels.numba.simd import VECTOR_BYTES, Vectors, lanes
from minigan.ops.cpu.threads.team import address_of, call, callable_at


def _has_avx512() -> bool:
    """Return whether numba compiles for vector registers of 64 bytes."""
    name, features = (getattr(numba_config, f"CPU_{what}") for what in ("NAME", "FEATURES"))
    if name or features:  # the user chose the processor (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES)
        return "+avx512f" in (features or "")
    return bool(binding.get_host_cpu_features().get("avx512f"))


TILE_ROWS, MEDIUM_TILE_ROWS, SMALL_TILE_ROWS, TILE_VECTORS = (12, 8, 4, 2) if _has_avx512() else (6, 4, 2, 1)
"""A full tile's sums take 24 of the 32 registers of 64 bytes, or 12 of the 16 of 32 bytes; the operands get the others.
TILE_VECTORS counts vectors of 64 bytes.  The rows that are left over are computed in smaller tiles (two medium ones
rather than a full and a small one), and so are the
columns, if they fit into one register."""
REGISTER_BYTES = 64 if _has_avx512() else 32
"""The size of a vector register; a tile has two of them side by side."""
MAX_TERMS_PER_PASS = 256
"""Terms of the sums that are added before the next rows: so many columns of TILE_ROWS rows of `a`, and so many rows of
one tile's columns of `b`, stay in the L1 cache."""
PAGE_BYTES = 0 if _has_avx512() else 4096
"""If the rows of `b` are a multiple of this apart, they compete for the same few places in the L1 cache, and each
tile's columns are copied first; with registers of 64 bytes this does not pay."""


ARGUMENTS = "x i i i x i i x i i i i i i"
"""The types of the arguments of a product, see `team.address_of`."""


def multiply(a: Any, a_layout: Any, b: Any, b_layout: Any, c: Any, c_layout: Any, sizes: Any, add: bool) -> None:
    """c_tn = sum_k a_tk b_kn, or with `add` c_tn + sum_k a_tk b_kn.    sizes = (T, N, K)

    a, b and c are vectors of memory.  a_layout is (offset of the first number, row stride, column stride), b_layout and
    c_layout are (offset, row stride), all in numbers; the column stride of b and c is 1.
    """
    a_, b_, c_ = a.ctypes.data, b.ctypes.data, c.ctypes.data
    product = callable_at(_multiply, ARGUMENTS, str(a.dtype))
    product(a_, *a_layout, b_, *b_layout, c_, *c_layout, *sizes, add)


@functools.cache
def product_address(dtype: Any) -> int:
    """Return the address that `multiply_at` calls for arrays of this dtype, float32 or float64."""
    return address_of(_multiply, ARGUMENTS, str(dtype))


@inlined
def multiply_at(function, a, a_layout, b, b_layout, c, c_layout, sizes, add):
    """`multiply` in compiled code; a, b and c are addresses, and `function` is a `product_address`."""
    (a_start, a_row, a_column), (b_start, b_row), (c_start, c_row), (T, N, K) = a_layout, b_layout, c_layout, sizes
    memory = a, a_start, a_row, a_column, b, b_start, b_row, c, c_start, c_row
    call(function, (*memory, T, N, K, add))


@kernel_by_address
def _multiply(a, a_start, a_row, a_column, b, b_start, b_row, c, c_start, c_row, T, N, K, add):
    width = TILE_VECTORS * lanes(c)
    copies = PAGE_BYTES > 0 and b_row * size_of(b) % max(PAGE_BYTES, 1) == 0 and T >= 2 * TILE_ROWS
    copy = columns_of(b)
    for n in range(0, N, width):
        left = N - n
        for k in range(0, K, MAX_TERMS_PER_PASS):
            depth, more = min(MAX_TERMS_PER_PASS, K - k), add != 0 or k > 0
            b_pass, b_memory = (b_start + k * b_row + n, b_row), b
            if copies and left >= width:
                _copy_columns(b, b_pass[0], b_row, copy, depth)
                b_pass, b_memory = (0, width), copy
            a_pass, t = a_start + k * a_column, 0
            while t + TILE_ROWS <= T and T - t != 2 * MEDIUM_TILE_ROWS:
                a_tile, c_tile = (a_pass + t * a_row, a_row, a_column), (c_start + t * c_row + n, c_row)
                _multiply_tile(TILE_ROWS, a, a_tile, b_memory, b_pass, c, c_tile, depth, left, more)
                t += TILE_ROWS
            while t + MEDIUM_TILE_ROWS <= T:
                a_tile, c_tile = (a_pass + t * a_row, a_row, a_column), (c_start + t * c_row + n, c_row)
                _multiply_tile(MEDIUM_TILE_ROWS, a, a_tile, b_memory, b_pass, c, c_tile, depth, left, more)
                t += MEDIUM_TILE_ROWS
            while t + SMALL_TILE_ROWS <= T:
                a_tile, c_tile = (a_pass + t * a_row, a_row, a_column), (c_start + t * c_row + n, c_row)
                _multiply_tile(SMALL_TILE_ROWS, a, a_tile, b_memory, b_pass, c, c_tile, depth, left, more)
                t += SMALL_TILE_ROWS
            while t < T:
                a_tile, c_tile = (a_pass + t * a_row, a_row, a_column), (c_start + t * c_row + n, c_row)
                _multiply_tile(1, a, a_tile, b_memory, b_pass, c, c_tile, depth, left, more)
                t += 1
    return 0


@intrinsic
def columns_of(typingctx, b):
    """Return memory on the stack for MAX_TERMS_PER_PASS rows of a tile's columns, if they may be copied."""

    def build(context, builder, signature, arguments):
        width = TILE_VECTORS * 8 * VECTOR_BYTES // b.dtype.bitwidth
        return on_stack(context, builder, b.dtype, MAX_TERMS_PER_PASS * width if PAGE_BYTES else 1)

    return types.CPointer(b.dtype)(b), build


@inlined
def _copy_columns(b, start, row, copy, depth):
    """Copy `depth` rows of a tile's columns."""
    width = TILE_VECTORS * lanes(b)
    for k in range(depth):
        for n in range(width):
            copy[k * width + n] = b[start + k * row + n]


@intrinsic(prefer_literal=True)
def _multiply_tile(typingctx, rows, a, a_layout, b, b_layout, c, c_layout, depth, left, add):
    """`multiply` for one tile: `rows` rows, min(left, 2 registers) columns and `depth` terms."""
    if not isinstance(rows, types.IntegerLiteral):
        return None

    def build(context, builder, signature, arguments):
        _, a_, a_layout_, b_, b_layout_, c_, c_layout_, depth_, left_, add_ = arguments
        on = Vectors(context, builder, c.dtype, REGISTER_BYTES)
        a_start, a_row, a_column = (builder.extract_value(a_layout_, i) for i in range(3))
        b_start, b_row = (builder.extract_value(b_layout_, i) for i in range(2))
        c_start, c_row = (builder.extract_value(c_layout_, i) for i in range(2))
        tile_rows = range(rows.literal_value)

        def nth(first, i, stride):
            return builder.add(first, builder.mul(stride, stride.type(i)))

        def write(masks):
            sums = [[cgutils.alloca_once_value(builder, on.zero) for _ in masks] for _ in tile_rows]
            with builder.if_then(add_):
                for r in tile_rows:
                    for v, mask in enumerate(masks):
                        builder.store(on.load(c_, c, on.advance(nth(c_start, r, c_row), v), mask), sums[r][v])
            with cgutils.for_range(builder, depth_) as loop:
                b_at = builder.add(b_start, builder.mul(b_row, loop.index))
                factors = [on.load(b_, b, on.advance(b_at, v), mask) for v, mask in enumerate(masks)]
                for v in range(len(masks)):  # the next tile's columns: rows of a wide b lie in different pages
                    on.prefetch(b_, b, on.advance(b_at, 2 + v))
                a_at = builder.add(a_start, builder.mul(a_column, loop.index))
                for r in tile_rows:
                    number = on.broadcast(a_, a, nth(a_at, r, a_row))
                    for v, factor in enumerate(factors):
                        builder.store(on.add(builder.load(sums[r][v]), on.multiply(number, factor)), sums[r][v])
            for r in tile_rows:
                for v, mask in enumerate(masks):
                    on.store(c_, c, on.advance(nth(c_start, r, c_row), v), builder.load(sums[r][v]), mask)

        with builder.if_else(on.full(left_, 2), likely=True) as (then, otherwise):
            with then:
                write([None, None])
            with otherwise, builder.if_else(on.full(left_)) as (both, one):
                with both:
                    write([None, on.first(on.advance(left_, -1))])
                with one:
                    write([on.first(left_)])
        return context.get_dummy_value()

    return types.void(rows, a, a_layout, b, b_layout, c, c_layout, depth, left, add), build
