"""Isotropic normals in d dimensions, reduced to the line.

The ratio of two centred isotropic normals depends on r = |x| alone, so every divergence between them is that
between the densities of r on the line: a divergence in 784 dimensions is an integral over one.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import ArrayLike
from scipy import stats

from verify.arithmetic.balls import Exact, ball
from verify.densities.base import Density, Floats, LogDensity, assign, positive
from verify.densities.functions import log
from verify.densities.line import Normal
from verify.densities.tails import Growth, Moments, Tail, power_moments


def dimension(d: object) -> int:
    """Return a number of dimensions; ValueError if it is no whole number >= 1."""
    if isinstance(d, bool) or not isinstance(d, int) or d < 1:
        raise ValueError(f"d is {d!r}; expected a whole number >= 1")
    return d


@dataclass(frozen=True, init=False, repr=False)
class Radial(Density):
    """The density p(r) = c r^(d-1) e^(-r^2 / (2 sigma^2)) of r = |x|, x ~ N(0, sigma^2 I): a scaled chi density.

    c = 2^(1 - d/2) / (Gamma(d/2) sigma^d)

    Parameters
    ----------
    d : int
        The number of dimensions >= 1.
    sigma : int, Fraction or str
        The standard deviation > 0 of each coordinate; by default 1.

    Raises
    ------
    ValueError
        If d is no whole number >= 1, or sigma no rational number > 0.

    """

    d: int
    sigma: Fraction

    def __init__(self, d: int, sigma: Exact = 1) -> None:
        assign(self, d=dimension(d), sigma=positive("sigma", sigma))

    def support(self) -> tuple[Fraction | None, Fraction | None]:
        """Return 0 and None: the half-line r > 0."""
        return Fraction(0), None

    def singular(self, edge: Fraction) -> bool:
        """Return True at 0, where log r is singular, unless d = 1."""
        return edge == 0 and self.d > 1

    def tail_start(self) -> Fraction:
        """Return a number beyond the mode, which is sigma sqrt(d - 1)."""
        return Fraction(math.ceil(self.sigma * (math.isqrt(self.d) + 1)) + 1)

    def _log_constant(self) -> arb:
        half = arb(self.d) / 2
        return (1 - half) * log(arb(2)) - half.lgamma() - self.d * log(ball(self.sigma))

    def log_density(self) -> LogDensity:
        """Return the function log c + (d-1) log r - r^2 / (2 sigma^2)."""
        c, scale = self._log_constant(), 1 / (2 * ball(self.sigma) ** 2)

        def log_p(r: Any, at: Fraction, analytic: bool = False) -> Any:
            y = c - r * r * scale
            return y + (self.d - 1) * log(r, analytic) if self.d > 1 else y

        return log_p

    def tail(self, x: arb, side: int) -> arb:
        """Return Q(d/2, x^2 / (2 sigma^2)), the regularised upper incomplete gamma function, for the mass above x."""
        z, half = x.max(0) ** 2 / (2 * ball(self.sigma) ** 2), arb(self.d) / 2
        above = arb(1) if z.is_zero() else z.gamma_upper(half, regularized=1)
        return above if side > 0 else 1 - above

    def neg_log_bound(self, tail: Tail) -> Growth:
        """Return the bound -log p <= r^2 / (2 sigma^2) + |log c| for r >= 1, and with (d-1) |log r| added near 0."""
        c, square = abs(self._log_constant()), 1 / (2 * ball(self.sigma) ** 2)
        if tail.edge is None:
            return Growth(c, square=square)
        if tail.edge > 0:
            return super().neg_log_bound(tail)
        return Growth((c + square * tail.width**2).upper(), log=arb(self.d - 1))

    def log_bound(self, tail: Tail) -> Growth:
        """Return log p at the cut, which lies beyond the mode; near 0 the bound on |log p|."""
        return Growth(self._log_density_near(tail).upper().max(0)) if tail.edge is None else self.neg_log_bound(tail)

    def moments(self, tail: Tail) -> Moments:
        """Return E[r^k; r > R] = (sqrt 2 sigma)^k Gamma((d+k)/2, R^2 / (2 sigma^2)) / Gamma(d/2); log r <= r."""
        if tail.edge is not None and tail.edge > 0:
            return super().moments(tail)
        if tail.edge is not None:
            return power_moments(self._log_constant().exp(), arb(self.d), tail.width)
        z, half = tail.cut**2 / (2 * ball(self.sigma) ** 2), arb(self.d) / 2
        scale = arb(2).sqrt() * ball(self.sigma)
        m = [scale**k * z.gamma_upper(half + arb(k) / 2) * half.rgamma() for k in range(3)]
        return Moments(m[0], m[1], m[1], m[2])

    def _scipy(self) -> Any:
        return stats.chi(self.d, scale=float(self.sigma))


@dataclass(frozen=True, init=False, repr=False)
class IsotropicNormal:
    """N(0, sigma^2 I) in d dimensions: p(x) = (2 pi sigma^2)^(-d/2) e^(-|x|^2 / (2 sigma^2)).    x (N, d).

    Parameters
    ----------
    d : int
        The number of dimensions >= 1.
    sigma : int, Fraction or str
        The standard deviation > 0 of each coordinate; by default 1.

    Raises
    ------
    ValueError
        If d is no whole number >= 1, or sigma no rational number > 0.

    """

    d: int
    sigma: Fraction

    def __init__(self, d: int, sigma: Exact = 1) -> None:
        assign(self, d=dimension(d), sigma=positive("sigma", sigma))

    @property
    def radial(self) -> Density:
        """The density on the line with the same divergences: that of |x|, or N(0, sigma^2) for d = 1."""
        return Normal(0, self.sigma) if self.d == 1 else Radial(self.d, self.sigma)

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x) (N,) in float64."""
        variance = float(self.sigma) ** 2
        r2 = np.square(np.asarray(x, dtype=float)).sum(axis=-1)
        return np.asarray(-r2 / (2 * variance) - self.d / 2 * math.log(2 * math.pi * variance))

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n points (n, d)."""
        return float(self.sigma) * rng.standard_normal((n, self.d))

    __repr__ = Density.__repr__
