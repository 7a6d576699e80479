"""One pool of worker threads for the whole process, made when it is first needed.

The parts of a job are cut by the sizes of the arrays alone, never by the number of threads, and what they sum is added
in the order of the parts: so the result is the same, bit for bit, on any number of threads.

What is guaranteed: each part is run at most once, and exactly once if no part raises and nothing interrupts; `each`
returns, or raises, only after every worker has ended its part, so nothing is written afterwards.  Any thread may call
it, a part of a job too (which then runs its own parts itself), and a signal handler or a finalizer wherever it comes
in.  All this is so under the interpreter's lock.  A free-threaded Python that runs without it is refused by
`minigan.ops.cpu.CPU`: nothing here has been tested there.
"""

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from minigan._names import ConfigError
from minigan.ops.cpu.threads.blas import one_thread

Job = Callable[[int], object]
Counts = NDArray[np.int64]
ORDERED, DONE = 0, 8
"""Where a worker's counts lie, in two lines of the cache."""
_RANKS = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE")


def default_threads() -> int:
    """Return MINIGAN_THREADS, or the cores that this process may use, shared among the MPI ranks of the machine.

    Raises ConfigError (a ValueError) where MINIGAN_THREADS is no whole number >= 1.
    """
    given = os.environ.get("MINIGAN_THREADS", "")
    if given:
        if not given.isdecimal() or int(given) < 1:
            raise ConfigError(f"MINIGAN_THREADS={given!r} in the environment; expected a whole number >= 1")
        return int(given)
    return cores()


def cores() -> int:
    """Return how many cores this process may use, its share of those of the machine."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if found < (os.cpu_count() or 1):
        return found  # the launcher has bound the rank to its share already
    ranks = next((int(os.environ[name]) for name in _RANKS if os.environ.get(name, "").isdecimal()), 1)
    return max(1, found // max(1, ranks))


class SleepWait:
    """How threads wait: these sleep at once."""

    def worker(self, counts: Counts, served: int, board: Counts) -> None:
        """Wait for an order, in a worker that has carried out `served` of them."""

    def caller(self, counts: Counts, served: int) -> None:
        """Wait until the worker has carried out more than `served`."""


class _Order:
    """A job's parts, for one worker; several may take from the same `parts`, and carrying it out twice does no harm."""

    def __init__(self, job: Job, parts: "deque[int]", waiting: SleepWait) -> None:
        self.context, self.job, self.parts, self.waiting = contextvars.copy_context(), job, parts, waiting
        self.outcome: list[BaseException | None] = []  # what it ended with; filled before `done`
        self.done: SimpleQueue[None] = SimpleQueue()


class _Worker:
    """A thread and its orders: how many it has been given and how many it has carried out are read without a lock."""

    def __init__(self, pool: "_Pool") -> None:
        self.orders: SimpleQueue[_Order] = SimpleQueue()
        self.counts, self.board = np.zeros(16, np.int64), np.zeros(24, np.int64)
        self._pool = pool

    def serve(self) -> None:
        """Carry orders out, for ever."""
        served, waiting = 0, SleepWait()
        one_thread.cover()
        while True:
            waiting.worker(self.counts, served, self.board)
            order = self.orders.get()
            waiting = order.waiting  # the next order is probably of the backend that gave this one
            # Callers count without a lock: where they got in each other's way, this begins anew.
            served = int(self.counts[ORDERED]) if self.orders.empty() else served + 1
            outcome, done = order.outcome, order.done
            # The caller's np.errstate holds here too.
            error = order.context.run(self._pool.work, order.job, order.parts)
            del order  # what it holds is not kept until the next job
            outcome.append(error)
            done.put(None)
            self.counts[DONE] = served
            del error, outcome, done

    def give(self, order: _Order) -> None:
        """Give an order; counted first, so that a worker that has it finds it counted."""
        self.counts[ORDERED] += 1
        self.orders.put(order)

    def end(self, order: _Order) -> None:
        """Wait until the order has its outcome; may be begun again after an interruption."""
        if not order.outcome:
            order.waiting.caller(self.counts, int(self.counts[ORDERED]) - 1)
        while not order.outcome:
            order.done.get()


class _Pool:
    """``each(job, n, threads)`` runs job(0) ... job(n - 1), the caller among the workers."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # threads do not live on in the child

    def _forget(self) -> None:
        self._lock = threading.RLock()  # a signal handler that computes may come in while it is held
        self._all: list[_Worker] = []

    def parallel_for(self, job: Job, n: int, threads: int, waiting: SleepWait | None = None) -> None:
        """Run the n parts; the first exception of any part is raised here, after all threads have stopped.

        Parameters
        ----------
        job
            Called with the number of a part.
        n
            How many parts there are.
        threads
            How many threads run them at most, the caller among them.
        waiting
            How the caller waits for the workers, and they for the caller's next job; by default they sleep at once.

        Raises
        ------
        BaseException
            What a part raised; or what came while this waited, KeyboardInterrupt say.  The parts that no thread has
            begun by then are left out.

        """
        helpers = min(threads, n) - 1
        if helpers < 1 or getattr(self._local, "busy", False):  # a part of a job runs its own parts itself
            with one_thread:
                for i in range(n):
                    job(i)
            return
        parts, policy = deque(range(n)), waiting or SleepWait()
        given: list[tuple[_Worker, _Order]] = []
        error: BaseException | None = None
        with one_thread:
            try:
                for worker in self._workers(helpers):
                    given.append((worker, _Order(job, parts, policy)))  # first: what is given is waited for
                    worker.give(given[-1][1])
                error = self.work(job, parts)
                for worker, order in given:
                    worker.end(order)
            except BaseException as interrupt:  # Ctrl-C here, too, waits for the workers, which write into arrays
                self._stop(given, parts)
                error = interrupt
        for raised in (error, *(order.outcome[0] for _, order in given)):
            if raised is not None:
                raise raised

    def _stop(self, given: list[tuple[_Worker, _Order]], parts: "deque[int]") -> None:
        """Leave out the parts that nobody has begun and wait for the others, however often this is interrupted."""
        try:
            parts.clear()
            for worker, order in given:
                if not order.outcome:  # the interruption may have come before it was given: twice does no harm
                    worker.give(order)
            for worker, order in given:
                worker.end(order)
        except BaseException:  # again Ctrl-C
            self._stop(given, parts)

    def board(self) -> Counts | None:
        """Return the board of a worker that may be listening."""
        return None if not self._all or getattr(self._local, "busy", False) else self._all[0].board

    def _workers(self, n: int) -> list[_Worker]:
        if len(self._all) < n:
            with self._lock:
                while len(self._all) < n:
                    worker = _Worker(self)
                    name = f"minigan-{len(self._all) + 1}"
                    try:
                        threading.Thread(target=worker.serve, name=name, daemon=True).start()
                    except RuntimeError:  # the system gives no more: those that are there do the work
                        break
                    self._all.append(worker)
        return self._all[:n]

    def work(self, job: Job, parts: "deque[int]") -> BaseException | None:
        """Run parts until there are none; return the exception that ended it."""
        self._local.busy = True
        try:
            with one_thread:  # of a library that keeps a limit for each thread, this one's
                while True:
                    # A deque hands each number out once, to whichever thread: an iterator does so only under the
                    # interpreter's lock.
                    try:
                        i = parts.popleft()
                    except IndexError:
                        break
                    job(i)
        except BaseException as error:  # Ctrl-C in the caller, too, waits for the workers
            parts.clear()  # the others stop after the part they are at
            return error
        finally:
            self._local.busy = False
        return None


pool = _Pool()
