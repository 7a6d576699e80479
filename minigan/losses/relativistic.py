"""Relativistic objectives, which compare the logits of real examples and of fakes (Jolicoeur-Martineau 2018)."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from minigan._arguments import set_numbers
from minigan.layers.base import ShapeError
from minigan.losses.protocol import Value
from minigan.losses.separable import factor, size
from minigan.ops import ops_of
from minigan.ops.protocol import Array, Ops


@dataclass(frozen=True)
class _Relativistic:
    """What both have in common: the scales, and that no part of J_D belongs to one kind of examples."""

    _: KW_ONLY
    d_scale: float = 1.0
    g_scale: float = 1.0
    needs_real: ClassVar[bool] = True

    def __post_init__(self) -> None:
        set_numbers(self, d_scale="(0, inf)", g_scale="(0, inf)")

    def one_side(self, s: Array, *, real: bool, ops: Ops | None = None) -> tuple[Value, Array]:
        """Raise ValueError, as J_D compares real examples with fakes."""
        raise ValueError(
            f"{type(self).__name__} compares real examples with fakes, so J_D has no part for one kind; "
            "expected a schedule that updates D on both, such as alternating"
        )

    def _real_logits(self, s_real: Array | None) -> Array:
        """Return s_real; raise ValueError if there are none."""
        if s_real is None:
            raise ValueError(
                f"{type(self).__name__} compares fakes with real examples: s_real must be their logits, got None"
            )
        return s_real

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return sigma(s): at the optimum p / (p + q), up to the constant in s that J_D leaves undetermined."""
        return (ops_of(s) if ops is None else ops).sigmoid(s).reshape(-1)


@dataclass(frozen=True)
class RelativisticPairing(_Relativistic):
    """D tells which of a pair is real   (RpGAN: Jolicoeur-Martineau 2018, section 4; Huang et al. 2024, R3GAN, eq. 2).

    With the differences d = s_real - s_fake of N pairs,

    J_D = d_scale mean softplus(-d),   ds_real = -d_scale sigma(-d) / N,   ds_fake = d_scale sigma(-d) / N
    J_G = g_scale mean softplus(d),    ds_fake = -g_scale sigma(d) / N

    sigma(d) is D's probability that the first of (x_real, x_fake) is the real one; J_D is its cross-entropy, and J_G
    that of the opposite answer.  For fixed G, D* answers p(x) q(y) / (p(x) q(y) + q(x) p(y)), that is
    s*(x) = log p(x) / q(x) + constant.  G's cost compares each fake with a real example, so fakes in one place cannot
    all be better than the real ones: this is what keeps G from collapsing to few modes (Huang et al. 2024, section 2).
    G has no influence on s_real, which is a constant in its gradient.

    The i-th real example and the i-th fake are a pair, so N = M.

    Parameters
    ----------
    d_scale, g_scale : float
        The scales of J_D and of J_G, > 0; 1 as in the papers.

    Raises
    ------
    ValueError
        If a scale is not a number > 0; in `one_side`, and in `generator` without s_real.
    ShapeError
        In the methods, if logits are not (N,) or (N, 1), or there are not as many real examples as fakes.

    Examples
    --------
    >>> import numpy as np
    >>> cost, ds = RelativisticPairing().generator(np.zeros((2, 1)), np.zeros((2, 1)))
    >>> round(float(cost), 4), ds.tolist()
    (0.6931, [[-0.25], [-0.25]])

    """

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real = -d_scale sigma(-d) / N, ds_fake = -ds_real."""
        ops = ops_of(s_real) if ops is None else ops
        value, ds = ops.mean_softplus(_differences(s_real, s_fake), -1, factor(self.d_scale, s_real))
        return value, ds, -ds

    def generator(self, s_fake: Array, s_real: Array | None = None, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G and ds_fake = -g_scale sigma(d) / N."""
        ops = ops_of(s_fake) if ops is None else ops
        d = _differences(self._real_logits(s_real), s_fake)
        value, ds = ops.mean_softplus(d, 1, factor(self.g_scale, s_fake))
        return value, -ds


@dataclass(frozen=True)
class RelativisticAverage(_Relativistic):
    """D compares each example with the mean of the other kind   (RaGAN: Jolicoeur-Martineau 2018, section 4.2).

    With d_real = s_real - mean s_fake (N, 1) and d_fake = s_fake - mean s_real (M, 1),

    J_D = d_scale (mean softplus(-d_real) + mean softplus(d_fake))
    J_G = g_scale (mean softplus(d_real) + mean softplus(-d_fake))

    By the chain rule the gradient e_real = dJ/dd_real (N, 1) also reaches every fake through the mean, and e_fake every
    real example:  ds_real = e_real - sum(e_fake) / N,  ds_fake = e_fake - sum(e_real) / M.

    Parameters
    ----------
    d_scale, g_scale : float
        The scales of J_D and of J_G, > 0; 1 as in the paper.

    Raises
    ------
    ValueError
        If a scale is not a number > 0; in `one_side`, and in `generator` without s_real.
    ShapeError
        In the methods, if logits are not (N,) or (N, 1).

    """

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real and ds_fake."""
        return self._cost(s_real, s_fake, 1, self.d_scale, ops)

    def generator(self, s_fake: Array, s_real: Array | None = None, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G and ds_fake."""
        value, _, ds_fake = self._cost(self._real_logits(s_real), s_fake, -1, self.g_scale, ops)
        return value, ds_fake

    def _cost(
        self, s_real: Array, s_fake: Array, sign: int, scale: float, ops: Ops | None
    ) -> tuple[Value, Array, Array]:
        """scale (mean softplus(-sign d_real) + mean softplus(sign d_fake)) and its gradients."""
        n_real, n_fake = size(s_real), size(s_fake)
        ops, weight = ops_of(s_real) if ops is None else ops, factor(scale, s_real)
        cost_real, e_real = ops.mean_softplus(s_real - s_fake.sum() / n_fake, -sign, weight)
        cost_fake, e_fake = ops.mean_softplus(s_fake - s_real.sum() / n_real, sign, weight)
        return cost_real + cost_fake, e_real - e_fake.sum() / n_real, e_fake - e_real.sum() / n_fake


def _differences(s_real: Array, s_fake: Array) -> Array:
    """Return s_real - s_fake (N, 1); raise ShapeError unless these are pairs."""
    size(s_real), size(s_fake)
    if s_real.shape != s_fake.shape:
        raise ShapeError(
            f"s_real has shape {s_real.shape} and s_fake {s_fake.shape}; expected equal shapes, "
            "as the i-th real example and the i-th fake are a pair"
        )
    return s_real - s_fake
