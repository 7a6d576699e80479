"""Densities on the whole line with exponential tails or lighter ones, symmetric about a centre.

Throughout, t = (x - centre) / spread; in the bounds at infinity y = |x| >= R and m = |centre|.
"""

from abc import abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import ArrayLike
from scipy import stats

from verify.arithmetic.balls import Exact, ball, exact
from verify.densities.base import Density, Floats, LogDensity, assign, positive
from verify.densities.functions import log, phi, softplus
from verify.densities.tails import Growth, Moments, Tail


class Symmetric(Density):
    """A density with p(centre + x) = p(centre - x)."""

    @property
    @abstractmethod
    def centre(self) -> Fraction:
        """The centre of symmetry."""

    @property
    @abstractmethod
    def spread(self) -> Fraction:
        """The scale."""

    @abstractmethod
    def upper(self, t: arb) -> arb:
        """Return P(T > t) for T = (X - centre) / spread."""

    def tail(self, x: arb, side: int) -> arb:
        """Return `upper` of side t, by symmetry."""
        return self.upper(side * (x - ball(self.centre)) / ball(self.spread))

    def tail_start(self) -> Fraction:
        """Return 2 m + 1: for |x| beyond it, |x - centre| >= |x| / 2."""
        return 2 * abs(self.centre) + 1

    def log_bound(self, tail: Tail) -> Growth:
        """Return log p at the cut, since p decreases with the distance from its centre."""
        if tail.edge is not None:
            return super().log_bound(tail)
        return Growth(const=self._log_density_near(tail).upper().max(0))

    def _bounds(self) -> tuple[arb, arb, arb]:
        return abs(ball(self.centre)), ball(self.spread), abs(self.log_density()(ball(self.centre), self.centre))


@dataclass(frozen=True, init=False, repr=False)
class Normal(Symmetric):
    """The normal density p(x) = e^(-t^2/2) / (sigma sqrt(2 pi)),    t = (x - mu) / sigma.

    Parameters
    ----------
    mu : int, Fraction or str
        The mean; by default 0.
    sigma : int, Fraction or str
        The standard deviation > 0; by default 1.

    Raises
    ------
    ValueError
        If mu or sigma is no rational number, or sigma <= 0.

    """

    mu: Fraction
    sigma: Fraction

    def __init__(self, mu: Exact = 0, sigma: Exact = 1) -> None:
        assign(self, mu=exact("mu", mu), sigma=positive("sigma", sigma))

    centre = property(lambda self: self.mu)
    spread = property(lambda self: self.sigma)

    def log_density(self) -> LogDensity:
        """Return the function -t^2/2 - log(sigma sqrt(2 pi))."""
        mu, scale = ball(self.mu), 1 / ball(self.sigma)
        c = log(ball(self.sigma) * (2 * arb.pi()).sqrt())

        def log_p(x: Any, at: Fraction, analytic: bool = False) -> Any:
            t = (x - mu) * scale
            return -(t * t) / 2 - c

        return log_p

    def upper(self, t: arb) -> arb:
        """Return erfc(t / sqrt 2) / 2."""
        return (t / arb(2).sqrt()).erfc() / 2

    def neg_log_bound(self, tail: Tail) -> Growth:
        """Return the bound -log p <= (y + m)^2 / (2 sigma^2) + |log p(centre)|."""
        if tail.edge is not None:
            return super().neg_log_bound(tail)
        m, s, c = self._bounds()
        return Growth(c + m**2 / (2 * s**2), linear=m / s**2, square=1 / (2 * s**2))

    def moments(self, tail: Tail) -> Moments:
        """Return the moments beyond the cut R, with t = (R - c) / sigma, the standard density phi and c = side mu:

        integral y p = c P + sigma phi       integral y^2 p = c^2 P + 2 c sigma phi + sigma^2 (t phi + P)
        """
        if tail.edge is not None:
            return super().moments(tail)
        c, s = tail.side * ball(self.mu), ball(self.sigma)
        t = (tail.cut - c) / s
        mass, at_cut = self.upper(t), phi(t)
        linear = c * mass + s * at_cut
        return Moments(mass, linear, linear, c**2 * mass + 2 * c * s * at_cut + s**2 * (t * at_cut + mass))

    def _scipy(self) -> Any:
        return stats.norm(float(self.mu), float(self.sigma))


