"""Waiting for work, and sharing a product, without the interpreter's lock.

A thread that sleeps takes a twentieth of a millisecond to wake, and one that wants the lock as long again: as much as a
product of two matrices of a few hundred rows.  So a worker that has nothing to do listens for a while to its board, and
carries out what is posted there without a word of Python.

The board is a vector of int64: a state, and what `compiled_product.multiply` takes.

    IDLE       nobody listens
    LISTENING  the worker looks at the board
    CLAIMED    a caller is writing
    POSTED     there is work; the worker will not leave before it is done
    DONE       it is; the caller, who waits for that, makes it LISTENING again
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

import os

import numpy as np
from numba.core import types
from numba.core.extending import intrinsic
from numba.np.numpy_support import carray

from minigan.ops.cpu.kernels.numba.jit import kernel
from minigan.ops.cpu.kernels.numba.matmul import ROWS, WIDE, multiply
from minigan.ops.cpu.kernels.numba.simd import lanes

IDLE, LISTENING, CLAIMED, POSTED, DONE = range(5)
YIELD_AFTER = 20_000
"""Looks, about a hundredth of a millisecond."""

if hasattr(os, "sched_yield"):
    give_way = types.ExternalFunction("sched_yield", types.int32())
else:

    @kernel
    def give_way():
        """Nothing, where the system has no such call."""


@kernel
def changed(numbers, i, seen, turns):
    """Whether numbers[i] is another than `seen`, or becomes so while it is looked at `turns` times."""
    for _ in range(turns):  # noqa: SIM110  (numba has no any)
        if _now(numbers, i) != seen:
            return True
    return False


@kernel
def listen(numbers, i, seen, turns, board):
    """`changed`, and carry out meanwhile what is posted on the board."""
    _set(board, 0, LISTENING)
    left = turns
    while left > 0 and _now(numbers, i) == seen:
        left -= 1
        if _now(board, 0) == POSTED:
            _carry_out(board)
            left = turns
    looked = 0
    while not _swap(board, 0, LISTENING, IDLE):  # a caller has claimed it
        if _now(board, 0) == POSTED:
            _carry_out(board)
            looked = 0
        looked += 1
        if looked > YIELD_AFTER:  # the caller has no core at this moment: it may have ours
            give_way()


@kernel
def share(board, a, of_a, b, of_b, c, of_c, sizes, add):
    """`multiply` with the worker that listens to this board; False, and nothing is done, where none does.

    Each number of c is computed as `multiply` alone would: the sum's order does not depend on the cut.
    """
    T, N, K = sizes
    width = WIDE * lanes(c)
    by_columns = 2 * width <= N
    if not (by_columns or T >= 2 * ROWS) or not _swap(board, 0, LISTENING, CLAIMED):
        return False
    step = width if by_columns else ROWS
    cut = (N if by_columns else T) // (2 * step) * step
    right, down = (cut, 0) if by_columns else (0, cut)
    (a_at, a_row, a_next), (b_at, b_row), (c_at, c_row) = of_a, of_b, of_c
    board[1] = c.itemsize
    board[2], board[3], board[4] = a.ctypes.data, b.ctypes.data, c.ctypes.data
    board[5], board[6], board[7] = a_at + down * a_row, a_row, a_next
    board[8], board[9] = b_at + right, b_row
    board[10], board[11] = c_at + right + down * c_row, c_row
    board[12], board[13], board[14] = T - down, N - right, K
    board[15] = add
    _set(board, 0, POSTED)
    multiply(a, of_a, b, of_b, c, of_c, (T if by_columns else cut, cut if by_columns else N, K), add)
    looked = 0
    while _now(board, 0) != DONE:
        looked += 1
        if looked > YIELD_AFTER:  # the worker has no core at this moment: it may have ours
            give_way()
    _set(board, 0, LISTENING)
    return True


@kernel
def _carry_out(board):
    if board[1] == 4:
        _product(board, np.float32(0))
    else:
        _product(board, np.float64(0))
    _set(board, 0, DONE)


@kernel
def _product(board, zero):
    a, b, c = _memory(board[2], zero), _memory(board[3], zero), _memory(board[4], zero)
    of_a, of_b, of_c = (board[5], board[6], board[7]), (board[8], board[9]), (board[10], board[11])
    multiply(a, of_a, b, of_b, c, of_c, (board[12], board[13], board[14]), board[15] != 0)


@kernel
def _memory(address, zero):
    """Memory of numbers like zero, as a vector; its length is not known here, nor asked for."""
    return carray(_pointer(address, zero), (1,))


@intrinsic
def _pointer(typingctx, address, zero):
    pointer = types.CPointer(zero)

    def build(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address, zero), build


@intrinsic
def _now(typingctx, numbers, i):
    """numbers[i] as it is in memory now, whoever wrote it."""

    def build(context, builder, signature, arguments):
        return builder.load_atomic(_place(context, builder, numbers, arguments), "acquire", 8)

    return types.int64(numbers, i), build


@intrinsic
def _set(typingctx, numbers, i, value):
    """numbers[i] = value, after all that was written before it."""

    def build(context, builder, signature, arguments):
        number = context.cast(builder, arguments[2], value, types.int64)
        builder.store_atomic(number, _place(context, builder, numbers, arguments), "release", 8)
        return context.get_dummy_value()

    return types.void(numbers, i, value), build


@intrinsic
def _swap(typingctx, numbers, i, old, new):
    """Whether numbers[i] was `old`; then it is `new`."""

    def build(context, builder, signature, arguments):
        before, after = (context.cast(builder, arguments[k], ty, types.int64) for k, ty in ((2, old), (3, new)))
        found = builder.cmpxchg(_place(context, builder, numbers, arguments), before, after, "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(numbers, i, old, new), build


def _place(context, builder, numbers, arguments):
    return builder.gep(context.make_array(numbers)(context, builder, arguments[0]).data, [arguments[1]])
