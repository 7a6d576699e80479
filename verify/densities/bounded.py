"""Densities whose support has an edge: exponential, uniform, beta."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb
from scipy import stats

from verify.arithmetic.balls import Exact, ball, between, exact
from verify.densities.base import Density, LogDensity, assign, positive
from verify.densities.functions import log
from verify.densities.tails import Growth, Moments, Tail, power_moments


@dataclass(frozen=True, init=False, repr=False)
class Exponential(Density):
    """The exponential density p(x) = rate e^(-rate x) for x > 0.

    Parameters
    ----------
    rate : int, Fraction or str
        The rate > 0.

    Raises
    ------
    ValueError
        If rate is no rational number > 0.

    """

    rate: Fraction

    def __init__(self, rate: Exact = 1) -> None:
        assign(self, rate=positive("rate", rate))

    def support(self) -> tuple[Fraction | None, Fraction | None]:
        """Return 0 and None: the half-line x > 0."""
        return Fraction(0), None

    def log_density(self) -> LogDensity:
        """Return the function log rate - rate x."""
        rate, c = ball(self.rate), log(ball(self.rate))
        return lambda x, at, analytic=False: c - rate * x

    def tail(self, x: arb, side: int) -> arb:
        """Return e^(-rate x) for the mass above x, 1 - e^(-rate x) below."""
        z = -ball(self.rate) * x.max(0)
        return z.exp() if side > 0 else -z.expm1()

    def neg_log_bound(self, tail: Tail) -> Growth:
        """Return the bound -log p <= rate y + |log rate|."""
        if tail.edge is not None:
            return super().neg_log_bound(tail)
        return Growth(abs(log(ball(self.rate))), linear=ball(self.rate))

    def moments(self, tail: Tail) -> Moments:
        """Return P = e^(-rate R), for y and |log y| P (R + 1/rate), for y^2 P (R^2 + 2 R/rate + 2/rate^2)."""
        if tail.edge is not None:
            return super().moments(tail)
        mean, R = 1 / ball(self.rate), tail.cut
        mass = (-R / mean).exp()
        linear = mass * (R + mean)
        return Moments(mass, linear, linear, mass * (R**2 + 2 * R * mean + 2 * mean**2))

    def _scipy(self) -> Any:
        return stats.expon(scale=float(1 / self.rate))


@dataclass(frozen=True, init=False, repr=False)
class Uniform(Density):
    """The uniform density p(x) = 1 / (high - low) for low < x < high.

    Parameters
    ----------
    low, high : int, Fraction or str
        The ends of the interval, low < high.

    Raises
    ------
    ValueError
        If low or high is no rational number, or low >= high.

    """

    low: Fraction
    high: Fraction

    def __init__(self, low: Exact = 0, high: Exact = 1) -> None:
        assign(self, low=exact("low", low), high=exact("high", high))
        if self.low >= self.high:
            raise ValueError(f"low, high are {self.low}, {self.high}; expected low < high")

    def support(self) -> tuple[Fraction | None, Fraction | None]:
        """Return the ends low and high."""
        return self.low, self.high

    def log_density(self) -> LogDensity:
        """Return the constant function -log(high - low)."""
        c = -log(ball(self.high - self.low))
        return lambda x, at, analytic=False: c + 0 * x

    def tail(self, x: arb, side: int) -> arb:
        """Return the fraction of the interval that lies beyond x."""
        length = ball(self.high) - x if side > 0 else x - ball(self.low)
        return (length / ball(self.high - self.low)).max(0).min(1)

    def _scipy(self) -> Any:
        return stats.uniform(float(self.low), float(self.high - self.low))


@dataclass(frozen=True, init=False, repr=False)
class Beta(Density):
    """The beta density p(x) = u^(a-1) (1-u)^(b-1) / (w B(a, b)),    u = (x - low) / w,  w = high - low.

    Parameters
    ----------
    a, b : int, Fraction or str
        The shapes, both > 0.
    low, high : int, Fraction or str
        The ends of the interval, low < high.

    Raises
    ------
    ValueError
        If one is no rational number, a or b is <= 0, or low >= high.

    """

    a: Fraction
    b: Fraction
    low: Fraction
    high: Fraction

    def __init__(self, a: Exact, b: Exact, low: Exact = 0, high: Exact = 1) -> None:
        assign(self, a=positive("a", a), b=positive("b", b), low=exact("low", low), high=exact("high", high))
        if self.low >= self.high:
            raise ValueError(f"low, high are {self.low}, {self.high}; expected low < high")

    def support(self) -> tuple[Fraction | None, Fraction | None]:
        """Return the ends low and high."""
        return self.low, self.high

    def singular(self, edge: Fraction) -> bool:
        """Return whether the exponent at this end is not 0."""
        return (edge == self.low and self.a != 1) or (edge == self.high and self.b != 1)

    def canonical(self) -> Density:
        """Return a uniform density if both exponents are 0."""
        return Uniform(self.low, self.high) if self.a == self.b == 1 else self

    def _log_constant(self) -> arb:
        """Return log(w^(a+b-1) B(a, b))."""
        a, b, w = ball(self.a), ball(self.b), ball(self.high - self.low)
        return a.lgamma() + b.lgamma() - (a + b).lgamma() + (a + b - 1) * log(w)

    def log_density(self) -> LogDensity:
        """Return the function (a-1) log(x - low) + (b-1) log(high - x) - log(w^(a+b-1) B(a, b))."""
        low, high, c = ball(self.low), ball(self.high), self._log_constant()
        a, b = ball(self.a - 1), ball(self.b - 1)

        def log_p(x: Any, at: Fraction, analytic: bool = False) -> Any:
            y = 0 * x - c
            if self.a != 1:
                y = y + a * log(x - low, analytic)
            if self.b != 1:
                y = y + b * log(high - x, analytic)
            return y

        return log_p

    def tail(self, x: arb, side: int) -> arb:
        """Return I(u; a, b) for the mass below x, I(1 - u; b, a) above; I is the regularised incomplete beta function.

        The one with the smaller argument is computed, and the other as 1 minus it.
        """
        w = ball(self.high - self.low)
        below, above = (x - ball(self.low)) / w, (ball(self.high) - x) / w
        if not above < below:
            mass, far = _incomplete_beta(below, self.a, self.b), side > 0
        else:
            mass, far = _incomplete_beta(above, self.b, self.a), side < 0
        return 1 - mass if far else mass

    def _near(self, tail: Tail) -> tuple[arb, arb, arb]:
        """Return e, log f and log C of p = u^(e-1) f(u) / C near an edge, where u = |x - edge| and f is a ball."""
        w, u = ball(self.high - self.low), between(0, tail.width)
        e, other = (self.a, self.b) if tail.edge == self.low else (self.b, self.a)
        return ball(e), ball(other - 1) * log(w - u), self._log_constant()

    def neg_log_bound(self, tail: Tail) -> Growth:
        """Return the bound |log p| <= |e - 1| |log u| + |log f - log C|."""
        if tail.edge is None or not self._at_an_end(tail.edge):
            return super().neg_log_bound(tail)
        e, log_f, c = self._near(tail)
        return Growth((log_f - c).abs_upper(), log=abs(e - 1))

    log_bound = neg_log_bound

    def moments(self, tail: Tail) -> Moments:
        """Return the moments of the bound p <= u^(e-1) max f / C."""
        if tail.edge is None or not self._at_an_end(tail.edge):
            return super().moments(tail)
        e, log_f, c = self._near(tail)
        return power_moments((log_f - c).exp().upper(), e, tail.width)

    def _at_an_end(self, edge: Fraction) -> bool:
        return edge in (self.low, self.high)

    def _scipy(self) -> Any:
        return stats.beta(float(self.a), float(self.b), float(self.low), float(self.high - self.low))


def _incomplete_beta(u: arb, a: Fraction, b: Fraction) -> arb:
    """Return I(u; a, b), continued by 0 to u <= 0.  As it increases, a ball with both signs gives [0, I(upper end)]."""
    if u <= 0:
        return arb(0)
    if not u > 0:
        return between(0, _incomplete_beta(u.upper(), a, b))
    return u.beta_lower(ball(a), ball(b), regularized=1)
