"""Reuse of the memory of large arrays.

A training step allocates the same large arrays each time: results, and workspaces that a kernel needs only until it
returns.  If they are freed, the system takes their memory back, and hands it out again page by page, each page filled
with zeros: for an array that is written once, this doubles the work.  So the memory of a freed array is kept for the
next array of the same size, up to MAX_KEPT_BYTES in all.

Arrays start at a multiple of 64 bytes, so that no vector register is loaded from two cache lines.
"""

import contextlib
import itertools
import math
import mmap
import os
from typing import Any

import numpy as np

from minigan.ops.protocol import Array

MIN_POOLED_BYTES = 1 << 20
"""Smaller arrays are allocated by NumPy."""
MAX_KEPT_BYTES = 1 << 29
"""The most memory that is kept for reuse; beyond it the oldest is freed."""
START_STEP_BYTES, START_RANGE_BYTES = 619 * 64, 1024 * 64
"""Allocation i starts i START_STEP_BYTES, modulo START_RANGE_BYTES, after the beginning of a page: at different
multiples of 64 bytes."""
MIN_HUGE_PAGE_BYTES = 1 << 22
"""Allocations of at least this size ask for huge pages, as NumPy's do."""

PRIVATE_MAP: dict[str, Any] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
"""With these arguments a forked child writes into its own copy of the memory; with mmap's defaults it would write into
the arrays of its parent."""

_allocations = itertools.count()


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an uninitialised array, as `numpy.empty` does, in reused memory if there is some of its size.

    Parameters
    ----------
    shape
        The array's shape.
    dtype
        Its dtype, or what `numpy.dtype` converts to one.

    Returns
    -------
    Array
        An array in C order.  Its memory is kept for reuse when neither the array nor a view of it is referenced any
        more.

    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < MIN_POOLED_BYTES:
        return np.empty(shape, dtype)
    block = blocks.take(size)
    owner = _Owner((size,), np.uint8, block)
    owner.block = block
    # The base of the result, and of every view of it, is `owner`, which they keep alive: NumPy replaces a base by that
    # base's own base only if the latter has the type of the view, and the base of `owner` is a memoryview.
    return owner.view(np.ndarray).view(dtype).reshape(shape)


def aligned(size: int) -> memoryview:
    """Return new memory from the system, for an array that is used for long.

    Allocations start at different offsets in a page.  If all started at the same one, a load would wait for an earlier
    store to another array (the processor compares the low bits of the addresses first), and lines of several arrays
    would compete for the same few places in the cache.

    Parameters
    ----------
    size
        How many bytes.

    Returns
    -------
    memoryview
        The memory, which starts at a multiple of 64 bytes and is filled with zeros.

    Raises
    ------
    MemoryError
        If the system has none.

    """
    start = next(_allocations) * START_STEP_BYTES % START_RANGE_BYTES
    try:
        pages = mmap.mmap(-1, START_RANGE_BYTES + size, **PRIVATE_MAP)
    except OSError as error:
        raise MemoryError(f"cannot allocate {size} bytes: {error}") from error
    if size >= MIN_HUGE_PAGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # the system may have no huge pages
            pages.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(pages)[start : start + size]


class _Owner(np.ndarray):
    """The owner of an array's memory: gives it back for reuse when the last view of it is deleted."""

    block: memoryview | None = None  # None for views of an owner, which have its class too but do not own the memory

    def __del__(self) -> None:
        if self.block is not None:
            blocks.give_back(self.block)


class _KeptBlocks:
    """The memory that is kept for reuse, the oldest first.

    There is no lock: a finalizer or a signal handler may interrupt any method, and would wait for ever for a lock that
    the interrupted thread holds.  Under the interpreter's lock each operation on the dictionary is atomic, and a block
    belongs to whoever has popped it.  Its key is its id, which is unique while anything refers to the block.
    """

    def __init__(self) -> None:
        self.reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.reset)

    def clear(self) -> None:
        """Free all memory that is kept."""
        self._kept.clear()

    def reset(self) -> None:
        """Start with an empty dictionary."""
        self._kept: dict[int, memoryview] = {}

    def take(self, size: int) -> memoryview:
        """Return memory of `size` bytes: what was given back last, otherwise new memory."""
        for key, block in reversed(self._kept.copy().items()):
            if block.nbytes == size and self._kept.pop(key, None) is not None:  # otherwise another thread has taken it
                return block
        return aligned(size)

    def give_back(self, block: memoryview) -> None:
        """Keep the memory for reuse, and free the oldest while more than MAX_KEPT_BYTES is kept."""
        self._kept[id(block)] = block
        kept = self._kept.copy()
        size = sum(block.nbytes for block in kept.values())
        for key, oldest in kept.items():
            if size <= MAX_KEPT_BYTES:
                break
            if self._kept.pop(key, None) is not None:
                size -= oldest.nbytes


blocks = _KeptBlocks()
