"""The flat parameter vector: optimizer updates, and whether it is finite, in blocks that the pool's threads share.

Each block is read once, while all of it is in a core's cache; no number depends on another, so nor on the blocks.
"""

import math
from typing import Any

import numpy as np

from minigan.ops import reference
from minigan.ops.cpu.executor import FLOATS, KernelSet, are_floats, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.protocol import Array

BLOCK, BLOCK_BY_NUMPY = 1 << 16, 1 << 17
"""Numbers at a time; more where each function gives the interpreter's lock up and takes it again."""
ALONE = 1 << 17
"""Fewer than this are worked on without the pool."""


class Flat(KernelSet):
    """The updates of `minigan.ops.reference`, as the CPU backend `cpu` runs them."""

    name = "vector"

    def adam(
        self, theta: Array, g: Array, m: Array, v: Array, t: int, *, lr: float, beta1: float, beta2: float, eps: float
    ) -> None:
        """`reference.adam`."""
        if not _plain(theta, g, m, v):
            reference.adam(theta, g, m, v, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps)
            return
        numbers = (lr / (1 - beta1**t), beta1, 1 - beta1, beta2, 1 - beta2, 1 / math.sqrt(1 - beta2**t), eps)
        self._update(self._bodies.adam, (theta, g, m, v), numbers)

    def rmsprop(self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float) -> None:
        """`reference.rmsprop`."""
        if not _plain(theta, g, v):
            reference.rmsprop(theta, g, v, lr=lr, rho=rho, eps=eps)
            return
        self._update(self._bodies.rmsprop, (theta, g, v), (lr, rho, 1 - rho, eps))

    def momentum(self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool) -> None:
        """`reference.momentum`."""
        if not _plain(theta, g, u):
            reference.momentum(theta, g, u, lr=lr, momentum=momentum, nesterov=nesterov)
            return
        self._update(self._bodies.momentum, (theta, g, u), (lr, momentum), nesterov)

    def finite(self, x: Array) -> bool:
        """`reference.finite`; the blocks after one that is not are left out."""
        if not _plain(x):
            return reference.finite(x)
        found: list[slice] = []

        def job(block: slice) -> None:
            if not found and not self._bodies.finite(x[block]):
                found.append(block)

        self._each(job, x.size)
        return not found

    def zero_vector(self, size: int, dtype: np.dtype[Any]) -> Array:
        """`reference.zero_vector`."""
        if dtype not in FLOATS:
            return reference.zero_vector(size, dtype)
        found = arrays.empty((size,), dtype)
        self._each(lambda block: found[block].fill(0), size)
        return found

    def copy(self, target: Array, source: Array) -> None:
        """`reference.copy`."""
        if not _plain(target, source):
            reference.copy(target, source)
            return
        self._each(lambda block: np.copyto(target[block], source[block]), source.size)

    @property
    def _block(self) -> int:
        return BLOCK if self._team.compiled else BLOCK_BY_NUMPY

    def _update(self, body: Any, vectors: tuple[Array, ...], numbers: tuple[float, ...], *flags: bool) -> None:
        own = [vectors[0].dtype.type(number) for number in numbers]
        if vectors[0].size <= self._block:
            body(*vectors, *own, *flags)
            return
        self._each(lambda block: body(*(vector[block] for vector in vectors), *own, *flags), vectors[0].size)

    def _each(self, job: Any, size: int) -> None:
        blocks = slices(size, self._block)
        if size < ALONE:
            for block in blocks:
                job(block)
        else:
            self._team.parallel_for(lambda i: job(blocks[i]), len(blocks))


def _plain(*vectors: Array) -> bool:
    """Whether the bodies take these: all of one kind, float32 or float64, and contiguous."""
    return are_floats(*vectors) and all(v.ndim == 1 and v.flags.c_contiguous and v.flags.aligned for v in vectors)
