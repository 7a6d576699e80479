"""BLAS on one thread: while the pool's workers run, and so that a result does not depend on the number of cores."""

import contextlib
import os
import threading
from typing import Any

PER_THREAD = ("openblas", "blis")
"""BLAS libraries that, built with OpenMP, keep a limit for each calling thread; all others keep one for the process."""


class _Limit:
    """The limit of some libraries and how many blocks hold it; after any interruption the next block mends it.

    A signal handler or a finalizer may enter and leave between any two steps of either method, so each step leaves a
    state from which the other method is right: `before` is forgotten only after the numbers in it are set again.
    """

    def __init__(self) -> None:
        self.depth, self.limited = 0, False
        self.before: list[int | None] | None = None

    def enter(self, libraries: list[Any]) -> None:
        """Set one thread, unless a block that is open has done so."""
        if self.limited:
            return
        if self.before is None:
            found = [library.get_num_threads() for library in libraries]
            if self.before is None:  # else a handler has come in between, and some of `found` are its ones
                self.before = found
        _set(libraries, self.before, [1] * len(libraries))
        self.limited = True

    def leave(self, libraries: list[Any]) -> None:
        """Set as many as before, if this was the outermost block."""
        if self.depth == 0:
            return  # a block that a fork has ended
        self.depth -= 1
        before = self.before
        if self.depth == 0 and before is not None:
            self.limited = False
            _set(libraries, before, before)
            self.before = None


class _OfThread(threading.local):
    """What is known of the calling thread.

    `limit` is that of the libraries that keep one for each thread; `open_blocks` counts the thread's blocks, of which
    the outermost alone takes the lock.
    """

    def __init__(self) -> None:
        self.limit, self.covered, self.open_blocks = _Limit(), False, 0


class _OneThread:
    """``with one_thread:`` BLAS uses one thread until the outermost block ends; then as many as before.

    Entering again inside is free, also from a signal handler or a finalizer, wherever it interrupts.  Most libraries
    have one limit for the process: it ends with the last block of all threads, and a product that another thread of the
    caller starts meanwhile runs on one thread too.  Those built with OpenMP have one for each thread: it ends with the
    last block of that thread, and each worker of the pool enters a block of its own.
    """

    def __init__(self) -> None:
        self._libraries: list[Any] | None = None  # those with one limit for the process
        self._threads_libraries: list[Any] = []  # those with one for each thread
        self._lock, self._limit, self._of_thread = threading.RLock(), _Limit(), _OfThread()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """In a forked child the blocks of the other threads never end; what was before the outermost still holds."""
        self._lock = threading.RLock()
        self._limit.depth, self._limit.limited = 0, False
        self._of_thread.open_blocks = 0

    def __enter__(self) -> None:
        mine = self._of_thread
        if mine.open_blocks:  # within a block of this thread: an operation within a session
            mine.open_blocks += 1  # the last step: no signal is handled between it and the block
            return
        self._enter()
        mine.open_blocks = 1

    def __exit__(self, *_: object) -> None:
        mine = self._of_thread
        if mine.open_blocks > 1:
            mine.open_blocks -= 1
            return
        mine.open_blocks = 0
        self._leave()

    def _enter(self) -> None:
        entered = False
        try:
            if self._of_thread.covered:
                self._of_thread.limit.depth += 1
                entered = True
                if self._threads_libraries:
                    self._of_thread.limit.enter(self._threads_libraries)
                return
            with self._lock:
                if self._libraries is None:
                    self._find()
                mine = self._of_thread.limit
                self._limit.depth += 1
                mine.depth += 1
                entered = True  # no call since the first of the two: no signal is handled in between
                self._limit.enter(self._libraries or [])
                if self._threads_libraries:
                    mine.enter(self._threads_libraries)
        except BaseException:
            if entered:  # where BLAS cannot be set, or Ctrl-C comes, nothing was entered: no __exit__ will follow
                with contextlib.suppress(Exception):
                    self._leave()
            raise

    def cover(self) -> None:
        """Say that another thread is in a block whenever the calling one works: a worker of the pool, its caller.

        Such a thread takes no lock: a signal handler that has interrupted the one that holds it may be waiting for it.
        """
        self._of_thread.covered = True

    def _leave(self) -> None:
        if self._of_thread.covered:
            self._of_thread.limit.leave(self._threads_libraries)
            return
        with self._lock:
            try:
                self._limit.leave(self._libraries or [])
            finally:
                self._of_thread.limit.leave(self._threads_libraries)

    def _find(self) -> None:
        """Find the BLAS libraries that are loaded when one is first used."""
        from threadpoolctl import ThreadpoolController

        found = list(ThreadpoolController().select(user_api="blas").lib_controllers)
        self._threads_libraries = [library for library in found if is_per_thread(library)]
        self._libraries = [library for library in found if not is_per_thread(library)]


def is_per_thread(library: Any) -> bool:
    """Return whether the library of this threadpoolctl controller keeps a limit for each thread of the caller."""
    return library.internal_api in PER_THREAD and getattr(library, "threading_layer", None) == "openmp"


def _set(libraries: list[Any], before: list[int | None], numbers: list[Any]) -> None:
    for library, old, number in zip(libraries, before, numbers, strict=True):
        if old not in (None, 1):
            set_threads(library, number)


def set_threads(library: Any, number: int) -> None:
    """Set the number of threads of a BLAS library, from whichever thread this is called.

    threadpoolctl 3.8 and later ignore what any thread asks of OpenBLAS but the first that ever asked, without a word:
    a training run in another thread had BLAS on all cores, and other roundings.  Here `_OneThread` takes care of the
    order in which threads set it, so the library's own function is called; it also takes no lock, in which a signal
    handler that computes could wait for ever.

    Parameters
    ----------
    library
        A controller of threadpoolctl's.
    number
        How many threads, >= 1.

    """
    direct = getattr(library, "_real_set_num_threads", None)  # of threadpoolctl >= 3.8, for OpenBLAS only
    (direct or library.set_num_threads)(number)
    if direct is None and library.get_num_threads() != number and hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread(force=True)
        library.set_num_threads(number)


one_thread = _OneThread()
