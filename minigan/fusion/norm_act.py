"""[Dropout] [activation] [BatchNorm] [activation] [Dropout], whichever are there, as one stage over rows (M, C).

    u = f0(mask0 x)    v = (u - mu) / sqrt(var + eps) gamma + beta    y = mask1 f1(v)

The layers define it; each backend brings the passes over memory (`minigan.ops.cpu.norm_act`).  The pullback keeps x
alone (masks are made again from their keys), or without batch norm y, which the layer above keeps as its x anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from minigan._arguments import scalar
from minigan.layers.activation import LeakyReLU, ReLU
from minigan.layers.base import Context, Layer, Pullback, Views
from minigan.layers.chain import Fused
from minigan.layers.dropout import Dropout
from minigan.layers.norm import BatchNorm
from minigan.ops.protocol import Array, Ops

if TYPE_CHECKING:  # the engine is loaded when a network first asks for it
    from minigan.ops.cpu.norm_act import Rows
    from minigan.ops.norm_act import ActivationMask, Norm


@dataclass(frozen=True)
class FusedRows(Fused):
    """The members in their order: `drop0`, `f0`, `norm`, `f1`, `drop1`; None where there is none."""

    drop0: Dropout | None
    f0: Layer | None
    norm: BatchNorm | None
    f1: Layer | None
    drop1: Dropout | None

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Run each group of the batch with its own statistics and masks."""
        if self.norm is not None:
            self.norm.require_channels(x)
        ops: Any = ctx.ops
        rows: Rows = ops.rows
        before, after = (_gates(rows, *ends, ctx) for ends in ((self.drop0, self.f0), (self.drop1, self.f1)))
        gates = list(zip(before, after, strict=True))
        if self.norm is None and all(gate.idle for pair in gates for gate in pair):
            return x, lambda dy, _g=None, *, need_dx=True: dy if need_dx else None
        y = rows.empty(x.shape, x.dtype)
        x_groups, y_groups, passes = self._split(ops, x, ctx.sub_batches), self._split(ops, y, ctx.sub_batches), []
        for x_part, y_part, (first, last) in zip(x_groups, y_groups, gates, strict=True):
            norm = self._normalise(rows, p, x_part, first, ctx)
            rows.apply(x_part, y_part, first, norm, last)
            passes.append(_Pass(rows, first, norm, last, ctx.train))
        kept: list[Array] | None = x_groups
        if self.norm is None:
            if last.slope >= 0 and not (last.relu and last.rate):
                kept = y_groups  # y > 0 where v > 0, but for what is dropped (there ReLU would hide an infinite dy)
            if not (self.f0 or self.f1):
                kept = None
        shape, sub_batches = x.shape, ctx.sub_batches
        del x, y_part, x_part, x_groups, y_groups

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is None and not need_dx:
                return None
            dx = rows.empty(shape, dy.dtype) if need_dx else None
            dy_groups = self._split(ops, dy, sub_batches)
            dx_groups: Sequence[Array | None] = (
                [None] * sub_batches if dx is None else self._split(ops, dx, sub_batches)
            )
            for i, one in enumerate(passes):
                one.back((kept or dy_groups)[i], dy_groups[i], dx_groups[i], g)
            return dx

        return y, backward

    def _split(self, ops: Any, x: Array, sub_batches: int) -> list[Array]:
        """Return the groups in plain, contiguous memory, as matrices (M, C); flat without batch norm."""
        plain = ops.rows.contiguous(x)
        matrix = plain.reshape(-1) if self.norm is None else plain.reshape(-1, self.norm.channels)
        return [matrix] if sub_batches == 1 else ops.xp.split(matrix, sub_batches)

    def _normalise(self, rows: "Rows", p: Views, x: Array, before: "ActivationMask", ctx: Context) -> "Norm | None":
        """With the batch's statistics, which move the running ones (train), or with the running ones."""
        if self.norm is None:
            return None
        state = ctx.state
        if ctx.train:
            return rows.normalise(x, before, self.norm, p, state if ctx.update_state else None)
        assert state is not None  # noqa: S101  (Network always hands it over)
        mu, var = state["running_mean"].copy(), state["running_var"]  # copies: training writes them in place
        inverse = 1 / ctx.ops.xp.sqrt(var + scalar(self.norm.eps, x.dtype))
        return rows.norm(mu, inverse, p["gamma"] * inverse, p["beta"].copy())


@dataclass(frozen=True, slots=True)
class _Pass:
    """What the pullback of one group needs beside x."""

    rows: "Rows"
    before: "ActivationMask"
    norm: "Norm | None"
    after: "ActivationMask"
    of_batch: bool

    def back(self, x: Array, dy: Array, dx: Array | None, g: Views | None) -> None:
        """Write dx, and add the gradients of gamma and beta to g."""
        sums = None
        if self.norm is not None and (g is not None or self.of_batch):
            sums = self.rows.sums(x, dy, self.before, self.norm, self.after)
            if g is not None:
                dgamma, dbeta = g["gamma"], g["beta"]
                dgamma += sums[1].astype(x.dtype, copy=False)  # dL/dgamma = sum_m dv_m x_hat_m
                dbeta += sums[0].astype(x.dtype, copy=False)  # dL/dbeta = sum_m dv_m
        if dx is not None:
            self.rows.pull(x, dy, dx, self.before, self.norm, self.after, sums if self.of_batch else None)


def _gates(rows: "Rows", drop: Dropout | None, f: Layer | None, ctx: Context) -> "list[ActivationMask]":
    """Return each group's gate; dropout draws its keys."""
    gate = rows.gate(relu=isinstance(f, ReLU), slope=float(f.slope) if isinstance(f, LeakyReLU) else 1.0)
    keys = None if drop is None else drop.draw_keys(ctx)
    if drop is None or keys is None:
        return [gate] * ctx.sub_batches
    return [replace(gate, rate=float(drop.rate), key=key) for key in keys]


def run_of_rows(layers: Sequence[Layer], _ops: Ops) -> tuple[FusedRows, int] | None:
    """The rule: as many of the five as come first, in their order; without batch norm one activation."""
    rest = list(layers)

    def take(*kinds: type[Layer]) -> Any:  # a class of one's own that inherits from them is another layer
        return rest.pop(0) if rest and type(rest[0]) in kinds else None

    drop0, f0, norm = take(Dropout), take(ReLU, LeakyReLU), take(BatchNorm)
    f1 = take(ReLU, LeakyReLU) if norm or not f0 else None
    if norm is None:
        f0, f1 = None, f0 or f1
    drop1 = take(Dropout) if norm or f1 else None
    members = tuple(layers[: len(layers) - len(rest)])
    return (FusedRows(members, drop0, f0, norm, f1, drop1), len(members)) if members else None
