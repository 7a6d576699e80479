"""A compiled function that several threads run together, without the interpreter's lock.

A thread that sleeps takes 0.05 ms to wake, and as long again to get the interpreter's lock: together the time of a
small network's forward pass.  So an idle worker polls its mailbox for a while, and calls the function that is posted
there in compiled code alone.  A function is called as function(program, rank, size) by each thread of the team:
`program` is the address of a vector of int64 that holds its arguments, and rank, in 0 ... size - 1, is the thread's
number.

The system may take a worker's core away at any time.  So a function must do all its work in parts that the threads take
one by one (`next_part`), whichever of them are running, and wait only for parts that somebody has taken (`wait_for`):
then a worker without a core holds nobody up unless it has taken a part.

A mailbox is a vector of int64: the state, then the function's address, program, rank and size.

    IDLE       the worker does not poll
    LISTENING  the worker polls the mailbox
    CLAIMED    a caller is writing the arguments
    POSTED     there is a function to call; the caller takes it back (LISTENING) if the work is done before it is called
    RUNNING    the worker has called the function
    DONE       the function has returned; the caller, which waits for this, sets LISTENING again
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

import os

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic
from numba.np.numpy_support import carray

from minigan.ops.cpu.kernels.numba.jit import inner, kernel

IDLE, LISTENING, CLAIMED, POSTED, RUNNING, DONE = range(6)
LINE = 8
"""How many int64 a cache line holds; counters that different threads write are in different lines."""
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
    """Call a function on this thread and on every worker that listens; return when no call is running any more.

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
    call(function, (address, 0, n + 1))
    for i in range(n):
        mailbox = vector_at(claimed[i], np.int64(0))
        if _compare_and_swap(mailbox, 0, POSTED, LISTENING):  # the worker has not got to it
            continue
        looked = 0
        while _load(mailbox, 0) != DONE:
            looked += 1
            if looked > SPINS_BEFORE_YIELD:  # the worker may be waiting for a core
                yield_core()
        _store(mailbox, 0, LISTENING)


@inner
def next_part(counters, phase, n, rank, size):
    """Return a part of a phase that no thread has taken, or -1.    counters: zeros, `counters_size` of them

    A thread first takes the parts of its own share of 0 ... n - 1, the same in each pass, whose memory may still be in
    its core's cache, and then those of the others.
    """
    start = phase * (size + 1) * LINE
    for v in range(size):
        owner = (rank + v) % size
        first, end = n * owner // size, n * (owner + 1) // size
        part = first + fetch_add(counters, start + (owner + 1) * LINE, 1)
        if part < end:
            return part
    return -1


@inner
def finish_part(counters, phase, size):
    """Declare that a part is done."""
    fetch_add(counters, phase * (size + 1) * LINE, 1)


@inner
def wait_for(counters, phase, n, size):
    """Wait until all n parts of a phase are done; the calling thread has found none to take."""
    looked = 0
    while _load(counters, phase * (size + 1) * LINE) < n:
        looked += 1
        if looked > SPINS_BEFORE_YIELD:  # a thread may be waiting for a core
            yield_core()


def counters_size(phases, threads):
    """Return how many counters `next_part` needs for so many phases and at most so many threads."""
    return phases * (threads + 1) * LINE


@inner
def _run_posted(mailbox):
    if _compare_and_swap(mailbox, 0, POSTED, RUNNING):  # otherwise the caller has taken it back
        call(mailbox[1], (mailbox[2], mailbox[3], mailbox[4]))
        _store(mailbox, 0, DONE)


@inner
def vector_at(address, zero, length=1):
    """Return the memory at an address as a vector of zero's dtype; only slices look at its length."""
    return carray(_pointer(address, zero), (length,))


def address_of(function, n=3):
    """Return the address at which compiled code calls a kernel of n arguments, all int64.

    numba compiles the code of a function again in every function that calls it, but not if it is called by address.

    Parameters
    ----------
    function
        A kernel that returns an int64.
    n
        How many arguments it has; 3, the default, for (program, rank, size).

    Returns
    -------
    int
        The address; it stays valid as long as the process runs.

    """
    arguments = (types.int64,) * n
    function.compile(arguments)
    compiled = function.overloads[arguments]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)


@intrinsic
def call(typingctx, function, arguments):
    """Call the function at an address with a tuple of int64."""

    def build(context, builder, signature, given):
        i64, n = ir.IntType(64), len(arguments)
        pointer = builder.inttoptr(given[0], ir.FunctionType(i64, [i64] * n).as_pointer())
        return builder.call(pointer, [builder.extract_value(given[1], i) for i in range(n)])

    return types.int64(types.int64, arguments), build


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
def fetch_add(typingctx, numbers, i, value):
    """Add `value` to numbers[i] atomically, with acquire and release ordering; return the number before."""

    def build(context, builder, signature, arguments):
        number = context.cast(builder, arguments[2], value, types.int64)
        return builder.atomic_rmw("add", _element_pointer(context, builder, numbers, arguments), number, "acq_rel")

    return types.int64(numbers, i, value), build


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
