"""Elementary functions that read the same on balls (`arb`), complex balls (`acb`) and Taylor series (`arb_series`).

With `analytic`, log answers "not finite" on a complex ball that meets its branch cut: `acb.integral` asks for that
wherever it needs the integrand to be analytic, and forgetting to pass it on gives wrong finite enclosures.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from flint import acb, arb

Number = Any  # arb, acb or arb_series


def log(x: Number, analytic: bool = False) -> Number:
    """Return log x."""
    return x.log(analytic=analytic) if isinstance(x, acb) else x.log()


def middle(x: Number) -> arb:
    """Return the real midpoint (of a series: of its first coefficient)."""
    return x.real.mid() if isinstance(x, acb) else x.mid() if isinstance(x, arb) else x[0].mid()


def softplus(s: Number, analytic: bool = False) -> Number:
    """Return log(1 + e^s) = s + log(1 + e^-s), by the form that does not overflow at the midpoint.

    Both forms continue the same real function wherever their logarithms stay off the cut.
    """
    return s + log(1 + (-s).exp(), analytic) if middle(s) > 0 else log(1 + s.exp(), analytic)


def tanh(x: Number) -> Number:
    """Return tanh x = (1 - e) / (1 + e) with e = e^-2x, or minus that of -x: by the sign of the middle, e stays small.

    On a wide complex ball far from the origin e is a small ball and the quotient is finite; it is not where the ball
    meets a pole.  Taylor series have no tanh of their own.
    """
    if middle(x) > 0:
        e = (-2 * x).exp()
        return (1 - e) / (1 + e)
    e = (2 * x).exp()
    return (e - 1) / (1 + e)


def log_sum_exp(terms: Sequence[Number], analytic: bool = False) -> Number:
    """Return log sum_i e^(t_i) = t_k + log(1 + sum_(i != k) e^(t_i - t_k)), for the largest t_k at the midpoint.

    Any k gives the same function; the largest keeps the exponentials small, and a single term needs none.
    """
    middles = [middle(t) for t in terms]
    largest = reduce(lambda k, i: i if middles[i] > middles[k] else k, range(len(terms)))
    top = terms[largest]
    rest = [(t - top).exp() for i, t in enumerate(terms) if i != largest]
    return top + log(reduce(add, rest, 1), analytic) if rest else top


def sigmoid(s: Any) -> Any:
    """1 / (1 + e^-s)."""
    return 1 / (1 + (-s).exp())


def phi(z: Any) -> Any:
    """e^(-z^2 / 2) / sqrt(2 pi), the density of N(0, 1)."""
    return (-z * z / 2).exp() / (2 * arb.pi()).sqrt()
