"""The pool of threads, and BLAS on one thread."""

import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest

from minigan.ops.cpu.threads import blas
from minigan.ops.cpu.threads.blas import blas_on_one_thread
from minigan.ops.cpu.threads.pool import COMPLETED_INDEX, LOCAL_RANKS_VARIABLES, SUBMITTED_INDEX, default_threads, pool


class Library:
    """A fake BLAS that records its number of threads."""

    def __init__(self, threads):
        self.threads, self.log = threads, []

    def get_num_threads(self):
        return self.threads

    def set_num_threads(self, n):
        self.threads = n
        self.log.append(n)


@pytest.fixture
def library(monkeypatch):
    """`blas_on_one_thread` with a fake library of 8 threads instead of the real ones."""
    fake = Library(8)
    monkeypatch.setattr(blas_on_one_thread, "_libraries", [fake])
    return fake


# --- the pool -------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 50])
def test_every_part_is_run_once(n, threads):
    ran, lock = [], threading.Lock()

    def job(i):
        with lock:
            ran.append(i)

    pool.parallel_for(job, n, threads)
    assert sorted(ran) == list(range(n))


def test_parts_run_at_the_same_time_and_the_caller_is_among_the_workers():
    names, barrier = set(), threading.Barrier(3, timeout=20)

    def job(_):
        barrier.wait()  # continues only when three threads have arrived
        names.add(threading.current_thread().name)

    pool.parallel_for(job, 3, 3)
    assert len(names) == 3
    assert threading.current_thread().name in names


