"""BLAS on one thread while the backend computes.

The pool's workers need the cores themselves, and the number of BLAS's threads would change the rounding of products.
"""

import contextlib
import functools
import os
import threading
import weakref
from typing import Any

PER_THREAD_LIBRARIES = ("openblas", "blis")
"""BLAS libraries that, if built with OpenMP, have a limit for each calling thread; all others have one per process."""
NESTED_BLOCK: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
"""A block within another one of the same thread."""


class _Limit:
    """The limit of some libraries, and the blocks that need it.

    A signal handler or a finalizer may enter and leave a block between any two steps of either method, and Ctrl-C may
    end a method there, so after each step the other method is still correct, and a method may run again: `previous` is
    forgotten only after its numbers have been set again.
    """

    def __init__(self) -> None:
        self.blocks: set[weakref.ref[_Block]] = set()
        self.limited = False
        self.previous: list[int | None] | None = None

    def enter(self, block: "weakref.ref[_Block]", libraries: list[Any]) -> None:
        """Set one thread, unless a block that is still open has done so."""
        self.blocks.add(block)
        if self.limited:
            return
        if self.previous is None:
            found = [library.get_num_threads() for library in libraries]
            if self.previous is None:  # otherwise a handler has come in between, and may have set some of `found` to 1
                self.previous = found
        _set_all(libraries, self.previous, [1] * len(libraries))
        self.limited = True

    def leave(self, block: "weakref.ref[_Block]", libraries: list[Any]) -> None:
        """Set the previous numbers of threads, if no other block is open."""
        self.blocks.discard(block)
        for other in tuple(self.blocks):
            if other() is not None:  # None: an interrupted one, which no longer counts
                return
        previous = self.previous
        if previous is not None:
            self.limited = False
            _set_all(libraries, previous, previous)
            self.previous = None


class _ThreadState(threading.local):
    """The calling thread's state.

    `limit` belongs to the libraries with a limit for each thread; `is_worker` says whether the thread called
    `_BlasOnOneThread.mark_as_worker`; `blocks` are the thread's open blocks, the last one last.
    """

    def __init__(self) -> None:
        self.limit, self.is_worker = _Limit(), False
        self.blocks: list[weakref.ref[_Block]] = []


class _Block(functools.partial[None]):
    """A block, which exists as long as the `with` statement runs.

    Python handles signals at the first instruction of a function, so Ctrl-C can end a function before it has done
    anything, an `__exit__` too.  Here `__exit__` is no function of Python, but a call of the partial function, and only
    the `with` statement refers to the block.  If the function is interrupted, the block is freed, and that closes it.
    """

    entered = False
    __exit__ = functools.partial.__call__

    def __enter__(self) -> None:
        if self.entered:
            raise RuntimeError("the block has been entered before; expected a new one, `with blas_on_one_thread():`")
        self.entered = True
        manager: _BlasOnOneThread = self.args[0]
        manager.enter(weakref.ref(self, manager.close))


class _BlasOnOneThread:
    """``with blas_on_one_thread():`` limits BLAS to one thread until the outermost block ends.

    Then BLAS has as many threads as before.

    Blocks can be nested at little cost, and a signal handler or a finalizer may enter one wherever it interrupts.

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
        self._limit.blocks.clear()
        self._limit.limited = False
        self._thread.blocks.clear()

    def __call__(self) -> contextlib.AbstractContextManager[None]:
        """Return a block, or within another block of this thread something that does nothing."""
        blocks = self._thread.blocks
        if blocks and blocks[-1]() is not None:
            return NESTED_BLOCK
        return _Block(_BlasOnOneThread.leave, self)

    def enter(self, block: "weakref.ref[_Block]") -> None:
        """Open a block of the calling thread."""
        state = self._thread
        try:
            if state.is_worker:
                if self._per_thread_libraries:
                    state.limit.enter(block, self._per_thread_libraries)
            else:
                with self._lock:
                    if self._libraries is None:
                        self._find_libraries()
                    self._limit.enter(block, self._libraries or [])
                    if self._per_thread_libraries:
                        state.limit.enter(block, self._per_thread_libraries)
            state.blocks.append(block)  # now that BLAS is limited: a handler's block is nested from here on
        except BaseException:  # BLAS could not be set, or Ctrl-C was pressed: no __exit__ will follow
            with contextlib.suppress(Exception):
                self.close(block)
            raise

    def leave(self, *_: object) -> None:
        """Close the calling thread's last block."""
        blocks = self._thread.blocks
        if blocks:  # none in a child that was forked within the block
            self.close(blocks[-1])

    def close(self, block: "weakref.ref[_Block]") -> None:
        """Close a block of the calling thread; it may be closed already, or half open or half closed."""
        state = self._thread
        if block in state.blocks:
            state.blocks.remove(block)
        if state.is_worker:
            state.limit.leave(block, self._per_thread_libraries)
            return
        with self._lock:
            try:
                self._limit.leave(block, self._libraries or [])
            finally:
                state.limit.leave(block, self._per_thread_libraries)

    def mark_as_worker(self) -> None:
        """Declare that the calling thread works only while another thread is inside a block, as the pool's workers do.

        Such a thread never takes the lock.  It must not: the thread that holds the lock may be interrupted by a signal
        handler that waits for this one.
        """
        self._thread.is_worker = True

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
