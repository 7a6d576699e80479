"""Batch normalisation (Ioffe and Szegedy 2015, Algorithms 1 and 2)."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from minigan._arguments import scalar, set_flags, set_numbers, set_sizes
from minigan._deprecated import renamed_fields
from minigan._names import unknown
from minigan.initializers import Constant, Initializer, Zeros
from minigan.layers.base import Context, Layer, PairPullback, Parameter, Pullback, Shape, ShapeError, Views
from minigan.ops.protocol import Array

MAX_MEAN2_PER_VARIANCE = 1024
"""The limit of mu^2 / var above which a channel is centred again: x - mu still contains the rounding error of mu.
Below it, that error is less than 2e-6 of the standard deviation in float32."""


@renamed_fields(momentum_on="convention")
@dataclass(frozen=True)
class BatchNorm(Layer):
    """y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps).    x, y (..., C)   gamma, beta (C,)

    In training, mu and var are the mean and the biased variance of the batch over all axes but the last (M rows); at
    inference, they are the running statistics.  PyTorch and Keras update the running statistics differently:

    convention="new":  running <- (1 - momentum) running + momentum batch        (PyTorch, the default)
    convention="old":  running <- momentum running + (1 - momentum) batch        (Keras)
    unbiased=True:      the running variance follows M / (M - 1) var              (PyTorch, the default)

    Parameters
    ----------
    channels : int
        C, the size of the last axis of x; at least 1.
    eps : float
        What is added to var, > 0, so that a constant channel divides by no zero; 1e-5 as in PyTorch.
    momentum : float
        A weight in the update of the running statistics, in [0, 1]; 0.1 as in PyTorch.
    convention : {"new", "old"}
        What `momentum` multiplies: the new statistics, those of the batch (as in PyTorch, the default), or the old
        ones, the running statistics (as in Keras).
    unbiased : bool
        Whether the running variance follows the unbiased variance; the batch needs M >= 2 then.
    gamma_init, beta_init : Initializer
        The initial distributions of gamma and beta; 1 and 0 by default, so that y = x_hat at first.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    ShapeError
        In `output_shape` and `forward`, if x is not (N, ..., C), or if M < 2 with `unbiased` in training.

    Examples
    --------
    >>> BatchNorm(64) == BatchNorm(64, eps=1e-5, momentum=0.1)
    True
    >>> BatchNorm.keras(64).convention
    'old'

    """

    per_example = True
    config_keys: ClassVar[Mapping[str, str]] = {"convention": "momentum_on"}

    channels: int
    _: KW_ONLY
    eps: float = 1e-5
    momentum: float = 0.1
    convention: str = "new"
    unbiased: bool = True
    gamma_init: Initializer = Constant(1.0)
    beta_init: Initializer = Zeros()

    @classmethod
    def keras(cls, channels: int, *, eps: float = 1e-3, momentum: float = 0.99) -> "BatchNorm":
        """Return the layer that Keras calls BatchNormalization(momentum=momentum, epsilon=eps), with its defaults."""
        return cls(channels, eps=eps, momentum=momentum, convention="old", unbiased=False)

    def __post_init__(self) -> None:
        set_sizes(self, "channels")
        set_flags(self, "unbiased")
        set_numbers(self, eps="(0, inf)", momentum="[0, 1]")
        if self.convention not in ("old", "new"):
            raise ValueError(unknown("convention", self.convention, ("old", "new")))

    def mixes_examples(self, *, train: bool) -> bool:
        """Return `train`: the statistics of a training pass are those of the batch."""
        return train

    def parameters(self) -> dict[str, Parameter]:
        """Return gamma (C,) and beta (C,)."""
        C = self.channels
        return {
            "gamma": Parameter((C,), self.gamma_init, C, C),
            "beta": Parameter((C,), self.beta_init, C, C),
        }

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return the running mean (C,), initially 0, and the running variance (C,), initially 1."""
        return {"running_mean": ((self.channels,), 0.0), "running_var": ((self.channels,), 1.0)}

    def output_shape(self, shape: Shape) -> Shape:
        """(..., C) -> (..., C)."""
        if not shape or shape[-1] != self.channels:
            raise ShapeError(f"input shape {shape}; expected (..., {self.channels})")
        return shape

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Normalise with the batch (train) or with the running statistics."""
        self.require_channels(x)
        if not ctx.train:
            return self._infer(p, x, ctx)
        return self._train(p, x, ctx) if ctx.sub_batches == 1 else self._train_sub_batches(p, x, ctx)

    def require_channels(self, x: Array) -> None:
        """Raise ShapeError unless x is (N, ..., C)."""
        if x.shape[-1] != self.channels or x.ndim < 2:
            raise ShapeError(f"x has shape {x.shape}; expected (N, ..., {self.channels})")

    def _train(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        ops, gamma = ctx.ops, p["gamma"]
        M = x.size // self.channels
        mu, var = ops.moments(x)
        if ctx.update_state and ctx.state is not None:
            self.update(ctx.state, mu, var, M)
        inverse = 1 / ops.xp.sqrt(var + scalar(self.eps, x.dtype))
        centred = x - mu
        if x.dtype.kind == "f":  # subtract the rounding error of the mean, where it is not negligible
            far = self.far(mu, var)
            for _ in range(2):  # the first sum is less accurate: its terms have one sign
                centred -= ops.xp.where(far, ops.sum_rows(centred) / M, 0)
        x_hat = centred * inverse

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            sum_dy = ops.sum_rows(dy)
            sum_dy_x = ops.sum_rows(dy * x_hat)
            if g is not None:
                dgamma, dbeta = g["gamma"], g["beta"]
                dgamma += sum_dy_x  # dL/dgamma = sum_m dy_m x_hat_m
                dbeta += sum_dy  # dL/dbeta = sum_m dy_m
            if not need_dx:
                return None
            # dL/dx = gamma / sqrt(var + eps) (dy - mean(dy) - x_hat mean(dy x_hat))
            return (gamma * inverse) * (dy - sum_dy / M - x_hat * (sum_dy_x / M))

        return gamma * x_hat + p["beta"], backward

    def _train_sub_batches(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Normalise each sub-batch by its own statistics; the running statistics follow them one after another."""
        xp = ctx.ops.xp
        passes = [self._train(p, part, ctx) for part in xp.split(x, ctx.sub_batches)]

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            parts = zip(passes, xp.split(dy, len(passes)), strict=True)
            dx = [back(part, g, need_dx=need_dx) for (_, back), part in parts]
            return xp.concatenate(dx) if need_dx else None

        return xp.concatenate([y for y, _ in passes]), backward

    def _infer(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        ops, gamma, state = ctx.ops, p["gamma"], ctx.state
        assert state is not None  # noqa: S101  (Network always passes it)
        # A copy: a later training step writes the running statistics in place.
        mu = state["running_mean"].copy()
        inverse = 1 / ops.xp.sqrt(state["running_var"] + scalar(self.eps, x.dtype))

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            if g is not None:
                dgamma, dbeta = g["gamma"], g["beta"]
                dgamma += ops.sum_rows(dy * ((x - mu) * inverse))
                dbeta += ops.sum_rows(dy)
            return dy * (gamma * inverse) if need_dx else None

        return (x - mu) * (gamma * inverse) + p["beta"], backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return y, y_dot = gamma inverse x_dot and their pullback at inference, inverse = 1 / sqrt(var + eps).

        It is refused in training: there y_n depends on all examples, so that grad_x of a sum of outputs is not the
        gradient of each example's own output.
        """
        self.require_channels(x)
        if self.mixes_examples(train=ctx.train):
            raise ValueError(
                "batch norm in training has no gradient penalty, because an output depends on all examples of the "
                "batch; expected another normalisation, or train=False"
            )
        ops, gamma = ctx.ops, p["gamma"]
        assert ctx.state is not None  # noqa: S101  (Network always passes it)
        inverse = 1 / ops.xp.sqrt(ctx.state["running_var"] + scalar(self.eps, x.dtype))
        y, pullback = self._infer(p, x, ctx)

        def backward(
            dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            dx = None if dy is None else pullback(dy, g, need_dx=need_dx)
            if dy_dot is None:
                return dx, None
            if g is not None:
                dgamma = g["gamma"]
                dgamma += ops.sum_rows(dy_dot * (x_dot * inverse))  # y_dot does not depend on beta
            return dx, dy_dot * (gamma * inverse) if need_dx else None

        return y, x_dot * (gamma * inverse), backward

    @staticmethod
    def far(mu: Array, var: Array) -> Array:
        """Return a mask (C,) of the channels whose mean is large enough that its rounding error must be corrected."""
        return mu * mu > MAX_MEAN2_PER_VARIANCE * var

    def update(self, state: Views, mu: Array, var: Array, M: int) -> None:
        """Move the running statistics towards those of a batch, in place: running <- running + step (batch - running).

        step is `momentum`, or 1 - momentum with ``convention="old"``.  For step > 1/2 the formula is written as
        batch + (1 - step) (running - batch), so that a step of 1 gives the batch's statistics exactly.  In float32 the
        relative error is at most 1e-6 if both values have the same sign; a change of less than half a unit in the last
        place of the running value is lost.

        Parameters
        ----------
        state
            The running statistics, "running_mean" and "running_var", each (C,).
        mu, var
            The batch's mean and biased variance (C,).
        M
            The number of values in each channel of the batch.

        """
        step = scalar(self.steps(M)[0], mu.dtype)
        stay = scalar(1 - step, mu.dtype)
        if self.unbiased:
            var = var * M / (M - 1)
        for name, batch in (("running_mean", mu), ("running_var", var)):
            running = state[name]
            if step > 0.5:  # start from the batch: a much larger running value would cost it digits
                running[...] = batch + stay * (running - batch)
            else:
                running += step * (batch - running)

    def steps(self, M: int) -> tuple[float, float]:
        """Return the step of the running statistics, and the scale, M / (M - 1) or 1, of the biased variance."""
        if self.unbiased and M < 2:
            raise ShapeError(f"the unbiased variance needs 2 or more values per channel, got {M}")
        step = self.momentum if self.convention == "new" else 1 - self.momentum
        return step, M / (M - 1) if self.unbiased else 1.0
