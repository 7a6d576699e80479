"""The least-squares objective (Mao et al. 2017)."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from minigan._arguments import set_numbers
from minigan.losses.protocol import Value
from minigan.losses.separable import Separable, factor, mean_of
from minigan.ops.protocol import Array, Ops


@dataclass(frozen=True)
class LeastSquares(Separable):
    """Squared distances to a for fakes, b for real examples, and c for G   (Mao et al. 2017, eq. 2).

    J_D = d_scale (mean (s_real - b)^2 + mean (s_fake - a)^2) / 2
    J_G = g_scale mean (s_fake - c)^2 / 2
    ds_real = d_scale (s_real - b) / N,  ds_fake = d_scale (s_fake - a) / M;  G: ds_fake = g_scale (s_fake - c) / M

    For fixed G the derivative of p (s - b)^2 / 2 + q (s - a)^2 / 2 in s is 0 at s* = (b p + a q) / (p + q), so that
    D* = p / (p + q) = (s* - a) / (b - a), which `probability` returns, clipped to [0, 1].  At s* the integral of
    (p + q) (s* - c)^2 is the Pearson divergence of p + q from 2 q if b - c = 1 and b - a = 2 (eq. 5 to 7).  The
    gradient does not vanish for fakes on the right side of D's decision that are far from c.

    Parameters
    ----------
    a, b : float
        The targets of D for fakes and for real examples, different numbers; 0 and 1 by default (eq. 9).
    c : float
        The value that G wants D to return for fakes; 1 by default, the target of real examples (eq. 9).  a = -1, b = 1,
        c = 0 is the choice of eq. 8.
    d_scale, g_scale : float
        The scales of J_D and of J_G, > 0; 1 as in eq. 2.
    mean_over_all : bool
        Whether each mean of J_D is 2 / (N + M) times the sum, as in one labelled batch; False by default.

    Raises
    ------
    ValueError
        If a scale is not a number > 0, a target is not a finite number, or a = b.
    ShapeError
        In the methods, if logits are not (N,) or (N, 1).

    Examples
    --------
    >>> import numpy as np
    >>> cost, ds = LeastSquares().generator(np.array([[3.0], [0.0]]))
    >>> float(cost), ds.tolist()
    (1.25, [[1.0], [-0.5]])

    """

    _: KW_ONLY
    a: float = 0
    b: float = 1
    c: float = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        everywhere = "(-inf, inf)"
        set_numbers(self, a=everywhere, b=everywhere, c=everywhere)
        if self.a == self.b:
            raise ValueError(f"a and b must be different targets, got a={self.a!r} and b={self.b!r}")

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return D = (s - a) / (b - a), clipped to [0, 1]."""
        a, b = factor(self.a, s), factor(self.b, s)
        return ((s - a) / (b - a)).clip(0, 1).reshape(-1)

    def _real(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return _half_square(s - factor(self.b, s), weight)

    def _fake(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return _half_square(s - factor(self.a, s), weight)

    def _generated(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return _half_square(s - factor(self.c, s), weight)


def _half_square(d: Array, weight: Any) -> tuple[Value, Array]:
    """Return weight mean d^2 / 2 and weight d / N."""
    return mean_of(d * d / 2, d, weight)
