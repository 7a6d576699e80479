"""One pool of worker threads for the whole process, made when it is first needed.

The parts of a job are cut by the sizes of the arrays alone, never by the number of threads, and what they sum is added
in the order of the parts: so the result is the same, bit for bit, on any number of threads.
"""

import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from minigan._names import SettingError
from minigan.ops.cpu.blas import one_thread

Job = Callable[[int], object]
Order = tuple[contextvars.Context, Job, Iterator[int], "SimpleQueue[BaseException | None]"]
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
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < (os.cpu_count() or 1):
        return cores  # the launcher has bound the rank to its share already
    ranks = next((int(os.environ[name]) for name in _RANKS if os.environ.get(name, "").isdecimal()), 1)
    return max(1, cores // max(1, ranks))


class _Pool:
    """``each(job, n, threads)`` runs job(0) ... job(n - 1), the caller among the workers."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # threads do not live on in the child

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._queues: list[SimpleQueue[Order]] = []

    def each(self, job: Job, n: int, threads: int) -> None:
        """Run the n parts; the first exception of any part is raised here, after all threads have stopped."""
        helpers = min(threads, n) - 1
        if helpers < 1 or getattr(self._local, "busy", False):  # a part of a job runs its own parts itself
            with one_thread:
                for i in range(n):
                    job(i)
            return
        parts, done = iter(range(n)), SimpleQueue[BaseException | None]()
        with one_thread:
            workers = self._workers(helpers)
            for queue in workers:
                queue.put((contextvars.copy_context(), job, parts, done))
            errors = [self._work(job, parts), *(done.get() for _ in workers)]
        for error in errors:
            if error is not None:
                raise error

    def _workers(self, n: int) -> list["SimpleQueue[Order]"]:
        if len(self._queues) < n:
            with self._lock:
                while len(self._queues) < n:
                    queue: SimpleQueue[Order] = SimpleQueue()
                    name = f"minigan-{len(self._queues) + 1}"
                    try:
                        threading.Thread(target=self._serve, args=(queue,), name=name, daemon=True).start()
                    except RuntimeError:  # the system gives no more: those that are there do the work
                        break
                    self._queues.append(queue)
        return self._queues[:n]

    def _serve(self, queue: "SimpleQueue[Order]") -> None:
        while True:
            context, job, parts, done = queue.get()
            error = context.run(self._work, job, parts)  # the caller's np.errstate holds here too
            del context, job, parts  # what they hold is not kept until the next job
            done.put(error)
            del error, done

    def _work(self, job: Job, parts: Iterator[int]) -> BaseException | None:
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
