"""Tails, the regions that an integral leaves out: beyond a cut towards infinity, or beside a singular edge.

Near a Tail, with y = |x| at infinity and u = |x - edge| at an edge, logarithms of densities are bounded by

    Growth:   const + log |log y| + linear y + square y^2                          (y -> u at an edge)

and Moments bound the integrals of a density p over the same region against 1, |log y|, y and y^2.  With them

    -Q <= integral p log(p / q) <= integral p (log p)^+ + integral p (-log q)^+

where Q is the mass of q there: p log(p/q) - p + q >= 0, so the left side is at least P - Q >= -Q.
"""

from dataclasses import dataclass
from fractions import Fraction

from flint import arb

INFINITE = arb("inf")


@dataclass(frozen=True)
class Tail:
    """A region that an integral leaves out: side * x > cut at infinity, or between `edge` and `cut`.

    Attributes
    ----------
    side
        +1 if the region lies to the right of what is integrated, -1 if to the left.
    cut
        At infinity |x|, at an edge x.
    at
        A rational point of the piece, which selects the branch of a formula with kinks.
    edge
        The singular edge; None at infinity.
    width
        The distance between edge and cut; 0 at infinity.

    """

    side: int
    cut: arb
    at: Fraction
    edge: Fraction | None = None
    width: arb = arb(0)  # noqa: RUF009 - an exact constant


@dataclass(frozen=True)
class Growth:
    """An upper bound const + log |log y| + linear y + square y^2, with coefficients >= 0."""

    const: arb
    log: arb = arb(0)  # noqa: RUF009
    linear: arb = arb(0)  # noqa: RUF009
    square: arb = arb(0)  # noqa: RUF009

    def order(self) -> tuple[float, float, float, float]:
        """Return a sort key that puts the slowest growth first."""
        return float(self.square), float(self.linear), float(self.log), float(self.const)


@dataclass(frozen=True)
class Moments:
    """Upper bounds on the integrals of p, p |log y|, p y and p y^2 over a tail.

    By default all but the mass are infinite, so that a moment without a bound never counts as 0.
    """

    mass: arb
    log: arb = INFINITE
    linear: arb = INFINITE
    square: arb = INFINITE


def expectation(growth: Growth, moments: Moments) -> arb:
    """Return a bound on the integral of p times the growth; it is infinite if a moment that is needed is."""
    pairs = (
        (growth.const, moments.mass),
        (growth.log, moments.log),
        (growth.linear, moments.linear),
        (growth.square, moments.square),
    )
    needed = [(a, m) for a, m in pairs if not a.is_zero()]
    if not all(m.is_finite() for _, m in needed):
        return INFINITE
    return sum((a * m for a, m in needed), arb(0)).upper()


def power_moments(factor: arb, exponent: arb, width: arb) -> Moments:
    """Return bounds for p(u) <= factor u^(exponent - 1) on 0 < u < width <= 1.

    integral u^(a-1) = w^a / a     integral u^(a-1) |log u| = w^a (|log w| / a + 1 / a^2)
    """
    power = factor * width**exponent
    return Moments(power / exponent, power * (abs(width.log()) / exponent + 1 / exponent**2))
