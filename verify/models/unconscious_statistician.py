r"""E f(G(z)) for z ~ N(0, 1), computed over the noise, by the law of x = G(z), and by its density if it has one.

That these agree is the law of the unconscious statistician (LOTUS), on which the proof of Proposition 1 rests.

The test function is f(x) = log(1 - D(x)) with the discriminator D(x) = sigma(1 - x), so f(x) = -softplus(1 - x),
0 < f'(x) = sigma(1 - x) < 1.  G need not be invertible, and the law of x need not have a density:

    E f(G(z)) = integral f(G(z)) phi(z) dz                                          over the noise
              = f(0) + integral_0^oo f'(x) P(x < X) dx - integral_-oo^0 f'(x) P(X < x) dx     by the law

(the second by f(X) - f(0) = integral of f' from 0 to X, and Fubini).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from flint import arb

from verify.analysis.integrate import Integrand, enclose_to, integral
from verify.arithmetic.balls import between, power_of_ten
from verify.densities.functions import phi, sigmoid, softplus

Function = Callable[..., Any]  # of balls, complex balls or Taylor series


def log1m_D(x: Any, analytic: bool) -> Any:
    """Return f(x) = log(1 - sigma(1 - x)) = -softplus(1 - x)."""
    return -softplus(1 - x, analytic)


def log1m_D_slope(x: Any) -> Any:
    """Return f'(x) = sigma(1 - x)."""
    return sigmoid(1 - x)


def normal_upper_tail(z: Any) -> Any:
    """Return P(Z > z) = erfc(z / sqrt 2) / 2 for Z ~ N(0, 1)."""
    return (z / arb(2).sqrt()).erfc() / 2


@dataclass(frozen=True)
class Generator:
    """A map G of the line with |G(z)| <= z^2 + 2, and the law of G(Z) in closed form.

    Attributes
    ----------
    formula
        The formula of G, which the names of checks show.
    law
        The law of X = G(Z) in words.
    branches
        The intervals on which G is analytic, as (low, high, G); None is infinite.
    above
        ``above(x, analytic, at)`` is P(X > x) for x > 0, analytic between `breaks`; `at` selects the branch.
    below
        The same for P(X < x), x < 0, analytic for all x < 0; it must be at most P(|Z| + 2 > |x|).  None if X >= 0.
    breaks
        The points where `above` is not analytic, in ascending order.
    singular_at_0
        Whether `above` is not analytic at 0, like a function of sqrt(x).

    """

    formula: str
    law: str
    branches: Sequence[tuple[int | None, int | None, Function]]
    above: Function
    below: Function | None = None
    breaks: tuple[int, ...] = ()
    singular_at_0: bool = False


def noise_tail(R: arb) -> arb:
    """Bound the integral of |f(G(z))| phi over |z| > R by that of (z^2 + 4) phi, since |f(x)| <= |x| + 2."""
    return 2 * R * phi(R) + 10 * normal_upper_tail(R)


def law_tail(L: arb) -> arb:
    """Bound the integral of f' P(X > x) over x > L, since f'(x) < e^(1 - x)."""
    return (1 - L).exp()


def left_tail(L: arb) -> arb:
    """Bound the integral of f' P(X < x) over x < -L, if |X| <= |Z| + 2 there.

    f' < 1, and the integral of P(|Z| > y) over y > L - 2 is at most 2 phi(L - 2).
    """
    return 2 * phi(L - 2)


def by_noise(g: Generator, digits: int) -> arb:
    """Enclose integral f(G(z)) phi(z) dz.

    Parameters
    ----------
    g : Generator
        The map G.
    digits : int
        The digits after the point; the radius is at most 10^-digits.

    Returns
    -------
    arb
        The expectation over the noise.

    """

    def compute(d: int) -> arb:
        R = _cut(noise_tail, d)
        lost = noise_tail(R)
        total = between(-lost.upper(), lost.upper())
        for low, high, branch in g.branches:
            ends = -R if low is None else arb(low), R if high is None else arb(high)
            total += integral(_noise_integrand(branch), *ends, d)
        return total

    return enclose_to(compute, digits, "the expectation over the noise")


def _noise_integrand(branch: Function) -> Integrand:
    return lambda z, analytic: phi(z) * log1m_D(branch(z), analytic)


def by_law(g: Generator, digits: int) -> arb:
    """Enclose f(0) + integral over x > 0 of f'(x) P(X > x) - integral over x < 0 of f'(x) P(X < x).

    Parameters
    ----------
    g : Generator
        The map G with the law of X = G(Z).
    digits : int
        The digits after the point; the radius is at most 10^-digits.

    Returns
    -------
    arb
        The expectation by the law of X.

    """

    def compute(d: int) -> arb:
        L = _cut(lambda L: law_tail(L) + left_tail(L), d)
        near = power_of_ten(-d - 1) if g.singular_at_0 else arb(0)
        total = log1m_D(arb(0), False) + between(0, (law_tail(L) + near).upper())
        edges = [near, *(arb(b) for b in g.breaks if b > 0), L]
        for low, high in pairwise(edges):
            total += integral(_tail_integrand(g, (low + high) / 2), low, high, d)
        if g.below is not None:
            below = g.below
            total -= integral(lambda x, a: log1m_D_slope(x) * below(x, a, arb(-1)), -L, arb(0), d)
            total -= between(0, left_tail(L).upper())
        return total

    return enclose_to(compute, digits, "the expectation by the law")


def _tail_integrand(g: Generator, at: arb) -> Integrand:
    return lambda x, analytic: log1m_D_slope(x) * g.above(x, analytic, at)


def by_density(density: Function, low: arb, digits: int, mass_near: Callable[[arb], arb] | None = None) -> arb:
    """Enclose integral f(x) p(x) dx over x > low.

    Parameters
    ----------
    density : callable
        ``density(x, analytic)`` returns p(x), where P(X > x) <= P(Z^2 > x) for Z ~ N(0, 1) and x >= 1.
    low : arb
        The lower end, >= 0, so that |f| < 2.
    digits : int
        The digits after the point; the radius is at most 10^-digits.
    mass_near : callable, optional
        ``mass_near(e)`` bounds the mass of p between 0 and e; needed if p is singular at `low` = 0.

    Returns
    -------
    arb
        The expectation by the density.

    """

    def compute(d: int) -> arb:
        R = _cut(lambda R: 4 * normal_upper_tail(R), d)
        start, lost = low, 4 * normal_upper_tail(R)
        if mass_near is not None:
            start = low + power_of_ten(-2 * d - 4)
            lost += 2 * mass_near(start)
        total = integral(lambda x, a: density(x, a) * log1m_D(x, a), start, R * R, d)
        return total + between(-lost.upper(), lost.upper())

    return enclose_to(compute, digits, "the expectation by the density")


def _cut(cost: Callable[[arb], arb], digits: int) -> arb:
    """Return a cut R >= 8 with cost(R) <= 10^-(digits + 1)."""
    R = arb(8)
    while not cost(R) <= power_of_ten(-digits - 1):
        R = (R * 5 / 4).ceil()
    return R
