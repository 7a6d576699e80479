"""Inverted dropout (Srivastava et al. 2014): training scales the units that it keeps, inference scales nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from minigan._arguments import scalar, set_numbers
from minigan.layers.base import Context, Layer, PairPullback, Pullback, Views
from minigan.ops.protocol import Array


@dataclass(frozen=True)
class Dropout(Layer):
    """y = mask x,  mask = 1/(1 - rate) with probability 1 - rate, else 0; the identity at inference.    x, y (N, ...)

    At inference, and with rate 0, y is x itself, not a copy.  Training needs ``Network.forward(..., rng=...)``.

    The mask drops a unit with probability round(rate 2^32) / 2^32, which differs from `rate` by at most 2^-33, and
    keeps it with probability at least 2^-32.  The scale 1 / (1 - rate) is computed from `rate` itself, with an error of
    at most one unit in the last place.

    Parameters
    ----------
    rate : float
        The probability of dropping a unit, in [0, 1): 1 - p for the paper's p.

    Raises
    ------
    ValueError
        If `rate` is outside [0, 1); in `forward`, if a training pass has no `rng`.

    Examples
    --------
    >>> Dropout(0.5).to_config()
    {'layer': 'Dropout', 'rate': 0.5}

    """

    per_example = True
    piecewise_linear = True

    rate: float

    def __post_init__(self) -> None:
        set_numbers(self, rate="[0, 1)")

    def forward(self, p: Views, x: Array, ctx: Context) -> tuple[Array, Pullback]:
        """Return mask x and its pullback, which applies the same mask to dy."""
        masked = self._mask(x, ctx)

        def backward(dy: Array, g: Views | None = None, *, need_dx: bool = True) -> Array | None:
            return masked(dy) if need_dx else None  # dL/dx = mask dy: the same keys, the same mask

        return masked(x), backward

    def pushforward(self, p: Views, x: Array, x_dot: Array, ctx: Context) -> tuple[Array, Array, PairPullback]:
        """Return mask x, mask x_dot and their pullback, all with one mask."""
        masked = self._mask(x, ctx)

        def backward(
            dy: Array | None, dy_dot: Array | None, g: Views | None = None, *, need_dx: bool = True
        ) -> tuple[Array | None, Array | None]:
            dx, dx_dot = (None if dv is None or not need_dx else masked(dv) for dv in (dy, dy_dot))
            return dx, dx_dot

        return masked(x) if ctx.y is None else ctx.y, masked(x_dot), backward

    def _mask(self, x: Array, ctx: Context) -> Callable[[Array], Array]:
        """Draw the keys of a pass, and return the function v -> mask v."""
        keys = self.draw_keys(ctx)
        if keys is None:
            return lambda v: v
        ops, rate = ctx.ops, scalar(self.rate, x.dtype)

        def masked(v: Array) -> Array:
            parts = [ops.dropout(part, rate, key) for part, key in zip(ops.xp.split(v, len(keys)), keys, strict=True)]
            return parts[0] if len(parts) == 1 else ops.xp.concatenate(parts)

        return masked

    @property
    def n_keys(self) -> int:
        """The number of random keys of a training pass: 1 for the mask, or 0 if nothing is dropped."""
        return int(self.rate > 0)

    def draw_keys(self, ctx: Context) -> list[int] | None:
        """Return a new random key for each sub-batch, or None if y = x."""
        if not ctx.train or self.rate == 0:
            return None
        if ctx.rng is None and ctx.predrawn_keys is None:
            raise ValueError("training needs forward(..., rng=np.random.Generator), got rng=None")
        return ctx.keys()
