"""Dropout (Srivastava et al. 2014), inverted: nothing is scaled at inference."""

from dataclasses import dataclass

from minigan._arguments import scalar, set_numbers
from minigan.layers.base import Context, Layer, Pullback, Views
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class Dropout(Layer):
    """y = mask x,  mask = 1/(1 - rate) with probability 1 - rate, else 0; the identity at inference.    x, y (N, ...)

    `rate` is the probability of dropping a unit (1 minus the paper's p).  Training needs ``rng=``.  Where y = x (at
    inference, or with rate 0), y is x itself, not a copy.

    A unit is dropped with the probability round(rate 2^32) / 2^32, within 2^-33 of `rate`, kept with 2^-32 or more;
    what is kept is scaled by 1 / (1 - rate) itself, to a unit in the last place.
    """

    per_example = True

    rate: float

    def __post_init__(self) -> None:
        set_numbers(self, rate="[0, 1)")

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return mask x and its pullback; the same mask in both directions."""
        keys = self.draw_keys(ctx)
        if keys is None:
            return x, lambda dy, _g=None, *, need_dx=True: dy if need_dx else None
        ops, rate = ctx.ops, scalar(self.rate, x.dtype)

        def masked(v: Array) -> Array:
            parts = [ops.dropout(part, rate, key) for part, key in zip(ops.xp.split(v, len(keys)), keys, strict=True)]
            return parts[0] if len(parts) == 1 else ops.xp.concatenate(parts)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return masked(dy) if need_dx else None  # dL/dx = mask dy: the same keys, the same mask

        return masked(x), backward

    @property
    def n_keys(self) -> int:
        """One, for the mask."""
        return int(self.rate > 0)

    def draw_keys(self, ctx: Context) -> list[int] | None:
        """Draw a key for each group; None where y = x."""
        if not ctx.train or self.rate == 0:
            return None
        if ctx.rng is None:
            raise ValueError("training needs forward(..., rng=np.random.Generator), got rng=None")
        return ctx.keys()
