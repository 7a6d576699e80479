"""Elementary functions of balls (`arb`), complex balls (`acb`) and Taylor series (`arb_series`).

With `analytic`, log returns a ball that is not finite for a complex ball that meets its branch cut.  `acb.integral`
sets `analytic` where it needs the integrand to be analytic; an integrand that does not pass it on to its logarithms
gets a finite but wrong enclosure.
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
    """Return the midpoint of the real part; for a series, that of its first coefficient."""
    return x.real.mid() if isinstance(x, acb) else x.mid() if isinstance(x, arb) else x[0].mid()


def softplus(s: Number, analytic: bool = False) -> Number:
    """Return log(1 + e^s) = s + log(1 + e^-s), by the form whose exponential is small at the midpoint.

    Both forms continue the same real function wherever their logarithms do not meet the cut.
    """
    return s + log(1 + (-s).exp(), analytic) if middle(s) > 0 else log(1 + s.exp(), analytic)


def tanh(x: Number) -> Number:
    """Return tanh x = (1 - e) / (1 + e), e = e^-2x, or -tanh(-x), whichever has the small exponential at the midpoint.

    On a wide complex ball far from the origin e is a small ball and the quotient is finite; where the ball meets a
    pole, it is not.  `arb_series` has no tanh.
    """
    if middle(x) > 0:
        e = (-2 * x).exp()
        return (1 - e) / (1 + e)
    e = (2 * x).exp()
    return (e - 1) / (1 + e)


def log_sum_exp(terms: Sequence[Number], analytic: bool = False) -> Number:
    """Return log sum_i e^(t_i) = t_k + log(1 + sum_(i != k) e^(t_i - t_k)), for the largest t_k at the midpoint.

    Every k gives the same function; the largest t_k keeps the exponentials small.
    """
    middles = [middle(t) for t in terms]
    largest = reduce(lambda k, i: i if middles[i] > middles[k] else k, range(len(terms)))
    top = terms[largest]
    rest = [(t - top).exp() for i, t in enumerate(terms) if i != largest]
    return top + log(reduce(add, rest, 1), analytic) if rest else top


def sigmoid(s: Any) -> Any:
    """Return 1 / (1 + e^-s)."""
    return 1 / (1 + (-s).exp())


def phi(z: Any) -> Any:
    """Return e^(-z^2 / 2) / sqrt(2 pi), the density of N(0, 1)."""
    return (-z * z / 2).exp() / (2 * arb.pi()).sqrt()
