"""Batch normalisation (Ioffe and Szegedy 2015, Algorithms 1 and 2)."""

from dataclasses import KW_ONLY, dataclass

from minigan._arguments import scalar, set_numbers, set_sizes, set_truths
from minigan._names import unknown
from minigan.initializers import Constant, Initializer, Zeros
from minigan.layers.base import Context, Layer, Parameter, Pullback, Shape, ShapeError, Views
from minigan.ops.protocol import Array

FAR = 1024
"""From mu^2 > FAR var on, the remainder that rounding leaves of mu is subtracted too: below, it is less than 2e-6 of
the spread in float32."""


@dataclass(frozen=True)
class BatchNorm(Layer):
    """y = gamma x_hat + beta,  x_hat = (x - mu) / sqrt(var + eps).    x, y (..., C)   gamma, beta (C,)

    While training, mu and var are the mean and biased variance over all axes but the last (M rows);
    at inference, the running statistics.  Frameworks disagree on how those move:

    momentum_on="new":  running <- (1 - momentum) running + momentum batch        (PyTorch, the default)
    momentum_on="old":  running <- momentum running + (1 - momentum) batch        (Keras)
    unbiased=True:      M / (M - 1) var goes into the running variance            (PyTorch, the default)

    ``BatchNorm.keras(channels)`` has the four defaults of Keras: eps 1e-3, momentum 0.99 on the old value, biased.
    """

    per_example = True

    channels: int
    _: KW_ONLY
    eps: float = 1e-5
    momentum: float = 0.1
    momentum_on: str = "new"
    unbiased: bool = True
    gamma_init: Initializer = Constant(1.0)
    beta_init: Initializer = Zeros()

    @classmethod
    def keras(cls, channels: int, *, eps: float = 1e-3, momentum: float = 0.99) -> "BatchNorm":
        """Return the layer that Keras means by BatchNormalization(momentum=momentum, epsilon=eps)."""
        return cls(channels, eps=eps, momentum=momentum, momentum_on="old", unbiased=False)

    def __post_init__(self) -> None:
        set_sizes(self, "channels")
        set_truths(self, "unbiased")
        set_numbers(self, eps="(0, inf)", momentum="[0, 1]")
        if self.momentum_on not in ("old", "new"):
            raise ValueError(unknown("momentum_on", self.momentum_on, ("old", "new")))

    def parameters(self) -> dict[str, Parameter]:
        """Return gamma (C,) and beta (C,)."""
        C = self.channels
        return {
            "gamma": Parameter((C,), self.gamma_init, C, C),
            "beta": Parameter((C,), self.beta_init, C, C),
        }

    def state(self) -> dict[str, tuple[Shape, float]]:
        """Return the running mean, from 0, and variance, from 1."""
        return {"running_mean": ((self.channels,), 0.0), "running_var": ((self.channels,), 1.0)}

    def output_shape(self, shape: Shape) -> Shape:
        """(..., C) -> (..., C)."""
        if not shape or shape[-1] != self.channels:
            raise ShapeError(f"input shape {shape}; accepted: (..., {self.channels})")
        return shape

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Normalise with the batch (train) or with the running statistics."""
        self.require_channels(x)
        if not ctx.train:
            return self._infer(p, x, ctx)
        return self._train(p, x, ctx) if ctx.sub_batches == 1 else self._train_groups(p, x, ctx)

    def require_channels(self, x: Array) -> None:
        """Raise ShapeError unless x is (N, ..., C)."""
        if x.shape[-1] != self.channels or x.ndim < 2:
            raise ShapeError(f"x has shape {x.shape}; accepted: (N, ..., {self.channels})")

    def _train(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        ops, gamma = ctx.ops, p["gamma"]
        M = x.size // self.channels
        mu, var = ops.moments(x)
        if ctx.update_state and ctx.state is not None:
            self.update(ctx.state, mu, var, M)
        inverse = 1 / ops.xp.sqrt(var + scalar(self.eps, x.dtype))
        centred = x - mu
        if x.dtype.kind == "f":  # what rounding to x's dtype left of the mean, where it counts
            far = self.far(mu, var)
            for _ in range(2):  # the first sum is of numbers that lie on one side of 0, and less accurate
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

    def _train_groups(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Each group with its own statistics, which go into the running ones in turn."""
        xp = ctx.ops.xp
        passes = [self._train(p, part, ctx) for part in xp.split(x, ctx.sub_batches)]

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            parts = zip(passes, xp.split(dy, len(passes)), strict=True)
            dx = [back(part, g, need_dx=need_dx) for (_, back), part in parts]
            return xp.concatenate(dx) if need_dx else None

        return xp.concatenate([y for y, _ in passes]), backward

    def _infer(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        ops, gamma, state = ctx.ops, p["gamma"], ctx.state
        assert state is not None  # noqa: S101  (Network always hands it over)
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

    @staticmethod
    def far(mu: Array, var: Array) -> Array:
        """Return for which channels the mean is so far from 0 that what rounding leaves of it counts."""
        return mu * mu > FAR * var

    def update(self, state: Views, mu: Array, var: Array, M: int) -> None:
        """Move the running statistics towards those of a batch of M values a channel.

        With step = momentum (on the new value) or 1 - momentum (on the old one), running <- running + step (batch -
        running).  For step > 1/2 that is batch + (1 - step) (running - batch), so that a step of 1 gives the batch's
        statistics exactly.  In float32 the result is within 1e-6 of itself where the running value and the batch's
        have one sign; a move of less than half a unit in the last place of the running value is lost.
        """
        step = scalar(self.steps(M)[0], mu.dtype)
        stay = scalar(1 - step, mu.dtype)
        if self.unbiased:
            var = var * M / (M - 1)
        for name, batch in (("running_mean", mu), ("running_var", var)):
            running = state[name]
            if step > 0.5:  # from the batch's side: a running value far above the batch's takes no digits from it
                running[...] = batch + stay * (running - batch)
            else:
                running += step * (batch - running)

    def steps(self, M: int) -> tuple[float, float]:
        """Return how far the running statistics move, and by what the biased variance of M values is multiplied."""
        if self.unbiased and M < 2:
            raise ShapeError(f"the unbiased variance needs 2 values a channel or more, got {M}")
        step = self.momentum if self.momentum_on == "new" else 1 - self.momentum
        return step, M / (M - 1) if self.unbiased else 1.0
