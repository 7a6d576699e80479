"""Workspaces: memory that a kernel needs only until it returns, kept for the next kernel of the same thread.

Allocating a large array costs more than filling it, because the system hands out its pages one by one.
"""

import math
import sys
import threading
from typing import Any

import numpy as np

from minigan.ops.cpu.memory.arrays import aligned
from minigan.ops.protocol import Array

MAX_KEPT_BYTES = 1 << 26
"""The most memory that each thread keeps; a workspace that does not fit is freed when its kernel drops it."""


class _Scratch(threading.local):
    """The calling thread's workspaces, by name: ``scratch.array(name, shape, dtype)``.

    A workspace is valid until the same thread asks for the same name again, so no array that outlives the kernel (a
    result, or an array that a pullback keeps) may be one.  A signal handler or a finalizer may interrupt a kernel,
    compute, and ask for the same names: while a view of a workspace is referenced, its name gets other memory.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an uninitialised workspace.

        Parameters
        ----------
        name
            The workspace's name.  Workspaces with different names never overlap.
        shape
            The array's shape; a larger one than before allocates new memory.
        dtype
            Its dtype, or what `numpy.dtype` converts to one.

        Returns
        -------
        Array
            An array in C order.

        """
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if name in self._kept and _references(self._kept, name) > _UNUSED_REFERENCES:
            del self._kept[name]  # a view is referenced: the kernel that uses it has been interrupted
        kept = self._kept.get(name)
        if kept is None or kept.size < size:
            kept = np.frombuffer(aligned(size), np.uint8)
            others = sum(block.size for key, block in self._kept.items() if key != name)
            self._kept.pop(name, None)
            if others + size <= MAX_KEPT_BYTES:
                self._kept[name] = kept
        return kept[:size].view(dtype).reshape(shape)

    def clear(self) -> None:
        """Free the calling thread's workspaces."""
        self._kept.clear()


def _references(kept: dict[str, Array], name: str) -> int:
    """Return how many references a workspace has, those of its views included."""
    return sys.getrefcount(kept[name])


_UNUSED_REFERENCES = _references({"": np.empty(0)}, "")
"""How many references a workspace has that only its dictionary refers to."""

scratch = _Scratch()
