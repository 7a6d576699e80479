# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"
"""One matrix product on a team of threads (`minigan.ops.cpu.threads.team`)."""

import functools
from typing import Any

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import kernel_by_address
from minigan.ops.cpu.kernels.numba.matmul import TILE_ROWS, TILE_VECTORS, multiply, multiply_at, product_address
from minigan.ops.cpu.kernels.numba.pointers import integers
from minigan.ops.cpu.kernels.numba.simd import VECTOR_BYTES
from minigan.ops.cpu.threads.team import LINE, address_of, next_part, run_together

A, A_START, A_ROW, A_COLUMN, B, B_START, B_ROW, C, C_START, C_ROW, T, N, K, ADD, PRODUCT, WIDTH = range(16)
"""What the program holds: the arguments of `matmul.multiply_at`, its address, and the columns of a tile."""
COUNTERS = 16
"""Where the counters of `next_part` begin in the program."""
MAX_PARTS = 64
"""The most parts of a product."""


def multiply_together(
    mailboxes: Any, a: Any, a_layout: Any, b: Any, b_layout: Any, c: Any, c_layout: Any, sizes: Any, add: bool
) -> None:
    """`multiply`, by this thread and those that listen to the mailboxes.

    Each number of c has the bits that `multiply` alone computes: the order of its sum does not depend on the shares.
    """
    if not len(mailboxes):
        multiply(a, a_layout, b, b_layout, c, c_layout, sizes, add)
        return
    program = np.zeros(COUNTERS + (len(mailboxes) + 2) * LINE, np.int64)
    memory = a.ctypes.data, *a_layout, b.ctypes.data, *b_layout, c.ctypes.data, *c_layout
    width = TILE_VECTORS * VECTOR_BYTES // c.itemsize
    program[:COUNTERS] = *memory, *sizes, add, product_address(a.dtype), width
    run_together(mailboxes, _function(), program)


@functools.cache
def _function():
    return address_of(_multiply_parts)


@kernel_by_address
def _multiply_parts(program, rank, size):
    """Compute parts of the columns of c if they are many, otherwise of its rows, as long as there are any."""
    p = integers(program)
    by_columns = 2 * p[WIDTH] <= p[N]
    step, n = (p[WIDTH], p[N]) if by_columns else (TILE_ROWS, p[T])
    step *= -(-n // (step * MAX_PARTS))
    counters, parts = program + 8 * COUNTERS, -(-n // step)
    i = next_part(counters, 0, parts, rank, size)
    while i >= 0:
        first, end = i * step, min(n, (i + 1) * step)
        right, down = (first, 0) if by_columns else (0, first)
        a_layout = p[A_START] + down * p[A_ROW], p[A_ROW], p[A_COLUMN]
        b_layout, c_layout = (p[B_START] + right, p[B_ROW]), (p[C_START] + right + down * p[C_ROW], p[C_ROW])
        sizes = (p[T], end - first, p[K]) if by_columns else (end - first, p[N], p[K])
        multiply_at(p[PRODUCT], p[A], a_layout, p[B], b_layout, p[C], c_layout, sizes, p[ADD])
        i = next_part(counters, 0, parts, rank, size)
    return 0
