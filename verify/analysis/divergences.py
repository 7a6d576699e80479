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

from verify.analysis.infinite import SUPPORT, why_infinite
from verify.analysis.integrate import GUARDS, SLACK, Integrand, cut, enclose_to, integral, mass, outside, pieces
from verify.analysis.variation import total_variation
from verify.arithmetic.balls import ball, between, check_digits, power_of_ten, precision
from verify.arithmetic.decide import Infinite, Unbounded
from verify.densities import Density, Discrete, IsotropicNormal
from verify.densities.base import LogDensity
from verify.densities.ends import End, expectation
from verify.densities.functions import log_sum_exp, softplus
from verify.densities.placing import placed

Distribution = Density | Discrete | IsotropicNormal


@dataclass(frozen=True)
class Divergences:
    """Enclosures to within 10^-digits; a KL is None where it is infinite or has no bound, and its reason says which."""

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
    """Enclose the divergences between two densities: data p = p_data against model q = p_g.

    `kl` is KL(p || q) and `kl_reverse` KL(q || p).  `verify.Undecided` if one could not be enclosed so tightly.

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
    """Return p, or say what is accepted."""
    if not isinstance(p, Density | Discrete | IsotropicNormal):
        raise ValueError(f"{name} is {p!r}; expected a density of verify.densities")
    return p


@lru_cache(maxsize=1024)
def criterion(p: Distribution, q: Distribution, digits: int) -> arb:
    """C(G) = V(D*) = integral p log(p / (p + q)) + q log(q / (p + q))."""
    return _enclose("C", p, q, digits, _criterion_atoms, _criterion_line)


@lru_cache(maxsize=1024)
def jsd(p: Distribution, q: Distribution, digits: int) -> arb:
    """JSD(p, q)."""
    return _enclose("JSD", p, q, digits, _jsd_atoms, _jsd_line)


@lru_cache(maxsize=1024)
def tv(p: Distribution, q: Distribution, digits: int) -> arb:
    """TV(p, q)."""
    return _enclose("TV", p, q, digits, _tv_atoms, total_variation)


def kl(p: Distribution, q: Distribution, digits: int) -> arb | None:
    """KL(p || q), or None where it is infinite or the tails have no bound (`kl_reason` says which)."""
    found = _kl(p, q, digits)
    return None if isinstance(found, Unbounded) else found


def kl_reason(p: Distribution, q: Distribution, digits: int) -> str | None:
    """Return why KL(p || q) is None: infinite by support or by a moment, or no bound found; None where it is a ball."""
    found = _kl(p, q, digits)
    return str(found) if isinstance(found, Unbounded) else None


def kl_is_infinite(p: Distribution, q: Distribution, digits: int) -> bool | None:
    """Whether KL(p || q) is infinite: True if that is proved, False if it is enclosed, None if no bound was found."""
    found = _kl(p, q, digits)
    if isinstance(found, Unbounded):
        return True if isinstance(found, Infinite) else None
    return False


@lru_cache(maxsize=1024)
def _kl(p: Distribution, q: Distribution, digits: int) -> arb | Unbounded:
    try:
        return _enclose("KL", p, q, digits, _kl_atoms, _kl_line)
    except Infinite as error:
        return Infinite(str(error))  # without the traceback, which holds what was computed
    except Unbounded as error:
        return Unbounded(f"no bound found: {error}")


def _enclose(
    name: str, p: Distribution, q: Distribution, digits: int,
    atoms: Callable[[Discrete, Discrete], arb], line: Callable[[Density, Density, int], arb],
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
        return enclose_to(lambda _: atoms(a, b), digits, name)
    if isinstance(p, Discrete) or isinstance(q, Discrete):
        a, b = Discrete([1], [0]), Discrete([1], [1])  # atoms against a density: as disjoint as two points
        return enclose_to(lambda _: atoms(a, b), digits, name)
    f, g = placed(p.canonical(), q.canonical())
    return enclose_to(lambda d: line(f, g, d), digits, name)


# On atoms: exact but for the logarithms.


def _atoms(p: Discrete, q: Discrete) -> list[tuple[Fraction, Fraction]]:
    return [(p.at(x), q.at(x)) for x in dict.fromkeys(p.atoms + q.atoms)]


def _criterion_atoms(p: Discrete, q: Discrete) -> arb:
    terms = [ball(x) * ball(x / (a + b)).log() for a, b in _atoms(p, q) for x in (a, b) if x]
    return sum(terms, arb(0))


def _jsd_atoms(p: Discrete, q: Discrete) -> arb:
    m = [(a + b) / 2 for a, b in _atoms(p, q)]
    pairs = [(x, mean) for (a, b), mean in zip(_atoms(p, q), m, strict=True) for x in (a, b) if x]
    return sum((ball(x) * (ball(x).log() - ball(mean).log()) for x, mean in pairs), arb(0)) / 2


def _kl_atoms(p: Discrete, q: Discrete) -> arb:
    if any(a and not b for a, b in _atoms(p, q)):
        raise Infinite(f"infinite by support: {SUPPORT}")
    return sum((ball(a) * ball(a / b).log() for a, b in _atoms(p, q) if a), arb(0))


def _tv_atoms(p: Discrete, q: Discrete) -> arb:
    return ball(sum((abs(a - b) for a, b in _atoms(p, q)), Fraction(0)) / 2)


# On the line.


def criterion_integrand(log_p: LogDensity, log_q: LogDensity, at: Fraction) -> Integrand:
    """-p softplus(s) - q softplus(-s),    s = log q - log p: log D* = -softplus(s)."""

    def f(x: Any, analytic: bool) -> Any:
        a, b = log_p(x, at, analytic), log_q(x, at, analytic)
        s = b - a
        return -(a.exp() * softplus(s, analytic)) - b.exp() * softplus(-s, analytic)

    return f


def jsd_integrand(log_p: LogDensity, log_q: LogDensity, at: Fraction) -> Integrand:
    """(p (log p - log m) + q (log q - log m)) / 2,    m = (p + q) / 2."""

    def f(x: Any, analytic: bool) -> Any:
        a, b = log_p(x, at, analytic), log_q(x, at, analytic)
        log_m = log_sum_exp([a, b], analytic) - arb(2).log()
        return (a.exp() * (a - log_m) + b.exp() * (b - log_m)) / 2

    return f


def kl_integrand(log_p: LogDensity, log_q: LogDensity, at: Fraction) -> Integrand:
    """p (log p - log q)."""

    def f(x: Any, analytic: bool) -> Any:
        a, b = log_p(x, at, analytic), log_q(x, at, analytic)
        return a.exp() * (a - b)

    return f


def left_out(p: Distribution, q: Distribution, digits: int) -> arb:
    """Return (a bound on) the mass of p and q that the integrals of C and JSD leave out: each costs log 2 times it."""
    f, g = (x.radial if isinstance(x, IsotropicNormal) else x for x in (p, q))
    if isinstance(f, Discrete) or isinstance(g, Discrete):
        return arb(0)
    f, g = placed(f.canonical(), g.canonical())
    with precision(digits + GUARDS[0]):
        regions = [
            cut(piece, (f, g), lambda end: outside(f, end) + outside(g, end), power_of_ten(-digits - SLACK))
            for piece in pieces((f, g))
            if f.positive_at(piece.at) and g.positive_at(piece.at)
        ]
        return sum((region.cost for region in regions), arb(0)).abs_upper()


def _criterion_line(p: Density, q: Density, digits: int) -> arb:
    """Where only one density is positive, its log D* (or log(1 - D*)) is log 1 = 0."""
    total, log2 = arb(0), arb(2).log()
    for piece in pieces((p, q)):
        if p.positive_at(piece.at) and q.positive_at(piece.at):
            region = cut(piece, (p, q), lambda end: outside(p, end) + outside(q, end), power_of_ten(-digits))
            f = criterion_integrand(p.log_density(), q.log_density(), piece.at)
            total += integral(f, region.low, region.high, digits) - between(0, log2 * region.cost)
    return total


def _jsd_line(p: Density, q: Density, digits: int) -> arb:
    """Where only one density is positive, m is half of it: its mass costs log 2 / 2."""
    total, log2 = arb(0), arb(2).log()
    for piece in pieces((p, q)):
        here, there = p.positive_at(piece.at), q.positive_at(piece.at)
        if here and there:
            region = cut(piece, (p, q), lambda end: outside(p, end) + outside(q, end), power_of_ten(-digits))
            f = jsd_integrand(p.log_density(), q.log_density(), piece.at)
            total += integral(f, region.low, region.high, digits) + between(0, log2 * region.cost / 2)
        elif here or there:
            total += mass(p if here else q, piece.low, piece.high) * log2 / 2
    return total


def _kl_line(p: Density, q: Density, digits: int) -> arb:
    """The tails by the bounds of `verify.densities.ends`."""
    total = arb(0)
    if p == q:
        return total
    if (reason := why_infinite(p, q)) is not None:
        raise Infinite(reason)

    def cost(end: End) -> arb:
        moments = p.moments(end)
        above = expectation(p.log_bound(end), moments) + expectation(q.neg_log_bound(end), moments)
        return above + outside(q, end)

    for piece in pieces((p, q)):
        if p.positive_at(piece.at):  # and q too
            region = cut(piece, (p, q), cost, power_of_ten(-digits))
            f = kl_integrand(p.log_density(), q.log_density(), piece.at)
            total += integral(f, region.low, region.high, digits) + between(-region.cost, region.cost)
    return total
