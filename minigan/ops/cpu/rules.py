"""Which neighbouring layers the CPU backend runs as one.

`SmallChain` runs small dense layers and their activations in one compiled call each way; the rows of dropout,
activation and batch norm are `minigan.fusion.norm_act`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from minigan.fusion.norm_act import fuse_norm_act
from minigan.layers.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from minigan.layers.base import Context, Layer, Pullback, require_features
from minigan.layers.chain import Fused
from minigan.layers.dense import Dense
from minigan.ops.cpu.mlp import WIDEST, Chain
from minigan.ops.protocol import Array, Ops, Rule


@dataclass(frozen=True)
class SmallChain(Fused):
    """[Dense, activation or none] once or more.  p and g are the members' part of theta and of its gradient."""

    def parameter_views(self, vector: Array) -> Array:
        """Return the vector itself."""
        return vector

    @cached_property
    def _chain(self) -> Chain:
        rows = []
        for layer, above in zip(self.members, (*self.members[1:], None), strict=True):
            if isinstance(layer, Dense):
                name = type(above).__name__ if isinstance(above, ACTIVATIONS) else ""
                rows.append((layer.n_in, layer.n_out, layer.bias, name, getattr(above, "slope", 0.0)))
        return Chain(rows)

    def forward(self, p: Array, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y and the pullback."""
        first = self.members[0]
        assert isinstance(first, Dense)  # noqa: S101  (`small_chain`)
        require_features(first, x, first.n_in)
        chain = self._chain

        def backward(dy: Array, g: Array | None = None, *, need_dx: bool = True) -> Array | None:
            return chain.backward(p, x, dy, g, need_dx=need_dx) if need_dx or g is not None else None

        return chain.forward(p, x), backward


ACTIVATIONS = (ReLU, LeakyReLU, Tanh, Sigmoid)


def small_chain(layers: Sequence[Layer], _ops: Ops) -> tuple[SmallChain, int] | None:
    """The longest run of small dense layers that `layers` begin with, each with its activation; else None."""
    n, width = 0, None
    for layer in layers:
        if type(layer) is Dense:
            fits = max(layer.n_in, layer.n_out) <= WIDEST and width in (None, layer.n_in)
            width = layer.n_out
        else:
            fits = type(layer) in ACTIVATIONS and n > 0 and type(layers[n - 1]) is Dense and _monotonic(layer)
        if not fits:
            break
        n += 1
    return (SmallChain(tuple(layers[:n])), n) if n else None


def _monotonic(layer: Layer) -> bool:
    """Whether the sign of y is that of x: the stage knows an activation by its y."""
    return not isinstance(layer, LeakyReLU) or layer.slope >= 0


COMPILED_RULES: tuple[Rule, ...] = (small_chain, fuse_norm_act)
NUMPY_RULES: tuple[Rule, ...] = (fuse_norm_act,)
"""In the order in which they are tried: with numba's kernels, and without."""
