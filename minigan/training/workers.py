"""Train many seeds in parallel processes; after an interrupt the results of the completed seeds are kept."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from minigan.training.experiment import Callback, Run
from minigan.training.files import RunError
from minigan.training.interrupts import HANGUP, SIGNALS

Summary = dict[str, Any]

DIED = "a worker process died; if memory ran out, use fewer workers or a smaller batch_size"
ADVICE = (
    f"{DIED}. A script that starts a sweep must do so below `if __name__ == '__main__':`, because the workers import it"
)

BLOCKED_SIGNALS = set(SIGNALS)
_stop: Any = None  # in a worker: an event that is set when the sweep must end


def stopping() -> bool:
    """Return, in a worker process, whether the parent process has set the event: begin nothing that takes long."""
    return _stop is not None and bool(_stop.is_set())


class StopOnEvent(Callback):
    """In a worker process, end the training when the parent process sets the event."""

    def on_iteration(self, run: Run) -> None:
        """Stop the run if the event is set."""
        if _stop.is_set():
            run.status = run.stop_reason = "interrupted"


def train_in_workers(
    one: Callable[[int], Summary], seeds: int, *, workers: int, on_seed_end: Callable[[Summary], None]
) -> None:
    """Call `one(seed)` for seeds 0 ... seeds-1 in worker processes, and `on_seed_end(summary)` for each result.

    Ctrl-C and SIGTERM end it: seeds that have not started are cancelled, and those in training stop after their
    current iteration and have no result.

    Parameters
    ----------
    one : callable
        An importable function that trains with `StopOnEvent` among its callbacks and returns a summary.  An exception
        becomes a summary with the status "failed".
    seeds : int
        The number of seeds.
    workers : int
        The number of processes.
    on_seed_end : callable
        Called in this process with each summary, in the order in which the seeds finish.

    Raises
    ------
    RunError
        If all workers died before a seed was completed.

    """
    context = get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(stop,))
    open_seeds: dict[Future[Summary], int] = {}
    lost = []

    def collect(future: Future[Summary]) -> None:
        seed = open_seeds.pop(future)
        try:
            summary = future.result()
        except BrokenProcessPool:
            lost.append(seed)
            return
        except Exception as error:  # an exception of any kind is a failure of that run alone
            summary = _failed(seed, f"{type(error).__name__}: {error}")
        if summary["status"] != "interrupted":
            on_seed_end(summary)

    try:
        with terminable():
            try:
                with signals_blocked():
                    open_seeds.update({pool.submit(_work, one, seed): seed for seed in range(seeds)})
                for future in as_completed(list(open_seeds)):
                    collect(future)
            except KeyboardInterrupt:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                for future in [f for f in open_seeds if f.done() and not f.cancelled()]:
                    collect(future)
                return
    except BrokenProcessPool:
        raise RunError(ADVICE) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if len(lost) == seeds:
        raise RunError(ADVICE)
    for seed in lost:
        on_seed_end(_failed(seed, DIED))


def _failed(seed: int, error: str) -> Summary:
    return {"seed": seed, "status": "failed", "error": error}


def _work(one: Callable[[int], Summary], seed: int) -> Summary:
    return {"seed": seed, "status": "interrupted"} if _stop.is_set() else one(seed)


def _begin_worker(stop: Any) -> None:
    """Ignore Ctrl-C and SIGHUP, which a terminal sends to workers too and the parent handles; die on SIGTERM."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, lambda *_: None)
    if HANGUP is not None:
        signal.signal(HANGUP, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block Ctrl-C and SIGTERM for processes started in this block, until `_begin_worker`; here, until its end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt in this block, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM]
    if HANGUP is not None and signal.getsignal(HANGUP) != signal.SIG_IGN:  # under nohup it is ignored
        numbers.append(HANGUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
