"""The pool under stress: many jobs, several training threads, forks, signals, exceptions, the interpreter's end.

MINIGAN_STRESS multiplies the counts (default 1, a few seconds in all).
"""

import importlib
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import minigan as mg
from minigan._cached import cached_property
from minigan.ops import get_ops
from minigan.ops.cpu.threads.blas import blas_on_one_thread
from minigan.ops.cpu.threads.pool import SleepWait, pool

TIMES = int(os.environ.get("MINIGAN_STRESS", "1"))
NETWORKS = [
    ([mg.Dense(128, 256), mg.ReLU(), mg.Dense(256, 64)], (64, 128)),
    ([mg.Conv2D(4, 16, 3, padding="same"), mg.BatchNorm(16), mg.LeakyReLU(0.2), mg.Dropout(0.3)], (16, 28, 28, 4)),
    ([mg.Maxout(200, 100, pieces=3), mg.Dropout(0.5), mg.Dense(100, 10)], (100, 200)),
]


def fail(i):
    raise ZeroDivisionError(i)


def train(which, steps, **options):
    """theta after some steps of Adam, as bytes."""
    layers, shape = NETWORKS[which]
    rng = np.random.default_rng(which)
    net = mg.Network(layers, rng=rng, ops=get_ops("cpu", **{"threads": 2, **options}))
    adam, x = mg.Adam(net), rng.standard_normal(shape, dtype="float32")
    for step in range(steps):
        g = net.zeros_like_theta()
        y, backward = net.forward(x, train=True, rng=np.random.default_rng(step))
        backward(y / y.size, g)
        adam.step(g)
    return net.theta.tobytes()


@pytest.mark.parametrize("policy", ["sleep", "spin"])
def test_a_hundred_thousand_parts_of_jobs_from_several_threads_are_run_once(policy):
    """The sizes and the numbers of threads change from job to job; some jobs are nested, and some fail."""
    if policy == "spin":
        pytest.importorskip("numba")
        waiting = importlib.import_module("minigan.ops.cpu.threads.spin_wait").SpinWait()
    else:
        waiting = SleepWait()
    totals = [0, 0, 0]

    def use(k):
        rng = np.random.default_rng(k)
        for number in range(4000 * TIMES):
            n, threads = int(rng.integers(1, 17)), int(rng.integers(1, 5))
            ran = []
            if number % 50 == 0:
                with pytest.raises(ZeroDivisionError):
                    pool.parallel_for(fail, n, threads, waiting)
            if number % 10 == 0:
                pool.parallel_for(lambda _, f=ran.append: pool.parallel_for(f, 1, 2, waiting), n, threads, waiting)
                assert ran == [0] * n
            else:
                pool.parallel_for(ran.append, n, threads, waiting)
                assert sorted(ran) == list(range(n))
            totals[k] += len(ran)

    run_threads(use, range(3))
    assert sum(totals) > 90_000 * TIMES
    assert_blas_is_not_limited()


def assert_blas_is_not_limited():
    limit = blas_on_one_thread._limit
    assert (blas_on_one_thread._thread.blocks, limit.blocks, limit.limited, limit.previous) == ([], set(), False, None)


def run_threads(function, arguments):
    """Run the function for each argument in a thread of its own; raise the first error."""
    errors = []

    def run(argument):
        try:
            function(argument)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(argument,), daemon=True) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100 * TIMES)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("compiled", [None, False], ids=["default", "numpy"])
def test_networks_that_train_at_once_get_the_bits_that_each_gets_alone(compiled):
    steps = 12 * TIMES
    alone = [train(which, steps, threads=1, compiled=compiled) for which in range(len(NETWORKS))]
    found = {}

    def use(k):
        found[k] = train(k % len(NETWORKS), steps, threads=1 + k % 3, compiled=compiled)

    run_threads(use, range(6))
    assert [found[k] for k in range(6)] == alone * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_other_threads_train_trains_too():
    want, stop, codes = train(0, 3), threading.Event(), []

    def others(which):
        while not stop.is_set():
            train(which, 2)

    threads = [threading.Thread(target=others, args=(which,), daemon=True) for which in (1, 2)]
    for thread in threads:
        thread.start()
    for _ in range(10 * TIMES):
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # a deadlock ends the child
            os._exit(7 if train(0, 3) == want else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    for thread in threads:
        thread.join(60)
    assert codes == [7] * len(codes)
    assert train(0, 3) == want


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # an interrupt within a finalizer
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("compiled", [None, False], ids=["default", "numpy"])
def test_after_interrupts_at_random_moments_a_run_computes_the_same(compiled):
    want, rng, interrupts = train(1, 3, compiled=compiled), np.random.default_rng(0), 0
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)  # raises KeyboardInterrupt, as Ctrl-C does
    try:
        for _ in range(60 * TIMES):
            try:
                signal.setitimer(signal.ITIMER_REAL, float(rng.uniform(1e-4, 0.02)))
                train(1, 3, compiled=compiled)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert_blas_is_not_limited()
    assert interrupts > 10
    assert train(1, 3, compiled=compiled) == want


DAEMON = """
import threading
import numpy as np
from minigan._cached import cached_property
from minigan.ops import get_ops
ops, started = get_ops("cpu", threads=2), threading.Event()
x = np.ones((600, 600), dtype="float32")
def work():
    while True:
        ops.parallel_for(lambda i: ops.affine(x, x), 4)
        started.set()
threading.Thread(target=work, daemon=True).start()
assert started.wait(60)
"""


def test_the_interpreter_ends_while_a_daemon_computes():
    for _ in range(2 * TIMES):
        done = subprocess.run([sys.executable, "-c", DAEMON], capture_output=True, text=True, timeout=100, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_another_thread_computes_a_cached_attribute_computes_it_too():
    class Slow:
        @cached_property
        def value(self):
            inside.set()
            leave.wait(60)
            return 7

    inside, leave = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: Slow().value, daemon=True)
    other.start()
    assert inside.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a deadlock ends the child
        leave = threading.Event()
        leave.set()
        os._exit(Slow().value)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    leave.set()
    other.join()
