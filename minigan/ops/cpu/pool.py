"""One pool of worker threads for the whole process, made when it is first needed.

The parts of a job are cut by the sizes of the arrays alone, never by the number of threads, and what they sum is added
in the order of the parts: so the result is the same, bit for bit, on any number of threads.
"""

import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from minigan._names import SettingError
from minigan.ops.cpu.blas import one_thread

Job = Callable[[int], object]
Order = tuple[contextvars.Context, Job, Iterator[int], "SimpleQueue[BaseException | None]"]
Counts = NDArray[np.int64]
ORDERED, DONE = 0, 8
"""Where a worker's counts lie, in two lines of the cache."""
_RANKS = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE")


def default_threads() -> int:
    """Return MINIGAN_THREADS, or the cores that this process may use, shared among the MPI ranks of the machine.

    Raises SettingError (a ValueError) where MINIGAN_THREADS is no whole number >= 1.
    """
    given = os.environ.get("MINIGAN_THREADS", "")
    if given:
        if not given.isdecimal() or int(given) < 1:
            raise SettingError(f"MINIGAN_THREADS={given!r} in the environment; accepted: a whole number >= 1")
        return int(given)
    return cores()


def cores() -> int:
    """Return how many cores this process may use, its share of those of the machine."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if found < (os.cpu_count() or 1):
        return found  # the launcher has bound the rank to its share already
    ranks = next((int(os.environ[name]) for name in _RANKS if os.environ.get(name, "").isdecimal()), 1)
    return max(1, found // max(1, ranks))


class Waiting:
    """How threads wait: these sleep at once."""

    def worker(self, counts: Counts, served: int, board: Counts) -> None:
        """Wait for an order, in a worker that has carried out `served` of them."""

    def caller(self, counts: Counts, served: int) -> None:
        """Wait until the worker has carried out more than `served`."""


class _Worker:
    """A thread and its orders: how many it has been given and how many it has carried out are read without a lock."""

    def __init__(self, pool: "_Pool") -> None:
        self.orders: SimpleQueue[Order] = SimpleQueue()
        self.counts, self.board = np.zeros(16, np.int64), np.zeros(24, np.int64)
        self._pool = pool

    def serve(self) -> None:
        """Carry orders out, for ever."""
        served = 0
        while True:
            self._pool.waiting.worker(self.counts, served, self.board)
            context, job, parts, done = self.orders.get()
            # Callers count without a lock: where they got in each other's way, this begins anew.
            served = int(self.counts[ORDERED]) if self.orders.empty() else served + 1
            error = context.run(self._pool.work, job, parts)  # the caller's np.errstate holds here too
            del context, job, parts  # what they hold is not kept until the next job
            done.put(error)
            self.counts[DONE] = served
            del error, done

    def give(self, order: Order) -> None:
        """Give an order; counted first, so that a worker that has it finds it counted."""
        self.counts[ORDERED] += 1
        self.orders.put(order)

    def end(self, done: "SimpleQueue[BaseException | None]") -> BaseException | None:
        """Return what became of the last order."""
        self._pool.waiting.caller(self.counts, int(self.counts[ORDERED]) - 1)
        return done.get()


class _Pool:
    """``each(job, n, threads)`` runs job(0) ... job(n - 1), the caller among the workers."""

    def __init__(self) -> None:
        self._local = threading.local()
        self.waiting = Waiting()
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # threads do not live on in the child

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._all: list[_Worker] = []

    def each(self, job: Job, n: int, threads: int) -> None:
        """Run the n parts; the first exception of any part is raised here, after all threads have stopped."""
        helpers = min(threads, n) - 1
        if helpers < 1 or getattr(self._local, "busy", False):  # a part of a job runs its own parts itself
            with one_thread:
                for i in range(n):
                    job(i)
            return
        parts, done = iter(range(n)), [SimpleQueue[BaseException | None]() for _ in range(helpers)]
        with one_thread:
            workers = list(zip(self._workers(helpers), done, strict=False))
            for worker, queue in workers:
                worker.give((contextvars.copy_context(), job, parts, queue))
            errors = [self.work(job, parts), *(worker.end(queue) for worker, queue in workers)]
        for error in errors:
            if error is not None:
                raise error

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

    def work(self, job: Job, parts: Iterator[int]) -> BaseException | None:
        """Run parts until there are none; return the exception that ended it."""
        self._local.busy = True
        try:
            for i in parts:
                job(i)
        except BaseException as error:  # Ctrl-C in the caller, too, waits for the workers
            for _ in parts:
                pass  # the others stop after the part they are at
            return error
        finally:
            self._local.busy = False
        return None


pool = _Pool()