class _ExponentialTails(Symmetric):
    """A density with p <= e^-t / spread for t >= 0: an exponential density bounds its moments beyond the cut."""

    def neg_log_bound(self, tail: Tail) -> Growth:
        """Return the bound -log p <= y / b + m / b + |log p(centre)|, since -log p grows at most at the rate 1 / b."""
        if tail.edge is not None:
            return super().neg_log_bound(tail)
        m, b, c = self._bounds()
        return Growth(c + m / b, linear=1 / b)

    def moments(self, tail: Tail) -> Moments:
        """Return the mass P = e^-t, P (R + b) for y and |log y| <= y, P (R^2 + 2 R b + 2 b^2) for y^2."""
        if tail.edge is not None:
            return super().moments(tail)
        b, R = ball(self.spread), tail.cut
        mass = (-(R - tail.side * ball(self.centre)) / b).exp()
        linear = mass * (R + b)
        return Moments(mass, linear, linear, mass * (R**2 + 2 * R * b + 2 * b**2))


@dataclass(frozen=True, init=False, repr=False)
class Laplace(_ExponentialTails):
    """The Laplace density p(x) = e^-|t| / (2 b),    t = (x - mu) / b, with a kink at mu.

    Parameters
    ----------
    mu : int, Fraction or str
        The mean; by default 0.
    b : int, Fraction or str
        The scale > 0; by default 1.

    Raises
    ------
    ValueError
        If mu or b is no rational number, or b <= 0.

    """

    mu: Fraction
    b: Fraction

    def __init__(self, mu: Exact = 0, b: Exact = 1) -> None:
        assign(self, mu=exact("mu", mu), b=positive("b", b))

    centre = property(lambda self: self.mu)
    spread = property(lambda self: self.b)

    def edges(self) -> tuple[Fraction, ...]:
        """Return the kink."""
        return (self.mu,)

    def log_density(self) -> LogDensity:
        """Return the function -|t| - log(2 b), with |t| = t on a piece to the right of mu."""
        mu, scale, c = ball(self.mu), 1 / ball(self.b), log(2 * ball(self.b))

        def log_p(x: Any, at: Fraction, analytic: bool = False) -> Any:
            t = (x - mu) * scale
            return (-t if at >= self.mu else t) - c

        return log_p

    def upper(self, t: arb) -> arb:
        """Return e^-t / 2 for t >= 0, and 1 - e^t / 2 for t < 0; for a ball with both signs, the hull of its ends."""
        if t >= 0:
            return (-t).exp() / 2
        if t < 0:
            return 1 - t.exp() / 2
        return self.upper(t.upper()).union(self.upper(t.lower()))

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return -|t| - log(2 b) in float64; scipy's underflows to -infinity."""
        t = (np.asarray(x, dtype=float) - float(self.mu)) / float(self.b)
        return np.asarray(-np.abs(t) - np.log(2 * float(self.b)))

    def _scipy(self) -> Any:
        return stats.laplace(float(self.mu), float(self.b))


@dataclass(frozen=True, init=False, repr=False)
class Logistic(_ExponentialTails):
    """The logistic density p(x) = e^-t / (b (1 + e^-t)^2),    t = (x - mu) / b.

    Parameters
    ----------
    mu : int, Fraction or str
        The mean; by default 0.
    b : int, Fraction or str
        The scale > 0; by default 1.

    Raises
    ------
    ValueError
        If mu or b is no rational number, or b <= 0.

    """

    mu: Fraction
    b: Fraction

    def __init__(self, mu: Exact = 0, b: Exact = 1) -> None:
        assign(self, mu=exact("mu", mu), b=positive("b", b))

    centre = property(lambda self: self.mu)
    spread = property(lambda self: self.b)

    def log_density(self) -> LogDensity:
        """Return the function -t - 2 softplus(-t) - log b."""
        mu, scale, c = ball(self.mu), 1 / ball(self.b), log(ball(self.b))

        def log_p(x: Any, at: Fraction, analytic: bool = False) -> Any:
            t = (x - mu) * scale
            return -t - 2 * softplus(-t, analytic) - c

        return log_p

    def upper(self, t: arb) -> arb:
        """Return 1 / (1 + e^t)."""
        return 1 / (1 + t.exp())

    def _scipy(self) -> Any:
        return stats.logistic(float(self.mu), float(self.b))
