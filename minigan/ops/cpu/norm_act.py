"""Dropout, activation and batch norm of the rows of a matrix (M, C), in few passes over memory.

    u = f0(mask0 x)        v = (u - mu) scale + beta        y = mask1 f1(v)          each part of it may be absent

A matrix is cut into parts of rows that a core's cache holds; what is between x and y is made again, part by part, in
every pass, and never stored.  Without statistics a row has no meaning, and the matrix is cut as if it were flat.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minigan._arguments import scalar
from minigan.ops import reference
from minigan.ops.cpu.executor import FLOATS, KernelSet, contiguous, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.memory.scratch import scratch
from minigan.ops.cpu.threads.blas import one_thread
from minigan.ops.norm_act import OPEN, ActivationMask, Norm
from minigan.ops.protocol import Array

PART, PART_BY_NUMPY = 1 << 18, 1 << 20
"""Bytes of a part: what a core's cache holds beside the workspaces.  NumPy's functions give the interpreter's lock up
and take it again, and between two threads that costs more than the cache saves: so theirs are larger, and fewer."""
LEAST = 32
"""Rows that a part has at least, so that its sums are small beside it."""
WIDTH = 1024
"""Numbers in a row of a matrix that is cut as if it were flat."""
FEW = 4
"""With fewer parts the pool's round trip costs more than it saves."""


