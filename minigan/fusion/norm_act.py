"""[Dropout] [activation] [BatchNorm] [activation] [Dropout], as many as there are, as one stage over rows (M, C).

    u = f0(mask0 x)    v = (u - mu) / sqrt(var + eps) gamma + beta    y = mask1 f1(v)

The layers define the result; each backend has the passes over memory (such as `minigan.ops.cpu.norm_act`).  The
pullback keeps x only, and recomputes the masks from their keys; without batch norm it keeps y instead, which the next
layer keeps as its x anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from minigan._arguments import scalar
from minigan.layers.activation import LeakyReLU, ReLU
from minigan.layers.base import Context, Layer, Pullback, Views
from minigan.layers.chain import Fused
from minigan.layers.dropout import Dropout
from minigan.layers.norm import BatchNorm
from minigan.ops.norm_act import ActivationMask, NormActivationPasses, NormCoefficients
from minigan.ops.protocol import Array, Ops


@dataclass(frozen=True)
class FusedNormActivation(Fused):
    """Dropout, activation, batch norm, activation and dropout as one stage.

    Parameters
    ----------
    members : tuple of Layer
        The layers that the stage replaces, in order.
    drop0, f0, norm, f1, drop1 : Layer or None
        The same layers by their role; None where there is none.

    """

    drop0: Dropout | None
    f0: Layer | None
    norm: BatchNorm | None
    f1: Layer | None
    drop1: Dropout | None

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return y and the pullback; each sub-batch has its own statistics and masks.

        Parameters
        ----------
        p : mapping of str to array
            "gamma" and "beta", each (C,), if there is batch norm.
        x : (N, ..., C) array
            The input, float32 or float64.
        ctx : Context
            The backend, the mode, the state and the random keys.

        Returns
        -------
        y : (N, ..., C) array
            The output; x itself if the stage changes nothing.
        pullback : Pullback
            Returns dx, and adds the gradients of gamma and beta to its argument g.

        Raises
        ------
        ShapeError
            If x does not have the channels of batch norm, or has too few rows for its statistics.

        """
        if self.norm is not None:
            self.norm.require_channels(x)
        ops: Any = ctx.ops
        norm_act: NormActivationPasses = ops.norm_act
        pre_masks, post_masks = _masks(self.drop0, self.f0, ctx), _masks(self.drop1, self.f1, ctx)
        if self.norm is None and all(mask.is_identity for mask in (*pre_masks, *post_masks)):
            return x, lambda dy, _g=None, *, need_dx=True: dy if need_dx else None
        y = norm_act.empty(x.shape, x.dtype)
        x_groups, y_groups, passes = self._split(ops, x, ctx.sub_batches), self._split(ops, y, ctx.sub_batches), []
        for x_part, y_part, pre, post in zip(x_groups, y_groups, pre_masks, post_masks, strict=True):
            norm = self._normalise(norm_act, p, x_part, pre, ctx)
            norm_act.apply(x_part, y_part, pre, norm, post)
            passes.append(_SubBatchPass(norm_act, pre, norm, post, ctx.train))
        saved: list[Array] | None = x_groups
        if self.norm is None:
            if post.slope >= 0 and not (post.relu and post.rate):
                saved = y_groups  # y > 0 where v > 0, except where dropped (there a ReLU would hide an infinite dy)
            if not (self.f0 or self.f1):
                saved = None
        shape, sub_batches = x.shape, ctx.sub_batches
        del x, y_part, x_part, x_groups, y_groups

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is None and not need_dx:
                return None
            dx = norm_act.empty(shape, dy.dtype) if need_dx else None
            dy_groups = self._split(ops, dy, sub_batches)
            dx_groups: Sequence[Array | None] = (
                [None] * sub_batches if dx is None else self._split(ops, dx, sub_batches)
            )
            for i, one in enumerate(passes):
                one.backward((saved or dy_groups)[i], dy_groups[i], dx_groups[i], g)
            return dx

        return y, backward

    def _split(self, ops: Any, x: Array, sub_batches: int) -> list[Array]:
        """Return the sub-batches as contiguous matrices (M, C), or as flat vectors (n,) without batch norm."""
        contiguous = ops.norm_act.contiguous(x)
        matrix = contiguous.reshape(-1) if self.norm is None else contiguous.reshape(-1, self.norm.channels)
        return [matrix] if sub_batches == 1 else ops.xp.split(matrix, sub_batches)

    def _normalise(
        self, norm_act: NormActivationPasses, p: Views, x: Array, pre: ActivationMask, ctx: Context
    ) -> NormCoefficients | None:
        """Normalise with the batch, which updates the running statistics (train), or with the running statistics."""
        if self.norm is None:
            return None
        state = ctx.state
        if ctx.train:
            return norm_act.normalise(x, pre, self.norm, p, state if ctx.update_state else None)
        assert state is not None  # noqa: S101  (Network always passes it)
        mu, var = state["running_mean"].copy(), state["running_var"]  # a copy: training writes the mean in place
        inverse_std = 1 / ctx.ops.xp.sqrt(var + scalar(self.norm.eps, x.dtype))
        return NormCoefficients(mu, inverse_std, p["gamma"] * inverse_std, p["beta"].copy())


