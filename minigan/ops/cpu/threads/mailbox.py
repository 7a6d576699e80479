"""Waiting for work, and sharing a matrix product between two threads, without the interpreter's lock.

A thread that sleeps takes 0.05 ms to wake, and as long again to get the interpreter's lock: together the time of a
product of two matrices of a few hundred rows.  So an idle worker polls its mailbox for a while, and multiplies what is
posted there in compiled code alone.

A mailbox is a vector of int64: the state, then the arguments of `minigan.ops.cpu.kernels.numba.matmul.multiply`.

    IDLE       the worker does not poll
    LISTENING  the worker polls the mailbox
    CLAIMED    a caller is writing the arguments
    POSTED     there is a product, and the worker will not stop polling before it is done
    DONE       the product is done; the caller, which waits for this, sets LISTENING again
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

import os

import numpy as np
from numba.core import types
from numba.core.extending import intrinsic
from numba.np.numpy_support import carray

from minigan.ops.cpu.kernels.numba.jit import kernel
from minigan.ops.cpu.kernels.numba.matmul import TILE_ROWS, TILE_VECTORS, multiply
from minigan.ops.cpu.kernels.numba.simd import lanes

IDLE, LISTENING, CLAIMED, POSTED, DONE = range(5)
SPINS_BEFORE_YIELD = 20_000
"""How many times a thread reads the state, for about 0.01 ms, before it yields its core to other threads."""

if hasattr(os, "sched_yield"):
    yield_core = types.ExternalFunction("sched_yield", types.int32())
else:

    @kernel
    def yield_core():
        """Do nothing, because this system has no such call."""


@kernel
def poll(counts, i, seen, spins):
    """Read counts[i] until it differs from `seen`, `spins` times at most; return whether it differs."""
    for _ in range(spins):  # noqa: SIM110  (numba has no any)
        if _load(counts, i) != seen:
            return True
    return False


@kernel
def listen(counts, i, seen, spins, mailbox):
    """`poll`, and multiply what is posted in the mailbox meanwhile; each product starts the `spins` again."""
    _store(mailbox, 0, LISTENING)
    left = spins
    while left > 0 and _load(counts, i) == seen:
        left -= 1
        if _load(mailbox, 0) == POSTED:
            _run_posted(mailbox)
            left = spins
    looked = 0
    while not _compare_and_swap(mailbox, 0, LISTENING, IDLE):  # a caller has claimed the mailbox
        if _load(mailbox, 0) == POSTED:
            _run_posted(mailbox)
            looked = 0
        looked += 1
        if looked > SPINS_BEFORE_YIELD:  # the caller may be waiting for a core
            yield_core()


@kernel
def try_shared_matmul(mailbox, a, a_layout, b, b_layout, c, c_layout, sizes, add):
    """`multiply`, half of it on the worker that listens to this mailbox; if none does, do nothing and return False.

    Each number of c has the bits that `multiply` alone computes: the order of its sum does not depend on the halves.
    """
    T, N, K = sizes
    width = TILE_VECTORS * lanes(c)
    by_columns = 2 * width <= N
    if not (by_columns or T >= 2 * TILE_ROWS) or not _compare_and_swap(mailbox, 0, LISTENING, CLAIMED):
        return False
    step = width if by_columns else TILE_ROWS
    cut = (N if by_columns else T) // (2 * step) * step
    right, down = (cut, 0) if by_columns else (0, cut)  # where the worker's half of c starts
    (a_start, a_row, a_column), (b_start, b_row), (c_start, c_row) = a_layout, b_layout, c_layout
    mailbox[1] = c.itemsize
    mailbox[2], mailbox[3], mailbox[4] = a.ctypes.data, b.ctypes.data, c.ctypes.data
    mailbox[5], mailbox[6], mailbox[7] = a_start + down * a_row, a_row, a_column
    mailbox[8], mailbox[9] = b_start + right, b_row
    mailbox[10], mailbox[11] = c_start + right + down * c_row, c_row
    mailbox[12], mailbox[13], mailbox[14] = T - down, N - right, K
    mailbox[15] = add
    _store(mailbox, 0, POSTED)
    multiply(a, a_layout, b, b_layout, c, c_layout, (T if by_columns else cut, cut if by_columns else N, K), add)
    looked = 0
    while _load(mailbox, 0) != DONE:
        looked += 1
        if looked > SPINS_BEFORE_YIELD:  # the worker may be waiting for a core
            yield_core()
    _store(mailbox, 0, LISTENING)
    return True


@kernel
def _run_posted(mailbox):
    if mailbox[1] == 4:
        _multiply_posted(mailbox, np.float32(0))
    else:
        _multiply_posted(mailbox, np.float64(0))
    _store(mailbox, 0, DONE)


@kernel
def _multiply_posted(mailbox, zero):
    a, b, c = _vector_at(mailbox[2], zero), _vector_at(mailbox[3], zero), _vector_at(mailbox[4], zero)
    a_layout = mailbox[5], mailbox[6], mailbox[7]
    b_layout, c_layout = (mailbox[8], mailbox[9]), (mailbox[10], mailbox[11])
    multiply(a, a_layout, b, b_layout, c, c_layout, (mailbox[12], mailbox[13], mailbox[14]), mailbox[15] != 0)


@kernel
def _vector_at(address, zero):
    """Return the memory at an address as a vector of zero's dtype; its length, here 1, is never used."""
    return carray(_pointer(address, zero), (1,))


@intrinsic
def _pointer(typingctx, address, zero):
    """Return the address as a pointer to numbers of zero's dtype."""
    pointer = types.CPointer(zero)

    def build(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address, zero), build


@intrinsic
def _load(typingctx, numbers, i):
    """Load numbers[i] atomically, with acquire ordering: what was written before the matching `_store` is seen too."""

    def build(context, builder, signature, arguments):
        return builder.load_atomic(_element_pointer(context, builder, numbers, arguments), "acquire", 8)

    return types.int64(numbers, i), build


@intrinsic
def _store(typingctx, numbers, i, value):
    """Store numbers[i] = value atomically, with release ordering: after everything written before it."""

    def build(context, builder, signature, arguments):
        number = context.cast(builder, arguments[2], value, types.int64)
        builder.store_atomic(number, _element_pointer(context, builder, numbers, arguments), "release", 8)
        return context.get_dummy_value()

    return types.void(numbers, i, value), build


@intrinsic
def _compare_and_swap(typingctx, numbers, i, old, new):
    """If numbers[i] is `old`, set it to `new`, atomically; return whether it was."""

    def build(context, builder, signature, arguments):
        expected, desired = (context.cast(builder, arguments[k], ty, types.int64) for k, ty in ((2, old), (3, new)))
        pointer = _element_pointer(context, builder, numbers, arguments)
        return builder.extract_value(builder.cmpxchg(pointer, expected, desired, "acq_rel", "acquire"), 1)

    return types.boolean(numbers, i, old, new), build


def _element_pointer(context, builder, numbers, arguments):
    """Return a pointer to the element arguments[1] of the vector arguments[0]."""
    return builder.gep(context.make_array(numbers)(context, builder, arguments[0]).data, [arguments[1]])
