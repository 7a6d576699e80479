"""BLAS on one thread: while the pool's workers run, and so that a result does not depend on the number of cores."""

import os
import threading
from typing import Any


class _OneThread:
    """``with one_thread:`` BLAS uses one thread until the outermost block ends; then as many as before.

    Entering again inside is free.  The setting is the process's: a product that another thread of the caller starts
    meanwhile runs on one thread too.
    """

    def __init__(self) -> None:
        self._libraries: list[Any] | None = None
        self._lock, self._depth = threading.Lock(), 0
        self._before: list[int | None] = []
        self._forked = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """In a forked child the blocks of the other threads never end; what was before the outermost still holds."""
        self._lock, self._forked, self._depth = threading.Lock(), self._forked or self._depth > 0, 0

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                if self._libraries is None:
                    self._libraries = _libraries()
                if not self._forked:
                    self._before = [library.get_num_threads() for library in self._libraries]
                self._set([1] * len(self._libraries))
            self._depth += 1  # last: where BLAS cannot be set, nothing was entered

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._depth == 0:
                return  # a block that a fork has ended
            self._depth -= 1
            if self._depth == 0:
                self._forked = False
                self._set(self._before)

    def _set(self, numbers: list[Any]) -> None:
        for library, before, number in zip(self._libraries or [], self._before, numbers, strict=True):
            if before not in (None, 1):
                library.set_num_threads(number)


def _libraries() -> list[Any]:
    """Return the BLAS libraries that are loaded when one is first used."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


one_thread = _OneThread()
