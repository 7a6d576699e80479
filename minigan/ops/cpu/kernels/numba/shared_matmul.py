# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""One matrix product on a team of threads (`minigan.ops.cpu.threads.team`)."""

import numpy as np

from minigan.ops.cpu.kernels.numba.jit import kernel
from minigan.ops.cpu.kernels.numba.matmul import TILE_ROWS, TILE_VECTORS, multiply
from minigan.ops.cpu.kernels.numba.simd import lanes
from minigan.ops.cpu.threads.team import address_of, run_together, vector_at

PROGRAM_SIZE = 16


def multiply_together(mailboxes, a, a_layout, b, b_layout, c, c_layout, sizes, add):
    """`multiply`, by this thread and those that listen to the mailboxes.

    Each number of c has the bits that `multiply` alone computes: the order of its sum does not depend on the shares.
    """
    if not len(mailboxes):
        multiply(a, a_layout, b, b_layout, c, c_layout, sizes, add)
        return
    if a.dtype not in _functions:
        _functions[a.dtype] = address_of(_share_float32 if a.dtype == np.float32 else _share_float64)
    _start(mailboxes, _functions[a.dtype], a, a_layout, b, b_layout, c, c_layout, sizes, add)


_functions: dict[np.dtype, int] = {}


@kernel
def _start(mailboxes, function, a, a_layout, b, b_layout, c, c_layout, sizes, add):
    program = np.empty(PROGRAM_SIZE, np.int64)
    program[0], program[1], program[2] = a.ctypes.data, b.ctypes.data, c.ctypes.data
    program[3], program[4], program[5] = a_layout
    program[6], program[7] = b_layout
    program[8], program[9] = c_layout
    program[10], program[11], program[12] = sizes
    program[13] = add
    run_together(mailboxes, function, program)


@kernel
def _share_float32(program, rank, size):
    return _multiply_share(vector_at(program, np.int64(0)), rank, size, np.float32(0))


@kernel
def _share_float64(program, rank, size):
    return _multiply_share(vector_at(program, np.int64(0)), rank, size, np.float64(0))


@kernel
def _multiply_share(program, rank, size, zero):
    """Compute a share of the columns of c if they are many, otherwise of its rows."""
    a, b, c = vector_at(program[0], zero), vector_at(program[1], zero), vector_at(program[2], zero)
    T, N, K = program[10], program[11], program[12]
    width = TILE_VECTORS * lanes(c)
    by_columns = size * width <= N
    step, n = (width, N) if by_columns else (TILE_ROWS, T)
    parts = -(-n // step)
    first, last = parts * rank // size * step, min(n, parts * (rank + 1) // size * step)
    right, down = (first, 0) if by_columns else (0, first)
    a_layout = program[3] + down * program[4], program[4], program[5]
    b_layout, c_layout = (program[6] + right, program[7]), (program[8] + right + down * program[9], program[9])
    shape = (T, last - first, K) if by_columns else (last - first, N, K)
    multiply(a, a_layout, b, b_layout, c, c_layout, shape, program[13] != 0)
    return np.int64(0)
