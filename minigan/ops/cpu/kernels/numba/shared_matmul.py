# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg"
"""One matrix product on a team of threads (`minigan.ops.cpu.threads.team`)."""

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import kernel
from minigan.ops.cpu.kernels.numba.matmul import TILE_ROWS, TILE_VECTORS, multiply, multiply_at, product_address
from minigan.ops.cpu.kernels.numba.simd import lanes
from minigan.ops.cpu.threads.team import LINE, address_of, next_part, run_together, vector_at

A, B, C, A_LAYOUT, B_LAYOUT, C_LAYOUT, SIZES, ADD, PRODUCT, COUNTERS = 0, 1, 2, 3, 6, 8, 10, 13, 14, 16
"""Where the program has the addresses and the other arguments of `multiply`, and the counters of `next_part`."""
MAX_PARTS = 64
"""The most parts of a product."""


def multiply_together(mailboxes, a, a_layout, b, b_layout, c, c_layout, sizes, add):
    """`multiply`, by this thread and those that listen to the mailboxes.

    Each number of c has the bits that `multiply` alone computes: the order of its sum does not depend on the shares.
    """
    if not len(mailboxes):
        multiply(a, a_layout, b, b_layout, c, c_layout, sizes, add)
        return
    if a.dtype not in _functions:
        _functions[a.dtype] = address_of(_share_float32 if a.dtype == np.float32 else _share_float64)
    _start(mailboxes, _functions[a.dtype], product_address(a.dtype), a, a_layout, b, b_layout, c, c_layout, sizes, add)


_functions: dict[np.dtype, int] = {}


@kernel
def _start(mailboxes, function, product, a, a_layout, b, b_layout, c, c_layout, sizes, add):
    program = np.zeros(COUNTERS + (len(mailboxes) + 2) * LINE, np.int64)
    program[A], program[B], program[C] = a.ctypes.data, b.ctypes.data, c.ctypes.data
    program[A_LAYOUT], program[A_LAYOUT + 1], program[A_LAYOUT + 2] = a_layout
    program[B_LAYOUT], program[B_LAYOUT + 1] = b_layout
    program[C_LAYOUT], program[C_LAYOUT + 1] = c_layout
    program[SIZES], program[SIZES + 1], program[SIZES + 2] = sizes
    program[ADD], program[PRODUCT] = add, product
    run_together(mailboxes, function, program)


@kernel
def _share_float32(program, rank, size):
    return _multiply_parts(vector_at(program, np.int64(0), COUNTERS + (size + 1) * LINE), rank, size, np.float32(0))


@kernel
def _share_float64(program, rank, size):
    return _multiply_parts(vector_at(program, np.int64(0), COUNTERS + (size + 1) * LINE), rank, size, np.float64(0))


@kernel
def _multiply_parts(program, rank, size, zero):
    """Compute parts of the columns of c if they are many, otherwise of its rows, as long as there are any."""
    a, b, c = vector_at(program[A], zero), vector_at(program[B], zero), vector_at(program[C], zero)
    a_row, a_column, b_row, c_row = (
        program[A_LAYOUT + 1],
        program[A_LAYOUT + 2],
        program[B_LAYOUT + 1],
        program[C_LAYOUT + 1],
    )
    T, N, K = program[SIZES], program[SIZES + 1], program[SIZES + 2]
    width = TILE_VECTORS * lanes(c)
    by_columns = 2 * width <= N
    step, n = (width, N) if by_columns else (TILE_ROWS, T)
    step *= -(-n // (step * MAX_PARTS))
    counters, parts = program[COUNTERS:], -(-n // step)
    i = next_part(counters, 0, parts, rank, size)
    while i >= 0:
        first, end = i * step, min(n, (i + 1) * step)
        right, down = (first, 0) if by_columns else (0, first)
        a_layout = program[A_LAYOUT] + down * a_row, a_row, a_column
        b_layout = program[B_LAYOUT] + right, b_row
        c_layout = program[C_LAYOUT] + right + down * c_row, c_row
        shape = (T, end - first, K) if by_columns else (end - first, N, K)
        multiply_at(program[PRODUCT], a, a_layout, b, b_layout, c, c_layout, shape, program[ADD] != 0)
        i = next_part(counters, 0, parts, rank, size)
    return np.int64(0)
