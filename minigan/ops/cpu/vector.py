"""The flat parameter vector: optimizer updates, copies and the check for finite numbers, in blocks on several threads.

A block of all vectors fits in a core's cache, so memory is read once.  Each number of the result depends on the numbers
at the same index alone, so the cut into blocks does not change it.
"""

import math
from typing import Any

import numpy as np

from minigan.ops import reference
from minigan.ops.cpu.executor import FLOATS, KernelSet, are_floats, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.protocol import Array

BLOCK_NUMBERS, NUMPY_BLOCK_NUMBERS = 1 << 16, 1 << 18
"""How many numbers of each vector a block has; without numba, at most.  NumPy's blocks are larger, because each of its
functions releases and takes the interpreter's lock, and their number is even, so that two threads have equal shares."""
NUMPY_MAX_UNEQUAL_NUMBERS, NUMPY_LEAD_NUMBERS = 3 << 18, 5 << 12
"""Without numba, vectors of at most the first size are cut in two, and the block of the calling thread, which starts
about 20 us earlier than a worker and wakes as much later than it finishes, is larger by the second number."""
MIN_PARALLEL_NUMBERS = 1 << 17
"""Shorter vectors are computed by the calling thread alone."""
NUMPY_MIN_PARALLEL_FILL_NUMBERS = 1 << 21
"""The same without numba for vectors that are filled with zeros, which takes less time than waking a thread."""
MIN_NORM, MIN_FACTOR = 1e-130, 1e-30
"""For smaller norms the squares of float64 numbers may underflow; smaller factors are inexact in float32."""


