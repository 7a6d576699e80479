"""Divergences between two densities on the line and the value of the game, by quadrature, in nats.

Everything is written on logarithms: with l = log p, r = log q and log m = log((p + q) / 2),

    KL(p || q) = integral p (l - r)
    JSD(p, q)  = integral p (l - log m) / 2 + q (r - log m) / 2          0 <= JSD <= log 2
    V(D)       = integral p log D + q log(1 - D),    D = sigma(s)
    D*         = p / (p + q),    V(D*) = C(G) = -log 4 + 2 JSD(p, q)     (Goodfellow et al. 2014, Theorem 1)

These are float results (about 1e-12 for smooth integrands, 1e-6 where D has kinks).
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.data.toy import Density1D
from minigan.ops import ops_of

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]

PANELS, NODES = 64, 16


@cache
def _gauss_legendre() -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(NODES)


def integrate(f: Function, breakpoints: ArrayLike) -> float:
    """Return the integral of f between the outermost breakpoints.

    Gauss-Legendre with 16 nodes on 64 equal panels between each two neighbouring breakpoints.

    >>> round(integrate(np.exp, [0, 1]), 12)
    1.718281828459
    """
    points = np.unique(np.asarray(breakpoints, dtype=float))
    edges = np.unique(np.concatenate([np.linspace(a, b, PANELS + 1) for a, b in pairwise(points)]))
    nodes, weights = _gauss_legendre()
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half) + half * nodes
    return float((f(x) * half * weights).sum())


def _breakpoints(p: Density1D, q: Density1D) -> list[float]:
    return p.breakpoints() + q.breakpoints()


def kl(p: Density1D, q: Density1D) -> float:
    """KL(p || q) = integral p log(p / q).

    >>> from minigan.data import Gaussian
    >>> round(kl(Gaussian(0, 1), Gaussian(1, 1)), 12)
    0.5
    """
    return integrate(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), _breakpoints(p, q))


def jsd(p: Density1D, q: Density1D) -> float:
    """JSD(p, q) = (KL(p || m) + KL(q || m)) / 2, m = (p + q) / 2.

    >>> from minigan.data import Gaussian
    >>> round(jsd(Gaussian(4, 2), Gaussian(0, 1)), 6)
    0.474307
    """

    def integrand(x: Floats) -> Floats:
        log_p, log_q = p.logpdf(x), q.logpdf(x)
        log_m = np.logaddexp(log_p, log_q) - np.log(2)
        return 0.5 * (np.exp(log_p) * (log_p - log_m) + np.exp(log_q) * (log_q - log_m))

    return integrate(integrand, _breakpoints(p, q))


def value(p: Density1D, q: Density1D, logit: Function) -> float:
    """V(D) = E_p log D + E_q log(1 - D) for D = sigma(logit(x))   (Goodfellow et al. 2014, eq. 1)."""

    def integrand(x: Floats) -> Floats:
        s = logit(x)
        softplus = ops_of(s).softplus
        return -p.pdf(x) * softplus(-s) - q.pdf(x) * softplus(s)

    return integrate(integrand, _breakpoints(p, q))


def value_at_point(p: Density1D, b: float, logit: Function) -> float:
    """V(D) = E_p log D + log(1 - D(b)), where the generator gives b with probability 1."""
    s = logit(np.array([b]))
    softplus = ops_of(s).softplus
    real = integrate(lambda x: -p.pdf(x) * softplus(-logit(x)), p.breakpoints())
    return real - float(softplus(s)[0])


def optimal_discriminator(p: Density1D, q: Density1D, x: ArrayLike) -> Floats:
    """D*(x) = p(x) / (p(x) + q(x)) = sigma(log p - log q)   (Goodfellow et al. 2014, Proposition 1).

    >>> from minigan.data import Gaussian
    >>> optimal_discriminator(Gaussian(4, 2), Gaussian(0, 1), [0.0, 2.0, 4.0]).round(6)
    array([0.063379, 0.691438, 0.99933 ])
    """
    s = np.asarray(p.logpdf(x) - q.logpdf(x))
    return ops_of(s).sigmoid(s)
