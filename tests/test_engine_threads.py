"""Results have the same bits in any thread of the process."""

import sys
import threading

import numpy as np
import pytest

import minigan as mg
from minigan.ops import BackendUnavailable, get_ops
from minigan.ops.cpu.threads import blas
from minigan.ops.cpu.threads.blas import blas_on_one_thread, is_per_thread
from minigan.ops.cpu.threads.pool import SleepWait, pool


def results(threads, compiled):
    """y, dx and the gradient of a network with products so large that BLAS would split them."""
    rng = np.random.default_rng(0)
    layers = [mg.Conv2D(8, 16, 3, padding="same"), mg.Flatten(), mg.Dense(16 * 14 * 14, 100)]
    net = mg.Network(layers, rng=rng, ops=get_ops("cpu", threads=threads, compiled=compiled))
    y, backward = net.forward(rng.standard_normal((64, 14, 14, 8)).astype("float32"), train=True)
    return [a.tobytes() for a in (y, backward(np.ones_like(y)))]


def elsewhere(function, *args):
    """The result of the function in another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*args)))
    thread.start()
    thread.join(120)
    return found[0]


@pytest.mark.parametrize("compiled", [None, False], ids=["default", "numpy"])
def test_the_bits_are_the_same_in_the_main_thread_and_in_others(compiled):
    one = results(1, compiled)
    for threads in (1, 2):
        assert results(threads, compiled) == one
        assert elsewhere(results, threads, compiled) == one
        assert elsewhere(results, threads, compiled) == one  # a thread that is not the first to limit BLAS


def limits():
    """The numbers of threads of each real BLAS library inside the block and after it."""
    libraries = blas_on_one_thread._libraries
    with blas_on_one_thread():
        inside = [library.get_num_threads() for library in libraries]
    return inside, [library.get_num_threads() for library in libraries]


def test_real_libraries_are_limited_from_every_thread_and_released_again():
    with blas_on_one_thread():
        pass
    if not blas_on_one_thread._libraries:
        pytest.skip("no BLAS with one limit for the process")
    for library in blas_on_one_thread._libraries:
        blas.set_threads(library, 2)
    inside, after = limits()
    assert set(inside) == {1}
    for _ in range(2):
        assert elsewhere(limits) == (inside, after)


class OfEachThread(threading.local):
    """A BLAS built with OpenMP: the number of threads is a setting of each thread."""

    internal_api, threading_layer, threads = "openblas", "openmp", 8

    def get_num_threads(self):
        return self.threads

    def set_num_threads(self, n):
        self.threads = n


def test_a_library_with_a_limit_for_each_thread_is_limited_in_the_workers_too(monkeypatch):
    library, seen, barrier = OfEachThread(), [], threading.Barrier(2, timeout=20)
    assert is_per_thread(library)
    monkeypatch.setattr(blas_on_one_thread, "_libraries", [])
    monkeypatch.setattr(blas_on_one_thread, "_per_thread_libraries", [library])

    def job(_):
        barrier.wait()
        seen.append((threading.current_thread().name, library.threads))

    pool.parallel_for(job, 2, 2)
    assert len(dict(seen)) == 2
    assert {threads for _, threads in seen} == {1}
    assert library.threads == 8

    def overlap():
        with blas_on_one_thread():
            entered.set()
            left.wait(20)
        return library.threads

    entered, left, after = threading.Event(), threading.Event(), []
    other = threading.Thread(target=lambda: after.append(overlap()))
    with blas_on_one_thread():
        other.start()
        entered.wait(20)
    assert library.threads == 8  # although the other thread is still inside
    left.set()
    other.join()
    assert after == [8]


def test_each_backend_keeps_its_own_way_of_waiting():
    """Two backends in one process: a worker waits in the way of the backend that gave it its last job."""

    class Counting(SleepWait):
        def __init__(self):
            self.workers, self.callers = threading.Semaphore(0), 0

        def wait_in_worker(self, counts, completed, mailbox):
            self.workers.release()

        def wait_in_caller(self, counts, completed):
            self.callers += 1

    first, second, barrier = Counting(), Counting(), threading.Barrier(2, timeout=20)
    fresh = type(pool)()
    for waiting in (first, second):
        fresh.parallel_for(lambda _: barrier.wait(), 2, 2, waiting)
        assert waiting.workers.acquire(timeout=20)
    assert not first.workers.acquire(blocking=False)
    assert not second.workers.acquire(blocking=False)


def test_parts_are_handed_out_once_to_many_callers_and_workers(monkeypatch):
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            ran = []
            pool.parallel_for(ran.append, 500, 4)
            assert sorted(ran) == list(range(500))
    finally:
        sys.setswitchinterval(before)


def test_without_the_interpreters_lock_the_backend_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(BackendUnavailable, match=r"free-threaded.*expected: PYTHON_GIL=1"):
        get_ops("cpu", threads=1)