class Flat(KernelSet):
    """The functions of `minigan.ops.reference` on vectors (P,), in place.

    Contiguous float32 and float64 vectors use the kernels; all others are passed to the reference.
    """

    name = "vector"

    def adam(
        self, theta: Array, g: Array, m: Array, v: Array, t: int, *,
        lr: float, beta1: float, beta2: float, eps: float, decay: float = 0.0,
    ) -> None:  # fmt: skip
        """`reference.adam`."""
        if not _fit_kernels(theta, g, m, v):
            reference.adam(theta, g, m, v, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)
            return
        scalars = (lr / (1 - beta1**t), beta1, 1 - beta1, beta2, 1 - beta2, 1 / math.sqrt(1 - beta2**t), eps)
        self._update(self._kernels.adam, (theta, g, m, v), scalars, decay=decay)

    def rmsprop(
        self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float, decay: float = 0.0
    ) -> None:
        """`reference.rmsprop`."""
        if not _fit_kernels(theta, g, v):
            reference.rmsprop(theta, g, v, lr=lr, rho=rho, eps=eps, decay=decay)
            return
        self._update(self._kernels.rmsprop, (theta, g, v), (lr, rho, 1 - rho, eps), decay=decay)

    def momentum(
        self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool, decay: float = 0.0
    ) -> None:
        """`reference.momentum`."""
        if not _fit_kernels(theta, g, u):
            reference.momentum(theta, g, u, lr=lr, momentum=momentum, nesterov=nesterov, decay=decay)
            return
        self._update(self._kernels.momentum, (theta, g, u), (lr, momentum), nesterov, decay=decay)

    def clip_norm(self, g: Array, max_norm: float) -> Array:
        """`reference.clip_norm`, to which the rare g are passed whose squares over- or underflow, or that hold NaN."""
        if not _fit_kernels(g):
            return reference.clip_norm(g, max_norm)
        norm = math.sqrt(self._sum_of_squares(g))
        if norm <= max_norm and max_norm >= MIN_NORM:
            return g
        factor = max_norm / norm if MIN_NORM <= norm < math.inf else 0.0
        if factor < MIN_FACTOR:
            return reference.clip_norm(g, max_norm)
        clipped, rounded = arrays.empty(g.shape, g.dtype), g.dtype.type(factor)
        self._for_each_block(lambda block: np.multiply(g[block], rounded, out=clipped[block]), g.size)
        return clipped

    def _sum_of_squares(self, x: Array) -> float:
        """Return the sum of the squares in float64; blocks are added in their order, whichever thread is first."""
        sums: dict[int, float] = {}

        def job(block: slice) -> None:
            sums[block.start] = float(self._kernels.sum_of_squares(x[block]))

        self._for_each_block(job, x.size)
        return sum(sums[start] for start in sorted(sums))

    def finite(self, x: Array) -> bool:
        """`reference.finite`; once a block is not finite, no more blocks are started."""
        if not _fit_kernels(x):
            return reference.finite(x)
        not_finite: list[slice] = []

        def job(block: slice) -> None:
            if not not_finite and not self._kernels.finite(x[block]):
                not_finite.append(block)

        self._for_each_block(job, x.size)
        return not not_finite

    def zero_vector(self, size: int, dtype: Any) -> Array:
        """`reference.zero_vector`."""
        dtype = np.dtype(dtype)
        if dtype not in FLOATS:
            return reference.zero_vector(size, dtype)
        zeros = arrays.empty((size,), dtype)
        if size < (MIN_PARALLEL_NUMBERS if self._executor.compiled else NUMPY_MIN_PARALLEL_FILL_NUMBERS):
            zeros.fill(0)
            return zeros
        self._for_each_block(lambda block: zeros[block].fill(0), size)
        return zeros

    def copy(self, target: Array, source: Array) -> None:
        """`reference.copy`."""
        if not _fit_kernels(target, source):
            reference.copy(target, source)
            return
        self._for_each_block(lambda block: np.copyto(target[block], source[block]), source.size)

    def _blocks(self, size: int) -> list[slice]:
        """Cut a vector; the blocks depend on its size and on the kernels alone."""
        if self._executor.compiled:
            return slices(size, BLOCK_NUMBERS)
        if size < MIN_PARALLEL_NUMBERS:
            return slices(size, size or 1)
        if size <= NUMPY_MAX_UNEQUAL_NUMBERS:
            return slices(size, (size + NUMPY_LEAD_NUMBERS + 1) // 2)
        return slices(size, -(-size // (2 * -(-size // (2 * NUMPY_BLOCK_NUMBERS)))))

    def _update(
        self, kernel: Any, vectors: tuple[Array, ...], scalars: tuple[float, ...], *flags: bool, decay: float
    ) -> None:
        """Run the kernel on each block, after weight decay, with the scalars rounded to the vectors' dtype."""
        rounded = [vectors[0].dtype.type(scalar) for scalar in scalars]
        size = vectors[0].size
        if decay:
            kernel = self._after_decay(kernel, vectors[0].dtype.type(decay))
        if size <= BLOCK_NUMBERS:
            kernel(*vectors, *rounded, *flags)
            return
        self._for_each_block(lambda block: kernel(*(vector[block] for vector in vectors), *rounded, *flags), size)

    def _after_decay(self, kernel: Any, decay: Any) -> Any:
        """Return the function that decays a block of theta and then, while it is in the cache, runs the kernel."""

        def update(theta: Array, *rest: Any) -> None:
            self._kernels.decay(theta, decay)
            kernel(theta, *rest)

        return update

    def _for_each_block(self, job: Any, size: int) -> None:
        blocks = self._blocks(size)
        if size < MIN_PARALLEL_NUMBERS:
            for block in blocks:
                job(block)
        else:
            self._executor.parallel_for(lambda i: job(blocks[i]), len(blocks))


def _fit_kernels(*vectors: Array) -> bool:
    """Return whether the kernels take these: contiguous vectors of equal length, all float32 or all float64."""
    if not are_floats(*vectors):
        return False
    shape = vectors[0].shape
    for v in vectors:
        flags = v.flags
        if v.ndim != 1 or v.shape != shape or not flags.c_contiguous or not flags.aligned:
            return False
    return True
