"""A compiled function that several threads run together, without the interpreter's lock.

A thread that sleeps takes 0.05 ms to wake, and as long again to get the interpreter's lock: together the time of a
small network's forward pass.  So an idle worker polls its mailbox for a while, and calls the function that is posted
there in compiled code alone.  A function is called as function(program, rank, size) by each thread of the team:
`program` is the address of a vector of int64 that holds its arguments, and rank, in 0 ... size - 1, is the thread's
number.  `wait_for_all` lets the threads of a team wait for each other.

A mailbox is a vector of int64: the state, then the function's address, program, rank and size.

    IDLE       the worker does not poll
    LISTENING  the worker polls the mailbox
    CLAIMED    a caller is writing the arguments
    POSTED     there is a function to call, and the worker will not stop polling before it has returned
    DONE       the function has returned; the caller, which waits for this, sets LISTENING again
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

import os

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic
from numba.np.numpy_support import carray

from minigan.ops.cpu.kernels.numba.jit import kernel

IDLE, LISTENING, CLAIMED, POSTED, DONE = range(5)
MAILBOX_SIZE = 24
"""How many numbers a mailbox has: its state and arguments, and as many more that no other thread's memory is in the
same cache line."""
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
    """`poll`, and call what is posted in the mailbox meanwhile; each call starts the `spins` again."""
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
def listening(mailboxes):
    """Return how many of the mailboxes are polled.    mailboxes: their addresses"""
    n = 0
    for i in range(len(mailboxes)):
        n += _load(vector_at(mailboxes[i], np.int64(0)), 0) == LISTENING
    return n


@kernel
def wait_until_listening(mailboxes, spins):
    """Look at the mailboxes until all are polled, `spins` times at most; return whether they are."""
    for _ in range(spins):  # noqa: SIM110  (numba has no any)
        if listening(mailboxes) == len(mailboxes):
            return True
    return False


@kernel
def run_together(mailboxes, function, program):
    """Call a function on this thread and on every worker that listens; return when all calls have returned.

    mailboxes: the addresses of the workers' mailboxes    function: an address    program: a vector of int64
    """
    claimed = np.empty(len(mailboxes), np.int64)
    n = 0
    for i in range(len(mailboxes)):
        if _compare_and_swap(vector_at(mailboxes[i], np.int64(0)), 0, LISTENING, CLAIMED):
            claimed[n] = mailboxes[i]
            n += 1
    address = program.ctypes.data
    for i in range(n):
        mailbox = vector_at(claimed[i], np.int64(0))
        mailbox[1], mailbox[2], mailbox[3], mailbox[4] = function, address, i + 1, n + 1
        _store(mailbox, 0, POSTED)
    _call(function, address, np.int64(0), n + 1)
    for i in range(n):
        mailbox = vector_at(claimed[i], np.int64(0))
        looked = 0
        while _load(mailbox, 0) != DONE:
            looked += 1
            if looked > SPINS_BEFORE_YIELD:  # the worker may be waiting for a core
                yield_core()
        _store(mailbox, 0, LISTENING)


@kernel
def wait_for_all(counter, size, times):
    """Wait until every thread of the team has called this `times` times.    counter (1,): zero at first"""
    _add(counter, 0, 1)
    looked = 0
    while _load(counter, 0) < size * times:
        looked += 1
        if looked > SPINS_BEFORE_YIELD:  # a thread may be waiting for a core
            yield_core()


@kernel
def _run_posted(mailbox):
    _call(mailbox[1], mailbox[2], mailbox[3], mailbox[4])
    _store(mailbox, 0, DONE)


@kernel
def vector_at(address, zero, length=1):
    """Return the memory at an address as a vector of zero's dtype; only slices look at its length."""
    return carray(_pointer(address, zero), (length,))


def address_of(function):
    """Return the address at which compiled code calls a kernel of (program, rank, size), three int64.

    Parameters
    ----------
    function
        A kernel that returns an int64.

    Returns
    -------
    int
        The address; it stays valid as long as the process runs.

    """
    arguments = (types.int64,) * 3
    function.compile(arguments)
    compiled = function.overloads[arguments]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)


@intrinsic
def _call(typingctx, function, program, rank, size):
    """Call the function at an address with three int64."""

    def build(context, builder, signature, arguments):
        i64 = ir.IntType(64)
        pointer = builder.inttoptr(arguments[0], ir.FunctionType(i64, [i64] * 3).as_pointer())
        return builder.call(pointer, arguments[1:])

    return types.int64(types.int64, types.int64, types.int64, types.int64), build


@intrinsic
def _pointer(typingctx, address, zero):
    """Return the address as a pointer to numbers of zero's dtype."""
    pointer = types.CPointer(zero)

    def build(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64, zero), build


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
def _add(typingctx, numbers, i, value):
    """Add `value` to numbers[i] atomically, with acquire and release ordering."""

    def build(context, builder, signature, arguments):
        number = context.cast(builder, arguments[2], value, types.int64)
        builder.atomic_rmw("add", _element_pointer(context, builder, numbers, arguments), number, "acq_rel")
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
