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

import ctypes
import functools
import os
from typing import Any

import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core import types
from numba.core.extending import intrinsic
from numba.np.numpy_support import carray

from minigan.ops.cpu.kernels.numba.jit import inner, kernel
from minigan.ops.cpu.kernels.numba.pointers import integers, pointer

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
        n += _load(integers(mailboxes[i]), 0) == LISTENING
    return n


@kernel
def wait_until_listening(mailboxes, spins):
    """Look at the mailboxes until all are polled, `spins` times at most; return whether they are."""
    for _ in range(spins):  # noqa: SIM110  (numba has no any)
        if listening(mailboxes) == len(mailboxes):
            return True
    return False


def run_together(mailboxes: Any, function: Any, program: Any) -> None:
    """Call a function on this thread and on every worker that listens; return when no call is running any more.

    Whatever the function needs is allocated before: if memory ran out in a thread that has taken a part, the others
    would wait for that part for ever.

    Parameters
    ----------
    mailboxes : (n,) array of int64
        The addresses of the workers' mailboxes.
    function : int
        The function's address.
    program : array of int64
        Its first argument is the address of this vector.

    """
    _run_together(mailboxes, np.empty_like(mailboxes), function, program)


@kernel
def _run_together(mailboxes, claimed, function, program):
    n = 0
    for i in range(len(mailboxes)):
        if _compare_and_swap(integers(mailboxes[i]), 0, LISTENING, CLAIMED):
            claimed[n] = mailboxes[i]
            n += 1
    address = program.ctypes.data
    for i in range(n):
        mailbox = integers(claimed[i])
        mailbox[1], mailbox[2], mailbox[3], mailbox[4] = function, address, i + 1, n + 1
        _store(mailbox, 0, POSTED)
    call(function, (address, 0, n + 1))
    for i in range(n):
        mailbox = integers(claimed[i])
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
    """Return a part of a phase that no thread has taken, or -1.    counters: the address of `counters_size` zeros

    A thread first takes the parts of its own share of 0 ... n - 1, the same in each pass, whose memory may still be in
    its core's cache, and then those of the others.
    """
    start = phase * (size + 1) * LINE
    for v in range(size):
        owner = (rank + v) % size
        first, end = n * owner // size, n * (owner + 1) // size
        part = first + fetch_add(integers(counters), start + (owner + 1) * LINE, 1)
        if part < end:
            return part
    return -1


@inner
def finish_part(counters, phase, size):
    """Declare that a part is done."""
    fetch_add(integers(counters), phase * (size + 1) * LINE, 1)


@inner
def wait_for(counters, phase, n, size):
    """Wait until all n parts of a phase are done; the calling thread has found none to take."""
    looked = 0
    while _load(integers(counters), phase * (size + 1) * LINE) < n:
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
    return carray(pointer(address, zero), (length,))


TYPES = {
    "i": types.int64,
    "f": types.float64,
    "l": types.CPointer(types.int64),
    "d": types.CPointer(types.float64),
    "b": types.CPointer(types.uint8),
    "h": types.CPointer(types.uint32),
}
REAL = {"float32": types.CPointer(types.float32), "float64": types.CPointer(types.float64)}


@functools.cache
def address_of(function: Any, arguments: str = "i i i", dtype: str = "float64", constant: Any = None) -> int:
    """Return the address at which compiled code calls a kernel.

    numba compiles the code of a function again in every function that calls it, but not if it is called by address.

    Parameters
    ----------
    function
        A kernel that returns an int64.
    arguments
        The types of its arguments: "i" an int64; "f" a float64; "x", "l", "d", "b" or "h" a pointer to numbers of the
        given dtype, int64, float64, uint8 or uint32.  By default those of (program, rank, size).
    dtype
        The name of the dtype that "x" stands for.
    constant
        An object whose numba type is that of the arguments "c", for which callers pass 0.

    Returns
    -------
    int
        The address; it stays valid as long as the process runs.

    """
    kinds = {**TYPES, "x": REAL.get(dtype), "c": None if constant is None else typeof(constant)}
    signature = tuple(kinds[letter] for letter in arguments.split())
    function.compile(signature)
    compiled = function.overloads[signature]
    address: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)
    return address


@functools.cache
def callable_at(function: Any, arguments: str, dtype: str, constant: Any = None) -> Any:
    """Return a function that calls a kernel from Python, without the interpreter's lock.

    numba would compile another function that converts the arguments from Python objects.

    Parameters
    ----------
    function, arguments, dtype, constant
        As in `address_of`.  Addresses and int64 are passed as int, float64 as float.

    Returns
    -------
    callable
        It returns the kernel's int64; 0 while calls are recorded.

    """
    address = address_of(function, arguments, dtype, constant)
    if not address:
        return lambda *_: 0
    c_types = [ctypes.c_double if letter == "f" else ctypes.c_int64 for letter in arguments.split()]
    return ctypes.CFUNCTYPE(ctypes.c_int64, *c_types)(address)


@intrinsic
def call(typingctx, function, arguments):
    """Call the function at an address with a tuple of integers, as int64."""

    def build(context, builder, signature, given):
        i64, n = ir.IntType(64), len(arguments)
        target = builder.inttoptr(given[0], ir.FunctionType(i64, [i64] * n).as_pointer())
        values = [builder.extract_value(given[1], i) for i in range(n)]
        return builder.call(
            target, [context.cast(builder, v, ty, types.int64) for v, ty in zip(values, arguments, strict=True)]
        )

    return types.int64(types.int64, arguments), build


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
    """Return a pointer to the element arguments[1] of the vector, or of what the pointer points to, arguments[0]."""
    if isinstance(numbers, types.CPointer):
        return builder.gep(arguments[0], [arguments[1]])
    return builder.gep(context.make_array(numbers)(context, builder, arguments[0]).data, [arguments[1]])
