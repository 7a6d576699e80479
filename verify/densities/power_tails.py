"""Densities on the whole line with tails like y^-(nu + 1), symmetric about a centre: Cauchy and Student's t.

Throughout, t = (x - centre) / spread; in the bounds at infinity y = |x| >= R.
"""

from abc import abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb
from scipy import stats

from verify.arithmetic.balls import Exact, ball, exact
from verify.densities.base import Density, LogDensity, assign, positive
from verify.densities.functions import log
from verify.densities.line import Symmetric
from verify.densities.tails import INFINITE, Growth, Moments, Tail


class _PowerTails(Symmetric):
    """A density p = k (1 + t^2 / nu)^(-(nu + 1) / 2), whose tails fall like y^-(nu + 1)."""

    @property
    @abstractmethod
    def degrees(self) -> Fraction:
        """The degrees of freedom nu."""

    def _log_peak(self) -> arb:
        """Return log p(centre)."""
        nu = ball(self.degrees)
        return ((nu + 1) / 2).lgamma() - (nu / 2).lgamma() - log(nu * arb.pi()) / 2 - log(ball(self.spread))

    def log_density(self) -> LogDensity:
        """Return the function log k - (nu + 1)/2 log(1 + t^2 / nu)."""
        centre, scale, nu = ball(self.centre), 1 / ball(self.spread), ball(self.degrees)
        c, power, inverse = self._log_peak(), (nu + 1) / 2, 1 / nu

        def log_p(x: Any, at: Fraction, analytic: bool = False) -> Any:
            t = (x - centre) * scale
            return c - power * log(1 + t * t * inverse, analytic)

        return log_p

    def neg_log_bound(self, tail: Tail) -> Growth:
        """Return the bound -log p <= |log k| + (nu + 1)/2 (2 log y + log(1 + 4 / (nu s^2))).

        It holds because |t| <= 2 y / s and y >= 1.
        """
        if tail.edge is not None:
            return super().neg_log_bound(tail)
        _, s, c = self._bounds()
        nu = ball(self.degrees)
        return Growth(c + (nu + 1) / 2 * log(1 + 4 / (nu * s**2)), log=nu + 1)

    def moments(self, tail: Tail) -> Moments:
        """Return the moments of the bound p <= K y^-(nu + 1), K = k (4 nu s^2)^((nu + 1) / 2), since |t| >= y / (2 s):

        integral y^k p <= K R^(k - nu) / (nu - k), infinite for k >= nu; log y: K R^-nu (log R / nu + 1 / nu^2)
        """
        if tail.edge is not None:
            return super().moments(tail)
        nu, s, R = ball(self.degrees), ball(self.spread), tail.cut
        K = (self._log_peak() + (nu + 1) / 2 * log(4 * nu * s**2)).exp()
        power = [K * R ** (k - nu) / (nu - k) if self.degrees > k else INFINITE for k in range(3)]
        return Moments(power[0], K * R ** (-nu) * (R.log() / nu + 1 / nu**2), power[1], power[2])


@dataclass(frozen=True, init=False, repr=False)
class Cauchy(_PowerTails):
    """The Cauchy density p(x) = 1 / (pi gamma (1 + t^2)),    t = (x - mu) / gamma.

    Parameters
    ----------
    mu : int, Fraction or str
        The centre; by default 0.
    gamma : int, Fraction or str
        The scale > 0; by default 1.

    Raises
    ------
    ValueError
        If mu or gamma is no rational number, or gamma <= 0.

    """

    mu: Fraction
    gamma: Fraction

    def __init__(self, mu: Exact = 0, gamma: Exact = 1) -> None:
        assign(self, mu=exact("mu", mu), gamma=positive("gamma", gamma))

    centre = property(lambda self: self.mu)
    spread = property(lambda self: self.gamma)
    degrees = property(lambda self: Fraction(1))

    def _log_peak(self) -> arb:
        return -log(arb.pi() * ball(self.gamma))

    def upper(self, t: arb) -> arb:
        """Return atan(1 / t) / pi for t > 0 (without cancellation), else 1/2 - atan(t) / pi."""
        return (1 / t).atan() / arb.pi() if t > 0 else arb(1) / 2 - t.atan() / arb.pi()

    def _scipy(self) -> Any:
        return stats.cauchy(float(self.mu), float(self.gamma))


@dataclass(frozen=True, init=False, repr=False)
class StudentT(_PowerTails):
    """Student's t density p(x) = k (1 + t^2 / nu)^(-(nu + 1) / 2),    t = (x - mu) / scale.

    Parameters
    ----------
    nu : int, Fraction or str
        The degrees of freedom > 0.
    mu : int, Fraction or str
        The centre; by default 0.
    scale : int, Fraction or str
        The scale > 0; by default 1.

    Raises
    ------
    ValueError
        If one is no rational number, or nu or scale is <= 0.

    """

    nu: Fraction
    mu: Fraction
    scale: Fraction

    def __init__(self, nu: Exact, mu: Exact = 0, scale: Exact = 1) -> None:
        assign(self, nu=positive("nu", nu), mu=exact("mu", mu), scale=positive("scale", scale))

    centre = property(lambda self: self.mu)
    spread = property(lambda self: self.scale)
    degrees = property(lambda self: self.nu)

    def upper(self, t: arb) -> arb:
        """Return, for t >= 0, half the regularised incomplete beta function I(nu / (nu + t^2); nu/2, 1/2).

        Where the ball of nu / (nu + t^2) contains numbers above 1, return half of 1 - I(t^2 / (nu + t^2); 1/2, nu/2).
        """
        if t < 0:
            return 1 - self.upper(-t)
        if t.is_zero():
            return arb(1) / 2
        if not t >= 0:  # unknown sign: upper decreases, so take the hull of its values at both ends
            return self.upper(t.upper()).union(self.upper(t.lower()))
        nu = ball(self.nu)
        half = (nu / (nu + t * t)).beta_lower(nu / 2, arb(1) / 2, regularized=1) / 2
        if half.is_finite():
            return half
        if t.rad() > 0:
            return self.upper(t.upper()).union(self.upper(t.lower()))
        return (1 - (t * t / (nu + t * t)).beta_lower(arb(1) / 2, nu / 2, regularized=1)) / 2  # near the centre

    def canonical(self) -> Density:
        """Return a Cauchy density for one degree of freedom."""
        return Cauchy(self.mu, self.scale) if self.nu == 1 else self

    def _scipy(self) -> Any:
        return stats.t(float(self.nu), float(self.mu), float(self.scale))
