"""The sliced Wasserstein distance: the mean over directions of the Wasserstein distance of the projections."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan._arguments import size
from minigan.metrics._balls import pair
from minigan.metrics._distances import exponent
from minigan.metrics._intervals import Estimate, mean

Floats = NDArray[np.float64]
NUMBERS_PER_BLOCK = 1 << 22  # projected values that are in memory at once: 32 MiB


def sliced_wasserstein(
    x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator, projections: int = 500, p: int = 2
) -> Estimate:
    """SW_p = (E_theta W_p^p(theta.x, theta.y))^1/p, theta uniform on the unit sphere (Bonneel et al. 2015, eq. 8-9).

    On the line, W_p^p is the integral over u in [0, 1] of |F^-1(u) - G^-1(u)|^p for the empirical quantile functions
    F^-1 and G^-1: for N = M the mean of |x_(i) - y_(i)|^p over sorted values, and exact for N != M too.

    The interval is that of the Monte Carlo error of the directions (mean +- t s / sqrt L of W_p^p, then the root); it
    does not contain the error of drawing x and y.  Two samples of the same distribution have a distance > 0, of the
    order N^-1/2: compare it with the distance between two sets of real data.

    Parameters
    ----------
    x, y : array (N, F), (M, F)
        Two sets of finite points, N, M >= 1.
    rng : numpy.random.Generator
        The random stream of the directions.
    projections : int
        L, the number of directions, at least 2; with 500, the Monte Carlo error is a few per cent.
    p : int
        The power, 1 or 2 (the default).

    Returns
    -------
    Estimate
        The distance, in the unit of the points, with the interval of its Monte Carlo error.

    Raises
    ------
    ValueError
        If the shapes do not agree, a value is not finite, or a number is outside its range.

    Examples
    --------
    >>> x = np.zeros((3, 1))  # on the line, every direction gives |x - y|
    >>> sliced_wasserstein(x, x + 2, rng=np.random.default_rng(0), projections=4).value
    2.0

    """
    projections = size("projections", projections, low=2)
    if isinstance(p, bool) or p not in (1, 2):
        raise ValueError(f"p must be 1 or 2, got {p!r}")
    a, b = pair("x", x, "y", y, min_points=1)
    e = exponent(a, b)
    a, b = np.ldexp(a, -e), np.ldexp(b, -e)  # no square overflows
    costs = np.empty(projections)
    at_once = max(1, NUMBERS_PER_BLOCK // (len(a) + len(b)))
    i, j, weight = _matching(len(a), len(b))
    for start in range(0, projections, at_once):
        part = slice(start, min(projections, start + at_once))
        directions = rng.standard_normal((part.stop - part.start, a.shape[1]))
        directions /= np.sqrt(np.square(directions).sum(axis=1))[:, None]
        u, v = np.sort(directions @ a.T, axis=1), np.sort(directions @ b.T, axis=1)
        gap = np.abs(u[:, i] - v[:, j])
        costs[part] = (gap if p == 1 else np.square(gap)) @ weight
    found = mean(costs)
    with np.errstate(over="ignore"):
        return Estimate(*(float(np.ldexp(max(cost, 0.0) ** (1 / p), e)) for cost in found))


def _matching(n: int, m: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return i, j and weights such that W_p^p = sum_k w_k |u_(i_k) - v_(j_k)|^p for n and m sorted values.

    The quantile functions jump at the multiples of 1/n and of 1/m; in units of 1 / (n m) these are integers.
    """
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    return (ends - 1) // m, (ends - 1) // n, np.diff(ends, prepend=0) / math.prod((n, m))
