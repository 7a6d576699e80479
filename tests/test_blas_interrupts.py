"""Ctrl-C at any moment within `blas_on_one_thread` leaves BLAS with the threads that it had."""

import contextlib
import dis
import functools
import sys
import threading

import pytest

from minigan.ops.cpu.threads import blas
from minigan.ops.cpu.threads.blas import blas_on_one_thread

N_MOMENTS = 20
"""Fewer than a block has."""


class Library:
    """A BLAS library with 8 threads."""

    internal_api, threading_layer, threads = "openblas", "pthreads", 8

    def get_num_threads(self):
        return self.threads

    def set_num_threads(self, n):
        self.threads = n


@pytest.fixture(params=["a limit for the process", "a limit for each thread", "a worker"])
def library(request, monkeypatch):
    made = Library()
    of_process = request.param == "a limit for the process"
    monkeypatch.setattr(blas_on_one_thread, "_libraries", [made] if of_process else [])
    monkeypatch.setattr(blas_on_one_thread, "_per_thread_libraries", [] if of_process else [made])
    monkeypatch.setattr(blas_on_one_thread._thread, "is_worker", request.param == "a worker")
    return made


@functools.cache
def instructions_of(code):
    return {instruction.offset: instruction.opname for instruction in dis.get_instructions(code)}


@contextlib.contextmanager
def interrupted_at(*moments):
    """Raise KeyboardInterrupt in the module, at some of the moments at which Python handles signals, counted from 0.

    They are the first instruction of a function, the end of a call, and each repetition of a loop.
    """
    count, last, before = 0, {}, sys.gettrace()

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename != blas.__file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        name = instructions_of(frame.f_code)[frame.f_lasti] if event == "opcode" else ""
        if event == "call" or (event == "opcode" and last.get(id(frame), "").startswith(("CALL", "JUMP_BACKWARD"))):
            count += 1
            if count - 1 in moments:
                raise KeyboardInterrupt
        last[id(frame)] = name
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def interrupt_a_block(nested, *moments):
    """Return how many interrupts reached the caller, 0 or 1; whatever the frames referred to is freed."""
    try:
        with interrupted_at(*moments), blas_on_one_thread():
            if nested:
                with blas_on_one_thread():
                    pass
    except KeyboardInterrupt:
        return 1
    return 0


def assert_not_limited(library):
    limits = blas_on_one_thread._limit, blas_on_one_thread._thread.limit
    assert library.threads == 8
    assert blas_on_one_thread._thread.blocks == []
    assert [(limit.blocks, limit.limited, limit.previous) for limit in limits] == [(set(), False, None)] * 2


@pytest.mark.parametrize("nested", [False, True])
def test_an_interrupt_at_any_moment_leaves_blas_as_it_was(library, nested):
    at = 0
    while interrupt_a_block(nested, at):
        assert_not_limited(library)
        with blas_on_one_thread():
            assert library.threads == 1
        assert_not_limited(library)
        at += 1
    assert at > N_MOMENTS
    assert_not_limited(library)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # an interrupt within a callback
def test_a_second_interrupt_soon_after_the_first_is_mended_by_the_next_block(library):
    """Then a method that mends what the first one has left may be interrupted too."""
    for at in range(2 * N_MOMENTS):
        for later in range(1, 8):
            interrupt_a_block(False, at, at + later)
            with blas_on_one_thread():
                assert library.threads == 1
            assert_not_limited(library)


@pytest.mark.parametrize("at_exit", [False, True])
def test_an_interrupt_in_one_thread_does_not_end_the_block_of_another(library, at_exit):
    if library in blas_on_one_thread._per_thread_libraries:
        pytest.skip("the limit is each thread's own")
    entered, leave = threading.Event(), threading.Event()

    def compute():
        with blas_on_one_thread():
            entered.set()
            leave.wait(60)

    other = threading.Thread(target=compute, daemon=True)
    other.start()
    assert entered.wait(60)
    at = 0
    while interrupt_a_block(at_exit, at):
        assert library.threads == 1
        at += 1
    leave.set()
    other.join(60)
    assert_not_limited(library)


def test_a_block_is_entered_once(library):
    block = blas_on_one_thread()
    with block:
        assert library.threads == 1
        with pytest.raises(RuntimeError, match="expected a new one"), block:
            pass
        assert library.threads == 1
    assert_not_limited(library)


def test_a_block_may_be_entered_through_an_exit_stack(library):
    with contextlib.ExitStack() as stack:
        stack.enter_context(blas_on_one_thread())
        stack.enter_context(blas_on_one_thread())
        assert library.threads == 1
    assert_not_limited(library)


def test_blocks_that_overlap_close_each_what_it_opened(library):
    first, second = blas_on_one_thread(), blas_on_one_thread()
    with first:
        with second:
            assert library.threads == 1
        assert library.threads == 1
    assert_not_limited(library)
