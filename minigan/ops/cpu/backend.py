"""The CPU backend: the reference's results, faster.

Each function replaces one of ``minigan.ops.reference`` for real floating arrays (float32, float64) and hands every
other dtype back to it.  Work is cut into parts that a pool of threads runs (`minigan.ops.cpu.threads.pool`).  Where
numba is installed (the extra ``fast``), compiled kernels replace NumPy's.
"""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any

import numpy as np

from minigan._names import unknown
from minigan.ops import reference
from minigan.ops.cpu import elementwise, matmul, mlp
from minigan.ops.cpu.conv import convolution
from minigan.ops.cpu.executor import FLOATS
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.norm_act import NormActivation
from minigan.ops.cpu.threads.blas import one_thread
from minigan.ops.cpu.threads.pool import Job, SleepWait, cores, default_threads, pool
from minigan.ops.cpu.vector import Flat
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array, Rule
from minigan.ops.registry import registered_kernel, registered_rules

__all__ = ["ACCURACIES", "CPU"]

ACCURACIES = ("exact", "balanced", "fast")


class CPU:
    """``get_ops("cpu", threads=..., accuracy=..., compiled=...)``.

    threads   how many threads work on one array operation; default: MINIGAN_THREADS, else the cores.  The result does
              not depend on it.
    accuracy  of float32 convolutions: "exact" (direct sums only), "balanced" (the default: also F(2) of Winograd's
              family, as accurate as direct sums to a small factor), "fast" (also F(4), about ten times less accurate)
    compiled  True: numba's bodies; False: NumPy's; None (the default): numba's where it is installed

    Raises BackendUnavailable in a free-threaded Python that runs without the interpreter's lock.
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
            raise ValueError("compiled=True needs numba, which is not installed: pip install 'minigan[fast]'")
        self.threads = default_threads() if threads is None else threads
        self.accuracy = accuracy
        self.compiled = numba if compiled is None else compiled
        self.norm_act, self.flat = NormActivation(self), Flat(self)

    def __repr__(self) -> str:
        return f"CPU(threads={self.threads}, accuracy={self.accuracy!r}, compiled={self.compiled})"

    @functools.cached_property
    def _rules(self) -> Sequence[Rule]:
        rules = importlib.import_module("minigan.ops.cpu.rules")
        return rules.COMPILED_RULES if self.compiled else rules.NUMPY_RULES

    @property
    def rules(self) -> Sequence[Rule]:
        """Which neighbouring layers run as one: the registered rules, then those of `minigan.ops.cpu.rules`."""
        return (*registered_rules(self.name), *self._rules)

    def kernel(self, name: str) -> Callable[..., Any]:
        """Return the registered kernel of that name for this backend."""
        return registered_kernel(name, self)

    def engine(self) -> dict[str, Any]:
        """Return threads, accuracy, whether kernels are compiled, and numba's version."""
        found = {"threads": self.threads, "accuracy": self.accuracy, "compiled": self.compiled}
        return {**found, "numba": version("numba")} if self.compiled else found

    def parallel_for(self, job: Job, n: int) -> None:
        """Run job(0) ... job(n - 1) on the pool; BLAS has one thread meanwhile."""
        pool.parallel_for(job, n, self.threads, self._waiting if self.threads > 1 else None)

    @functools.cached_property
    def _waiting(self) -> SleepWait:
        """Threads that look for work before they sleep, where each has a core of its own."""
        if not self.compiled or self.threads > cores():
            return SleepWait()
        return importlib.import_module("minigan.ops.cpu.threads.spin_wait").SpinWait()

    def share(self, *product: Any) -> bool:
        """Compute a product of `compiled_product` with another thread, if one listens; else nothing, and False."""
        board = pool.board() if self.threads > 1 else None
        if board is None:
            return False
        from minigan.ops.cpu.threads.mailbox import share

        return bool(share(board, *product))

    def session(self) -> AbstractContextManager[None]:
        """BLAS on one thread for as long as the block lasts, so that each operation in it need not ask for it."""
        return one_thread

    def release(self) -> None:
        """Give back the memory of large arrays that is kept for the next ones (512 MiB at most)."""
        arrays.blocks.release()

    play = staticmethod(reference.play)

    def affine(self, x: Array, W: Array, b: Array | None = None) -> Array:
        """y = x W + b."""
        with one_thread:
            return matmul.affine(x, W, b, self)

    def add_product(self, x: Array, y: Array, out: Array) -> None:
        """Out <- out + x^T y."""
        with one_thread:
            matmul.add_product(x, y, out, self)

    def mean_softplus(self, s: Array, sign: int, weight: float) -> tuple[Any, Array]:
        """weight mean softplus(sign s) and its gradient."""
        if self.compiled and s.dtype in FLOATS:
            return mlp.mean_softplus(s, sign, weight)
        n = len(s)
        cost, slope = self.softplus_sigmoid(sign * s)
        return weight * (cost.sum() / n), sign * weight * slope / n

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """The correlation of large images x with W, + b: small images."""
        return convolution.correlate(x, W, geometry, b, self)

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Its adjoint in x: from small images y to large ones, + b."""
        return convolution.correlate_adjoint(y, W, geometry, b, self)

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry) -> Array:
        """Its adjoint in W: the gradient of <y, correlate(x, W)>."""
        return convolution.correlate_weights(x, y, geometry, self)

    def sum_rows(self, x: Array) -> Array:
        """Sum over all axes but the last."""
        return self.norm_act.sum_rows(x)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Mean and biased variance over all axes but the last."""
        return self.norm_act.moments(x)

    def dropout(self, x: Array, rate: float, key: int) -> Array:
        """x times a mask that the key decides."""
        return self.norm_act.dropout(x, rate, key)

    def zero_vector(self, size: int, dtype: Any) -> Array:
        """A vector of zeros."""
        return self.flat.zero_vector(size, np.dtype(dtype))

    def finite(self, x: Array) -> bool:
        """Whether no number of x is infinite or NaN."""
        return self.flat.finite(x)

    def copy(self, target: Array, source: Array) -> None:
        """target = source, in place."""
        self.flat.copy(target, source)

    def adam(
        self, theta: Array, g: Array, m: Array, v: Array, t: int, *, lr: float, beta1: float, beta2: float, eps: float
    ) -> None:
        """One update of Adam, in place."""
        self.flat.adam(theta, g, m, v, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps)

    def rmsprop(self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float) -> None:
        """One update of RMSProp, in place."""
        self.flat.rmsprop(theta, g, v, lr=lr, rho=rho, eps=eps)

    def momentum(self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool) -> None:
        """One update of gradient descent with momentum, in place."""
        self.flat.momentum(theta, g, u, lr=lr, momentum=momentum, nesterov=nesterov)

    relu = staticmethod(elementwise.relu)
    relu_backward = staticmethod(elementwise.relu_backward)
    sigmoid = staticmethod(elementwise.sigmoid)
    softplus = staticmethod(elementwise.softplus)
    softplus_sigmoid = staticmethod(elementwise.softplus_sigmoid)