@pytest.mark.parametrize("where", ["caller", "worker", "both"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_surfaces_and_the_remaining_parts_stop(where, error):
    caller, ran = threading.current_thread(), []
    started = threading.Barrier(2, timeout=20)

    def job(i):
        ran.append(i)
        if i < 2:
            started.wait()  # one part each
            mine = threading.current_thread() is caller
            if where == "both" or mine == (where == "caller"):
                raise error("from a part")
            time.sleep(0.2)

    with pytest.raises(error, match="from a part"):
        pool.parallel_for(job, 1000, 2)
    assert len(ran) < 1000
    again = []
    pool.parallel_for(again.append, 10, 2)  # and the pool still works
    assert sorted(again) == list(range(10))


def test_a_part_of_a_job_runs_its_own_parts_itself():
    inner = {}

    def job(i):
        inside = inner[i] = []
        pool.parallel_for(lambda j: inside.append((j, threading.current_thread())), 5, 4)
        assert {thread for _, thread in inside} == {threading.current_thread()}

    pool.parallel_for(job, 4, 2)
    assert sorted(inner) == [0, 1, 2, 3]
    assert all([j for j, _ in inside] == list(range(5)) for inside in inner.values())


def test_several_threads_may_use_it_at_once():
    sums = np.zeros((4, 200))

    def use(k):
        pool.parallel_for(lambda i: sums[k].__setitem__(i, i), 200, 3)

    users = [threading.Thread(target=use, args=(k,)) for k in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join(20)
    np.testing.assert_array_equal(sums, np.tile(np.arange(200.0), (4, 1)))


def test_workers_have_the_callers_errstate():
    barrier = threading.Barrier(2, timeout=20)

    def overflow(_):
        barrier.wait()
        np.float32(1e30) * np.float32(1e30)

    with np.errstate(over="ignore"):
        pool.parallel_for(overflow, 2, 2)  # a warning would be an error here
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        pool.parallel_for(overflow, 2, 2)


def in_a_child():
    """Run a function in a forked process, which does not have the parent's threads."""
    seen, barrier = set(), threading.Barrier(2, timeout=20)

    def job(i):
        barrier.wait()
        seen.add(threading.current_thread().name)

    pool.parallel_for(job, 2, 2)
    return len(seen)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_it_works_after_a_fork():
    in_a_child()  # there are workers
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(in_a_child())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    with multiprocessing.get_context("fork").Pool(2) as processes:
        assert processes.map_async(call, [in_a_child] * 3).get(60) == [2, 2, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_inside_a_part_can_use_the_pool_and_blas_too(library):
    """The child has neither the parent's workers nor its locks, and its only thread is outside of all parts."""

    def job(i):
        if i:
            return
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            with blas_on_one_thread():
                fine = library.threads == 1
            os._exit(7 if fine else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    codes = []
    pool.parallel_for(job, 2, 2)
    assert codes == [7]


def call(function):
    return function()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_another_thread_is_inside_gets_its_blas_threads_back(library):
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with blas_on_one_thread():
            inside.set()
            leave.wait(60)

    other = threading.Thread(target=stay)
    other.start()
    inside.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        with blas_on_one_thread():
            during = library.threads
        os._exit(7 if (during, library.threads) == (1, 8) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    leave.set()
    other.join()
    assert library.threads == 8


def test_where_the_system_gives_no_more_threads_those_that_are_there_do_the_work(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    fresh, ran = type(pool)(), []
    monkeypatch.setattr(threading.Thread, "start", refuse)
    fresh.parallel_for(ran.append, 20, 4)
    assert ran == list(range(20))


# --- how many threads -----------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch):
    """A machine of 8 cores and an empty environment."""
    for name in ("MINIGAN_THREADS", *LOCAL_RANKS_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return monkeypatch


def test_as_many_threads_as_cores_or_as_asked_for(machine):
    assert default_threads() == 8
    machine.setenv("MINIGAN_THREADS", "3")
    machine.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "4")
    assert default_threads() == 3
    machine.setenv("MINIGAN_THREADS", "")
    assert default_threads() == 2


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", " "])
def test_a_wrong_number_of_threads_is_an_error(machine, given):
    machine.setenv("MINIGAN_THREADS", given)
    with pytest.raises(ValueError, match="MINIGAN_THREADS='.*' in the environment; expected a whole number >= 1"):
        default_threads()


@pytest.mark.parametrize("name", LOCAL_RANKS_VARIABLES)
@pytest.mark.parametrize(("ranks", "want"), [("1", 8), ("2", 4), ("3", 2), ("100", 1), ("0", 8), ("4(x2)", 8)])
def test_ranks_share_the_cores(machine, name, ranks, want):
    machine.setenv(name, ranks)
    assert default_threads() == want


def test_a_rank_that_is_bound_to_its_cores_uses_all_of_them(machine):
    machine.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "4")
    machine.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert default_threads() == 2


def test_where_the_system_does_not_say_which_cores(machine):
    machine.delattr(os, "sched_getaffinity")
    assert default_threads() == 8
    machine.setattr(os, "cpu_count", lambda: None)
    assert default_threads() == 1


# --- BLAS -----------------------------------------------------------------------------------------


def test_blas_has_one_thread_inside_and_as_many_as_before_after(library):
    with blas_on_one_thread():
        assert library.threads == 1
        with blas_on_one_thread():
            assert library.threads == 1
        assert library.threads == 1
    assert library.threads == 8
    assert library.log == [1, 8]  # the inner block asked for nothing
    with pytest.raises(ValueError, match="inside"), blas_on_one_thread():
        raise ValueError("inside")
    assert library.threads == 8


@pytest.mark.parametrize("threads", [1, 2])
def test_blas_has_as_many_threads_as_before_after_a_job_and_a_failed_one(library, threads):
    seen = []
    pool.parallel_for(lambda i: seen.append(library.threads), 4, threads)
    assert seen == [1, 1, 1, 1]
    assert library.threads == 8

    def fail(i):
        raise ValueError("a part")

    with pytest.raises(ValueError, match="a part"):
        pool.parallel_for(fail, 4, threads)
    assert library.threads == 8


def test_a_library_that_does_not_say_or_has_one_thread_is_left_alone(monkeypatch):
    silent, one = Library(None), Library(1)
    monkeypatch.setattr(blas_on_one_thread, "_libraries", [silent, one])
    with blas_on_one_thread():
        pass
    assert silent.log == one.log == []


def test_blas_that_cannot_be_set_leaves_nothing_entered(monkeypatch):
    class Broken(Library):
        def set_num_threads(self, n):
            raise OSError("no")

    monkeypatch.setattr(blas_on_one_thread, "_libraries", [Broken(8)])
    with pytest.raises(OSError, match="no"), blas_on_one_thread():
        pass
    fine = Library(8)
    monkeypatch.setattr(blas_on_one_thread, "_libraries", [fine])
    with blas_on_one_thread():
        assert fine.threads == 1
    assert fine.threads == 8


def test_blas_libraries_are_found_when_first_needed():
    fresh = blas._BlasOnOneThread()
    with fresh():
        assert fresh._libraries is not None
        np.ones((3, 3)) @ np.ones((3, 3))


def test_submitted_and_completed_tasks_are_counted():
    """Threads compare these counts before they sleep."""
    fresh = type(pool)()
    for _ in range(20):
        fresh.parallel_for(lambda i: None, 2, 2)
    counts = fresh._workers[0].counts
    for _ in range(200):  # the worker counts after its answer
        if counts[SUBMITTED_INDEX] == counts[COMPLETED_INDEX]:
            break
        time.sleep(0.01)
    assert counts[SUBMITTED_INDEX] == counts[COMPLETED_INDEX] == 20
