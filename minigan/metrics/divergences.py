"""Divergences between two densities on the line and the value of the game, in nats, computed by quadrature.

All integrands are computed from log densities: with l = log p, r = log q and log m = log((p + q) / 2),

    KL(p || q) = integral p (l - r)
    JSD(p, q)  = integral p (l - log m) / 2 + q (r - log m) / 2          0 <= JSD <= log 2
    V(D)       = integral p log D + q log(1 - D),    D = sigma(s)
    D*         = p / (p + q),    V(D*) = C(G) = -log 4 + 2 JSD(p, q)     (Goodfellow et al. 2014, Theorem 1)

0 log 0 is 0, so that densities may have a compact support (log p = -inf outside) if its ends are among their
breakpoints.  The error is about 1e-12 for smooth integrands, and 1e-6 if D has kinks.
"""

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.data.toy import Density1D
from minigan.metrics._ranges import within
from minigan.ops import ops_of

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]

PANELS, NODES = 64, 16  # panels between two breakpoints, Gauss-Legendre nodes in a panel
MAX_U = math.asinh(300 / (math.pi / 2))  # u where |x - a| is e^300; it is e^-300 at -MAX_U
MAX_ROUNDING = 1e-6  # the error of quadrature outside the range of a divergence; a larger one is reported


@cache
def _gauss_legendre() -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(NODES)


def integrate(f: Function, breakpoints: ArrayLike) -> float:
    """Return the integral of f between the outermost breakpoints.

    The method is Gauss-Legendre quadrature with 16 nodes on 64 equal panels between consecutive breakpoints.  Between a
    and inf, x = a + exp(pi/2 sinh u) is substituted, which covers a + e^-300 to a + e^300, with 256 panels in u;
    likewise between -inf and a.

    Parameters
    ----------
    f : callable
        A function of a float64 array x (P, 16) that returns f(x) (P, 16).  If an end is infinite, |x| is at most about
        e^300.
    breakpoints : array
        At least two distinct numbers, in any order: the ends, and every kink and jump of f between them.  The ends may
        be -inf and inf; if there is no finite breakpoint, the line is split at 0.

    Returns
    -------
    float
        The integral; NaN or inf if f is.

    Raises
    ------
    ValueError
        If there are fewer than two distinct breakpoints, one is NaN, or f decays too slowly towards infinity.

    Examples
    --------
    >>> round(integrate(np.exp, [0, 1]), 12), round(integrate(lambda x: np.exp(-x), [0, np.inf]), 12)
    (1.718281828459, 1.0)

    """
    points = np.unique(np.asarray(breakpoints, dtype=float))
    if len(points) < 2 or np.isnan(points).any():
        given = np.asarray(breakpoints, dtype=float).tolist()
        raise ValueError(f"breakpoints are {given}; expected two different numbers or more, none of them NaN")
    finite = points[np.isfinite(points)]
    finite = finite if len(finite) else np.zeros(1)
    total = 0.0
    nodes, weights = _gauss_legendre()
    if len(finite) > 1:
        edges = np.unique(np.concatenate([np.linspace(a, b, PANELS + 1) for a, b in pairwise(finite)]))
        half = np.diff(edges)[:, None] / 2
        x = (edges[:-1, None] + half) + half * nodes
        total += float((f(x) * half * weights).sum())
    if np.isposinf(points[-1]):
        total += _half_line(f, float(finite[-1]), 1)
    if np.isneginf(points[0]):
        total += _half_line(f, float(finite[0]), -1)
    return total


def _half_line(f: Function, a: float, sign: int) -> float:
    """Return the integral of f from a to inf (sign 1), or from -inf to a (sign -1)."""
    nodes, weights = _gauss_legendre()
    edges = np.linspace(-MAX_U, MAX_U, 4 * PANELS + 1)
    half = np.diff(edges)[:, None] / 2
    u = (edges[:-1, None] + half) + half * nodes
    away = np.exp(math.pi / 2 * np.sinh(u))
    parts = (f(a + sign * away) * away * (math.pi / 2 * np.cosh(u)) * half * weights).sum(axis=1)
    if abs(parts[-1]) > 1e-9 * np.abs(parts).sum():
        raise ValueError(f"f decays too slowly towards {sign * math.inf}; expected an integral that converges")
    return float(parts.sum())


def _breakpoints(p: Density1D, q: Density1D) -> list[float]:
    return p.breakpoints() + q.breakpoints()


def _divergence(name: str, found: float, high: float) -> float:
    """Return `found`, restricted to [0, high]; raise ValueError if it is outside by more than `MAX_ROUNDING`."""
    if found < -MAX_ROUNDING or found > high + MAX_ROUNDING:
        raise ValueError(
            f"{name} comes out as {found:.6g}, outside [0, {high:.6g}]: p or q is not a density, or its breakpoints "
            "miss a part of it; expected breakpoints at every kink and jump"
        )
    return within(found, 0, high)


