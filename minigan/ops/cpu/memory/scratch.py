"""Workspaces: memory that a kernel needs only until it returns, kept for the next kernel of the same thread.

A thread that gets the memory it had before finds it in its core's cache.
"""

import math
import threading
from typing import Any

import numpy as np

from minigan.ops.cpu.memory.arrays import blocks, on_loan
from minigan.ops.protocol import Array

MAX_KEPT_BYTES = 1 << 26
"""The most memory that each thread keeps for itself; `minigan.ops.cpu.memory.arrays.blocks` keeps what is beyond."""


class _Scratch(threading.local):
    """The calling thread's workspaces, by name: ``scratch.array(name, shape, dtype)``.

    The memory is kept under its name when no view of it is referenced any more.  Until then another request for the
    same name, by a signal handler or a finalizer that interrupts the kernel and computes, gets other memory.
    """

    def __init__(self) -> None:
        self._kept: dict[str, memoryview] = {}  # the one that was used last is the last

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an uninitialised workspace.

        Parameters
        ----------
        name
            The workspace's name.  The same thread will get the same memory for the same name.
        shape
            The array's shape; one that needs more memory than the name has gets other memory.
        dtype
            Its dtype, or what `numpy.dtype` converts to one.

        Returns
        -------
        Array
            An array in C order.

        """
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        block = self._kept.pop(name, None)
        if block is None or block.nbytes < size:
            if block is not None:
                blocks.give_back(block)
            block = blocks.take(size)
        return on_loan(block, size, lambda block: self._keep(name, block)).view(dtype).reshape(shape)

    def _keep(self, name: str, block: memoryview) -> None:
        """Keep a block for the calling thread; what does not fit is passed on, first what was used longest ago."""
        if block.nbytes > MAX_KEPT_BYTES or name in self._kept:  # a request has interrupted this one
            blocks.give_back(block)
            return
        self._kept[name] = block
        kept = self._kept.copy()
        size = sum(block.nbytes for block in kept.values())
        for key in kept:
            if size <= MAX_KEPT_BYTES:
                break
            oldest = self._kept.pop(key, None)
            if oldest is not None:
                size -= oldest.nbytes
                blocks.give_back(oldest)

    def clear(self) -> None:
        """Free the calling thread's workspaces."""
        self._kept.clear()


scratch = _Scratch()
