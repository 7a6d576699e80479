"""Dropout (Srivastava et al. 2014), inverted: nothing is scaled at inference."""

from dataclasses import dataclass

from minigan._arguments import scalar, set_numbers
from minigan.layers.base import Context, Layer, Pullback, Views
from minigan.ops import Array


@dataclass(frozen=True)
class Dropout(Layer):
    """y = mask x,  mask = 1/(1 - rate) with probability 1 - rate, else 0; the identity at inference.    x, y (N, ...)

    `rate` is the probability of dropping a unit (1 minus the paper's p).  Training needs ``rng=``.  Where y = x (at
    inference, or with rate 0), y is x itself, not a copy.
    """

    rate: float

    def __post_init__(self) -> None:
        set_numbers(self, rate="[0, 1)")

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return mask x and its pullback; the same mask in both directions."""
        if not ctx.train or self.rate == 0:
            return x, lambda dy, _g=None, *, need_dx=True: dy if need_dx else None
        if ctx.rng is None:
            raise ValueError(f"{self}: training needs forward(..., rng=np.random.Generator), got rng=None")
        mask = ctx.ops.dropout_mask(ctx.rng, x, scalar(self.rate, x.dtype))

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return dy * mask if need_dx else None  # dL/dx = mask dy

        return x * mask, backward
