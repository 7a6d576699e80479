"""What the bodies of the CPU backend are told about how they run: a narrow view of `minigan.ops.cpu.CPU`."""

import functools
import importlib
from typing import Any, ClassVar, Protocol

import numpy as np

from minigan.ops.cpu.threads.pool import Job
from minigan.ops.protocol import Array

FLOATS = (np.dtype("float32"), np.dtype("float64"))


class KernelSet:
    """What runs the functions of `minigan.ops.cpu.numpy_NAME`, or of `compiled_NAME`: imported when first needed."""

    name: ClassVar[str]

    def __init__(self, team: "Executor") -> None:
        self._team = team

    @functools.cached_property
    def _bodies(self) -> Any:
        kind = "numba" if self._team.compiled else "numpy"
        return importlib.import_module(f"minigan.ops.cpu.kernels.{kind}.{self.name}")


class Executor(Protocol):
    """The threads, and which bodies they run."""

    accuracy: str
    compiled: bool

    def parallel_for(self, job: Job, n: int) -> None:
        """Run job(0) ... job(n - 1)."""

    def share(self, *product: Any) -> bool:
        """Compute a product of `compiled_product` with another thread, if one listens; else nothing, and False."""


def are_floats(*arrays: Array) -> bool:
    """Whether all arrays are float32, or all float64: what the fast bodies take."""
    return arrays[0].dtype in FLOATS and all(a.dtype == arrays[0].dtype for a in arrays)


def contiguous(x: Array) -> Array:
    """Return x, or a copy of it, in the memory for which the compiled bodies are compiled: C order, writable."""
    if type(x) is np.ndarray and x.flags.carray:
        return x
    return np.require(np.asarray(x), requirements=("C", "A", "W"))


def slices(n: int, size: int) -> list[slice]:
    """Cut n things into slices of `size`, the last one smaller."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
