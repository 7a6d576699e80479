"""Enclosures of C(G), the Jensen-Shannon and Kullback-Leibler divergences and total variation, in nats.

    C      = integral p log D* + q log(1 - D*),  D* = p / (p + q)       (Goodfellow et al. 2014, eq. 4)
    JSD    = KL(p || m) / 2 + KL(q || m) / 2,    m = (p + q) / 2
    KL     = integral p log(p / q)
    TV     = integral |p - q| / 2

C and JSD are separate integrals of separate formulas, so that C = -log 4 + 2 JSD is a statement that can fail.
Their tails cost little: the integrand of C lies in [-(p + q) log 2, 0] and that of JSD in [0, (p + q) log 2 / 2].
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import arb

from verify.analysis import atoms
from verify.analysis.infinite import SUPPORT, why_infinite
from verify.analysis.integrate import (
    GUARD_DIGITS,
    SLACK_DIGITS,
    Integrand,
    cut,
    enclose_to,
    integral,
    mass,
    outside,
    pieces,
)
from verify.analysis.variation import total_variation
from verify.arithmetic.balls import ball, between, check_digits, power_of_ten, precision
from verify.arithmetic.decide import Infinite, Unbounded
from verify.densities import Density, Discrete, IsotropicNormal
from verify.densities.base import LogDensity
from verify.densities.functions import log_sum_exp, softplus
from verify.densities.standardize import standardize
from verify.densities.tails import Tail, expectation

Distribution = Density | Discrete | IsotropicNormal


@dataclass(frozen=True)
class Divergences:
    """The divergences between p and q, in nats, each an enclosure of radius at most 10^-digits.

    Attributes
    ----------
    p, q
        The data and the model.
    digits
        The largest radius is 10^-digits.
    c
        C(G) = V(D*).
    jsd
        JSD(p, q).
    kl, kl_reverse
        KL(p || q) and KL(q || p); None where it is infinite or no bound was found.
    tv
        TV(p, q).
    kl_reason, kl_reverse_reason
        Why `kl` or `kl_reverse` is None; None where it is a ball.

    """

    p: Distribution
    q: Distribution
    digits: int
    c: arb
    jsd: arb
    kl: arb | None
    kl_reverse: arb | None
    tv: arb
    kl_reason: str | None = None
    kl_reverse_reason: str | None = None


def certify(p: Distribution, q: Distribution, *, digits: int = 30) -> Divergences:
    """Enclose the divergences between two distributions.

    Parameters
    ----------
    p, q : Density, Discrete or IsotropicNormal
        The data p = p_data and the model q = p_g, from `verify.densities`.  Two isotropic normals must have the same
        number of dimensions; one with d > 1 can only be compared with another.
    digits : int
        The largest radius is 10^-digits; by default 30, as in the profile `quick`.

    Returns
    -------
    Divergences
        C, JSD, KL in both directions, and TV.

    Raises
    ------
    ValueError
        If p or q is no distribution of `verify.densities`, their dimensions differ, or digits is no whole number from
        1 to 10000.
    Undecided
        If a number could not be enclosed so narrowly.

    Examples
    --------
    >>> from verify.densities import Cauchy, Normal
    >>> print(certify(Normal(0, 1), Normal(1, 1)).kl.str(20))
    [0.50000000000000000000 +/- ...]
    >>> found = certify(Cauchy(0, 1), Normal(0, 1))
    >>> found.kl is None, found.kl_reason[:20]
    (True, 'infinite by a moment')

    """
    p, q, digits = distribution("p", p), distribution("q", q), check_digits(digits)
    return Divergences(
        p, q, digits, criterion(p, q, digits), jsd(p, q, digits), kl(p, q, digits), kl(q, p, digits), tv(p, q, digits),
        kl_reason(p, q, digits), kl_reason(q, p, digits),
    )  # fmt: skip


def distribution(name: str, p: object) -> Distribution:
    """Return p; ValueError, naming the argument, if it is no distribution of `verify.densities`."""
    if not isinstance(p, Density | Discrete | IsotropicNormal):
        raise ValueError(f"{name} is {p!r}; expected a density of verify.densities")
    return p


# For these, p and q are distributions as in `certify`, and the radius is at most 10^-digits.


@lru_cache(maxsize=1024)
def criterion(p: Distribution, q: Distribution, digits: int) -> arb:
    """Enclose C(G) = V(D*) = integral p log(p / (p + q)) + q log(q / (p + q))."""
    return _enclose("C", p, q, digits, _criterion_atoms, _criterion_line)


@lru_cache(maxsize=1024)
def jsd(p: Distribution, q: Distribution, digits: int) -> arb:
    """Enclose JSD(p, q)."""
    return _enclose("JSD", p, q, digits, _jsd_atoms, _jsd_line)


@lru_cache(maxsize=1024)
def tv(p: Distribution, q: Distribution, digits: int) -> arb:
    """Enclose TV(p, q)."""
    return _enclose("TV", p, q, digits, _tv_atoms, total_variation)


def kl(p: Distribution, q: Distribution, digits: int) -> arb | None:
    """Enclose KL(p || q); return None where it is infinite or no bound was found (`kl_reason` tells which)."""
    found = _kl(p, q, digits)
    return None if isinstance(found, Unbounded) else found


def kl_reason(p: Distribution, q: Distribution, digits: int) -> str | None:
    """Return why KL(p || q) is None: infinite by support or by a moment, or no bound found; None for a ball."""
    found = _kl(p, q, digits)
    return str(found) if isinstance(found, Unbounded) else None


def kl_is_infinite(p: Distribution, q: Distribution, digits: int) -> bool | None:
    """Return True if KL(p || q) is proved to be infinite, False if it is enclosed, None if no bound was found."""
    found = _kl(p, q, digits)
    if isinstance(found, Unbounded):
        return True if isinstance(found, Infinite) else None
    return False


@lru_cache(maxsize=1024)
def _kl(p: Distribution, q: Distribution, digits: int) -> arb | Unbounded:
    try:
        return _enclose("KL", p, q, digits, _kl_atoms, _kl_line)
    except Infinite as error:
        return Infinite(str(error))  # without the traceback, which would keep the locals of the computation alive
    except Unbounded as error:
        return Unbounded(f"no bound found: {error}")


def _enclose(
    name: str, p: Distribution, q: Distribution, digits: int,
    on_atoms: Callable[[Discrete, Discrete], arb], on_line: Callable[[Density, Density, int], arb],
) -> arb:  # fmt: skip
    """Reduce a pair to atoms or to the line, and enclose a divergence of it."""
    if isinstance(p, IsotropicNormal) and isinstance(q, IsotropicNormal) and p.d != q.d:
        raise ValueError(f"p, q live in {p.d} and {q.d} dimensions; expected the same number")
    if isinstance(p, IsotropicNormal) != isinstance(q, IsotropicNormal):
        one = p if isinstance(p, IsotropicNormal) else q
        if isinstance(one, IsotropicNormal) and one.d > 1:
            raise ValueError(f"p, q are {p!r}, {q!r}; expected both in {one.d} dimensions")
    p, q = (x.radial if isinstance(x, IsotropicNormal) else x for x in (p, q))
    if isinstance(p, Discrete) and isinstance(q, Discrete):
        a, b = p, q
        return enclose_to(lambda _: on_atoms(a, b), digits, name)
    if isinstance(p, Discrete) or isinstance(q, Discrete):
        a, b = Discrete([1], [0]), Discrete([1], [1])  # atoms and a density are mutually singular, as two points are
        return enclose_to(lambda _: on_atoms(a, b), digits, name)
    f, g = standardize(p.canonical(), q.canonical())
    return enclose_to(lambda d: on_line(f, g, d), digits, name)


# On atoms: exact but for the logarithms.


def _weights(p: Discrete, q: Discrete) -> tuple[atoms.Vector, atoms.Vector]:
    """Return the weights of p and q on the union of their atoms."""
    points = dict.fromkeys(p.atoms + q.atoms)
    return tuple(map(p.probability, points)), tuple(map(q.probability, points))


def _criterion_atoms(p: Discrete, q: Discrete) -> arb:
    return atoms.criterion(*_weights(p, q))


def _jsd_atoms(p: Discrete, q: Discrete) -> arb:
    return atoms.jsd(*_weights(p, q))


def _kl_atoms(p: Discrete, q: Discrete) -> arb:
    found = atoms.kl(*_weights(p, q))
    if not found.is_finite():
        raise Infinite(f"infinite by support: {SUPPORT}")
    return found


def _tv_atoms(p: Discrete, q: Discrete) -> arb:
    return ball(atoms.tv(*_weights(p, q)))


# On the line.


def criterion_integrand(log_p: LogDensity, log_q: LogDensity, at: Fraction) -> Integrand:
    """Return the integrand -p softplus(s) - q softplus(-s) of C,    s = log q - log p: log D* = -softplus(s)."""

    def f(x: Any, analytic: bool) -> Any:
        a, b = log_p(x, at, analytic), log_q(x, at, analytic)
        s = b - a
        return -(a.exp() * softplus(s, analytic)) - b.exp() * softplus(-s, analytic)

    return f


def jsd_integrand(log_p: LogDensity, log_q: LogDensity, at: Fraction) -> Integrand:
    """Return the integrand (p (log p - log m) + q (log q - log m)) / 2 of JSD,    m = (p + q) / 2."""

    def f(x: Any, analytic: bool) -> Any:
        a, b = log_p(x, at, analytic), log_q(x, at, analytic)
        log_m = log_sum_exp([a, b], analytic) - arb(2).log()
        return (a.exp() * (a - log_m) + b.exp() * (b - log_m)) / 2

    return f


def kl_integrand(log_p: LogDensity, log_q: LogDensity, at: Fraction) -> Integrand:
    """Return the integrand p (log p - log q) of KL."""

    def f(x: Any, analytic: bool) -> Any:
        a, b = log_p(x, at, analytic), log_q(x, at, analytic)
        return a.exp() * (a - b)

    return f


def left_out(p: Distribution, q: Distribution, digits: int) -> arb:
    """Bound the mass of p and q in the tails that the integrals of C and JSD leave out; each costs log 2 times it."""
    f, g = (x.radial if isinstance(x, IsotropicNormal) else x for x in (p, q))
    if isinstance(f, Discrete) or isinstance(g, Discrete):
        return arb(0)
    f, g = standardize(f.canonical(), g.canonical())
    with precision(digits + GUARD_DIGITS[0]):
        regions = [
            cut(piece, (f, g), lambda tail: outside(f, tail) + outside(g, tail), power_of_ten(-digits - SLACK_DIGITS))
            for piece in pieces((f, g))
            if f.positive_at(piece.at) and g.positive_at(piece.at)
        ]
        return sum((region.cost for region in regions), arb(0)).abs_upper()


def _criterion_line(p: Density, q: Density, digits: int) -> arb:
    """Integrate C.  Where only one density is positive, its log D* (or log(1 - D*)) is log 1 = 0."""
    total, log2 = arb(0), arb(2).log()
    for piece in pieces((p, q)):
        if p.positive_at(piece.at) and q.positive_at(piece.at):
            region = cut(piece, (p, q), lambda tail: outside(p, tail) + outside(q, tail), power_of_ten(-digits))
            f = criterion_integrand(p.log_density(), q.log_density(), piece.at)
            total += integral(f, region.low, region.high, digits) - between(0, log2 * region.cost)
    return total


def _jsd_line(p: Density, q: Density, digits: int) -> arb:
    """Integrate JSD.  Where only one density is positive, m is half of it: its mass contributes log 2 / 2."""
    total, log2 = arb(0), arb(2).log()
    for piece in pieces((p, q)):
        here, there = p.positive_at(piece.at), q.positive_at(piece.at)
        if here and there:
            region = cut(piece, (p, q), lambda tail: outside(p, tail) + outside(q, tail), power_of_ten(-digits))
            f = jsd_integrand(p.log_density(), q.log_density(), piece.at)
            total += integral(f, region.low, region.high, digits) + between(0, log2 * region.cost / 2)
        elif here or there:
            total += mass(p if here else q, piece.low, piece.high) * log2 / 2
    return total


def _kl_line(p: Density, q: Density, digits: int) -> arb:
    """Integrate KL, with its tails bounded as in `verify.densities.tails`."""
    total = arb(0)
    if p == q:
        return total
    if (reason := why_infinite(p, q)) is not None:
        raise Infinite(reason)

    def cost(tail: Tail) -> arb:
        moments = p.moments(tail)
        above = expectation(p.log_bound(tail), moments) + expectation(q.neg_log_bound(tail), moments)
        return above + outside(q, tail)

    for piece in pieces((p, q)):
        if p.positive_at(piece.at):  # and q too
            region = cut(piece, (p, q), cost, power_of_ten(-digits))
            f = kl_integrand(p.log_density(), q.log_density(), piece.at)
            total += integral(f, region.low, region.high, digits) + between(-region.cost, region.cost)
    return total