def kl(p: Density1D, q: Density1D) -> float:
    """KL(p || q) = integral p log(p / q).

    Parameters
    ----------
    p, q : Density1D
        Two densities.  Where p is 0 (log p = -inf), the integrand is 0.

    Returns
    -------
    float
        In [0, inf], in nats; inf if q is 0 at a node where p is not.

    Raises
    ------
    ValueError
        If the quadrature gives less than -1e-6: then p or q is not a density, or a kink or jump is missing in their
        breakpoints.

    Examples
    --------
    >>> from minigan.data import Gaussian
    >>> round(kl(Gaussian(0, 1), Gaussian(1, 1)), 12)
    0.5

    """

    def integrand(x: Floats) -> Floats:
        log_p, log_q = p.logpdf(x), q.logpdf(x)
        with np.errstate(invalid="ignore"):  # -inf - -inf and 0 inf, which are replaced
            y = p.pdf(x) * (log_p - log_q)
        return np.where(np.isneginf(log_p), 0.0, np.where(np.isneginf(log_q), np.inf, y))

    return _divergence("KL(p || q)", integrate(integrand, _breakpoints(p, q)), math.inf)


def jsd(p: Density1D, q: Density1D) -> float:
    """JSD(p, q) = (KL(p || m) + KL(q || m)) / 2, m = (p + q) / 2.

    Parameters
    ----------
    p, q : Density1D
        Two densities.  Where one of them is 0 (its logarithm is -inf), its part of the integrand is 0.

    Returns
    -------
    float
        In [0, log 2], in nats.

    Raises
    ------
    ValueError
        If the result of the quadrature is outside [0, log 2] by more than 1e-6, as for `kl`.

    Examples
    --------
    >>> from minigan.data import Gaussian
    >>> round(jsd(Gaussian(4, 2), Gaussian(0, 1)), 6)
    0.474307

    """

    def integrand(x: Floats) -> Floats:
        log_p, log_q = p.logpdf(x), q.logpdf(x)
        with np.errstate(invalid="ignore"):  # a density's NaN is the result's
            log_m = np.logaddexp(log_p, log_q) - np.log(2)
        return 0.5 * (_times_log_ratio(log_p, log_m) + _times_log_ratio(log_q, log_m))

    return _divergence("JSD(p, q)", integrate(integrand, _breakpoints(p, q)), math.log(2))


def _times_log_ratio(log_p: Floats, log_m: Floats) -> Floats:
    """Return p log(p / m), and 0 where p is 0."""
    with np.errstate(invalid="ignore"):  # -inf - -inf, which is replaced
        y = np.exp(log_p) * (log_p - log_m)
    return np.where(np.isneginf(log_p), 0.0, y)


def _weighted(p: Floats, loss: Floats) -> Floats:
    """Return p loss, and 0 where p is 0, even if the loss is infinite or NaN there."""
    with np.errstate(invalid="ignore"):
        return np.where(p == 0, 0.0, p * loss)


def value(p: Density1D, q: Density1D, logit: Function) -> float:
    """V(D) = E_p log D + E_q log(1 - D) for D = sigma(logit(x))   (Goodfellow et al. 2014, eq. 1).

    Parameters
    ----------
    p, q : Density1D
        The densities of the data and of the generator.
    logit : callable
        The logit of D, a function of a float64 array of any shape.

    Returns
    -------
    float
        The value of the game, in nats.

    Raises
    ------
    ValueError
        As `integrate`.

    """

    def integrand(x: Floats) -> Floats:
        s = logit(x)
        softplus = ops_of(s).softplus
        return -_weighted(p.pdf(x), softplus(-s)) - _weighted(q.pdf(x), softplus(s))

    return integrate(integrand, _breakpoints(p, q))


def value_at_point(p: Density1D, b: float, logit: Function) -> float:
    """V(D) = E_p log D + log(1 - D(b)), for a generator that returns b with probability 1.

    Parameters
    ----------
    p : Density1D
        The density of the data.
    b : float
        The output of the generator.
    logit : callable
        The logit of D, a function of a float64 array of any shape.

    Returns
    -------
    float
        The value of the game, in nats.

    Raises
    ------
    ValueError
        As `integrate`.

    """
    s = logit(np.array([b]))
    softplus = ops_of(s).softplus
    real = integrate(lambda x: -_weighted(p.pdf(x), softplus(-logit(x))), p.breakpoints())
    return real - float(softplus(s)[0])


def optimal_discriminator(p: Density1D, q: Density1D, x: ArrayLike) -> Floats:
    """D*(x) = p(x) / (p(x) + q(x)) = sigma(log p - log q)   (Goodfellow et al. 2014, Proposition 1).

    Parameters
    ----------
    p, q : Density1D
        The densities of the data and of the generator.
    x : array
        Points, in any shape.

    Returns
    -------
    array of float64, in the shape of x
        D*(x); NaN where both densities are 0.

    Examples
    --------
    >>> from minigan.data import Gaussian
    >>> optimal_discriminator(Gaussian(4, 2), Gaussian(0, 1), [0.0, 2.0, 4.0]).round(6)
    array([0.063379, 0.691438, 0.99933 ])

    """
    with np.errstate(invalid="ignore"):  # NaN where both are 0, and D* is not defined
        s = np.asarray(p.logpdf(x) - q.logpdf(x))
    return ops_of(s).sigmoid(s)
