"""Ctrl-C in a parallel job; signal handlers and finalizers that compute.  Possible deadlocks run in a subprocess."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.threads.blas import blas_on_one_thread
from minigan.ops.cpu.threads.pool import pool

ALARMS = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")


def assert_succeeds(program):
    """Run a program, and raise if it ends with an error, or TimeoutExpired if it does not end."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


@ALARMS
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_after_an_interrupt_no_worker_writes_any_more(times):
    """The caller has finished its part and waits; the worker's part takes 0.4 s."""
    caller, started, log, left = threading.current_thread(), threading.Barrier(2, timeout=20), [], times

    def interrupt(*_):
        nonlocal left
        left -= 1
        if left:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
        raise KeyboardInterrupt

    def job(i):
        if i < 2:
            started.wait()
            if threading.current_thread() is not caller:
                time.sleep(0.4)
        log.append(i)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            pool.parallel_for(job, 2, 2)
        assert sorted(log) == [0, 1]
        assert not blas_on_one_thread._limit.blocks
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    again = []
    pool.parallel_for(again.append, 10, 2)
    assert sorted(again) == list(range(10))


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_while_tasks_are_submitted_waits_for_those_that_were(monkeypatch, when):
    fresh, log = type(pool)(), []
    fresh.parallel_for(log.append, 2, 2)
    submit, interrupts = type(fresh._workers[0]).submit, iter([True])

    def interrupted(worker, task):
        raises = next(interrupts, False)
        if when == "after" or not raises:
            submit(worker, task)
        if raises:
            raise KeyboardInterrupt

    monkeypatch.setattr(type(fresh._workers[0]), "submit", interrupted)
    log.clear()

    def job(i):
        time.sleep(0.05)
        log.append(i)

    with pytest.raises(KeyboardInterrupt):
        fresh.parallel_for(job, 100, 2)
    count = len(log)
    time.sleep(0.2)
    assert len(log) == count < 3


def test_blas_is_given_back_after_an_interrupt_at_any_call_within(monkeypatch):
    class Library:
        internal_api, threads, calls, at = "other", 8, 0, 0

        def _call(self):
            self.calls += 1
            if self.calls == self.at:
                raise KeyboardInterrupt

        def get_num_threads(self):
            self._call()
            return self.threads

        def set_num_threads(self, n):
            self.threads = n
            self._call()

    for at in range(1, 4):
        library = Library()
        monkeypatch.setattr(blas_on_one_thread, "_libraries", [library])
        library.at = at
        with pytest.raises(KeyboardInterrupt), blas_on_one_thread():
            pass
        with blas_on_one_thread():
            assert library.threads == 1
        assert library.threads == 8
        assert not blas_on_one_thread._limit.blocks


COMPUTES = """
import signal, sys
import numpy as np
import minigan as mg
from minigan.ops import get_ops

ops = get_ops("cpu", threads=2)
x, W = (np.random.default_rng(0).standard_normal(s).astype("float32") for s in ((600, 1000), (1000, 600)))
big = x.nbytes
want, inside, wrong = ops.affine(x, W).tobytes(), [0], []

def compute(*_):
    if inside[0] < 2:
        inside[0] += 1
        if ops.affine(x, W).tobytes() != want:
            wrong.append("handler")
        inside[0] -= 1
        count[0] += 1

count = [0]
signal.signal(signal.SIGALRM, compute)
signal.setitimer(signal.ITIMER_REAL, .002, .005)
for _ in range(150):
    if ops.affine(x, W).tobytes() != want:
        wrong.append("main")
signal.setitimer(signal.ITIMER_REAL, 0)
from minigan.ops.cpu.threads.blas import blas_on_one_thread
assert not wrong, wrong
assert count[0] > 5, count
assert not blas_on_one_thread._limit.blocks
"""


@ALARMS
def test_a_signal_handler_may_compute_while_the_main_thread_computes():
    assert_succeeds(COMPUTES)


LOCKS = """
from minigan.ops.cpu.threads.blas import blas_on_one_thread
from minigan.ops.cpu.threads.pool import pool

ran = []
with blas_on_one_thread._lock, pool._lock:  # where a handler or a finalizer may interrupt
    with blas_on_one_thread():
        pass
    def job(i):
        with blas_on_one_thread():
            ran.append(i)
    pool.parallel_for(job, 4, 2)
assert sorted(ran) == [0, 1, 2, 3]
"""


def test_no_lock_keeps_out_the_thread_that_holds_it():
    assert_succeeds(LOCKS)


def test_memory_is_not_handed_out_twice_where_a_finalizer_interrupts(monkeypatch):
    blocks = arrays._KeptBlocks()
    blocks.give_back(arrays.aligned(100))

    class Kept(dict):
        def pop(self, key, default=None):
            if not taken:  # a finalizer runs between the check and the use
                taken.append(super().pop(key))
            return super().pop(key, default)

    taken, blocks._kept = [], Kept(blocks._kept)
    first = blocks.take(100)
    handed_out = [id(block) for block in (first, *taken)]
    assert len(set(handed_out)) == len(handed_out) == 2
