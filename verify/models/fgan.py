r"""The f-divergences of f-GAN (Nowozin et al. 2016) and their variational bound.

    D_f(p, q) = integral q f(p/q)  >=  E_p T - E_q f*(T)      for every T with values in the domain of f*,

with equality at T = f'(p/q); f is convex, f(1) = 0 (but -log 4 for "GAN"), f*(t) = sup_u (u t - f(u)).

The pair is p = Exp(3), q = Exp(2).  Its ratio u = (3/2) e^-x takes values on both sides of 1, every D_f has a closed
form, and a D_f that is not symmetric distinguishes (p, q) from (q, p).
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import sympy as sp
from flint import acb, arb

from verify.analysis import divergences
from verify.analysis.integrate import enclose_to, integral
from verify.arithmetic.balls import ball, between
from verify.densities import Exponential
from verify.densities.functions import log

U, DUAL = sp.Symbol("u", positive=True), sp.Symbol("t")
P, Q = Exponential(3), Exponential(2)
# With y = e^-x, p dx = 3 y^2 dy and q dx = 2 y dy.  For T = f'(u^c), 0.9 <= c <= 1, this bounds |3 y^2 T - 2 y f*(T)|
# on (0, 1/2), because y |log u| and y^2/u^2 are below 1/2: the tail x > X contributes at most this times e^-X.
MAX_INTEGRAND_NEAR_0 = 8


@dataclass(frozen=True)
class FDivergence:
    """An f-divergence, as expressions and as functions of balls, with its closed form for p = Exp(3), q = Exp(2).

    Attributes
    ----------
    name
        The name of the divergence.
    f
        f(u) as an expression in U.
    conjugate
        f*(t) as an expression in DUAL.
    tangent
        ``tangent(u, log u, analytic)`` returns f'(u).
    dual
        ``dual(t, analytic)`` returns f*(t).
    closed
        ``closed(digits)`` encloses D_f(p, q).
    swapped
        ``swapped(digits)`` encloses D_f(q, p); None if D_f is symmetric.

    """

    name: str
    f: sp.Expr
    conjugate: sp.Expr
    tangent: Callable[[Any, Any, bool], Any]
    dual: Callable[[Any, bool], Any]
    closed: Callable[[int], arb]
    swapped: Callable[[int], arb] | None = None


def _root(x: Any, analytic: bool) -> Any:
    return x.sqrt(analytic=analytic) if isinstance(x, acb) else x.sqrt()


def _log(value: Fraction) -> arb:
    return ball(value).log()


R = Fraction(3, 2)
JS_F = U * sp.log(U) - (U + 1) * sp.log((U + 1) / 2)

FAMILY = {
    divergence.name: divergence
    for divergence in (
        FDivergence(
            "Kullback-Leibler", U * sp.log(U), sp.exp(DUAL - 1),
            lambda u, l, analytic: 1 + l, lambda t, analytic: (t - 1).exp(),
            lambda _: _log(R) - arb(1) / 3, lambda _: arb(1) / 2 - _log(R),
        ),
        FDivergence(
            "reverse Kullback-Leibler", -sp.log(U), -1 - sp.log(-DUAL),
            lambda u, l, analytic: -1 / u, lambda t, analytic: -1 - log(-t, analytic),
            lambda _: arb(1) / 2 - _log(R), lambda _: _log(R) - arb(1) / 3,
        ),
        FDivergence(
            "Pearson chi-square", (U - 1) ** 2, DUAL + DUAL**2 / 4,
            lambda u, l, analytic: 2 * (u - 1), lambda t, analytic: t + t * t / 4,
            lambda _: arb(1) / 8, lambda _: arb(1) / 3,
        ),
        FDivergence(
            "Neyman chi-square", (1 - U) ** 2 / U, 2 - 2 * sp.sqrt(1 - DUAL),
            lambda u, l, analytic: 1 - 1 / (u * u), lambda t, analytic: 2 - 2 * _root(1 - t, analytic),
            lambda _: arb(1) / 3, lambda _: arb(1) / 8,
        ),
        FDivergence(
            "squared Hellinger", (sp.sqrt(U) - 1) ** 2, DUAL / (1 - DUAL),
            lambda u, l, analytic: 1 - (-l / 2).exp(), lambda t, analytic: t / (1 - t),
            lambda _: 2 - 4 * arb(6).sqrt() / 5,
        ),
        FDivergence(
            "Jensen-Shannon", JS_F, -sp.log(2 - sp.exp(DUAL)),
            lambda u, l, analytic: l + log(2 / (1 + u), analytic), lambda t, analytic: -log(2 - t.exp(), analytic),
            lambda digits: 2 * divergences.jsd(P, Q, digits + 2),
        ),
        FDivergence(
            "GAN", U * sp.log(U) - (U + 1) * sp.log(U + 1), -sp.log(1 - sp.exp(DUAL)),
            lambda u, l, analytic: l - log(1 + u, analytic), lambda t, analytic: -log(1 - t.exp(), analytic),
            lambda digits: divergences.criterion(P, Q, digits + 2),
        ),
    )
}  # fmt: skip


@cache
def bound(name: str, digits: int, power: Fraction = Fraction(1)) -> arb:
    """Enclose E_p T - E_q f*(T) at T = f'((p/q)^power): the integral of 3 e^-3x T - 2 e^-2x f*(T) over x > 0.

    Parameters
    ----------
    name : str
        A key of FAMILY.
    digits : int
        The digits after the point; the radius is at most 10^-digits.
    power : Fraction
        From 9/10 to 1, for which the tail bound holds; by default 1, the optimal T.

    Returns
    -------
    arb
        The bound: D_f(p, q) at power 1, at most D_f(p, q) at others.

    """
    divergence = FAMILY[name]

    def compute(d: int) -> arb:
        c = ball(power) * _log(R)

        def integrand(x: Any, analytic: bool) -> Any:
            exponent = c - ball(power) * x  # log u^power
            t = divergence.tangent(exponent.exp(), exponent, analytic)
            y = (-x).exp()
            return 3 * y**3 * t - 2 * y**2 * divergence.dual(t, analytic)

        cut = ((d + 2) * arb(10).log()).ceil()
        lost = MAX_INTEGRAND_NEAR_0 * (-cut).exp()
        return integral(integrand, arb(0), cut, d) + between(-lost.upper(), lost.upper())

    return enclose_to(compute, digits, f"the bound of {name}")
