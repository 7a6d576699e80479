"""Dropout, activation and batch norm of the rows of a matrix (M, C), in few passes over memory (`rows.cu`).

    u = f0(mask0 x)        v = (u - mu) scale + beta        y = mask1 f1(v)          each part may be absent

Every pass recomputes what is between x and y; only x and y are stored.  Without batch norm the matrix is treated as a
flat vector (n,).
"""

from collections.abc import Mapping
from typing import Any

from minigan.ops.cuda.device.base import Device, blocks_for
from minigan.ops.cuda.tiles import MAX_SUM_BLOCKS, THREADS, real_of, tiles_of, width_of
from minigan.ops.norm_act import OPEN, ActivationMask, Norm, constants
from minigan.ops.protocol import Array

NO_NORM = None, None, None, None, None, None, 0.0
STILL = None, None, 0.0, 1.0
"""The arguments of `merge_statistics` without batch norm (NO_NORM) and without running statistics (STILL)."""


class Rows:
    """The passes over the rows on a device.  Arrays are C-contiguous, float32 or float64.

    Attributes
    ----------
    keys : (n,) uint64 array of the device or None
        The dropout keys of a graph, while it is captured.  The `key` of an activation mask is then an index into this
        array, and each replay uses the keys that it finds there.

    """

    gate, norm = ActivationMask, Norm

    def __init__(self, device: Device) -> None:
        self.device = device
        self.keys: Array | None = None

    def contiguous(self, x: Array) -> Array:
        """Return x, or a copy of it, in C order."""
        return self.device.xp.ascontiguousarray(x)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an uninitialised array."""
        return self.device.xp.empty(shape, dtype=dtype)

    def statistics(self, x: Array, before: ActivationMask = OPEN) -> tuple[Array, Array]:
        """Mean and biased variance of u over the rows.    x (M, C)   mu, var (C,)

        Each part of the rows gives the difference between its mean and u of row 0, and its sum of squared deviations;
        the parts are merged in order (Chan, Golub and LeVeque 1979).
        """
        C = x.shape[1]
        if not x.size:
            return self._full(C, x, float("nan")), self._full(C, x, float("nan"))
        mu, var = (self.empty((C,), x.dtype) for _ in range(2))
        self._statistics(x, before, mu, var, *NO_NORM, *STILL)
        return mu, var

    def normalise(
        self, x: Array, before: ActivationMask, layer: Any, p: Mapping[str, Array], running: Mapping[str, Array] | None
    ) -> Norm:
        """Return the batch's coefficients and update the running statistics, in the launches of `statistics`.

        `layer` is the batch norm, which gives eps and the step of the running statistics (`steps`).
        """
        M, C = x.shape
        step, factor = layer.steps(M) if running is not None else (0.0, 1.0)
        if not x.size:
            raise ValueError(f"{layer}: a batch of no rows; expected at least one row")
        mu, var, inverse, scale, shift, rest = self.empty((6, C), x.dtype)
        moving = STILL if running is None else (running["running_mean"], running["running_var"], step, factor)
        vectors = p["gamma"], p["beta"], inverse, scale, shift, rest, layer.eps
        self._statistics(x, before, mu, var, *vectors, *moving)
        return Norm(mu, inverse, scale, shift, rest)

    def _statistics(self, x: Array, before: ActivationMask, mu: Array, var: Array, *rest: Any) -> None:
        M, C = x.shape
        tiles = tiles_of(x)
        mean, m2 = self.empty((2, tiles.parts, C), x.dtype)
        gate = (*_gate(before, x), self.keys)
        grid = tiles.across, tiles.parts
        self._launch("statistics", grid, tiles.width, x, mean, m2, M, C, tiles.rows, tiles.log_lanes, *gate)
        sizes = M, C, tiles.rows, tiles.parts
        self._launch("merge_statistics", -(-C // 8), 1, x, mean, m2, mu, var, *sizes, *gate, *rest)

    def apply(self, x: Array, y: Array, before: ActivationMask, norm: Norm | None, after: ActivationMask) -> None:
        """Write y = mask1 f1((u - mu) scale + beta), or mask1 f1(u) without batch norm, into y."""
        if not x.size:
            return
        gates = (*_gate(before, x), *_gate(after, x), self.keys)
        if norm is None:
            self._flat("apply_flat", x, y, gates=gates)
            return
        vectors = *norm.vectors, norm.rest
        tiles = tiles_of(x, y, *_there(vectors))
        sizes = (*x.shape, tiles.log_lanes)
        self._launch("apply", tiles.grid, tiles.width, x, y, *vectors, *sizes, *gates)

    def sums(
        self, x: Array, dy: Array, before: ActivationMask, norm: Norm, after: ActivationMask
    ) -> tuple[Array, Array]:
        """Return sum_m dv_m and sum_m dv_m x_hat_m; dv = f1'(v) mask1 dy,  x_hat = (u - mu) inverse."""
        M, C = x.shape
        if not x.size:
            return self._full(C, x, 0), self._full(C, x, 0)
        vectors = norm.mu, norm.inverse, norm.scale, norm.beta, norm.rest
        tiles = tiles_of(x, dy, *_there(vectors))
        partial = self.empty((tiles.parts, 2 * C), x.dtype)
        gates = (*_gate(before, x), *_gate(after, x), self.keys)
        sizes = M, C, tiles.rows, tiles.log_lanes
        self._launch("sums", (tiles.across, tiles.parts), tiles.width, x, dy, partial, *vectors, *sizes, *gates)
        both = self.merged(partial)
        return both[:C], both[C:]

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
        if not x.size:
            return
        gates = (*_gate(before, x), *_gate(after, x), self.keys)
        if norm is None:
            self._flat("pull_flat", x, dy, dx, gates=gates)
            return
        vectors = norm.mu, norm.inverse, norm.scale, norm.beta, norm.rest
        tiles = tiles_of(x, dy, dx, *_there(vectors), *(sums or ()))
        sizes = (*x.shape, tiles.log_lanes)
        self._launch("pull", tiles.grid, tiles.width, x, dy, dx, *vectors, *(sums or (None, None)), *sizes, *gates)

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
        sizes = M, C, tiles.rows, tiles.log_lanes
        self._launch("sum_columns", (tiles.across, tiles.parts), tiles.width, rows, partial, *sizes)
        return self.merged(partial)

    def dropout(self, x: Array, rate: float, key: int) -> Array:
        """`reference.dropout`."""
        y = self.empty(x.shape, x.dtype)
        self.apply(self.contiguous(x).reshape(-1), y.reshape(-1), OPEN, None, ActivationMask(rate=rate, key=key))
        return y

    def merged(self, partial: Array) -> Array:
        """Add the sums of the parts in order.    partial (parts, C)   total (C,)"""
        parts, C = partial.shape
        if parts == 1:
            return partial[0]
        total = self.empty((C,), partial.dtype)
        self._launch("merge_sums", -(-C // 8), 1, partial, total, parts, C)
        return total

    def _flat(self, kernel: str, *arrays: Array, gates: tuple[Any, ...]) -> None:
        n = arrays[0].size
        width = width_of(0, *arrays)
        self._launch(kernel, blocks_for(n, THREADS * width, 2 * MAX_SUM_BLOCKS), width, *arrays, n, *gates)

    def _launch(self, kernel: str, grid: int | tuple[int, int], width: int, x: Array, *args: Any) -> None:
        self.device.launch("rows", kernel, grid, THREADS, x, *args, REAL=real_of(x, kernel), WIDTH=width)

    def _full(self, C: int, like: Array, value: float) -> Array:
        return self.device.xp.full(C, value, dtype=like.dtype)


def _there(vectors: tuple[Array | None, ...]) -> list[Array]:
    return [vector for vector in vectors if vector is not None]


def _gate(gate: ActivationMask, x: Array) -> tuple[Any, ...]:
    """Return the kernels' arguments: relu, slope, drops, threshold, key, 1 / (1 - rate)."""
    slope, threshold, _, _, kept = constants(gate, x.dtype)
    return int(gate.relu), slope, int(gate.rate > 0), threshold, gate.key, kept
