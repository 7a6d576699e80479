"""The rule that fuses dense layers, with what follows each of them, if there is no numba.

As often as possible: Dense [activation] [BatchNorm] [ReLU or LeakyReLU].

In the pullback, dL/dW and dL/dx of a layer do not depend on each other: one thread computes dL/dW while another one
computes dL/dx and then the gradients of the layers before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigan._cached import cached_property
from minigan.fusion.norm_act import fuse_norm_act
from minigan.layers.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from minigan.layers.base import Context, Layer, Pullback, require_features
from minigan.layers.chain import Chain, Fused, stages
from minigan.layers.dense import Dense
from minigan.layers.norm import BatchNorm
from minigan.ops.cpu.numpy_dense_block import DenseBlock, Kept
from minigan.ops.cpu.threads.blas import blas_on_one_thread
from minigan.ops.protocol import Array, Ops

MIN_WEIGHTS = 1 << 14
"""How many weights one of the layers must have."""
MAX_ROWS = 512
"""The most rows of a batch whose arrays stay in the cache between two functions of NumPy."""


@dataclass(frozen=True)
class NumpyDense(Fused):
    """Dense layers, activations and batch norm as one stage.

    The parameters p, their gradient g and the running statistics are pairs of lists of named views: those of each
    member, and those of each stage of `_by_layer`.
    """

    writes_gradient = True

    @cached_property
    def _chain(self) -> Chain:
        return Chain(self.members)

    @cached_property
    def _by_layer(self) -> Chain:
        """The stages that compute larger batches: dense layers alone, and what follows each of them."""
        backend: Any = SimpleNamespace(rules=(fuse_norm_act,))
        return Chain(tuple(layer for layer, *_ in stages(self.members, backend, np.dtype("float32"))))

    @cached_property
    def _blocks(self) -> list[DenseBlock]:
        found, at = [], 0
        for block in _blocks(self.members):
            found.append(DenseBlock(at, *block))
            at += sum(layer is not None for layer in block)
        return found

    def parameter_views(self, vector: Array) -> Any:
        """Return the views of the members' parameters and those of `_by_layer`."""
        return self._chain.parameter_views(vector), self._by_layer.parameter_views(vector)

    def state_views(self, vector: Array) -> Any:
        """Return the views of the members' running statistics and those of `_by_layer`."""
        return self._chain.state_views(vector), self._by_layer.state_views(vector)

    def forward(self, p: Any, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y (N, O) and the pullback, for x (N, I)."""
        first = self._blocks[0].dense
        require_features(first, x, first.n_in)
        if len(x) > MAX_ROWS:
            return self._forward_by_layer(p[1], x, ctx)
        states, done = None if ctx.state is None else ctx.state[0], []
        with blas_on_one_thread():
            for block in self._blocks:
                x, kept = block.forward(p[0], states, x, ctx)
                done.append(kept)
        del kept

        def backward(dy: Array, g: Any = None, *, need_dx: bool = True, overwrite: bool = False) -> Array | None:
            if g is None and not need_dx:
                return None
            with blas_on_one_thread():
                named = None if g is None else g[0]
                return self._backward(p[0], done, dy, named, ctx.ops, need_dx=need_dx, overwrite=overwrite)

        return x, backward

    def _backward(
        self, p: Any, done: list[Kept], dy: Array, g: Any, ops: Any, *, need_dx: bool, overwrite: bool
    ) -> Array | None:
        blocks, last = self._blocks, len(self._blocks) - 1
        gradient: Array | None = blocks[last].output_backward(done[last], dy, g, overwrite=overwrite, own=False)
        for i in range(last, -1, -1):
            da = gradient
            assert da is not None  # noqa: S101  (only that of the first block may be missing)

            def downwards(executor: Any, i: int = i, da: Array = da) -> Array:
                dx = blocks[i].input_gradient(p, da, executor)
                if i == 0:
                    return dx
                return blocks[i - 1].output_backward(done[i - 1], dx, g, overwrite=overwrite, own=True)

            goes_on = downwards if need_dx or i > 0 else None
            gradient = blocks[i].backward(done[i], da, g, ops, goes_on, overwrite=overwrite)
        return gradient

    def _forward_by_layer(self, p: Any, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        state = None if ctx.state is None else ctx.state[1]
        y, pullback = self._by_layer.forward(
            p, x, Context(ctx.ops, ctx.train, ctx.rng, state, ctx.update_state, ctx.sub_batches, ctx.predrawn_keys)
        )

        def backward(dy: Array, g: Any = None, *, need_dx: bool = True, overwrite: bool = False) -> Array | None:
            if overwrite and g is not None:
                for layer, named in zip(self._by_layer.layers, g[1], strict=True):
                    if not isinstance(layer, Dense):  # adds its gradient
                        for view in named.values():
                            view.fill(0)
            found: Array | None = pullback(dy, None if g is None else g[1], need_dx=need_dx, overwrite=overwrite)
            return found

        return y, backward


Block = tuple[Dense, Layer | None, BatchNorm | None, Layer | None]
"""A dense layer, the activation before batch norm, batch norm, and the activation after it."""


def _blocks(layers: Sequence[Layer]) -> list[Block]:
    """Return the blocks at the beginning of `layers`."""
    rest = list(layers)
    found: list[Block] = []

    def take(*kinds: type[Layer]) -> Any:  # the exact type: a subclass may compute something else
        return rest.pop(0) if rest and type(rest[0]) in kinds and _monotonic(rest[0]) else None

    while (dense := take(Dense)) is not None:
        if found and dense.n_in != found[-1][0].n_out:
            break
        f = take(ReLU, LeakyReLU)
        norm = take(BatchNorm)
        if norm is not None and norm.channels != dense.n_out:  # an error, which the layers themselves report
            found.append((dense, f, None, None))
            break
        if norm is None:
            f = f or take(Tanh, Sigmoid)
        found.append((dense, f, norm, None if norm is None else take(ReLU, LeakyReLU)))
    return found


def _monotonic(layer: Layer) -> bool:
    """Return whether y > 0 where x > 0 alone, because the pullback finds the activation's derivative from y."""
    return not isinstance(layer, LeakyReLU) or layer.slope > 0


def numpy_dense(layers: Sequence[Layer], _ops: Ops) -> tuple[NumpyDense, int] | None:
    """Fuse as many dense layers as `layers` begins with, with what follows each of them.

    Parameters
    ----------
    layers
        The layers of a chain from some place on.
    _ops
        The backend; the rule does not depend on it.

    Returns
    -------
    tuple of NumpyDense and int, or None
        The stage and how many layers it replaces; None if `layers` does not begin with a dense layer, or none of these
        has MIN_WEIGHTS weights.

    """
    blocks = _blocks(layers)
    if not any(dense.n_in * dense.n_out >= MIN_WEIGHTS for dense, *_ in blocks):
        return None
    n = sum(layer is not None for block in blocks for layer in block)
    return NumpyDense(tuple(layers[:n])), n
