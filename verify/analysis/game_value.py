"""Enclosures of the value V(D) of any discriminator, and of its suboptimality V(D*) - V(D).

    V(D)         = integral p log D + q log(1 - D)                                (Goodfellow et al. 2014, eq. 1)
    V(D*) - V(D) = integral (p + q) KL(Bern(D*) || Bern(D)),    D* = p / (p + q)

D = sigma(s) is given by its logit s, with log D = -softplus(-s) and log(1 - D) = -softplus(s).  In a tail both
integrands lie between 0 and p softplus(-s) + q softplus(s) <= (p + q) (log 2 + |s|) in size (the second one because
the entropy of Bern(D*) is >= 0), so that a bound on |s| suffices.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import arb, fmpq

from verify.analysis.integrate import Integrand, Region, cut, enclose_to, integral, pieces
from verify.arithmetic.balls import Exact, ball, between, check_digits, exact, power_of_ten
from verify.densities import Density
from verify.densities.functions import softplus, tanh
from verify.densities.tails import Growth, Tail, expectation

Logit = Callable[..., Any]  # (x, at, analytic=False) -> s(x), on balls, complex balls and Taylor series


@dataclass(frozen=True)
class Discriminator:
    """A discriminator D(x) = sigma(s(x)) on the line.

    Attributes
    ----------
    name
        How messages and statements name it.
    logit
        ``logit(x, at, analytic=False)`` returns s(x) for a ball, complex ball or Taylor series x in the piece that
        contains the rational point `at`.
    bound
        ``bound(tail)`` returns a bound on |s| in a tail.
    edges
        The points where s is not analytic, in ascending order.

    """

    name: str
    logit: Logit = field(repr=False)
    bound: Callable[[Tail], Growth] = field(repr=False)
    edges: tuple[Fraction, ...] = ()


def polynomial(*coefficients: Exact) -> Discriminator:
    """Return D with the logit s(x) = c_0 + c_1 x + c_2 x^2.

    Parameters
    ----------
    *coefficients : int, Fraction or str
        One to three rational numbers c_0, c_1, c_2.

    Returns
    -------
    Discriminator
        D = sigma(s).

    Raises
    ------
    ValueError
        If there are none or more than three, or one is not a rational number.

    Examples
    --------
    >>> polynomial(0, "1/2").name
    'sigma(0 + 1/2 x)'

    """
    exactly = [exact("coefficients", c) for c in coefficients]
    if not 1 <= len(exactly) <= 3:
        raise ValueError(f"coefficients are {len(exactly)}; expected 1 to 3, of 1, x, x^2")
    rationals = [fmpq(c.numerator, c.denominator) for c in exactly]
    terms = [f"{c} {power}".strip() for c, power in zip(exactly, ("", "x", "x^2"), strict=False)]

    def logit(x: Any, at: Fraction, analytic: bool = False) -> Any:
        total = 0 * x + rationals[-1]
        for c in reversed(rationals[:-1]):
            total = total * x + c
        return total

    def bound(tail: Tail) -> Growth:
        a = [abs(ball(c)) for c in exactly] + [arb(0)] * (3 - len(exactly))
        if tail.edge is None:
            return Growth(a[0], linear=a[1], square=a[2])
        y = abs(ball(tail.edge)) + tail.width
        return Growth((a[0] + a[1] * y + a[2] * y * y).upper())

    return Discriminator(f"sigma({' + '.join(terms)})", logit, bound)


def squashed(scale: Exact, slope: Exact, shift: Exact = 0) -> Discriminator:
    """Return D with the bounded logit s(x) = scale tanh(slope x + shift): a network with one hidden unit.

    Parameters
    ----------
    scale, slope, shift : int, Fraction or str
        Rational numbers; by default the unit has no shift.

    Returns
    -------
    Discriminator
        D = sigma(s).

    Raises
    ------
    ValueError
        If one is not a rational number.

    """
    a, b, c = exact("scale", scale), exact("slope", slope), exact("shift", shift)

    def logit(x: Any, at: Fraction, analytic: bool = False) -> Any:
        return ball(a) * tanh(ball(b) * x + ball(c))

    return Discriminator(f"sigma({a} tanh({b} x + {c}))", logit, lambda tail: Growth(abs(ball(a))))


@lru_cache(maxsize=256)
def value(p: Density, q: Density, D: Discriminator, *, digits: int = 30) -> arb:
    """Enclose V(D) = integral p log D + q log(1 - D).

    Parameters
    ----------
    p, q : Density
        The data and the model, on the line.
    D : Discriminator
        Any discriminator whose V is finite.
    digits : int
        The largest radius is 10^-digits; by default 30, as in the profile `quick`.

    Returns
    -------
    arb
        The enclosure, in nats.

    Raises
    ------
    Undecided
        If V(D) could not be enclosed so narrowly; Unbounded, a kind of Undecided, if a tail has no finite bound.

    """

    def integrand(here: bool, there: bool, at: Fraction) -> Integrand:
        log_p, log_q = p.log_density(), q.log_density()

        def f(x: Any, analytic: bool) -> Any:
            s, total = D.logit(x, at, analytic), 0 * x
            if here:
                total = total - log_p(x, at, analytic).exp() * softplus(-s, analytic)
            if there:
                total = total - log_q(x, at, analytic).exp() * softplus(s, analytic)
            return total

        return f

    return _integrate(p, q, D, integrand, -1, check_digits(digits), "V(D)")


@lru_cache(maxsize=256)
def suboptimality(p: Density, q: Density, D: Discriminator, *, digits: int = 30) -> arb:
    """Enclose V(D*) - V(D) as the integral of (p + q) KL(Bern(D*) || Bern(D)).

    Where only p is positive, D* = 1 and KL = -log D; where only q is, D* = 0 and KL = -log(1 - D).

    Parameters
    ----------
    p, q : Density
        The data and the model, on the line.
    D : Discriminator
        Any discriminator whose V is finite.
    digits : int
        The largest radius is 10^-digits; by default 30, as in the profile `quick`.

    Returns
    -------
    arb
        The enclosure, in nats.

    Raises
    ------
    Undecided
        If the integral could not be enclosed so narrowly; Unbounded, a kind of Undecided, if a tail has no finite
        bound.

    """

    def integrand(here: bool, there: bool, at: Fraction) -> Integrand:
        log_p, log_q = p.log_density(), q.log_density()

        def f(x: Any, analytic: bool) -> Any:
            s = D.logit(x, at, analytic)
            if not there:
                return log_p(x, at, analytic).exp() * softplus(-s, analytic)
            if not here:
                return log_q(x, at, analytic).exp() * softplus(s, analytic)
            a, b = log_p(x, at, analytic), log_q(x, at, analytic)
            best = b - a
            t = 1 / (1 + best.exp())
            kl = t * (softplus(-s, analytic) - softplus(best, analytic))
            kl += (1 - t) * (softplus(s, analytic) - softplus(-best, analytic))
            return (a.exp() + b.exp()) * kl

        return f

    return _integrate(p, q, D, integrand, +1, check_digits(digits), "V(D*) - V(D)")


def _integrate(
    p: Density, q: Density, D: Discriminator, integrand: Callable[[bool, bool, Fraction], Integrand],
    sign: int, digits: int, name: str,
) -> arb:  # fmt: skip
    """Integrate over all pieces; the contribution of the tails has the given sign."""
    p, q = p.canonical(), q.canonical()

    def compute(inner: int) -> arb:
        total = arb(0)
        for piece in pieces((p, q), D.edges):
            positive = [d for d in (p, q) if d.positive_at(piece.at)]
            if not positive:
                continue

            def cost(tail: Tail, positive: list[Density] = positive) -> arb:
                s = D.bound(tail)
                cost = Growth(s.const + arb(2).log(), s.log, s.linear, s.square)
                return sum((expectation(cost, d.moments(tail)) for d in positive), arb(0))

            region: Region = cut(piece, positive, cost, power_of_ten(-inner))
            f = integrand(p in positive, q in positive, piece.at)
            total += integral(f, region.low, region.high, inner) + between(0, sign * region.cost)
        return total

    return enclose_to(compute, digits, name)