@dataclass(frozen=True, slots=True)
class _SubBatchPass:
    """The forward pass of one sub-batch: all that its pullback needs, except for x."""

    norm_act: NormActivationPasses
    pre: ActivationMask
    norm: NormCoefficients | None
    post: ActivationMask
    batch_statistics: bool
    """Whether mu and var depend on x: in training, not at inference."""

    def backward(self, x: Array, dy: Array, dx: Array | None, g: Views | None) -> None:
        """Write dx, and add the gradients of gamma and beta to g."""
        sums = None
        if self.norm is not None and (g is not None or self.batch_statistics):
            sums = self.norm_act.sums(x, dy, self.pre, self.norm, self.post)
            if g is not None:
                dgamma, dbeta = g["gamma"], g["beta"]
                dgamma += sums[1].astype(x.dtype, copy=False)  # dL/dgamma = sum_m dv_m x_hat_m
                dbeta += sums[0].astype(x.dtype, copy=False)  # dL/dbeta = sum_m dv_m
        if dx is not None:
            means = sums if self.batch_statistics else None
            self.norm_act.backward(x, dy, dx, self.pre, self.norm, self.post, means)


def _masks(drop: Dropout | None, f: Layer | None, ctx: Context) -> list[ActivationMask]:
    """Return the mask of each sub-batch; dropout draws its keys from `ctx`."""
    mask = ActivationMask(relu=isinstance(f, ReLU), slope=float(f.slope) if isinstance(f, LeakyReLU) else 1.0)
    keys = None if drop is None else drop.draw_keys(ctx)
    if drop is None or keys is None:
        return [mask] * ctx.sub_batches
    return [replace(mask, rate=float(drop.rate), key=key) for key in keys]


def fuse_norm_act(layers: Sequence[Layer], _ops: Ops) -> tuple[FusedNormActivation, int] | None:
    """Fuse as many of the five layers as `layers` begins with, in their order; without batch norm, one activation.

    Parameters
    ----------
    layers : sequence of Layer
        The layers of a chain that no earlier rule has taken.
    _ops : Ops
        The backend; the rule does not depend on it.

    Returns
    -------
    (FusedNormActivation, int) or None
        The stage and the number of layers that it replaces, or None if the first layer is none of the five.

    """
    rest = list(layers)

    def take(*kinds: type[Layer]) -> Any:  # the exact type: a subclass may compute something else
        return rest.pop(0) if rest and type(rest[0]) in kinds else None

    drop0, f0, norm = take(Dropout), take(ReLU, LeakyReLU), take(BatchNorm)
    f1 = take(ReLU, LeakyReLU) if norm or not f0 else None
    if norm is None:
        f0, f1 = None, f0 or f1
    drop1 = take(Dropout) if norm or f1 else None
    members = tuple(layers[: len(layers) - len(rest)])
    return (FusedNormActivation(members, drop0, f0, norm, f1, drop1), len(members)) if members else None
