"""The rule that runs `LayerNorm`, `GroupNorm` and `InstanceNorm2D` by compiled kernels, on several threads.

x is read three times forward and twice backward, example by example, so that it stays in a core's cache between.
`minigan.layers.example_norm` has the equations.
"""

import functools
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minigan.layers.base import Context, Layer, Pullback, Views
from minigan.layers.chain import Fused
from minigan.layers.example_norm import GroupNorm, InstanceNorm2D, LayerNorm
from minigan.ops.cpu.executor import contiguous, slices
from minigan.ops.cpu.memory import arrays
from minigan.ops.cpu.norm_act import MIN_PARALLEL_PARTS
from minigan.ops.protocol import Array, Ops

PART_BYTES = 1 << 18
"""Bytes of the examples of a part: what fits into a core's cache beside y or dx."""
MAX_PARTS = 16
"""Most parts of a batch: each has its own sums for the gradients of gamma and beta, in float64."""
FLOAT64_BYTES = 8
MAX_FOLDED_NUMBERS = 256
"""The most numbers of the pixels that a kernel treats as one, so that its loops over channels are not too short."""


class Sets(NamedTuple):
    """How the numbers of a batch are divided into sets, in the kernels' terms.

    Attributes
    ----------
    examples, pixels, channels : int
        x is a matrix of examples x pixels rows of channels; a row may have several pixels of an image.
    groups : int
        The sets of an example.
    fold : int
        How many pixels a row has.

    """

    examples: int
    pixels: int
    channels: int
    groups: int
    fold: int


