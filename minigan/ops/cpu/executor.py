"""The interface through which the CPU backend's modules run their parts: a narrow view of `minigan.ops.cpu.CPU`."""

import functools
import importlib
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from minigan.ops.cpu.threads.pool import Job
from minigan.ops.protocol import Array

FLOATS = (np.dtype("float32"), np.dtype("float64"))
"""The dtypes for which there are fast kernels; all others are computed by `minigan.ops.reference`."""


class KernelSet:
    """The base class of a backend's modules whose kernels exist in NumPy and in numba.

    `_kernels` is the module `minigan.ops.cpu.kernels.numpy.NAME` or `minigan.ops.cpu.kernels.numba.NAME`, imported when
    it is first needed; NAME is the class's `name`.

    Parameters
    ----------
    executor
        Runs the parts; its attribute `compiled` decides which of the two modules is used.

    """

    name: ClassVar[str]

    def __init__(self, executor: "Executor") -> None:
        self._executor = executor

    @functools.cached_property
    def _kernels(self) -> Any:
        kind = "numba" if self._executor.compiled else "numpy"
        return importlib.import_module(f"minigan.ops.cpu.kernels.{kind}.{self.name}")


class Executor(Protocol):
    """Run the parts of an operation on threads, with numba's kernels or NumPy's.

    Attributes
    ----------
    accuracy : str
        The accuracy of float32 convolutions: "exact", "balanced" or "fast", see `minigan.ops.cpu.CPU`.
    compiled : bool
        Whether numba's kernels are used, otherwise NumPy's.

    """

    accuracy: str
    compiled: bool

    def parallel_for(self, job: Job, n: int) -> None:
        """Run job(0) ... job(n - 1)."""

    def team(self) -> NDArray[np.int64]:
        """Return the mailboxes of the threads that run a compiled function together with the calling one."""


def are_floats(*arrays: Array) -> bool:
    """Return whether all arrays are float32, or all float64, as the fast kernels require."""
    dtype = arrays[0].dtype
    if dtype not in FLOATS:
        return False
    for a in arrays:  # noqa: SIM110  (a generator would cost more than the comparisons)
        if a.dtype != dtype:
            return False
    return True


def contiguous(x: Array) -> Array:
    """Return x, or a copy of it if x is not in the memory layout for which the kernels are compiled.

    Parameters
    ----------
    x
        An array.

    Returns
    -------
    Array
        An `ndarray` in C order, aligned and writable.

    """
    if type(x) is np.ndarray and x.flags.carray:
        return x
    return np.require(np.asarray(x), requirements=("C", "A", "W"))


def slices(n: int, size: int) -> list[slice]:
    """Return slices that cut 0 ... n - 1 into parts of `size` items; the last part may be smaller."""
    if 0 < n <= size:
        return [slice(0, n)]
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
