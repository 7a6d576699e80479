"""Dropout, activation and batch norm of the rows of a matrix (M, C), in few passes over memory.

    u = f0(mask0 x)        v = (u - mu) scale + beta        y = mask1 f1(v)          each part may be absent

The matrix is split into parts of rows that fit into a core's cache.  Every pass recomputes, part by part, what lies
between x and y; only x and y are stored.  Without batch norm, the matrix is split as a flat vector.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from minigan._arguments import scalar
from minigan.ops import reference
from minigan.ops.cpu.executor import FLOATS, KernelSet, contiguous, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.threads.blas import blas_on_one_thread
from minigan.ops.norm_act import IDENTITY_MASK, ActivationMask, MaskArguments, NormCoefficients
from minigan.ops.protocol import Array

if TYPE_CHECKING:
    from minigan.layers.norm import BatchNorm

PART_BYTES, NUMPY_PART_BYTES = 1 << 18, 1 << 20
"""Bytes of a part: what fits into a core's cache beside the workspaces.  NumPy's functions release the interpreter lock
and acquire it again, and with two threads that costs more than the cache saves: their parts are larger and fewer."""
MIN_ROWS_PER_PART = 32
"""Fewest rows of a part, so that its sums are small compared with it."""
FLAT_ROW_SIZE = 1024
"""Numbers per row of a matrix that is split as a flat vector."""
MIN_PARALLEL_PARTS = 4
"""Fewest parts that the thread pool processes; for fewer, waking the threads costs more than they save."""


class NormActivation(KernelSet):
    """The passes of the CPU backend over a matrix (M, C).

    x, y, dx and dy are C-contiguous (see `contiguous`), float32 or float64; without batch norm they have any shape.
    The mask `pre` holds f0 and mask0, the mask `post` holds f1 and mask1.
    """

    contiguous, empty = staticmethod(contiguous), staticmethod(arrays.empty)

    name = "norm_act"

    def release(self) -> None:
        """Free the masks of dropout that are kept."""
        if not self._executor.compiled:
            self._kernels.release()

    def statistics(self, x: Array, pre: ActivationMask = IDENTITY_MASK) -> tuple[Array, Array]:
        """Return the mean and the biased variance of u over the rows.

        Each part is read twice.  The parts are merged in order, in float64 (Chan, Golub and LeVeque 1979), as distances
        from the first part's pivot, so that a mean far above the standard deviation costs no digits.

        Parameters
        ----------
        x : (M, C) array
            The input.
        pre : ActivationMask
            The mask that gives u; by default u = x.

        Returns
        -------
        mu, var : (C,) arrays
            Mean and variance, of x's dtype.

        """
        return self.statistics_and_remainder(x, pre)[:2]

    def statistics_and_remainder(self, x: Array, pre: ActivationMask = IDENTITY_MASK) -> tuple[Array, Array, Array]:
        """Return mu and var as `statistics` does, and the mean minus mu, which rounding lost.    (C,), float64"""
        M, C = x.shape
        parts = self._parts(M, C, x.itemsize)
        pivot, remainder, m2 = np.empty((3, len(parts), C))

        def job(i: int) -> None:
            u = self._u(x, parts[i], 0, pre)
            if self._kernels.statistics(u, pivot[i], remainder[i], m2[i]):  # once more, with a pivot nearer to the mean
                near = (pivot[i] + remainder[i]).astype(x.dtype)
                self._kernels.statistics(u - near, pivot[i], remainder[i], m2[i])
                pivot[i] += near

        self._each(job, len(parts))
        if len(parts) == 1:
            mu = (pivot[0] + remainder[0]).astype(x.dtype)
            return mu, (m2[0] / M).astype(x.dtype), (pivot[0] - mu) + remainder[0]
        n = np.array([[part.stop - part.start] for part in parts], dtype=float)
        distance = remainder + (pivot - pivot[0])
        mean = (n * distance).sum(axis=0) / M
        distance -= mean
        var = (m2.sum(axis=0) + (n * distance * distance).sum(axis=0)) / M
        mu = (pivot[0] + mean).astype(x.dtype)
        return mu, var.astype(x.dtype), (pivot[0] - mu) + mean

    def normalise(
        self,
        x: Array,
        pre: ActivationMask,
        layer: "BatchNorm",
        p: Mapping[str, Array],
        running: Mapping[str, Array] | None,
    ) -> NormCoefficients:
        """`minigan.ops.norm_act.NormActivationPasses.normalise`."""
        mu, var, remainder = self.statistics_and_remainder(x, pre)
        if running is not None:
            layer.update(running, mu, var, len(x))
        inverse_std = 1 / np.sqrt(var + scalar(layer.eps, x.dtype))
        scale, beta = p["gamma"] * inverse_std, p["beta"].copy()
        far = layer.far(mu, var)
        if not far.any():
            return NormCoefficients(mu, inverse_std, scale, beta)
        remainder = far * remainder
        beta -= (remainder * scale).astype(beta.dtype)  # (u - mu - remainder) scale + beta
        return NormCoefficients(mu, inverse_std, scale, beta, remainder)

    def apply(
        self, x: Array, y: Array, pre: ActivationMask, norm: NormCoefficients | None, post: ActivationMask
    ) -> None:
        """`minigan.ops.norm_act.NormActivationPasses.apply`."""
        vectors = None if norm is None else norm.vectors
        for rows, (into,), first in _matrices(norm, x, y):

            def job(part: slice, rows: Array = rows, into: Array = into, first: int = first) -> None:
                u = self._u(rows, part, first, pre)
                self._kernels.apply(u, into[part], vectors, self._arguments(post, rows, part, first))

            self._each_part(job, rows)

    def sums(
        self, x: Array, dy: Array, pre: ActivationMask, norm: NormCoefficients, post: ActivationMask
    ) -> tuple[Array, Array]:
        """`minigan.ops.norm_act.NormActivationPasses.sums`."""
        M, C = x.shape
        parts = self._parts(M, C, x.itemsize)
        sum_d, sum_dx = np.empty((2, len(parts), C))

        def job(i: int) -> None:
            part = parts[i]
            u, mask = self._u(x, part, 0, pre), self._arguments(post, x, part, 0)
            self._kernels.sums(u, dy[part], norm.vectors, mask, sum_d[i], sum_dx[i])

        self._each(job, len(parts))
        total, total_x = sum_d.sum(axis=0), sum_dx.sum(axis=0)
        if norm.remainder is not None:
            total_x -= norm.remainder * total
        return total, total_x * norm.inverse_std

    def backward(
        self,
        x: Array,
        dy: Array,
        dx: Array,
        pre: ActivationMask,
        norm: NormCoefficients | None,
        post: ActivationMask,
        sums: tuple[Array, Array] | None = None,
    ) -> None:
        """`minigan.ops.norm_act.NormActivationPasses.backward`."""
        mean_terms = None
        if norm is not None and sums is not None:  # the terms of the two means are linear in u - mu
            linear, constant = (
                -norm.scale * total.astype(float) / len(x) for total in (sums[1] * norm.inverse_std, sums[0])
            )
            if norm.remainder is not None:
                constant -= linear * norm.remainder
            mean_terms = linear.astype(x.dtype), constant.astype(x.dtype)
        vectors = None if norm is None else norm.vectors
        for rows, (dy_rows, into), first in _matrices(norm, x, dy, dx):

            def job(
                part: slice, rows: Array = rows, d: Array = dy_rows, into: Array = into, first: int = first
            ) -> None:
                u, mask = self._u(rows, part, first, pre), self._arguments(post, rows, part, first)
                self._kernels.backward(u, d[part], into[part], vectors, mask, mean_terms)
                if not pre.is_identity:
                    self._kernels.pre_backward(rows[part], into[part], self._arguments(pre, rows, part, first))

            self._each_part(job, rows)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """`reference.moments`."""
        if not _supported(x):
            return reference.moments(x)
        return self.statistics(self.contiguous(x).reshape(-1, x.shape[-1]))

    def sum_rows(self, x: Array) -> Array:
        """`reference.sum_rows`: each part is multiplied by a row of ones, which is one BLAS call."""
        if not _supported(x):
            return reference.sum_rows(x)
        rows = x.reshape(-1, x.shape[-1])
        parts = self._parts(len(rows), x.shape[-1], x.itemsize)
        if len(parts) == 1:
            with blas_on_one_thread():
                return np.ones(len(rows), dtype=x.dtype) @ rows
        sums = np.empty((len(parts), x.shape[-1]))

        def job(i: int) -> None:
            part = rows[parts[i]]
            sums[i] = np.ones(len(part), dtype=x.dtype) @ part

        self._each(job, len(parts))
        return sums.sum(axis=0).astype(x.dtype)

    def dropout(self, x: Array, rate: float, key: int) -> Array:
        """`reference.dropout`."""
        if not _supported(x):
            return reference.dropout(x, rate, key)
        y = arrays.empty(x.shape, x.dtype)
        self.apply(self.contiguous(x).reshape(-1), y, IDENTITY_MASK, None, ActivationMask(rate=rate, key=key))
        return y

    def _u(self, x: Array, part: slice, first: int, pre: ActivationMask) -> Array:
        """Return u of a part: x itself if `pre` changes nothing, else a new array."""
        if pre.is_identity:
            return x[part]
        u = arrays.empty(x[part].shape, x.dtype)
        self._kernels.pre(x[part], u, self._arguments(pre, x, part, first))
        return u

    @staticmethod
    def _arguments(mask: ActivationMask, x: Array, part: slice, first: int) -> MaskArguments:
        return mask.arguments(first + part.start * x.shape[1], x.dtype)

    def _parts(self, rows: int, C: int, itemsize: int) -> list[slice]:
        """Split the rows of a matrix; the split depends on sizes only, so that sums do not depend on the threads."""
        size = PART_BYTES if self._executor.compiled else NUMPY_PART_BYTES
        return slices(rows, max(MIN_ROWS_PER_PART, size // (C * itemsize)))

    def _each_part(self, job: Callable[[slice], object], x: Array) -> None:
        parts = self._parts(len(x), x.shape[1], x.itemsize)
        self._each(lambda i: job(parts[i]), len(parts))

    def _each(self, job: Callable[[int], object], n: int) -> None:
        if n >= MIN_PARALLEL_PARTS:
            self._executor.parallel_for(job, n)
            return
        with blas_on_one_thread():
            for i in range(n):
                job(i)


def _supported(x: Array) -> bool:
    return x.dtype in FLOATS and x.size > 0


def _matrices(norm: NormCoefficients | None, x: Array, *others: Array) -> Iterator[tuple[Array, list[Array], int]]:
    """Yield matrices of x and of the others, and the index of the first element.

    Without batch norm, they are rows of FLAT_ROW_SIZE numbers, and then one row with the remaining numbers.
    """
    if norm is not None:
        yield x, list(others), 0
        return
    full_rows_size = x.size - x.size % FLAT_ROW_SIZE
    for low, high, width in ((0, full_rows_size, FLAT_ROW_SIZE), (full_rows_size, x.size, x.size - full_rows_size)):
        if low < high:
            first, *rest = (a.reshape(-1)[low:high].reshape(-1, width) for a in (x, *others))
            yield first, rest, low
