"""A dense layer and what follows it, as a block of `minigan.ops.cpu.numpy_dense`.

a = x W + b    u = f(a)    v = (u - mu) / std gamma + beta    y = h(v)        f, batch norm and h may be absent
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan._arguments import scalar
from minigan.layers.base import Context, Layer, add_or_write
from minigan.layers.dense import Dense
from minigan.layers.norm import BatchNorm
from minigan.ops.cpu import matmul
from minigan.ops.cpu.kernels.numpy import dense_blocks as kernels
from minigan.ops.cpu.memory import arrays
from minigan.ops.protocol import Array

MIN_PAIR_FLOP, MAX_PAIR_FLOP = 6e6, 6e7
"""The floating-point operations of each of two products that two threads compute side by side: smaller ones take less
time than waking a thread, and each of two larger ones keeps all threads busy."""


@dataclass(frozen=True, slots=True)
class Norm:
    """Batch norm of a sub-batch: v = (d - remainder) inverse_std gamma + beta, d = u minus a vector; each (O,)."""

    inverse_std: Array
    scale: Array
    remainder: Array | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a forward pass leaves to the pullback.

    Parameters
    ----------
    x, y : (N, I) and (N, O) arrays
        The input and the output.
    d : (N, O) array or None
        What batch norm scales.
    negative : (N, O) array of bool or None
        Where u <= 0, if there are f and batch norm.
    norms : sequence of (slice, Norm)
        The rows of each sub-batch and its batch norm.
    train : bool
        Whether the statistics are those of the batch.

    """

    x: Array
    y: Array
    d: Array | None
    negative: Array | None
    norms: Sequence[tuple[slice, Norm]]
    train: bool