def sets_of(layer: Layer, shape: tuple[int, ...]) -> Sets:
    """Return the sets of `layer` for x of this shape (N, ...).

    Parameters
    ----------
    layer : LayerNorm, GroupNorm or InstanceNorm2D
        The layer.
    shape : tuple of int
        The shape of x.

    Returns
    -------
    Sets
        The sets.

    """
    if isinstance(layer, LayerNorm):
        size = math.prod(layer.sizes)
        return Sets(math.prod(shape) // size, 1, size, 1, 1)
    return _image_sets(layer.groups if isinstance(layer, GroupNorm) else shape[-1], shape)


@functools.lru_cache(maxsize=256)
def _image_sets(groups: int, shape: tuple[int, ...]) -> Sets:
    C, pixels = shape[-1], math.prod(shape[1:-1])
    fold = next(k for k in range(max(1, MAX_FOLDED_NUMBERS // C), 0, -1) if pixels % k == 0)
    return Sets(shape[0], pixels // fold, C * fold, groups, fold)


@dataclass(frozen=True)
class ExampleNormStage(Fused):
    """A layer that normalises each example with its own statistics, as a stage of one member."""

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y and the pullback, for x (N, ...) in float32 or float64."""
        layer: Any = self.members[0]
        shape, dtype = x.shape, x.dtype
        layer.output_shape(shape[1:])
        passes = _Passes.of("row" if isinstance(layer, LayerNorm) else "image", sets_of(layer, shape), layer.eps, dtype)
        x = contiguous(x)
        y = arrays.empty(shape, dtype)
        statistics = passes.forward(ctx.ops, p, x, y)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is None and not need_dx:
                return None
            dx = arrays.empty(shape, dtype) if need_dx else None
            passes.backward(ctx.ops, p, x, contiguous(dy), dx, statistics, g)
            return dx

        return y, backward


class _Passes:
    """The two passes over a batch of one shape, part by part.

    Parameters
    ----------
    kind : str
        "row" for a layer norm, else "image".
    sets : Sets
        The sets of the batch.
    eps : float
        That of the layer.
    dtype : dtype
        float32 or float64.

    """

    def __init__(self, kind: str, sets: Sets, eps: float, dtype: np.dtype[Any]) -> None:
        kernels = importlib.import_module(f"minigan.ops.cpu.kernels.numba.{kind}_norm")
        self._forward, self._backward = (
            kernels.callable_at(function, kernels.ARGUMENTS, dtype.name)
            for function in (kernels.forward, kernels.backward)
        )
        self._dx, self._sums = kernels.DX, kernels.SUMS
        self._sets, self._eps = sets, float(eps)
        self._example_bytes = sets.pixels * sets.channels * dtype.itemsize
        size = max(PART_BYTES // self._example_bytes, math.ceil(sets.examples / MAX_PARTS), 1)
        self._parts = slices(sets.examples, size)
        self._features = sets.channels // sets.fold  # of gamma and beta
        self._work = 4 * max(size, sets.channels)

    @classmethod
    @functools.lru_cache(maxsize=256)
    def of(cls, kind: str, sets: Sets, eps: float, dtype: np.dtype[Any]) -> "_Passes":
        """Return the passes; those of recent batches are kept, because a small batch takes as long as making them."""
        return cls(kind, sets, eps, dtype)

    def forward(self, ops: Any, p: Views, x: Array, y: Array) -> Array:
        """Write y; return mu, rest and inverse of each set.    (3, N, G), float64"""
        found = np.empty((3, self._sets.examples, self._sets.groups))
        self._run(ops, self._forward, p, (x, x, y), found, np.empty((len(self._parts), self._work)), 0)
        return found

    def backward(
        self, ops: Any, p: Views, x: Array, dy: Array, dx: Array | None, statistics: Array, g: Views | None
    ) -> None:
        """Write dx, unless it is None, and add to the gradients of gamma and beta, unless g is None."""
        case = (0 if dx is None else self._dx) | (0 if g is None else self._sums)
        C = self._features
        work = np.empty((len(self._parts), 2 * C + self._work))  # sum of dy, sum of dy x_hat, and the workspace
        work[:, : 2 * C] = 0
        self._run(ops, self._backward, p, (x, dy, dy if dx is None else dx), statistics, work, case)
        if g is not None:
            dgamma, dbeta = g["gamma"], g["beta"]
            total = work[:, : 2 * C].sum(axis=0).astype(x.dtype)
            dgamma += total[C:].reshape(dgamma.shape)  # sum of dy x_hat
            dbeta += total[:C].reshape(dbeta.shape)  # sum of dy

    def _run(self, ops: Any, function: Any, p: Views, matrices: Any, statistics: Array, work: Array, case: int) -> None:
        """Call a kernel for each part; all it needs is allocated before."""
        N, *sizes = self._sets
        G, C, numbers = self._sets.groups, self._features, self._example_bytes
        x, dy, out = (a.ctypes.data for a in matrices)
        gamma, beta = (contiguous(p[name]) for name in ("gamma", "beta"))
        vectors = gamma.ctypes.data, beta.ctypes.data
        mu, own = statistics.ctypes.data, work.ctypes.data

        def job(i: int) -> None:
            part = self._parts[i]
            first, n = part.start, part.stop - part.start
            at, of_set, of_part = first * numbers, mu + first * G * FLOAT64_BYTES, own + i * work.strides[0]
            of_work = of_part + (2 * C * FLOAT64_BYTES if case else 0)
            function(
                x + at, dy + at, out + at, *vectors,
                of_set, of_set + N * G * FLOAT64_BYTES, of_set + 2 * N * G * FLOAT64_BYTES,
                of_part, of_part + C * FLOAT64_BYTES, of_work, self._eps, n, *sizes, case,
            )  # fmt: skip

        if len(self._parts) >= MIN_PARALLEL_PARTS:
            ops.parallel_for(job, len(self._parts))
            return
        for i in range(len(self._parts)):
            job(i)


def example_norm(layers: Sequence[Layer], _ops: Ops) -> tuple[ExampleNormStage, int] | None:
    """Replace a layer norm, group norm or instance norm at the beginning of `layers`.

    Parameters
    ----------
    layers
        The layers of a chain that no earlier rule has taken.
    _ops
        The backend; the rule does not depend on it.

    Returns
    -------
    tuple of ExampleNormStage and int, or None
        The stage, and 1; None if the first layer is another one, or of a subclass, which may compute something else.

    """
    if type(layers[0]) in (LayerNorm, GroupNorm, InstanceNorm2D):
        return ExampleNormStage((layers[0],)), 1
    return None
