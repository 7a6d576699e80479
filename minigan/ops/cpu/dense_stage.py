"""The rule that fuses dense layers, with what follows each of them, into one stage (`minigan.ops.cpu.dense`).

[Dropout] then, as often as possible, (Dense or Maxout) [activation] [BatchNorm] [ReLU or LeakyReLU] [Dropout]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minigan._cached import cached_property
from minigan.layers.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from minigan.layers.base import Context, Layer, Pullback, require_features
from minigan.layers.chain import Fused
from minigan.layers.dense import Dense
from minigan.layers.dropout import Dropout
from minigan.layers.maxout import Maxout
from minigan.layers.norm import BatchNorm
from minigan.ops.cpu.dense import DenseLayer, DenseNetwork
from minigan.ops.protocol import Array, Ops

MAX_WEIGHTS = 1 << 22
"""The most weights of a layer that is fused: larger matrices do not fit into a processor's cache with their
gradients."""
MAX_PIECES = 127
"""The most pieces of a Maxout layer that is fused: the number of the winner is stored in a byte."""
MIN_COLUMNS = 64
"""How many columns one of the products must have, so that several threads can share it."""


@dataclass(frozen=True)
class DenseStage(Fused):
    """Dense layers, activations, batch norm and dropout as one stage.

    The parameters p, their gradient g and the running statistics are vectors: the members' parts of theta and so on.
    """

    writes_gradient = True

    def parameter_views(self, vector: Array) -> Array:
        """Return the vector itself, because the kernels index it directly."""
        return vector

    def state_views(self, vector: Array) -> Array:
        """Return the vector itself."""
        return vector

    @cached_property
    def _plan(self) -> tuple[list[Dropout], DenseNetwork]:
        blocks, first, layers = list(_blocks(self.members)), self.members[0], []
        for linear, f, norm, h, drop in blocks:
            pieces = linear.pieces if isinstance(linear, Maxout) else 1
            layers.append(
                DenseLayer(
                    linear.n_in, linear.n_out, pieces,
                    bias=getattr(linear, "bias", True),
                    activation="" if f is None else type(f).__name__,
                    slope=float(getattr(f, "slope", 0.0)),
                    norm=norm,
                    relu=isinstance(h, ReLU),
                    norm_slope=float(h.slope) if isinstance(h, LeakyReLU) else 1.0,
                    rate=float(drop.rate) if drop is not None else 0.0,
                )
            )  # fmt: skip
        drops = [layer for layer in self.members if isinstance(layer, Dropout) and layer.rate]
        return drops, DenseNetwork(layers, float(first.rate) if isinstance(first, Dropout) else 0.0)

    def forward(self, p: Array, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y (N, O) and the pullback, for x (N, I) and the parameters p (P,)."""
        ops: Any = ctx.ops
        linear = next(layer for layer in self.members if isinstance(layer, (Dense, Maxout)))
        require_features(linear, x, linear.n_in)
        drops, network = self._plan
        keys = [drop.draw_keys(ctx) or [] for drop in drops] if ctx.train else []
        sub_batches = ctx.sub_batches if ctx.train else 1  # at inference every example is computed alone
        y, done = network.forward(
            p, ctx.state, x, ops,
            train=ctx.train, update_state=ctx.update_state, sub_batches=sub_batches, keys=keys, keep=ctx.keep,
        )  # fmt: skip

        def backward(
            dy: Array, g: Array | None = None, *, need_dx: bool = True, overwrite: bool = False
        ) -> Array | None:
            if g is None and not need_dx:
                return None
            if not ctx.keep:
                raise RuntimeError("the forward pass kept nothing for its pullback; expected a Context with keep=True")
            return network.backward(p, done, dy, g, ops, need_dx=need_dx, overwrite=overwrite)

        return y, backward


Block = tuple[Any, Layer | None, BatchNorm | None, Layer | None, Dropout | None]
"""A Dense or Maxout layer, the activation before batch norm, batch norm, the activation after it, and dropout."""


def _blocks(layers: Sequence[Layer]) -> list[Block]:
    """Return the blocks at the beginning of `layers`, after a Dropout layer if they begin with one."""
    rest, found = list(layers), []

    def take(*kinds: type[Layer]) -> Any:  # the exact type: a subclass may compute something else
        return rest.pop(0) if rest and type(rest[0]) in kinds and _monotonic(rest[0]) else None

    take(Dropout)
    width = None
    while rest and type(rest[0]) in (Dense, Maxout):
        linear: Any = rest[0]
        pieces = getattr(linear, "pieces", 1)
        fits = linear.n_in * linear.n_out * pieces <= MAX_WEIGHTS and pieces <= MAX_PIECES
        if not fits or width not in (None, linear.n_in):
            break
        rest.pop(0)
        width, f, norm, h = linear.n_out, None, None, None
        if type(linear) is Dense:
            f = take(ReLU, LeakyReLU, Tanh, Sigmoid)
            if rest and type(rest[0]) is BatchNorm and rest[0].channels == width:
                norm = take(BatchNorm)
                h = take(ReLU, LeakyReLU)
        found.append((linear, f, norm, h, take(Dropout)))
    return found


def _monotonic(layer: Layer) -> bool:
    """Return whether y has the sign of x, because the backward pass finds the activation's derivative from y."""
    return not isinstance(layer, LeakyReLU) or layer.slope >= 0


def dense_stage(layers: Sequence[Layer], _ops: Ops) -> tuple[DenseStage, int] | None:
    """Fuse as many dense layers as `layers` begins with, with what follows each of them.

    Parameters
    ----------
    layers
        The layers of a chain that no earlier rule has taken.
    _ops
        The backend; the rule does not depend on it.

    Returns
    -------
    tuple of DenseStage and int, or None
        The stage and how many layers it replaces; None if `layers` does not begin with a dense layer (or with dropout
        before one), or no product has MIN_COLUMNS columns.

    """
    blocks = _blocks(layers)
    if not any(linear.n_out * getattr(linear, "pieces", 1) >= MIN_COLUMNS for linear, *_ in blocks):
        return None
    n = sum(layer is not None for block in blocks for layer in block) + isinstance(layers[0], Dropout)
    return DenseStage(tuple(layers[:n])), n
