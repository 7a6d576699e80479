"""Certified integrals over the line: pieces on which both densities are analytic, and a bound on what is left out.

The line is split at every edge of p and q.  A piece that reaches infinity, or an edge where a logarithm of a density
is singular, is cut where what is lost costs less than a tolerance; the rest is `acb.integral`, whose result is an
enclosure as long as the integrand says where it is not analytic.
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
from verify.densities.ends import End

Integrand = Callable[[Any, bool], Any]  # (x, analytic) -> f(x)

GUARDS = (15, 60, 240)  # digits carried beyond those asked for, until they suffice
DEEP_GUARDS = (480, 960)  # and these, where a singular edge must be approached closer than those digits can tell
SLACK = 5  # each part of a result is enclosed to 10^-(digits + SLACK)
EVALUATIONS = 400_000  # more is hopeless, and would take minutes


class Coarse(Undecided):
    """A cut so close to its edge that the working digits cannot tell them apart."""


class Exhausted(Undecided):
    """No cut that was tried is cheap enough, though the price of each is finite; more digits allow closer cuts."""

    def __init__(self, edge: Fraction | None) -> None:
        self.edge = edge
        super().__init__(
            "no cut of a tail is cheap enough" if edge is None else f"no cut beside {edge} is cheap enough"
        )


@dataclass(frozen=True)
class Piece:
    """An interval (None is infinite) without edges inside, and a rational point of it."""

    low: Fraction | None
    high: Fraction | None
    at: Fraction


@dataclass(frozen=True)
class Region:
    """What is left of a piece after its ends are cut, the ends, and what they cost."""

    low: arb
    high: arb
    at: Fraction
    cost: arb
    ends: tuple[End, ...]


def pieces(densities: Sequence[Density], edges: Iterable[Fraction] = ()) -> list[Piece]:
    """Return the pieces between neighbouring edges (of the densities, and further ones), from left to right."""
    edges = sorted({edge for p in densities for edge in p.edges()} | set(edges))
    if not edges:
        return [Piece(None, None, Fraction(0))]
    inner = [Piece(a, b, (a + b) / 2) for a, b in pairwise(edges)]
    return [Piece(None, edges[0], edges[0] - 1), *inner, Piece(edges[-1], None, edges[-1] + 1)]


def cut(piece: Piece, densities: Sequence[Density], cost: Callable[[End], arb], budget: arb) -> Region:
    """Cut the ends of a piece so that each costs at most `budget`; Unbounded if no cut does."""
    bounds: list[arb] = []
    ends: list[End] = []
    for side, edge in ((-1, piece.low), (+1, piece.high)):
        if edge is not None and not any(p.singular(edge) for p in densities):
            bounds.append(ball(edge))
            continue
        end = _cheap(*_candidates(piece, side, edge, densities), cost, budget)
        ends.append(end)
        bounds.append(side * end.cut if edge is None else end.cut)
    return Region(bounds[0], bounds[1], piece.at, sum((cost(end) for end in ends), arb(0)), tuple(ends))


def _candidates(
    piece: Piece, side: int, edge: Fraction | None, densities: Sequence[Density]
) -> tuple[Callable[[int], End], range]:
    """Return smaller and smaller ends by their power k: |x| > 2^k, or |x - edge| < 2^-k."""
    if edge is None:
        other = piece.low if side > 0 else piece.high
        start = max([p.tail_start() for p in densities] + [1 + abs(other or Fraction(0))])
        k = _power_above(Fraction(start))
        return lambda power: End(side, arb(2) ** power, piece.at), range(k, k + 64 * ctx.prec)
    other = piece.high if side < 0 else piece.low
    half = Fraction(1, 2) if other is None else min(Fraction(1, 2), abs(other - edge) / 4)
    k, at_edge = _power_above(1 / half), ball(edge)

    def beside(power: int) -> End:
        width = arb(2) ** (-power)
        if not side * (at_edge - (at_edge - side * width)) > 0:
            raise Coarse(f"2^-{power} beside the edge {edge} is less than the working precision")
        return End(side, at_edge - side * width, piece.at, edge, width)

    return beside, range(k, k + 64 * ctx.prec, 8)


def _power_above(x: Fraction) -> int:
    """Return the least k >= 0 with 2^k >= x, in integers: a float ends at 1e308."""
    return (math.ceil(x) - 1).bit_length() if x > 1 else 0


TRIED = 64  # ends that are tried before the last: if that one costs too much, all do


def _cheap(end_at: Callable[[int], End], powers: range, cost: Callable[[End], arb], budget: arb) -> End:
    """Return the first end that costs at most `budget`; smaller ends cost less."""
    for count, power in enumerate(powers):
        if count == TRIED and _never(end_at, powers, cost, budget):
            break
        end = end_at(power)
        bound = cost(end)
        if bound <= budget:
            return end
        if bound.is_nan():
            raise Undecided("a tail could not be bounded at this precision")
        if not bound.is_finite():
            raise Unbounded("a tail has no finite bound")
    raise Exhausted(end_at(powers[0]).edge)


def _never(end_at: Callable[[int], End], powers: range, cost: Callable[[End], arb], budget: arb) -> bool:
    """Whether even the smallest end costs more than the budget."""
    try:
        return bool(cost(end_at(powers[-1])) > budget)
    except Coarse:  # beyond what the digits tell apart; one before it may be cheap
        return False


def mass(p: Density, low: Fraction | None, high: Fraction | None) -> arb:
    """Return the mass of p between two rationals; None is infinite."""
    return p.mass(None if low is None else ball(low), None if high is None else ball(high))


def outside(p: Density, end: End) -> arb:
    """Return an upper bound on the mass of p in an end."""
    if end.edge is None:
        return p.tail(end.side * end.cut, end.side).abs_upper()
    return p.moments(end).mass.abs_upper()


def integral(f: Integrand, low: arb, high: arb, digits: int) -> arb:
    """Return an enclosure of the integral of a function that is real on [low, high]."""
    return acb.integral(
        f, low, high, abs_tol=power_of_ten(-digits), eval_limit=EVALUATIONS, depth_limit=64 * ctx.prec
    ).real


def enclose_to(compute: Callable[[int], arb], digits: int, name: str) -> arb:
    """Return compute(digits + SLACK) with a radius of at most 10^-digits, at as high a precision as that takes.

    An edge where p ~ u^(e-1) is cut at u ~ 10^-(digits/e): e >= 1/25 is in reach at 30 digits, 1/100 at the edge 0.
    Unbounded if no cut of a tail, or beside an edge, is cheap enough.
    """
    coarse = False
    exhausted: Exhausted | None = None
    for guard in (*GUARDS, *DEEP_GUARDS):
        if guard in DEEP_GUARDS and not coarse:
            break
        with precision(digits + guard):
            try:
                x = compute(digits + SLACK)
            except Unbounded:
                raise
            except Undecided as error:
                exhausted = error if isinstance(error, Exhausted) else None
                coarse = isinstance(error, Coarse) or (exhausted is not None and exhausted.edge is not None)
                continue
            coarse, exhausted = False, None
            if x.is_finite() and x.rad() <= power_of_ten(-digits):
                return x
    if exhausted is not None:
        raise Unbounded(f"{exhausted} for {name} to {digits} digits")
    why = ": a density has too strong a singularity at an edge" if coarse else ""
    raise Undecided(f"{name} could not be enclosed to {digits} digits{why}")
