"""The CPU backend: the operations of the reference, faster, up to rounding.

Each function replaces one of ``minigan.ops.reference`` for float32 and float64 arrays, and calls it for every other
dtype.  Operations are cut into parts that a pool of threads runs (`minigan.ops.cpu.threads.pool`).  The kernels are
compiled by numba, or computed by NumPy on a machine for which there is no numba.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._cached import cached_property
from minigan._names import unknown
from minigan.ops import reference
from minigan.ops.base import BackendBase
from minigan.ops.cpu import elementwise, matmul, mlp
from minigan.ops.cpu.conv import convolution
from minigan.ops.cpu.executor import FLOATS
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.norm_act import NormActivation
from minigan.ops.cpu.threads.blas import blas_on_one_thread
from minigan.ops.cpu.threads.pool import NO_MAILBOXES, Job, SleepWait, cores, default_threads, pool
from minigan.ops.cpu.vector import Flat
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array, Rule
from minigan.ops.registry import registered_rules

__all__ = ["ACCURACIES", "CPU"]

ACCURACIES = ("exact", "balanced", "fast")


class CPU(BackendBase):
    """The backend of ``get_ops("cpu", threads=..., accuracy=..., compiled=...)``.

    Parameters
    ----------
    threads : int or None
        How many threads compute one array operation, >= 1; the result does not depend on it.  None, the default:
        MINIGAN_THREADS from the environment, otherwise the number of cores that this process may use.
    accuracy : str
        The accuracy of float32 convolutions.  "exact": direct sums only.  "balanced", the default: also F(2) of
        Winograd's family, which is faster, with errors a small factor above those of direct sums.  "fast": also F(4),
        about ten times less accurate.
    compiled : bool or None
        True: numba's kernels; False: NumPy's.  None, the default: numba's if it is installed.

    Raises
    ------
    ValueError
        If `threads` or `accuracy` is none of these values, or `compiled` is True without numba.
    BackendUnavailable
        In a free-threaded Python that runs without the interpreter's lock.

    """

    name = "cpu"
    one_pass = True
    dtypes = None
    xp = np

    def __init__(self, *, threads: int | None = None, accuracy: str = "balanced", compiled: bool | None = None) -> None:
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
            raise ValueError(f"threads must be a whole number >= 1, got {threads!r}")
        if accuracy not in ACCURACIES:
            raise ValueError(unknown("accuracy", accuracy, ACCURACIES))
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            from minigan.ops.errors import BackendUnavailable

            raise BackendUnavailable(
                "ops='cpu' does not support free-threaded Python without the interpreter's lock; "
                "expected: PYTHON_GIL=1 in the environment, or python -X gil=1"
            )
        numba = importlib.util.find_spec("numba") is not None
        if compiled and not numba:
            raise ValueError("compiled=True needs numba, which is not installed: pip install numba")
        self.threads = default_threads() if threads is None else threads
        self.accuracy = accuracy
        self.compiled = numba if compiled is None else compiled
        self.norm_act, self.flat = NormActivation(self), Flat(self)

    def __repr__(self) -> str:
        return f"CPU(threads={self.threads}, accuracy={self.accuracy!r}, compiled={self.compiled})"

    @cached_property
    def _rules(self) -> Sequence[Rule]:
        rules = importlib.import_module("minigan.ops.cpu.rules")
        return rules.COMPILED_RULES if self.compiled else rules.NUMPY_RULES

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules for fusing neighbouring layers: the registered ones, then those of `minigan.ops.cpu.rules`."""
        return (*registered_rules(self.name), *self._rules)

    def engine(self) -> dict[str, Any]:
        """Return threads, accuracy, whether kernels are compiled, and numba's version."""
        found = {"threads": self.threads, "accuracy": self.accuracy, "compiled": self.compiled}
        return {**found, "numba": version("numba")} if self.compiled else found

    def parallel_for(self, job: Job, n: int) -> None:
        """Run job(0) ... job(n - 1) on this backend's threads; BLAS uses one thread meanwhile.

        Parameters
        ----------
        job
            Called with the number of each part, from several threads.  The parts must not depend on each other's order.
        n
            How many parts there are.  To get the same bits on any number of threads, choose it by the sizes of the
            arrays alone.

        Raises
        ------
        BaseException
            The first exception of a part, after all threads have stopped.

        """
        pool.parallel_for(job, n, self.threads, self._wait_policy if self.threads > 1 else None)

    @cached_property
    def _wait_policy(self) -> SleepWait:
        """With numba, and if each thread has its own core, threads poll for work before they sleep."""
        if not self.compiled or self.threads > cores():
            return SleepWait()
        return importlib.import_module("minigan.ops.cpu.threads.spin_wait").SpinWait()

    def team(self) -> NDArray[np.int64]:
        """Return the mailboxes of the threads that run a compiled function together with the calling one.

        Returns
        -------
        (n,) array
            The argument of `minigan.ops.cpu.threads.team.run_together`; empty if the calling thread is alone.

        """
        return NO_MAILBOXES if self.threads == 1 else self._wait_policy.team(self.threads)

    def session(self) -> AbstractContextManager[None]:
        """Return a context that limits BLAS to one thread, so that not every operation within it has to do so."""
        return blas_on_one_thread()

    def release(self) -> None:
        """Free what is kept for reuse: the memory of large arrays (512 MiB at most), and masks of dropout (32 MiB)."""
        arrays.blocks.clear()
        self.norm_act.release()

    play = staticmethod(reference.play)

    def affine(self, x: Array, W: Array, b: Array | None = None) -> Array:
        """y = x W + b.    x (N, I)   W (I, O)   b (O,)   y (N, O)"""
        with blas_on_one_thread():
            return matmul.affine(x, W, b, self)

    def add_product(self, x: Array, y: Array, out: Array, *, overwrite: bool = False) -> None:
        """Add x^T y to `out` in place, or with `overwrite` write it there.    x (N, I)   y (N, O)   out (I, O)"""
        with blas_on_one_thread():
            matmul.add_product(x, y, out, self, overwrite=overwrite)

    def mean_softplus(self, s: Array, sign: int, weight: float) -> tuple[Any, Array]:
        """weight mean softplus(sign s) and its gradient in s.    s (N,) or (N, 1)"""
        if self.compiled and s.dtype in FLOATS:
            return mlp.mean_softplus(s, sign, weight)
        n = len(s)
        cost, derivative = self.softplus_sigmoid(sign * s)
        return weight * (cost.sum() / n), sign * weight * derivative / n

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Correlate the large images x with W and add b; return small images."""
        return convolution.correlate(x, W, geometry, b, self)

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Apply the adjoint of `correlate` in x to small images y and add b; return large images."""
        return convolution.correlate_adjoint(y, W, geometry, b, self)

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry) -> Array:
        """Return the gradient of <y, correlate(x, W)> in W."""
        return convolution.correlate_weights(x, y, geometry, self)

    relu = staticmethod(elementwise.relu)
    relu_backward = staticmethod(elementwise.relu_backward)
    sigmoid = staticmethod(elementwise.sigmoid)
    softplus = staticmethod(elementwise.softplus)
    softplus_sigmoid = staticmethod(elementwise.softplus_sigmoid)