@dataclass(frozen=True)
class DenseBlock:
    """A dense layer and what follows it.

    Parameters
    ----------
    at : int
        The index of the dense layer in the stage; the index of batch norm is the next one, or the one after it.
    dense : Dense
        The dense layer.
    f, norm, h : Layer or None
        The activation, batch norm and the activation after it.

    """

    at: int
    dense: Dense
    f: Layer | None
    norm: BatchNorm | None
    h: Layer | None

    @property
    def _norm_at(self) -> int:
        return self.at + 1 + (self.f is not None)

    def forward(self, p: Sequence[Any], states: Any, x: Array, ctx: Context) -> tuple[Array, Kept]:
        """Return y (N, O) and what the pullback needs, for x (N, I), and update the running statistics.

        Parameters
        ----------
        p, states : sequences of views
            The parameters and running statistics of the stage's members.
        x : (N, I) array
            The batch.
        ctx : Context
            The backend and the mode.

        """
        N, O, dtype, train = len(x), self.dense.n_out, x.dtype, ctx.train
        a, f, norm = arrays.empty((N, O), dtype), self.f, self.norm
        executor: Any = ctx.ops
        matmul.affine_into(x, p[self.at]["W"], p[self.at].get("b"), a, executor)
        if f is not None:
            kernels.activate(a, a, *_activation(f, dtype))
        if norm is None:
            return a, Kept(x, a, None, None, (), train)
        negative = None if f is None else np.less_equal(a, 0)
        y, views = arrays.empty((N, O), dtype), p[self._norm_at]
        state = None if states is None else states[self._norm_at]
        norms: list[tuple[slice, Norm]] = []
        if train:
            count = ctx.sub_batches
            vectors = np.empty((count, 5, O), dtype)
            size, eps, gamma, beta = N // count, scalar(norm.eps, dtype), views["gamma"], views["beta"]
            for i, (mean, var, remainder, inverse, scale) in enumerate(vectors):
                rows = slice(i * size, (i + 1) * size)
                d, out = (a, y) if count == 1 else (a[rows], y[rows])
                kernels.centre(d, mean, var, remainder, out)
                kernels.coefficients(var, eps, gamma, inverse, scale)
                kernels.scale_and_shift(d, scale, beta - remainder * scale, out)
                norms.append((rows, Norm(inverse, scale, remainder)))
                if ctx.update_state and state is not None:
                    norm.update(state, mean, var, size)
        else:
            assert state is not None  # noqa: S101  (Network always passes it)
            inverse, scale = np.empty((2, O), dtype)
            kernels.coefficients(state["running_var"], scalar(norm.eps, dtype), views["gamma"], inverse, scale)
            np.subtract(a, state["running_mean"], out=a)
            kernels.scale_and_shift(a, scale, views["beta"], y)
            norms.append((slice(0, N), Norm(inverse, scale, None)))
        if self.h is not None:
            kernels.activate(y, y, *_activation(self.h, dtype))
        return y, Kept(x, y, a, negative, norms, train)

    def output_backward(self, kept: Kept, dy: Array, g: Any, *, overwrite: bool, own: bool) -> Array:
        """Return dL/da (N, O), and add or write the gradients of gamma and beta.

        Parameters
        ----------
        kept : Kept
            What `forward` returned.
        dy : (N, O) array
            dL/dy.
        g : sequence of views or None
            The gradients of the stage's members.
        overwrite : bool
            Whether gradients replace what g holds.
        own : bool
            Whether dy may be overwritten.

        """
        if self.norm is None:
            if self.f is None:
                return dy
            da = dy if own else arrays.empty(dy.shape, dy.dtype)
            kernels.activate_backward(dy, kept.y, None, da, *_activation(self.f, dy.dtype))
            return da
        d = kept.d
        assert d is not None  # noqa: S101  (`forward` keeps it)
        da = dy if own else arrays.empty(dy.shape, dy.dtype)
        if self.h is not None:
            kernels.activate_backward(dy, kept.y, None, da, *_activation(self.h, dy.dtype))
            dy = da
        for i, (rows, norm) in enumerate(kept.norms):
            sums = None
            if g is not None or kept.train:
                sums = kernels.norm_sums(d[rows], dy[rows], norm.remainder, norm.inverse_std)
                if g is not None:
                    views = g[self._norm_at]
                    add_or_write(views["gamma"], sums[1], overwrite=overwrite and i == 0)
                    add_or_write(views["beta"], sums[0], overwrite=overwrite and i == 0)
            means = sums if kept.train else None
            kernels.norm_backward(d[rows], dy[rows], norm.remainder, norm.inverse_std, norm.scale, means, da[rows])
        if self.f is not None:
            kernels.activate_backward(da, None, kept.negative, da, *_activation(self.f, dy.dtype))
        return da

    def input_gradient(self, p: Sequence[Any], da: Array, executor: Any) -> Array:
        """Return dL/dx = da W^T, (N, I); with None as executor, without cutting the product."""
        return matmul.times_transpose(da, p[self.at]["W"], executor)

    def backward(
        self, kept: Kept, da: Array, g: Any, executor: Any, downwards: Callable[[Any], Array] | None, *, overwrite: bool
    ) -> Array | None:
        """Add or write dL/dW = x^T da and dL/db, and return what `downwards` returns, if it is not None.

        Parameters
        ----------
        kept : Kept
            What `forward` returned.
        da : (N, O) array
            dL/da.
        g : sequence of views or None
            The gradients of the stage's members; None if they are not needed.
        executor : minigan.ops.cpu.CPU
            Runs both on two threads if that takes less time.
        downwards : callable or None
            Computes dL/dx, and what is below this layer, on the executor that it is given.
        overwrite : bool
            Whether gradients replace what g holds.

        """
        if g is None:
            return None if downwards is None else downwards(executor)
        x, dW, db = kept.x, g[self.at]["W"], g[self.at].get("b")
        flop = 2 * len(x) * dW.size
        pair = downwards is not None and MIN_PAIR_FLOP <= flop <= MAX_PAIR_FLOP

        def weights() -> None:
            if db is not None:
                add_or_write(db, kernels.sum_rows(da), overwrite=overwrite)
            if not pair:
                matmul.add_product(x, da, dW, executor, overwrite=overwrite)
            elif overwrite:
                np.matmul(x.T, da, out=dW)
            else:
                np.add(dW, x.T @ da, out=dW)

        if downwards is None or not pair:
            weights()
            return None if downwards is None else downwards(executor)
        found: list[Array] = []
        executor.parallel_for(lambda i: weights() if i else found.append(downwards(None)), 2)
        return found[0]


def _activation(layer: Layer, dtype: np.dtype[Any]) -> tuple[str, Any]:
    """Return the name of an activation and its slope."""
    return type(layer).__name__, dtype.type(getattr(layer, "slope", 0.0))
