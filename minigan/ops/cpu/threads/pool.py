"""One pool of worker threads for the whole process, started when it is first needed.

A job is cut into parts by the sizes of the arrays alone, never by the number of threads, and sums over parts are added
in the order of the parts: so the result has the same bits on any number of threads.

Guarantees: each part is run at most once, and exactly once if no part raises and nothing interrupts; `parallel_for`
returns, or raises, only after every worker has finished its part, so nothing is written afterwards.  It may be called
from any thread, from a part of a job (which then runs all the inner parts itself), and from a signal handler or a
finalizer, whatever it interrupts.  All this relies on the interpreter's lock.  `minigan.ops.cpu.CPU` refuses to run in
a free-threaded Python without the lock, where nothing here has been tested.
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
from minigan.ops.cpu.threads.blas import blas_on_one_thread

Job = Callable[[int], object]
"""A function of the number of a part."""
Counts = NDArray[np.int64]
SUBMITTED_INDEX, COMPLETED_INDEX = 0, 8
"""Where a worker's counts are in its array: in two cache lines, because different threads write them."""
NO_MAILBOXES: Counts = np.empty(0, np.int64)
LOCAL_RANKS_VARIABLES = (
    "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE",
)  # fmt: skip
"""Environment variables in which MPI launchers say how many ranks run on this machine."""


def default_threads() -> int:
    """Return MINIGAN_THREADS, or if that is not set, `cores`.

    Returns
    -------
    int
        How many threads the backend uses by default, >= 1.

    Raises
    ------
    ConfigError
        If MINIGAN_THREADS is not a whole number >= 1 (a ValueError).

    """
    given = os.environ.get("MINIGAN_THREADS", "")
    if given:
        if not given.isdecimal() or int(given) < 1:
            raise ConfigError(f"MINIGAN_THREADS={given!r} in the environment; expected a whole number >= 1")
        return int(given)
    return cores()


