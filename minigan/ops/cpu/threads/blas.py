"""BLAS on one thread while the backend computes.

The pool's workers need the cores themselves, and the number of BLAS's threads would change the rounding of products.
"""

import contextlib
import os
import threading
from typing import Any

PER_THREAD_LIBRARIES = ("openblas", "blis")
"""BLAS libraries that, if built with OpenMP, have a limit for each calling thread; all others have one per process."""


class _Limit:
    """The limit of some libraries, and how many blocks hold it.

    A signal handler or a finalizer may enter and leave a block between any two steps of either method, and Ctrl-C may
    end a method there, so after each step the other method is still correct: `previous` is forgotten only after its
    numbers have been set again.
    """

    def __init__(self) -> None:
        self.depth, self.limited = 0, False
        self.previous: list[int | None] | None = None

    def enter(self, libraries: list[Any]) -> None:
        """Set one thread, unless a block that is still open has done so."""
        if self.limited:
            return
        if self.previous is None:
            found = [library.get_num_threads() for library in libraries]
            if self.previous is None:  # otherwise a handler has come in between, and may have set some of `found` to 1
                self.previous = found
        _set_all(libraries, self.previous, [1] * len(libraries))
        self.limited = True

    def leave(self, libraries: list[Any]) -> None:
        """Set the previous numbers of threads, if this was the outermost block."""
        if self.depth == 0:
            return  # the block was entered before a fork, and does not count in the child
        self.depth -= 1
        previous = self.previous
        if self.depth == 0 and previous is not None:
            self.limited = False
            _set_all(libraries, previous, previous)
            self.previous = None


class _ThreadState(threading.local):
    """The calling thread's state.

    `limit` belongs to the libraries with a limit for each thread; `is_worker` says whether the thread called
    `_BlasOnOneThread.mark_as_worker`; `open_blocks` counts the thread's nested blocks, of which only the outermost
    takes the lock.
    """

    def __init__(self) -> None:
        self.limit, self.is_worker, self.open_blocks = _Limit(), False, 0


class _BlasOnOneThread:
    """``with blas_on_one_thread:`` limits BLAS to one thread until the outermost block ends.

    Then BLAS has as many threads as before.

    Blocks can be nested at no cost, and a signal handler or a finalizer may enter one wherever it interrupts.

    Most libraries have one limit for the process.  It ends with the last block of any thread, so a product that another
    thread of the user starts in the meantime runs on one thread too.  Libraries built with OpenMP have a limit for each
    thread.  It ends with the last block of that thread, and each worker of the pool enters its own block.
    """

    def __init__(self) -> None:
        self._libraries: list[Any] | None = None  # those with one limit for the process; None until the first block
        self._per_thread_libraries: list[Any] = []
        self._lock, self._limit, self._thread = threading.RLock(), _Limit(), _ThreadState()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        """Close the blocks of threads that the forked child does not have; keep the limit's previous numbers."""
        self._lock = threading.RLock()
        self._limit.depth, self._limit.limited = 0, False
        self._thread.open_blocks = 0

    def __enter__(self) -> None:
        state = self._thread
        if state.open_blocks:  # nested in a block of this thread: an operation within a session
            state.open_blocks += 1  # the last step: no signal is handled between it and the block
            return
        self._enter()
        state.open_blocks = 1

    def __exit__(self, *_: object) -> None:
        state = self._thread
        if state.open_blocks > 1:
            state.open_blocks -= 1
            return
        state.open_blocks = 0
        self._leave()

    def _enter(self) -> None:
        entered = False
        try:
            if self._thread.is_worker:
                self._thread.limit.depth += 1
                entered = True
                if self._per_thread_libraries:
                    self._thread.limit.enter(self._per_thread_libraries)
                return
            with self._lock:
                if self._libraries is None:
                    self._find_libraries()
                limit = self._thread.limit
                self._limit.depth += 1
                limit.depth += 1
                entered = True  # there is no call between these three lines, so no signal is handled there
                self._limit.enter(self._libraries or [])
                if self._per_thread_libraries:
                    limit.enter(self._per_thread_libraries)
        except BaseException:
            if entered:  # BLAS could not be set, or Ctrl-C was pressed: no __exit__ will follow, so leave here
                with contextlib.suppress(Exception):
                    self._leave()
            raise

    def mark_as_worker(self) -> None:
        """Declare that the calling thread works only while another thread is inside a block, as the pool's workers do.

        Such a thread never takes the lock.  It must not: the thread that holds the lock may be interrupted by a signal
        handler that waits for this one.
        """
        self._thread.is_worker = True

    def _leave(self) -> None:
        if self._thread.is_worker:
            self._thread.limit.leave(self._per_thread_libraries)
            return
        with self._lock:
            try:
                self._limit.leave(self._libraries or [])
            finally:
                self._thread.limit.leave(self._per_thread_libraries)

    def _find_libraries(self) -> None:
        """Find the BLAS libraries that are loaded when the first block is entered."""
        from threadpoolctl import ThreadpoolController

        found = list(ThreadpoolController().select(user_api="blas").lib_controllers)
        self._per_thread_libraries = [library for library in found if is_per_thread(library)]
        self._libraries = [library for library in found if not is_per_thread(library)]


def is_per_thread(library: Any) -> bool:
    """Return whether a BLAS library has a limit for each calling thread, not one for the process.

    Parameters
    ----------
    library
        A library controller of threadpoolctl.

    Returns
    -------
    bool
        True for the libraries of PER_THREAD_LIBRARIES that are built with OpenMP.

    """
    return library.internal_api in PER_THREAD_LIBRARIES and getattr(library, "threading_layer", None) == "openmp"


def _set_all(libraries: list[Any], previous: list[int | None], numbers: list[Any]) -> None:
    """Set the libraries' numbers of threads, except where the previous number is unknown or 1 already."""
    for library, old, number in zip(libraries, previous, numbers, strict=True):
        if old not in (None, 1):
            set_threads(library, number)


def set_threads(library: Any, number: int) -> None:
    """Set the number of threads of a BLAS library, whichever thread calls this.

    Since version 3.8, threadpoolctl silently ignores requests to OpenBLAS from every thread but the first that made
    one, so a training run in another thread would have BLAS on all cores, and other roundings.  `_BlasOnOneThread`
    already orders the requests of different threads, so the library's own function is called here.  That function takes
    no lock, so a signal handler that computes cannot wait for one for ever.

    Parameters
    ----------
    library
        A library controller of threadpoolctl.
    number
        How many threads, >= 1.

    """
    direct = getattr(library, "_real_set_num_threads", None)  # threadpoolctl >= 3.8 has it, for OpenBLAS only
    (direct or library.set_num_threads)(number)
    if direct is None and library.get_num_threads() != number and hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread(force=True)
        library.set_num_threads(number)


blas_on_one_thread = _BlasOnOneThread()
