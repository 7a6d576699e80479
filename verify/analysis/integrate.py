"""Certified integrals over the line: pieces on which the densities are analytic, and bounds on the tails left out.

The line is split at every edge of p and q.  A piece that reaches infinity, or an edge where the logarithm of a density
is singular, is cut so that its tail costs less than a tolerance.  `acb.integral` encloses the integral over the rest,
as long as the integrand reports where it is not analytic.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from flint import acb, arb, ctx

from verify.arithmetic.balls import ball, power_of_ten, precision
from verify.arithmetic.decide import Unbounded, Undecided
from verify.densities.base import Density
from verify.densities.tails import Tail

Integrand = Callable[[Any, bool], Any]  # (x, analytic) -> f(x)

GUARD_DIGITS = (15, 60, 240)  # tried in turn: working digits beyond the result's, until the result is narrow enough
EXTRA_GUARD_DIGITS = (480, 960)  # tried next if a tail must be cut closer to its edge than those digits can resolve
SLACK_DIGITS = 5  # each part of a result is enclosed to 10^-(digits + SLACK_DIGITS)
MAX_EVALUATIONS = 400_000  # an integral that needs more would take minutes and rarely succeeds
MAX_TAILS_TRIED = 64  # then the smallest tail is tried: if it is too costly, all are


class TooCoarse(Undecided):
    """A cut is so close to its edge that the working digits cannot tell the two apart."""


class Exhausted(Undecided):
    """No cut that was tried is cheap enough, though each cost is finite.  More digits allow cuts closer to an edge."""

    def __init__(self, edge: Fraction | None) -> None:
        self.edge = edge
        super().__init__(
            "no cut of a tail is cheap enough" if edge is None else f"no cut beside {edge} is cheap enough"
        )


@dataclass(frozen=True)
class Piece:
    """An interval without edges inside.

    Attributes
    ----------
    low, high
        The ends of the interval; None is infinite.
    at
        A rational point inside, which selects the branch of a formula with kinks.

    """

    low: Fraction | None
    high: Fraction | None
    at: Fraction


@dataclass(frozen=True)
class Region:
    """A piece without its tails.

    Attributes
    ----------
    low, high
        The interval that is integrated.
    at
        A rational point of the piece.
    cost
        A bound on what all tails contribute.
    tails
        The tails that were cut off: none, one or two.

    """

    low: arb
    high: arb
    at: Fraction
    cost: arb
    tails: tuple[Tail, ...]


def pieces(densities: Sequence[Density], edges: Iterable[Fraction] = ()) -> list[Piece]:
    """Split the line at the edges of the densities and at further `edges`; return the pieces from left to right."""
    edges = sorted({edge for p in densities for edge in p.edges()} | set(edges))
    if not edges:
        return [Piece(None, None, Fraction(0))]
    inner = [Piece(a, b, (a + b) / 2) for a, b in pairwise(edges)]
    return [Piece(None, edges[0], edges[0] - 1), *inner, Piece(edges[-1], None, edges[-1] + 1)]


def cut(piece: Piece, densities: Sequence[Density], cost: Callable[[Tail], arb], budget: arb) -> Region:
    """Cut the tails of a piece.

    Parameters
    ----------
    piece : Piece
        The interval to cut at infinity and beside each edge where a density is singular.
    densities : sequence of Density
        The densities that the integrand is made of.
    cost : callable
        ``cost(tail)`` bounds the integral over a tail.
    budget : arb
        What each tail may cost.

    Returns
    -------
    Region
        The rest of the piece, and its tails.

    Raises
    ------
    Unbounded
        If the cost of a tail has no finite bound.
    Exhausted
        If no tail that was tried is within the budget.
    TooCoarse
        If the working precision cannot represent a cut that is close enough to its edge.

    """
    bounds: list[arb] = []
    tails: list[Tail] = []
    for side, edge in ((-1, piece.low), (+1, piece.high)):
        if edge is not None and not any(p.singular(edge) for p in densities):
            bounds.append(ball(edge))
            continue
        tail = _first_within(*_candidates(piece, side, edge, densities), cost, budget)
        tails.append(tail)
        bounds.append(side * tail.cut if edge is None else tail.cut)
    return Region(bounds[0], bounds[1], piece.at, sum((cost(tail) for tail in tails), arb(0)), tuple(tails))


def _candidates(
    piece: Piece, side: int, edge: Fraction | None, densities: Sequence[Density]
) -> tuple[Callable[[int], Tail], range]:
    """Return ever smaller tails as a function of their power k, and its range: |x| > 2^k, or |x - edge| < 2^-k."""
    if edge is None:
        other = piece.low if side > 0 else piece.high
        start = max([p.tail_start() for p in densities] + [1 + abs(other or Fraction(0))])
        k = _power_above(Fraction(start))
        return lambda power: Tail(side, arb(2) ** power, piece.at), range(k, k + 64 * ctx.prec)
    other = piece.high if side < 0 else piece.low
    half = Fraction(1, 2) if other is None else min(Fraction(1, 2), abs(other - edge) / 4)
    k, at_edge = _power_above(1 / half), ball(edge)

    def near_edge(power: int) -> Tail:
        width = arb(2) ** (-power)
        if not side * (at_edge - (at_edge - side * width)) > 0:
            raise TooCoarse(f"2^-{power} beside the edge {edge} is less than the working precision")
        return Tail(side, at_edge - side * width, piece.at, edge, width)

    return near_edge, range(k, k + 64 * ctx.prec, 8)


def _power_above(x: Fraction) -> int:
    """Return the least k >= 0 with 2^k >= x, in integers, since x may exceed the largest float."""
    return (math.ceil(x) - 1).bit_length() if x > 1 else 0


def _first_within(tail_at: Callable[[int], Tail], powers: range, cost: Callable[[Tail], arb], budget: arb) -> Tail:
    """Return the first tail that costs at most `budget`; smaller tails cost less."""
    for count, power in enumerate(powers):
        if count == MAX_TAILS_TRIED and _all_exceed(tail_at, powers, cost, budget):
            break
        tail = tail_at(power)
        bound = cost(tail)
        if bound <= budget:
            return tail
        if bound.is_nan():
            raise Undecided("a tail could not be bounded at this precision")
        if not bound.is_finite():
            raise Unbounded("a tail has no finite bound")
    raise Exhausted(tail_at(powers[0]).edge)


def _all_exceed(tail_at: Callable[[int], Tail], powers: range, cost: Callable[[Tail], arb], budget: arb) -> bool:
    """Return whether even the smallest tail costs more than the budget."""
    try:
        return bool(cost(tail_at(powers[-1])) > budget)
    except TooCoarse:  # the smallest tail cannot be represented; a larger one may still be cheap enough
        return False


def mass(p: Density, low: Fraction | None, high: Fraction | None) -> arb:
    """Return the mass of p between two rationals; None is infinite."""
    return p.mass(None if low is None else ball(low), None if high is None else ball(high))


def outside(p: Density, tail: Tail) -> arb:
    """Return an upper bound on the mass of p in a tail."""
    if tail.edge is None:
        return p.tail(tail.side * tail.cut, tail.side).abs_upper()
    return p.moments(tail).mass.abs_upper()


def integral(f: Integrand, low: arb, high: arb, digits: int) -> arb:
    """Enclose the integral of f over [low, high].

    Parameters
    ----------
    f : callable
        ``f(x, analytic)``, real on [low, high].  With `analytic`, it must return a ball that is not finite wherever
        it is not analytic on the complex ball x.
    low, high : arb
        The finite ends.
    digits : int
        The absolute tolerance is 10^-digits; the radius may still be larger.

    Returns
    -------
    arb
        The enclosure, which is not finite if too many evaluations were needed.

    """
    return acb.integral(
        f, low, high, abs_tol=power_of_ten(-digits), eval_limit=MAX_EVALUATIONS, depth_limit=64 * ctx.prec
    ).real


def enclose_to(compute: Callable[[int], arb], digits: int, name: str) -> arb:
    """Enclose a number to within 10^-digits, at as high a precision as that takes.

    A density ~ u^(e-1) at an edge is cut at u ~ 10^-(digits/e).  At 30 digits the guard digits suffice for
    e >= 1/25, and at the edge 0, where small u need no digits, for e >= 1/100.

    Parameters
    ----------
    compute : callable
        ``compute(digits + SLACK_DIGITS)`` returns an enclosure at the current precision.
    digits : int
        The largest radius is 10^-digits.
    name : str
        What is enclosed, for messages.

    Returns
    -------
    arb
        The enclosure.

    Raises
    ------
    Unbounded
        If no cut of a tail is cheap enough, or a tail has no finite bound.
    Undecided
        If the radius stays too large at the highest precision.

    """
    coarse = False
    exhausted: Exhausted | None = None
    for guard in (*GUARD_DIGITS, *EXTRA_GUARD_DIGITS):
        if guard in EXTRA_GUARD_DIGITS and not coarse:
            break
        with precision(digits + guard):
            try:
                x = compute(digits + SLACK_DIGITS)
            except Unbounded:
                raise
            except Undecided as error:
                exhausted = error if isinstance(error, Exhausted) else None
                coarse = isinstance(error, TooCoarse) or (exhausted is not None and exhausted.edge is not None)
                continue
            coarse, exhausted = False, None
            if x.is_finite() and x.rad() <= power_of_ten(-digits):
                return x
    if exhausted is not None:
        raise Unbounded(f"{exhausted} for {name} to {digits} digits")
    why = ": a density has too strong a singularity at an edge" if coarse else ""
    raise Undecided(f"{name} could not be enclosed to {digits} digits{why}")