def cores() -> int:
    """Return how many cores this process may use; MPI ranks on one machine get equal shares of its cores.

    Returns
    -------
    int
        The number of cores, >= 1.

    """
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if found < (os.cpu_count() or 1):
        return found  # the launcher has already bound the rank to its share
    counts = (os.environ.get(name, "") for name in LOCAL_RANKS_VARIABLES)
    ranks = next((int(count) for count in counts if count.isdecimal()), 1)
    return max(1, found // max(1, ranks))


class SleepWait:
    """How threads wait for each other: these do not poll, they sleep at once.

    `_Worker.loop` and `_Worker.wait` call these methods just before they sleep, so a method may poll for a while and
    return early, or do nothing.
    """

    def wait_in_worker(self, counts: Counts, seen: int, mailbox: Counts) -> None:
        """Wait in a worker until the count of tasks submitted to it is not `seen` any more.

        Parameters
        ----------
        counts
            The worker's counts (16,), see SUBMITTED_INDEX.
        seen
            The count before the worker found its queue empty.
        mailbox
            The worker's mailbox (24,), see `minigan.ops.cpu.threads.team`.

        """

    def wait_in_caller(self, counts: Counts, seen: int) -> None:
        """Wait in a caller until the worker's count of completed tasks is not `seen` any more."""

    def team(self, threads: int) -> Counts:
        """Return the mailboxes of workers that poll: none."""
        return NO_MAILBOXES


class _Task:
    """One worker's share in a job: it runs parts until `parts`, which all threads of the job share, is empty.

    Submitting the same task twice does no harm, because the second run finds no parts.
    """

    def __init__(self, job: Job, parts: "deque[int]", wait_policy: SleepWait) -> None:
        self.context, self.job, self.parts, self.wait_policy = contextvars.copy_context(), job, parts, wait_policy
        self.outcome: list[BaseException | None] = []  # one item, the exception or None; appended before `done` is put
        self.done: SimpleQueue[None] = SimpleQueue()


class _Worker:
    """A thread and its queue of tasks.

    The counts of submitted and of completed tasks tell a thread that polls when to look: what it then does depends on
    the queue, or on the task's outcome, alone.
    """

    def __init__(self, pool: "_Pool") -> None:
        self.tasks: SimpleQueue[_Task] = SimpleQueue()
        self.counts, self.mailbox = np.zeros(16, np.int64), np.zeros(24, np.int64)
        self._pool = pool

    def loop(self) -> None:
        """Run tasks for ever."""
        wait_policy = SleepWait()
        blas_on_one_thread.mark_as_worker()
        while True:
            seen = int(self.counts[SUBMITTED_INDEX])
            if self.tasks.empty():  # what is submitted from now on changes the count
                wait_policy.wait_in_worker(self.counts, seen, self.mailbox)
            task = self.tasks.get()
            wait_policy = task.wait_policy  # the next task probably comes from the same backend
            outcome, done = task.outcome, task.done
            # In the task's context, the caller's np.errstate applies here too.
            error = task.context.run(self._pool.run_parts, task.job, task.parts)
            del task  # so that the arrays it refers to are not kept until the next task
            outcome.append(error)
            done.put(None)
            self.counts[COMPLETED_INDEX] += 1
            del error, outcome, done

    def submit(self, task: _Task) -> None:
        """Queue a task, then count it: the worker stops polling when the count changes, and looks into the queue.

        Callers in several threads may lose a count.  Then the worker goes to sleep in the queue, which wakes it.
        """
        self.tasks.put(task)
        self.counts[SUBMITTED_INDEX] += 1

    def wait(self, task: _Task) -> None:
        """Wait until the task has its outcome; after an interruption this may be called again."""
        seen = int(self.counts[COMPLETED_INDEX])
        if not task.outcome:  # the worker will change the count after it has appended the outcome
            task.wait_policy.wait_in_caller(self.counts, seen)
        while not task.outcome:
            task.done.get()


class _Pool:
    """``parallel_for(job, n, threads)`` runs job(0) ... job(n - 1) on the workers and on the calling thread."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)  # a forked child has none of its parent's threads

    def _reset(self) -> None:
        # Reentrant, because a signal handler that computes may interrupt the thread that holds the lock.
        self._lock = threading.RLock()
        self._workers: list[_Worker] = []
        self._mailboxes = NO_MAILBOXES

    def parallel_for(self, job: Job, n: int, threads: int, wait_policy: SleepWait | None = None) -> None:
        """Run job(0) ... job(n - 1); raise the first exception of a part after all threads have stopped.

        Parameters
        ----------
        job
            Called with the number of each part.
        n
            How many parts there are.
        threads
            How many threads run them at most, the calling thread included.
        wait_policy
            How the caller waits for the workers, and they for the caller's next job.  By default they sleep at once,
            which costs no processor time.

        Raises
        ------
        BaseException
            What a part raised, or what interrupted this method, such as KeyboardInterrupt.  The parts that no thread
            has started by then are not run.

        """
        helpers = min(threads, n) - 1
        if helpers < 1 or getattr(self._local, "busy", False):  # within a part of a job: all workers may be busy
            with blas_on_one_thread():
                for i in range(n):
                    job(i)
            return
        parts, policy = deque(range(n)), wait_policy or SleepWait()
        submitted: list[tuple[_Worker, _Task]] = []
        error: BaseException | None = None
        with blas_on_one_thread():
            try:
                for worker in self._start_workers(helpers):
                    submitted.append((worker, _Task(job, parts, policy)))  # before `submit`, so that `_stop` knows it
                    worker.submit(submitted[-1][1])
                error = self.run_parts(job, parts)
                for worker, task in submitted:
                    worker.wait(task)
            except BaseException as interrupt:  # after Ctrl-C too, wait for the workers, which write into arrays
                self._stop(submitted, parts)
                error = interrupt
        for raised in (error, *(task.outcome[0] for _, task in submitted)):
            if raised is not None:
                raise raised

    def _stop(self, submitted: list[tuple[_Worker, _Task]], parts: "deque[int]") -> None:
        """Drop the parts that no thread has started and wait for the others, however often this is interrupted."""
        try:
            parts.clear()
            for worker, task in submitted:
                if not task.outcome:  # the interruption may have come before `submit`; twice does no harm
                    worker.submit(task)
            for worker, task in submitted:
                worker.wait(task)
        except BaseException:  # Ctrl-C again
            self._stop(submitted, parts)

    def mailboxes(self, n: int) -> Counts:
        """Return the addresses of the mailboxes of n workers, or of none within a part of a job.

        Parameters
        ----------
        n
            How many workers; they are started if necessary, and fewer are returned if the system refuses to.

        Returns
        -------
        array
            The addresses, int64.  A worker and its mailbox live as long as the process.

        """
        if n < 1 or getattr(self._local, "busy", False):
            return NO_MAILBOXES
        workers = self._start_workers(n)
        if len(self._mailboxes) != len(workers):
            self._mailboxes = np.array([worker.mailbox.ctypes.data for worker in workers], np.int64)
        return self._mailboxes

    def _start_workers(self, n: int) -> list[_Worker]:
        """Return n workers, or fewer if the system refuses to start more threads."""
        if len(self._workers) < n:
            with self._lock:
                while len(self._workers) < n:
                    worker = _Worker(self)
                    name = f"minigan-{len(self._workers) + 1}"
                    try:
                        threading.Thread(target=worker.loop, name=name, daemon=True).start()
                    except RuntimeError:  # the system's limit: those that exist do the work
                        break
                    self._workers.append(worker)
        return self._workers[:n]

    def run_parts(self, job: Job, parts: "deque[int]") -> BaseException | None:
        """Run parts until none is left; return the exception that stopped it, or None."""
        self._local.busy = True
        try:
            with blas_on_one_thread():  # for libraries with a limit for each thread
                while True:
                    # A deque hands each number to one thread only.  An iterator would guarantee that only under the
                    # interpreter's lock.
                    try:
                        i = parts.popleft()
                    except IndexError:
                        break
                    job(i)
        except BaseException as error:  # after Ctrl-C too, the caller waits for the workers before it raises
            parts.clear()  # the other threads stop after their current part
            return error
        finally:
            self._local.busy = False
        return None


pool = _Pool()
