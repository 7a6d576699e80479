"""Dropout, activation and batch norm of the rows of a matrix (M, C), in few passes over memory.

    u = f0(mask0 x)        v = (u - mu) scale + beta        y = mask1 f1(v)          each part may be absent

The matrix is split into parts of rows that fit into a core's cache.  Every pass recomputes, part by part, what lies
between x and y; only x and y are stored.  Without batch norm, the matrix is split as a flat vector.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minigan._arguments import scalar
from minigan.ops import reference
from minigan.ops.cpu.executor import FLOATS, KernelSet, contiguous, slices
from minigan.ops.cpu.kernels.norm_act import Pass
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.threads.blas import blas_on_one_thread
from minigan.ops.cpu.threads.pool import NO_MAILBOXES
from minigan.ops.norm_act import IDENTITY_MASK, ActivationMask, NormCoefficients
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
        rows = self._rows(x)
        parts = slices(M, rows)
        pivot, remainder, m2 = np.empty((3, len(parts), C))
        far = self._run(Pass("statistics", x, rows, pre=pre, sums=(pivot, remainder, m2)))
        for i in far.nonzero()[0]:  # once more, with a pivot nearer to the mean
            part, near = parts[i], (pivot[i] + remainder[i]).astype(x.dtype)
            u = x[part]
            if not pre.is_identity:
                u = arrays.empty(u.shape, x.dtype)
                self._run(Pass("pre", x[part], rows, (u,), post=pre, first=part.start * C))
            again = pivot[i : i + 1], remainder[i : i + 1], m2[i : i + 1]
            self._run(Pass("statistics", u - near, rows, sums=again))
            pivot[i] += near
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
        for rows, others, first in _matrices(norm, x, y):
            self._run(Pass("apply", rows, self._rows(rows), (*others,), pre, post, first, vectors))

    def sums(
        self, x: Array, dy: Array, pre: ActivationMask, norm: NormCoefficients, post: ActivationMask
    ) -> tuple[Array, Array]:
        """`minigan.ops.norm_act.NormActivationPasses.sums`."""
        M, C = x.shape
        rows = self._rows(x)
        sum_d, sum_dx = np.empty((2, -(-M // rows), C))
        self._run(Pass("sums", x, rows, (dy,), pre, post, norm=norm.vectors, sums=(sum_d, sum_dx)))
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
        for rows, others, first in _matrices(norm, x, dy, dx):
            self._run(Pass("backward", rows, self._rows(rows), (*others,), pre, post, first, vectors, mean_terms))

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
        parts = slices(len(rows), self._rows(rows))
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

    def _rows(self, x: Array) -> int:
        """Return the rows of a part; they depend on sizes only, so that sums do not depend on the threads."""
        size = PART_BYTES if self._executor.compiled else NUMPY_PART_BYTES
        return max(MIN_ROWS_PER_PART, size // (x.shape[1] * x.itemsize))

    def _run(self, work: Pass) -> NDArray[np.int64]:
        """Run a pass with the kernels of NumPy or of numba."""
        threads: Any = self._each
        if self._executor.compiled:
            alone = len(work.x) <= (MIN_PARALLEL_PARTS - 1) * work.rows
            threads = NO_MAILBOXES if alone else self._executor.team()
        far: NDArray[np.int64] = self._kernels.run(work, threads)
        return far

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
