"""Workspaces: memory that a kernel uses and no longer needs when it returns, kept for the next one.

Fresh large arrays cost more than filling them: the system hands their pages over one by one.
"""

import math
import sys
import threading
from typing import Any

import numpy as np

from minigan.ops.cpu.memory.arrays import aligned
from minigan.ops.protocol import Array

LIMIT = 1 << 26
"""Bytes that a thread keeps; what is larger lives only as long as it is used."""


class _Scratch(threading.local):
    """``scratch.array(name, shape, dtype)``: an array of the calling thread's, its content undefined.

    It is valid until the thread asks for the same name again: nothing that outlives the kernel (a result, what a
    pullback keeps) may lie in it.  A signal handler or a finalizer that computes in the middle of a kernel asks for its
    names too: while a view of a workspace is alive, the name gets other memory.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an uninitialised array (shape) of dtype."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if name in self._kept and _references(self._kept, name) > _UNUSED:
            del self._kept[name]  # a view is alive: its kernel has been interrupted
        kept = self._kept.get(name)
        if kept is None or kept.size < size:
            kept = np.frombuffer(aligned(size), np.uint8)
            others = sum(block.size for key, block in self._kept.items() if key != name)
            self._kept.pop(name, None)
            if others + size <= LIMIT:
                self._kept[name] = kept
        return kept[:size].view(dtype).reshape(shape)

    def clear(self) -> None:
        """Give the calling thread's workspaces back."""
        self._kept.clear()


def _references(kept: dict[str, Array], name: str) -> int:
    """Return how many references a workspace has, each view of it among them."""
    return sys.getrefcount(kept[name])


_UNUSED = _references({"": np.empty(0)}, "")
"""References to a workspace that only its dictionary holds."""

scratch = _Scratch()
