"""The squared maximum mean discrepancy, without bias, with mixtures of RBF kernels and with the kernel of KID."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.metrics._balls import pair
from minigan.metrics._intervals import Estimate, Z

Floats = NDArray[np.float64]
Kernel = Callable[[Floats, Floats], Floats]
"""k(x, y): an array (N, M) for points (N, F) and (M, F)."""

ROWS_PER_BLOCK = 500  # rows of the kernel matrix that are in memory at once: 40 MB for 10,000 points
POINTS_FOR_BANDWIDTH = 500  # of each set, for the median of the distances


@dataclass(frozen=True)
class RBFMixture:
    """k(x, y) = mean_b exp(-|x - y|^2 / (2 b^2)) over the bandwidths b (Li et al. 2015).

    Parameters
    ----------
    bandwidths : sequence of float
        b, at least one, > 0, in the unit of the points; stored as a tuple.

    Raises
    ------
    ValueError
        If there is no bandwidth, or one is not > 0 and finite.

    """

    bandwidths: Sequence[float]

    def __post_init__(self) -> None:
        if not len(self.bandwidths) or not all(b > 0 and math.isfinite(b) for b in self.bandwidths):
            raise ValueError(f"bandwidths must be at least one number > 0, got {self.bandwidths!r}")
        object.__setattr__(self, "bandwidths", tuple(float(b) for b in self.bandwidths))

    def __call__(self, x: Floats, y: Floats) -> Floats:
        """Return k(x_n, y_m), an array (N, M)."""
        squared = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)
        squared -= 2 * (x @ y.T)
        np.maximum(squared, 0, out=squared)  # rounding
        return np.asarray(sum(np.exp(squared * (-0.5 / b**2)) for b in self.bandwidths) / len(self.bandwidths))


@dataclass(frozen=True)
class PolynomialKernel:
    """k(x, y) = (x.y / F + 1)^degree; with degree 3 the kernel of KID (Binkowski et al. 2018, section 4).

    Parameters
    ----------
    degree : int
        The degree, >= 1; 3 by default.

    Raises
    ------
    ValueError
        If the degree is not an int >= 1.

    """

    degree: int = 3

    def __post_init__(self) -> None:
        if isinstance(self.degree, bool) or not isinstance(self.degree, int) or self.degree < 1:
            raise ValueError(f"degree must be an int >= 1, got {self.degree!r}")

    def __call__(self, x: Floats, y: Floats) -> Floats:
        """Return k(x_n, y_m), an array (N, M)."""
        return np.asarray((x @ y.T / x.shape[1] + 1) ** self.degree)


def median_bandwidths(x: ArrayLike, y: ArrayLike) -> tuple[float, ...]:
    """Return d / 4, d / 2, d, 2 d and 4 d for the median distance d between points of both sets.

    The factors of 2 around the median are a common choice (Li et al. 2015 use a similar range), so that differences at
    small and at large distances count.  d is 1 if the points are equal.  At most 500 points of each set are used,
    evenly spread over it.

    Parameters
    ----------
    x, y : array (N, F), (M, F)
        Two sets of finite points.

    Returns
    -------
    tuple of float
        Five bandwidths, for `RBFMixture`.

    Raises
    ------
    ValueError
        If the shapes do not agree or a value is not finite.

    """
    a, b = pair("x", x, "y", y, min_points=1)
    points = np.concatenate(
        [s[np.arange(n) * len(s) // n] for s in (a, b) for n in [min(len(s), POINTS_FOR_BANDWIDTH)]]
    )
    points = points - points.mean(axis=0)
    squares = np.square(points).sum(axis=1)
    squared = (squares[:, None] + squares - 2 * (points @ points.T))[np.triu_indices(len(points), 1)]
    d = math.sqrt(max(float(np.median(squared)), 0.0)) or 1.0
    return tuple(d * 2.0**k for k in range(-2, 3))


def mmd_squared(x: ArrayLike, y: ArrayLike, *, kernel: Kernel | None = None) -> Estimate:
    """mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)   (Gretton et al. 2012, eq. 3).

    The estimate has no bias: its mean is 0 if both distributions are equal, so that it is often below 0.  The interval
    is value +- 1.96 s, with s^2 the sum of the jackknife variances over x and over y, which needs only the row sums of
    the kernel matrices.  If the distributions are equal, the jackknife is too large by up to a factor of 2, because
    the first-order term of the U-statistic vanishes: the interval is then wider than 95 % needs.

    Parameters
    ----------
    x, y : array (N, F), (M, F)
        Two sets of finite points, N, M >= 3.
    kernel : callable, optional
        k(x, y), such as `RBFMixture` or `PolynomialKernel`; by default `RBFMixture` with `median_bandwidths`.

    Returns
    -------
    Estimate
        The squared distance with its interval.

    Raises
    ------
    ValueError
        If the shapes do not agree, a value is not finite, or the kernel overflows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = mmd_squared(rng.standard_normal((500, 2)), rng.standard_normal((400, 2)) + 1)
    >>> found.low > 0
    True

    """
    a, b = pair("x", x, "y", y, min_points=3)
    k = RBFMixture(median_bandwidths(a, b)) if kernel is None else kernel
    with np.errstate(all="ignore"):
        x_x, y_y = _sums_of_others(a, k), _sums_of_others(b, k)
        x_y, y_x = _cross_sums(a, b, k)
        n, m = len(a), len(b)
        value = x_x.sum() / (n * (n - 1)) + y_y.sum() / (m * (m - 1)) - 2 * x_y.sum() / (n * m)
        variance = _jackknife(x_x, x_y, m) + _jackknife(y_y, y_x, n)
    if not (math.isfinite(value) and math.isfinite(variance)):
        raise ValueError(f"the kernel {k!r} overflows: x or y has too large values; expected finite sums of k")
    half = Z * math.sqrt(variance)
    return Estimate(float(value), float(value) - half, float(value) + half)


def kid(x: ArrayLike, y: ArrayLike) -> Estimate:
    """Return `mmd_squared` with k(x, y) = (x.y / F + 1)^3, on features: the KID (Binkowski et al. 2018).

    The paper averages over subsets of 1000 points; this is the estimate of all points at once, with the same mean and
    a smaller variance.  With another network than Inception the numbers are not comparable with published KIDs.

    Parameters
    ----------
    x, y : array (N, F), (M, F)
        Two sets of finite features, N, M >= 3.

    Returns
    -------
    Estimate
        The distance with its interval.

    Raises
    ------
    ValueError
        As `mmd_squared`.

    """
    return mmd_squared(x, y, kernel=PolynomialKernel())


def _sums_of_others(x: Floats, k: Kernel) -> Floats:
    """Return sum_{j != i} k(x_i, x_j) (N,)."""
    sums = np.empty(len(x))
    for start in range(0, len(x), ROWS_PER_BLOCK):
        block = k(x[start : start + ROWS_PER_BLOCK], x)
        rows = np.arange(len(block))
        block[rows, start + rows] = 0
        sums[start : start + ROWS_PER_BLOCK] = block.sum(axis=1)
    return sums


def _cross_sums(x: Floats, y: Floats, k: Kernel) -> tuple[Floats, Floats]:
    """Return sum_j k(x_i, y_j) (N,) and sum_i k(x_i, y_j) (M,)."""
    rows, columns = np.empty(len(x)), np.zeros(len(y))
    for start in range(0, len(x), ROWS_PER_BLOCK):
        block = k(x[start : start + ROWS_PER_BLOCK], y)
        rows[start : start + ROWS_PER_BLOCK] = block.sum(axis=1)
        columns += block.sum(axis=0)
    return rows, columns


def _jackknife(own: Floats, cross: Floats, m: int) -> float:
    """Return the jackknife variance over the n points with the row sums `own` and `cross`, m points in the other set.

    Without point i, the sum over pairs loses 2 own_i and the sum of the cross terms cross_i.
    """
    n = len(own)
    without = (own.sum() - 2 * own) / ((n - 1) * (n - 2)) - 2 * (cross.sum() - cross) / ((n - 1) * m)
    return float((n - 1) / n * np.square(without - without.mean()).sum())