class Rows(KernelSet):
    """The passes over the rows, as the CPU backend `cpu` runs them.  Arrays are `contiguous`, float32 or float64."""

    gate, norm, contiguous, empty = ActivationMask, Norm, staticmethod(contiguous), staticmethod(arrays.empty)

    name = "norm_act"

    def statistics(self, x: Array, before: ActivationMask = OPEN) -> tuple[Array, Array]:
        """Mean and biased variance of u over the rows.    x (M, C)   mu, var (C,)

        Each part in two passes; the parts are put together (Chan, Golub and LeVeque 1979) in float64, in their order,
        as distances from the first part's pivot, so that a mean far above the spread takes no digits from it.
        """
        return self.statistics_and_rest(x, before)[:2]

    def statistics_and_rest(self, x: Array, before: ActivationMask = OPEN) -> tuple[Array, Array, Array]:
        """Return mu and var as `statistics` does, and what rounding left of mu.    rest (C,), float64"""
        M, C = x.shape
        parts = self._parts(M, C, x.itemsize)
        pivot, rest, m2 = np.empty((3, len(parts), C))

        def job(i: int) -> None:
            u = self._u(x, parts[i], 0, before)
            self._bodies.statistics(u, pivot[i], rest[i], m2[i])
            if (len(u) * rest[i] ** 2 > m2[i]).any():  # the pivot is so far from the mean that m2 has lost digits
                near = (pivot[i] + rest[i]).astype(x.dtype)
                self._bodies.statistics(u - near, pivot[i], rest[i], m2[i])
                pivot[i] += near

        self._each(job, len(parts))
        if len(parts) == 1:
            mu = (pivot[0] + rest[0]).astype(x.dtype)
            return mu, (m2[0] / M).astype(x.dtype), (pivot[0] - mu) + rest[0]
        n = np.array([[part.stop - part.start] for part in parts], dtype=float)
        distance = rest + (pivot - pivot[0])
        mean = (n * distance).sum(axis=0) / M
        distance -= mean
        var = (m2.sum(axis=0) + (n * distance * distance).sum(axis=0)) / M
        mu = (pivot[0] + mean).astype(x.dtype)
        return mu, var.astype(x.dtype), (pivot[0] - mu) + mean

    def normalise(
        self, x: Array, before: ActivationMask, layer: Any, p: Mapping[str, Array], state: Mapping[str, Array] | None
    ) -> Norm:
        """Return a `BatchNorm` layer with the statistics of the batch, which move `state` (None: nothing)."""
        mu, var, rest = self.statistics_and_rest(x, before)
        if state is not None:
            layer.update(state, mu, var, len(x))
        inverse = 1 / np.sqrt(var + scalar(layer.eps, x.dtype))
        scale, beta = p["gamma"] * inverse, p["beta"].copy()
        far = layer.far(mu, var)
        if not far.any():
            return Norm(mu, inverse, scale, beta)
        rest = far * rest
        beta -= (rest * scale).astype(beta.dtype)  # (u - mu - rest) scale + beta
        return Norm(mu, inverse, scale, beta, rest)

    def apply(self, x: Array, y: Array, before: ActivationMask, norm: Norm | None, after: ActivationMask) -> None:
        """Write y."""
        vectors = None if norm is None else norm.vectors
        for rows, (into,), first in _matrices(norm, x, y):

            def job(part: slice, rows: Array = rows, into: Array = into, first: int = first) -> None:
                u = self._u(rows, part, first, before)
                self._bodies.apply(u, into[part], vectors, self._gate(after, rows, part, first))

            self._each_part(job, rows)

    def sums(
        self, x: Array, dy: Array, before: ActivationMask, norm: Norm, after: ActivationMask
    ) -> tuple[Array, Array]:
        """Return sum_m dv_m and sum_m dv_m x_hat_m, in float64; dv = f1'(v) mask1 dy,  x_hat = (u - mu) inverse."""
        M, C = x.shape
        parts = self._parts(M, C, x.itemsize)
        sum_d, sum_dx = np.empty((2, len(parts), C))

        def job(i: int) -> None:
            part = parts[i]
            u, gate = self._u(x, part, 0, before), self._gate(after, x, part, 0)
            self._bodies.sums(u, dy[part], norm.vectors, gate, sum_d[i], sum_dx[i])

        self._each(job, len(parts))
        total, total_x = sum_d.sum(axis=0), sum_dx.sum(axis=0)
        if norm.rest is not None:
            total_x -= norm.rest * total
        return total, total_x * norm.inverse

    def pull(
        self,
        x: Array,
        dy: Array,
        dx: Array,
        before: ActivationMask,
        norm: Norm | None,
        after: ActivationMask,
        sums: tuple[Array, Array] | None = None,
    ) -> None:
        """Write dx = mask0 f0'(mask0 x) scale (dv - mean(dv) - x_hat mean(dv x_hat)); without sums: ... scale dv."""
        line = None
        if norm is not None and sums is not None:  # the two means as a straight line in u - mu
            slope, constant = (
                -norm.scale * total.astype(float) / len(x) for total in (sums[1] * norm.inverse, sums[0])
            )
            if norm.rest is not None:
                constant -= slope * norm.rest
            line = slope.astype(x.dtype), constant.astype(x.dtype)
        vectors = None if norm is None else norm.vectors
        for rows, (from_, into), first in _matrices(norm, x, dy, dx):

            def job(part: slice, rows: Array = rows, d: Array = from_, into: Array = into, first: int = first) -> None:
                u = self._u(rows, part, first, before)
                self._bodies.pull(u, d[part], into[part], vectors, self._gate(after, rows, part, first), line)
                if not before.idle:
                    self._bodies.before_back(rows[part], into[part], self._gate(before, rows, part, first))

            self._each_part(job, rows)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """`reference.moments`."""
        if not _plain(x):
            return reference.moments(x)
        return self.statistics(self.contiguous(x).reshape(-1, x.shape[-1]))

    def sum_rows(self, x: Array) -> Array:
        """`reference.sum_rows`, each part as the product of a row of ones with it (a BLAS call)."""
        if not _plain(x):
            return reference.sum_rows(x)
        rows = x.reshape(-1, x.shape[-1])
        parts = self._parts(len(rows), x.shape[-1], x.itemsize)
        if len(parts) == 1:
            with one_thread:
                return np.ones(len(rows), dtype=x.dtype) @ rows
        sums = np.empty((len(parts), x.shape[-1]))

        def job(i: int) -> None:
            part = rows[parts[i]]
            sums[i] = np.ones(len(part), dtype=x.dtype) @ part

        self._each(job, len(parts))
        return sums.sum(axis=0).astype(x.dtype)

    def dropout(self, x: Array, rate: float, key: int) -> Array:
        """`reference.dropout`."""
        if not _plain(x):
            return reference.dropout(x, rate, key)
        y = arrays.empty(x.shape, x.dtype)
        self.apply(self.contiguous(x).reshape(-1), y, OPEN, None, ActivationMask(rate=rate, key=key))
        return y

    def _u(self, x: Array, part: slice, first: int, before: ActivationMask) -> Array:
        """u of a part: x itself, or in the thread's workspace."""
        if before.idle:
            return x[part]
        u = scratch.array("rows.u", x[part].shape, x.dtype)
        self._bodies.before(x[part], u, self._gate(before, x, part, first))
        return u

    @staticmethod
    def _gate(gate: ActivationMask, x: Array, part: slice, first: int) -> tuple[Any, ...]:
        return gate.at(first + part.start * x.shape[1], x.dtype)

    def _parts(self, rows: int, C: int, itemsize: int) -> list[slice]:
        """Cut the rows of a matrix; by sizes alone, so that sums do not depend on the threads."""
        return slices(rows, max(LEAST, (PART if self._team.compiled else PART_BY_NUMPY) // (C * itemsize)))

    def _each_part(self, job: Callable[[slice], object], x: Array) -> None:
        parts = self._parts(len(x), x.shape[1], x.itemsize)
        self._each(lambda i: job(parts[i]), len(parts))

    def _each(self, job: Callable[[int], object], n: int) -> None:
        if n >= FEW:
            self._team.parallel_for(job, n)
            return
        with one_thread:
            for i in range(n):
                job(i)


def _plain(x: Array) -> bool:
    return x.dtype in FLOATS and x.size > 0


def _matrices(norm: Norm | None, x: Array, *others: Array) -> Iterator[tuple[Array, list[Array], int]]:
    """x, the others, and the place of x's first number; without a norm, rows of WIDTH numbers and then the rest."""
    if norm is not None:
        yield x, list(others), 0
        return
    whole = x.size - x.size % WIDTH
    for low, high, width in ((0, whole, WIDTH), (whole, x.size, x.size - whole)):
        if low < high:
            first, *rest = (a.reshape(-1)[low:high].reshape(-1, width) for a in (x, *others))
            yield first, rest, low
