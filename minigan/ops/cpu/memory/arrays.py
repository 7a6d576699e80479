"""Memory of large arrays, used again when nothing refers to them any more.

A training step makes the same large arrays each time.  The system takes such memory back at once and hands it over anew
page by page, each filled with zeros: for an array that is written once, as much work again.  So the memory of an array
that is gone is kept for the next of its size, up to KEPT bytes in all.

Arrays begin at a multiple of 64 bytes, so that no vector of the processor lies in two lines of the cache.
"""

import contextlib
import itertools
import math
import mmap
import os
from typing import Any

import numpy as np

from minigan.ops.protocol import Array

LEAST = 1 << 20
"""Bytes below which an array is NumPy's own."""
KEPT = 1 << 29
STEP, ROOM = 619 * 64, 1024 * 64
"""Arrays begin at different multiples of 64 bytes."""
HUGE = 1 << 22
"""Bytes from which huge pages are asked for, as NumPy does."""

PRIVATE: dict[str, Any] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
"""A forked child writes into a copy of its own; without it, into its parent's arrays."""

_places = itertools.count()


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array with undefined content, as numpy.empty does."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < LEAST:
        return np.empty(shape, dtype)
    block = blocks.take(size)
    owner = _Owner((size,), np.uint8, block)
    owner.block = block
    # An ndarray with the owner as its base, and so has every view of it: NumPy shortens a chain of bases where the base
    # of a base is an ndarray like the view, and here it is a map of memory.
    return owner.view(np.ndarray).view(dtype).reshape(shape)


def aligned(size: int) -> memoryview:
    """Return fresh memory, straight from the system, for an array that is used for long.

    Each begins at another place of its page: where the ends of addresses are equal, a load waits for an earlier store
    to another array, and lines of several arrays share few places in the cache.
    """
    start = next(_places) * STEP % ROOM
    pages = mmap.mmap(-1, ROOM + size, **PRIVATE)
    if size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a system that has none
            pages.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(pages)[start : start + size]


class _Owner(np.ndarray):
    """The memory of an array: gives it back when the last view of it is gone."""

    block: memoryview | None = None  # a view of an owner, of this class too, has none

    def __del__(self) -> None:
        if self.block is not None:
            blocks.give(self.block)


class _Blocks:
    """What is kept, the oldest first.

    Without a lock: a finalizer or a signal handler may come in anywhere, and wait for a worker that needs memory too.
    Appending to a list and popping from it are single steps under the interpreter's lock; what was found is looked at
    again after it is popped.
    """

    def __init__(self) -> None:
        self.forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def release(self) -> None:
        """Let go of what is kept."""
        self._kept.clear()

    def forget(self) -> None:
        """Begin anew."""
        self._kept: list[memoryview] = []

    def take(self, size: int) -> memoryview:
        """Return memory of that size: what was given back last, or fresh."""
        for i in range(len(self._kept) - 1, -1, -1):
            try:
                if self._kept[i].nbytes != size:
                    continue
                found = self._kept.pop(i)
            except IndexError:  # others have taken some meanwhile
                continue
            if found.nbytes == size:
                return found
            self._kept.append(found)
        return aligned(size)

    def give(self, block: memoryview) -> None:
        """Keep memory, and let go of the oldest where it is too much."""
        self._kept.append(block)
        while sum(kept.nbytes for kept in tuple(self._kept)) > KEPT:
            with contextlib.suppress(IndexError):
                self._kept.pop(0)


blocks = _Blocks()
