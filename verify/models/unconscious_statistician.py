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

Function = Callable[..., Any]


def log1m_D(x: Any, analytic: bool) -> Any:
    """Return f(x) = log(1 - sigma(1 - x)) = -softplus(1 - x)."""
    return -softplus(1 - x, analytic)


def slope(x: Any) -> Any:
    """Return f'(x) = sigma(1 - x)."""
    return sigmoid(1 - x)


def upper(z: Any) -> Any:
    """Return P(Z > z) = erfc(z / sqrt 2) / 2."""
    return (z / arb(2).sqrt()).erfc() / 2


@dataclass(frozen=True)
class Generator:
    """A map G of the line with |G(z)| <= z^2 + 2, and the law of G(Z) in closed form.

    Attributes
    ----------
    name
        The formula of G, for the names of checks.
    formula
        The law of G(Z) in words.
    branches
        The pieces (low, high, G) on which G is analytic; None is infinite.
    above
        ``above(x, analytic, at)`` is P(X > x) for x > 0, analytic between `breaks`; `at` selects the branch.
    below
        The same for P(X < x), x < 0, analytic for all x < 0; None where the probability is 0.
    breaks
        The points where `above` is not analytic, in ascending order.
    root
        Whether `above` has a square root singularity at 0.

    """

    name: str
    formula: str
    branches: Sequence[tuple[int | None, int | None, Function]]
    above: Function
    below: Function | None = None
    breaks: tuple[int, ...] = ()
    root: bool = False


def noise_tail(R: arb) -> arb:
    """Bound the integral of |f(G(z))| phi over |z| > R by that of (z^2 + 4) phi, since |f(x)| <= |x| + 2."""
    return 2 * R * phi(R) + 10 * upper(R)


def law_tail(L: arb) -> arb:
    """Bound the integral of f' P(X > x) over x > L, since f'(x) < e^(1 - x)."""
    return (1 - L).exp()


def left_tail(L: arb) -> arb:
    """Bound the integral of f' P(X < x) over x < -L, if |X| <= |Z| + 2 there.

    f' < 1, and the integral of P(|Z| > y) over y > L - 2 is at most 2 phi(L - 2).
    """
    return 2 * phi(L - 2)


def by_noise(g: Generator, digits: int) -> arb:
    """Enclose integral f(G(z)) phi(z) dz."""

    def compute(d: int) -> arb:
        R = _far(noise_tail, d)
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
    """Enclose f(0) + integral f'(x) P(X > x) - integral f'(x) P(X < x)."""

    def compute(d: int) -> arb:
        L = _far(lambda L: law_tail(L) + left_tail(L), d)
        near = power_of_ten(-d - 1) if g.root else arb(0)
        total = log1m_D(arb(0), False) + between(0, (law_tail(L) + near).upper())
        edges = [near, *(arb(b) for b in g.breaks if b > 0), L]
        for low, high in pairwise(edges):
            total += integral(_tail_integrand(g, (low + high) / 2), low, high, d)
        if g.below is not None:
            below = g.below
            total -= integral(lambda x, a: slope(x) * below(x, a, arb(-1)), -L, arb(0), d)
            total -= between(0, left_tail(L).upper())
        return total

    return enclose_to(compute, digits, "the expectation by the law")


def _tail_integrand(g: Generator, at: arb) -> Integrand:
    return lambda x, analytic: slope(x) * g.above(x, analytic, at)


def by_density(density: Function, low: arb, digits: int, mass_near: Callable[[arb], arb] | None = None) -> arb:
    """Enclose integral f(x) p(x) dx over x > low, for a density whose tail is below that of z^2, z ~ N(0, 1).

    Where p is singular at 0, `mass_near`(e) bounds its mass between 0 and e.  |f| < 2 for x >= 0.
    """

    def compute(d: int) -> arb:
        R = _far(lambda R: 4 * upper(R), d)
        start, lost = low, 4 * upper(R)
        if mass_near is not None:
            start = low + power_of_ten(-2 * d - 4)
            lost += 2 * mass_near(start)
        total = integral(lambda x, a: density(x, a) * log1m_D(x, a), start, R * R, d)
        return total + between(-lost.upper(), lost.upper())

    return enclose_to(compute, digits, "the expectation by the density")


def _far(cost: Callable[[arb], arb], digits: int) -> arb:
    """Return a cut R at which the cost is at most 10^-(digits + 1)."""
    R = arb(8)
    while not cost(R) <= power_of_ten(-digits - 1):
        R = (R * 5 / 4).ceil()
    return R
