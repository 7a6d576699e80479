"""Total variation without an integral: the sign of p - q on intervals, and their masses in closed form.

TV(p, q) = 1/2 integral |p - q| = 1/2 sum over intervals of constant sign of |P(I) - Q(I)|.

The sign of log q - log p is that of a Taylor model c_0 + c_1 (x - m) + ... + c_n(X) (x - m)^n, whose last coefficient
is enclosed over the whole interval X.  It decides the sign where p - q is as small as 1e-12, and bounds |p - q| where
p = q on a piece.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from typing import Any

from flint import arb, arb_series, ctx

from verify.analysis.integrate import Region, cut, mass, outside, pieces
from verify.arithmetic.balls import between, power_of_ten
from verify.arithmetic.decide import Undecided
from verify.densities.base import Density
from verify.densities.tails import INFINITE

ORDERS = (2, 8, 32)  # then as many as digits: where p = q, only so many terms give a bound that is small enough
MAX_INTERVALS = 20_000


@dataclass(frozen=True)
class SignInterval:
    """An interval with the sign of q - p, or with 0 (sign unknown) and a bound on 1/2 integral |p - q| over it.

    The bound is infinite by default, so that an unknown sign never counts as no difference.
    """

    low: arb
    high: arb
    sign: int
    bound: arb = INFINITE


def total_variation(p: Density, q: Density, digits: int) -> arb:
    """Enclose TV(p, q) at the current precision, with tails and unknown signs of about 10^-digits in all."""
    if p == q:
        return arb(0)
    budget = power_of_ten(-digits - 1)
    total = arb(0)
    for piece in pieces((p, q)):
        here, there = p.positive_at(piece.at), q.positive_at(piece.at)
        if here and there:
            region = cut(piece, (p, q), lambda tail: outside(p, tail) + outside(q, tail), budget)
            total += between(0, region.cost / 2) + _inside(p, q, region, budget)
        elif here or there:
            total += mass(p if here else q, piece.low, piece.high) / 2
    return total


def _inside(p: Density, q: Density, region: Region, budget: arb) -> arb:
    """Enclose 1/2 integral |p - q| over a region where both densities are analytic."""
    total = arb(0)
    runs = [list(run) for _, run in groupby(_signs(p, q, region, budget), key=lambda one: one.sign)]
    for k, run in enumerate(runs):
        # The ends of the region are balls (an edge may be 1/3).  The intervals cover those balls; the masses must
        # start and stop at the true ends.
        low = region.low if k == 0 else run[0].low
        high = region.high if k == len(runs) - 1 else run[-1].high
        if run[0].sign:
            total += run[0].sign * (q.mass(low, high) - p.mass(low, high)) / 2
        else:
            total += between(0, sum((one.bound for one in run), arb(0)))
    return total


def _signs(p: Density, q: Density, region: Region, budget: arb) -> Iterator[SignInterval]:
    """Yield intervals that cover the region, from left to right."""
    log_p, log_q, at = p.log_density(), q.log_density(), region.at

    def ratio(x: Any) -> Any:
        return log_q(x, at) - log_p(x, at)

    stack, count, share = [(region.low.lower(), region.high.upper())], 0, budget / 1000
    while stack:
        low, high = stack.pop()
        count += 1
        if count > MAX_INTERVALS:
            raise Undecided(f"the sign of p - q changes too often, or too little: {MAX_INTERVALS} intervals")
        r, slope = _models(ratio, low, high)
        if r > 0 or r < 0:
            yield SignInterval(low, high, 1 if r > 0 else -1)
        elif (bound := (p.mass(low, high) * r.expm1()).abs_upper() / 2) <= share:  # |p - q| = p |e^r - 1|
            yield SignInterval(low, high, 0, bound)
        elif slope > 0 or slope < 0:
            yield from _crossing(ratio, 1 if slope > 0 else -1, p, q, low, high, share)
        else:
            middle = ((low + high) / 2).mid()
            stack += [(middle, high), (low, middle)]


def _models(ratio: Callable[[Any], Any], low: arb, high: arb) -> tuple[arb, arb]:
    """Enclose the ratio and its derivative over [low, high], by the first Taylor model that decides a sign."""
    middle, X = ((low + high) / 2).mid(), between(low, high)
    h = X - middle
    value, slope = arb("nan"), arb("nan")
    for order in (*ORDERS, max(64, ctx.dps)):
        wide = _coefficients(ratio, X, order)
        if not all(c.is_finite() for c in wide):
            break
        c = [*_coefficients(ratio, middle, order)[:order], wide[order]]
        value = _horner(c, h)
        slope = _horner([k * c[k] for k in range(1, order)] + [order * wide[order]], h)
        if value > 0 or value < 0 or slope > 0 or slope < 0:
            break
    return value, slope


def _coefficients(ratio: Callable[[Any], Any], x: arb, order: int) -> list[arb]:
    before, ctx.cap = ctx.cap, order + 1
    try:
        series = ratio(arb_series([x, 1], order + 1))
        return [series[k] for k in range(order + 1)]
    finally:
        ctx.cap = before


def _horner(coefficients: list[arb], h: arb) -> arb:
    return reduce(lambda total, c: total * h + c, reversed(coefficients), arb(0))


def _crossing(
    ratio: Callable[[Any], Any], direction: int, p: Density, q: Density, low: arb, high: arb, share: arb
) -> Iterator[SignInterval]:
    """Bisect for the zero of a ratio that increases (direction 1) or decreases (direction -1) on [low, high].

    Left of the zero a monotone ratio has the sign -direction, right of it the sign direction.  This needs no decision
    at the ends, where the ball of the ratio may contain 0.
    """

    def sign(x: arb) -> int | None:
        r = ratio(x)
        return 1 if r > 0 else -1 if r < 0 else None

    if (left := sign(low)) == direction or sign(high) == -direction:  # no zero in between: the ratio keeps that sign
        yield SignInterval(low, high, direction if left == direction else -direction)
        return
    a, b, moved = low, high, True
    while moved and (p.mass(a, b) + q.mass(a, b)).abs_upper() / 2 > share:
        moved = False
        for weight in (2, 1, 3):  # the middle, or a point beside it if the sign at the middle is undecided
            x = ((weight * b + (4 - weight) * a) / 4).mid()
            here = sign(x) if a < x and x < b else None
            if here is not None:
                a, b, moved = (x, b, True) if here == -direction else (a, x, True)
                if weight == 2:
                    break
    if low < a:
        yield SignInterval(low, a, -direction)
    yield SignInterval(a, b, 0, ((p.mass(a, b) + q.mass(a, b)) / 2).abs_upper())
    if b < high:
        yield SignInterval(b, high, direction)
