"""What the bodies of the CPU backend are told about how they run: a narrow view of `minigan.ops.cpu.CPU`."""

from typing import Protocol

import numpy as np

from minigan.ops.cpu.pool import Job
from minigan.ops.protocol import Array

FLOATS = (np.dtype("float32"), np.dtype("float64"))


class Team(Protocol):
    """The threads, and which bodies they run."""

    accuracy: str
    compiled: bool

    def each(self, job: Job, n: int) -> None:
        """Run job(0) ... job(n - 1)."""


def are_floats(*arrays: Array) -> bool:
    """Whether all arrays are float32, or all float64: what the fast bodies take."""
    return arrays[0].dtype in FLOATS and all(a.dtype == arrays[0].dtype for a in arrays)


def pieces(n: int, size: int) -> list[slice]:
    """Cut n things into slices of `size`, the last one smaller."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
