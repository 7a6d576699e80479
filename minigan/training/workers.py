"""Many trainings at once, each in one of a few processes, and an end to them that loses nothing."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from minigan.training.callbacks import Callback
from minigan.training.experiment import Run
from minigan.training.files import RunError
from minigan.training.interrupts import HANGUP, SIGNALS

Summary = dict[str, Any]

DIED = "a worker process died; if the system killed it, memory ran out: fewer workers, or a smaller batch_size"
ADVICE = (
    f"{DIED}. Is it a script that starts the sweep? It must do so below `if __name__ == '__main__':`, for "
    "the workers import it"
)

BLOCKED_SIGNALS = set(SIGNALS)
_stop: Any = None  # in a worker: an event, set when the sweep is to end


class StopOnEvent(Callback):
    """In a worker: end the training when the parent process says so."""

    def on_iteration(self, run: Run) -> None:
        """Look."""
        if _stop.is_set():
            run.status = run.stop = "interrupted"


def train_in_workers(
    one: Callable[[int], Summary], seeds: int, *, workers: int, finished: Callable[[Summary], None]
) -> None:
    """Call `one(seed)` for seeds 0 ... seeds-1 and `finished(summary)` for each that came to its end.

    `one` must be importable, and train with `StopOnEvent` among its callbacks.  What it raises becomes a summary with
    the status "failed".  Ctrl-C and SIGTERM end it: seeds that were not begun are cancelled, those in training
    stop after their iteration and are left out.  RunError if the workers died before any seed was done.
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
        except Exception as error:  # whatever a run raises is that run's failure
            summary = _failed(seed, f"{type(error).__name__}: {error}")
        if summary["status"] != "interrupted":
            finished(summary)

    try:
        with _terminable():
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
        finished(_failed(seed, DIED))


def _failed(seed: int, error: str) -> Summary:
    return {"seed": seed, "status": "failed", "error": error}


def _work(one: Callable[[int], Summary], seed: int) -> Summary:
    return {"seed": seed, "status": "interrupted"} if _stop.is_set() else one(seed)


def _begin_worker(stop: Any) -> None:
    """A terminal sends Ctrl-C and SIGHUP to the workers too: the parent acts on them; SIGTERM ends a worker at once."""
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
    """Start processes that hear no Ctrl-C or SIGTERM before `_begin_worker`; here they are heard afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _terminable() -> Iterator[None]:
    """Make SIGTERM and SIGHUP what Ctrl-C is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM]
    if HANGUP is not None and signal.getsignal(HANGUP) != signal.SIG_IGN:  # ignored under nohup: the sweep is to go on
        numbers.append(HANGUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
