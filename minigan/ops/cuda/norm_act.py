"""Dropout, activation and batch norm of the rows of a matrix (M, C), in few passes over memory (`norm_act.cu`).

    u = f0(mask0 x)        v = (u - mu) scale + beta        y = mask1 f1(v)          each part may be absent

Every pass recomputes what lies between x and y; only x and y are stored.  Without batch norm, the matrix is processed
as a flat vector (n,).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minigan.ops.cuda.device.base import Device, blocks_for
from minigan.ops.cuda.tiles import MAX_SUM_BLOCKS, THREADS, real_of, tiles_of, width_of
from minigan.ops.norm_act import IDENTITY_MASK, ActivationMask, NormCoefficients, mask_constants
from minigan.ops.protocol import Array

if TYPE_CHECKING:
    from minigan.layers.norm import BatchNorm

NO_NORM = None, None, None, None, None, None, 0.0
"""Arguments of `merge_statistics` without batch norm: gamma, beta, four results, eps."""
NO_RUNNING_STATISTICS = None, None, 0.0, 1.0
"""Arguments of `merge_statistics` without running statistics: mean, variance, step, factor of the variance."""


class NormActivation:
    """The passes over a matrix (M, C) on a device.

    x, y, dx and dy are C-contiguous, float32 or float64, and flat (n,) without batch norm.  The mask `pre` holds f0
    and mask0, the mask `post` holds f1 and mask1.

    Parameters
    ----------
    device : Device
        Where the arrays lie and the kernels run.

    Attributes
    ----------
    keys : (n,) uint64 array of the device or None
        The dropout keys of a graph, while it is captured.  The `key` of an activation mask is then an index into this
        array, and each replay uses the keys that it finds there.

    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.keys: Array | None = None

    def contiguous(self, x: Array) -> Array:
        """Return x, or a copy of it, in C order."""
        return self.device.xp.ascontiguousarray(x)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an uninitialised array."""
        return self.device.xp.empty(shape, dtype=dtype)

    def statistics(self, x: Array, pre: ActivationMask = IDENTITY_MASK) -> tuple[Array, Array]:
        """Return the mean and the biased variance of u over the rows.

        Each part of the rows gives the difference between its mean and u of row 0, and its sum of squared deviations;
        the parts are merged in order (Chan, Golub and LeVeque 1979).

        Parameters
        ----------
        x : (M, C) array
            The input.
        pre : ActivationMask
            The mask that gives u; by default u = x.

        Returns
        -------
        mu, var : (C,) arrays
            Mean and variance, of x's dtype; NaN if x has no rows.

        """
        C = x.shape[1]
        if not x.size:
            return self._full(C, x, float("nan")), self._full(C, x, float("nan"))
        mu, var = (self.empty((C,), x.dtype) for _ in range(2))
        self._statistics(x, pre, mu, var, *NO_NORM, *NO_RUNNING_STATISTICS)
        return mu, var

    def normalise(
        self,
        x: Array,
        pre: ActivationMask,
        layer: "BatchNorm",
        p: Mapping[str, Array],
        running: Mapping[str, Array] | None,
    ) -> NormCoefficients:
        """`minigan.ops.norm_act.NormActivationPasses.normalise`, in the launches of `statistics`; M >= 1."""
        M, C = x.shape
        step, factor = layer.steps(M) if running is not None else (0.0, 1.0)
        if not x.size:
            raise ValueError(f"{layer}: a batch of no rows; expected at least one row")
        mu, var, inverse_std, scale, shift, remainder = self.empty((6, C), x.dtype)
        moving: tuple[Any, ...] = NO_RUNNING_STATISTICS
        if running is not None:
            moving = running["running_mean"], running["running_var"], step, factor
        vectors = p["gamma"], p["beta"], inverse_std, scale, shift, remainder, layer.eps
        self._statistics(x, pre, mu, var, *vectors, *moving)
        return NormCoefficients(mu, inverse_std, scale, shift, remainder)

    def _statistics(self, x: Array, pre: ActivationMask, mu: Array, var: Array, *rest: Any) -> None:
        M, C = x.shape
        tiles = tiles_of(x)
        mean, m2 = self.empty((2, tiles.parts, C), x.dtype)
        mask = (*_arguments(pre, x), self.keys)
        grid = tiles.blocks_across, tiles.parts
        self._launch("statistics", grid, tiles.width, x, mean, m2, M, C, tiles.rows_per_part, tiles.log_lanes, *mask)
        sizes = M, C, tiles.rows_per_part, tiles.parts
        self._launch("merge_statistics", -(-C // 8), 1, x, mean, m2, mu, var, *sizes, *mask, *rest)

    def apply(
        self, x: Array, y: Array, pre: ActivationMask, norm: NormCoefficients | None, post: ActivationMask
    ) -> None:
        """`minigan.ops.norm_act.NormActivationPasses.apply`."""
        if not x.size:
            return
        masks = (*_arguments(pre, x), *_arguments(post, x), self.keys)
        if norm is None:
            self._flat("apply_flat", x, y, masks=masks)
            return
        vectors = *norm.vectors, norm.remainder
        tiles = tiles_of(x, y, *_present(vectors))
        sizes = (*x.shape, tiles.log_lanes)
        self._launch("apply", tiles.grid, tiles.width, x, y, *vectors, *sizes, *masks)

    def sums(
        self, x: Array, dy: Array, pre: ActivationMask, norm: NormCoefficients, post: ActivationMask
    ) -> tuple[Array, Array]:
        """`minigan.ops.norm_act.NormActivationPasses.sums`."""
        M, C = x.shape
        if not x.size:
            return self._full(C, x, 0), self._full(C, x, 0)
        vectors = norm.mu, norm.inverse_std, norm.scale, norm.beta, norm.remainder
        tiles = tiles_of(x, dy, *_present(vectors))
        partial = self.empty((tiles.parts, 2 * C), x.dtype)
        masks = (*_arguments(pre, x), *_arguments(post, x), self.keys)
        sizes = M, C, tiles.rows_per_part, tiles.log_lanes
        self._launch("sums", (tiles.blocks_across, tiles.parts), tiles.width, x, dy, partial, *vectors, *sizes, *masks)
        both = self.merged(partial)
        return both[:C], both[C:]

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
        if not x.size:
            return
        masks = (*_arguments(pre, x), *_arguments(post, x), self.keys)
        if norm is None:
            self._flat("backward_flat", x, dy, dx, masks=masks)
            return
        vectors = norm.mu, norm.inverse_std, norm.scale, norm.beta, norm.remainder
        tiles = tiles_of(x, dy, dx, *_present(vectors), *(sums or ()))
        sizes = (*x.shape, tiles.log_lanes)
        self._launch("backward", tiles.grid, tiles.width, x, dy, dx, *vectors, *(sums or (None, None)), *sizes, *masks)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """`reference.moments`."""
        return self.statistics(self.contiguous(x).reshape(-1, x.shape[-1]))

    def sum_rows(self, x: Array) -> Array:
        """`reference.sum_rows`."""
        rows = self.contiguous(x).reshape(-1, x.shape[-1])
        M, C = rows.shape
        if not x.size:
            return self._full(C, x, 0)
        tiles = tiles_of(rows)
        partial = self.empty((tiles.parts, C), x.dtype)
        sizes = M, C, tiles.rows_per_part, tiles.log_lanes
        self._launch("sum_columns", (tiles.blocks_across, tiles.parts), tiles.width, rows, partial, *sizes)
        return self.merged(partial)

    def dropout(self, x: Array, rate: float, key: int) -> Array:
        """`reference.dropout`."""
        y = self.empty(x.shape, x.dtype)
        self.apply(
            self.contiguous(x).reshape(-1), y.reshape(-1), IDENTITY_MASK, None, ActivationMask(rate=rate, key=key)
        )
        return y

    def merged(self, partial: Array) -> Array:
        """Add the sums of the parts in order.    partial (parts, C)   total (C,)"""
        parts, C = partial.shape
        if parts == 1:
            return partial[0]
        total = self.empty((C,), partial.dtype)
        self._launch("merge_sums", -(-C // 8), 1, partial, total, parts, C)
        return total

    def _flat(self, kernel: str, *arrays: Array, masks: tuple[Any, ...]) -> None:
        n = arrays[0].size
        width = width_of(0, *arrays)
        self._launch(kernel, blocks_for(n, THREADS * width, 2 * MAX_SUM_BLOCKS), width, *arrays, n, *masks)

    def _launch(self, kernel: str, grid: int | tuple[int, int], width: int, x: Array, *args: Any) -> None:
        self.device.launch("norm_act", kernel, grid, THREADS, x, *args, REAL=real_of(x, kernel), WIDTH=width)

    def _full(self, C: int, like: Array, value: float) -> Array:
        return self.device.xp.full(C, value, dtype=like.dtype)


def _present(vectors: tuple[Array | None, ...]) -> list[Array]:
    return [vector for vector in vectors if vector is not None]


def _arguments(mask: ActivationMask, x: Array) -> tuple[Any, ...]:
    """Return the kernels' arguments: relu, slope, drops, threshold, key, 1 / (1 - rate)."""
    slope, threshold, _, _, keep_scale = mask_constants(mask, x.dtype)
    return int(mask.relu), slope, int(mask.rate > 0), threshold, mask.key, keep_scale
