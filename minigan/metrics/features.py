"""Distances between two sets of feature vectors: Frechet distance, precision and recall, density and coverage."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.metrics._balls import blocks, pair, squared_radii
from minigan.metrics._distances import exponent, squared_of
from minigan.metrics._intervals import Estimate, mean, proportion
from minigan.metrics._ranges import within

Floats = NDArray[np.float64]


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """|mu_x - mu_y|^2 + tr(C_x + C_y - 2 (C_x^1/2 C_y C_x^1/2)^1/2).    x (N, F), y (M, F), N, M >= 2

    The squared 2-Wasserstein distance between normal distributions with the means and (unbiased) covariances of the two
    sets (Dowson and Landau 1982).  On the features of the Inception network it is the FID of Heusel et al. 2017; on
    other features the numbers are not comparable with FIDs.  With C_x = R_x^T R_x from the QR decomposition of the
    centred points, the trace of the root is the sum of the singular values of R_x R_y^T, which avoids the square root
    of a rounded zero.

    Parameters
    ----------
    x, y : array (N, F), (M, F)
        Two sets of finite features, N, M >= 2.  They are scaled by a power of two, so that no square overflows.

    Returns
    -------
    float
        In [0, inf], in the squared unit of the features; inf if the result exceeds the largest float64.

    Raises
    ------
    ValueError
        If the shapes do not agree, or a feature is not finite.

    Examples
    --------
    >>> frechet_distance([[0.0], [2.0]], [[5.0], [5.0]])  # (1 - 5)^2 + (sqrt 2 - 0)^2
    18.0

    """
    a, b = pair("x", x, "y", y, min_points=2)
    e = exponent(a, b)
    a, b = np.ldexp(a, -e), np.ldexp(b, -e)
    shift = a.mean(axis=0) - b.mean(axis=0)
    R_x, R_y = _root(a), _root(b)
    between = np.linalg.svd(R_x @ R_y.T, full_matrices=False, compute_uv=False).sum()
    scaled = within(float(shift @ shift + np.square(R_x).sum() + np.square(R_y).sum() - 2 * between), 0, math.inf)
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(scaled, 2 * e))


def _root(x: Floats) -> Floats:
    """Return R (min(N, F), F) such that R^T R is the covariance of the rows of x."""
    centred = (x - x.mean(axis=0)) / math.sqrt(len(x) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"))


class PrecisionRecall(NamedTuple):
    """Precision and recall, in [0, 1].

    Attributes
    ----------
    precision : float
        The fraction of fake points inside the manifold of the real ones.
    recall : float
        The fraction of real points inside the manifold of the fake ones.

    """

    precision: float
    recall: float


def precision_recall(real: ArrayLike, fake: ArrayLike, *, k: int = 3) -> PrecisionRecall:
    """Return improved precision and recall (Kynkaanniemi et al. 2019, eq. 1-2).

    The manifold of a set is the union of closed balls around its points, each with the distance to the point's k-th
    neighbour in the set as its radius.  Both results depend on N and M: compare only results with the same N and M.
    Distances are computed from differences where a matrix product is not accurate enough, so that repeated and nearly
    equal points are counted correctly.

    Parameters
    ----------
    real, fake : array (N, F), (M, F)
        Two sets of finite features, N, M > k.
    k : int
        The number of the neighbour that determines the radius; 3 as in the paper.

    Returns
    -------
    PrecisionRecall
        The fraction of `fake` in the manifold of `real`, and of `real` in that of `fake`.

    Raises
    ------
    ValueError
        If the shapes do not agree, a feature is not finite, or k is not an int >= 1.

    Examples
    --------
    >>> precision_recall([[0.0], [1.0], [2.0], [3.0]], [[0.5], [0.7], [0.9], [1.1]], k=1)  # a narrow generator
    PrecisionRecall(precision=1.0, recall=0.25)

    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"k must be an int >= 1, got {k!r}")
    x, y = pair("real", real, "fake", fake, min_points=k + 1)
    e = exponent(x, y)
    x, y = np.ldexp(x, -e), np.ldexp(y, -e)
    return PrecisionRecall(_inside(y, x, k), _inside(x, y, k))


def _inside(points: Floats, centres: Floats, k: int) -> float:
    """Return the fraction of points in the union of the balls around the centres."""
    radius = squared_radii(centres, k)
    hits = 0
    for part, low, high in blocks(points, centres):
        hit = np.asarray((high < radius).any(axis=1))
        i, j = np.nonzero((low <= radius) & ~hit[:, None])  # not decided by the bounds
        hit[i[squared_of(part, centres, i, j) <= radius[j]]] = True
        hits += int(hit.sum())
    return hits / len(points)


class DensityCoverage(NamedTuple):
    """Density and coverage, with 95 % intervals.

    Attributes
    ----------
    density : Estimate
        >= 0; about 1 if both sets have the same distribution.  The interval is that of a mean over independent fake
        points, for the given real ones.
    coverage : Estimate
        In [0, 1].  The interval is Wilson's, as if the real points were covered independently of each other.

    """

    density: Estimate
    coverage: Estimate


def density_coverage(real: ArrayLike, fake: ArrayLike, *, k: int = 5) -> DensityCoverage:
    """Return density and coverage (Naeem et al. 2020, eq. 4-5).

    density = mean_m |{n: y_m in B_n}| / k,    coverage = mean_n [some y_m in B_n]

    B_n is the closed ball around the real point x_n whose radius is the distance to its k-th neighbour among the real
    points.  Unlike in precision and recall, only real points have balls, so that one outlier among the fakes does not
    cover everything, and a fake in many balls counts more than one in the ball of a real outlier.  If both sets have
    the same continuous distribution, E density = 1 and
    E coverage = 1 - (N - 1) ... (N - k) / ((M + N - 1) ... (M + N - k)).

    Parameters
    ----------
    real, fake : array (N, F), (M, F)
        Two sets of finite features, x and y, N > k and M >= 1.
    k : int
        The number of the neighbour that determines the radius; 5 as in the paper.

    Returns
    -------
    DensityCoverage
        Both numbers with intervals.

    Raises
    ------
    ValueError
        If the shapes do not agree, a feature is not finite, or k is not an int >= 1.

    Examples
    --------
    >>> density_coverage([[0.0], [1.0], [2.0], [3.0]], [[0.5], [0.7]], k=1).coverage.value  # a narrow generator
    0.5

    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"k must be an int >= 1, got {k!r}")
    x, y = pair("real", real, "fake", fake, min_points=1)
    if len(x) <= k:
        raise ValueError(f"real has shape {x.shape}; expected (N, F) with N >= {k + 1}, F >= 1")
    e = exponent(x, y)
    x, y = np.ldexp(x, -e), np.ldexp(y, -e)
    radius = squared_radii(x, k)
    balls, covered = [], np.zeros(len(x), dtype=bool)
    for part, low, high in blocks(y, x):
        inside = high < radius
        i, j = np.nonzero((low <= radius) & ~inside)  # not decided by the bounds
        inside[i, j] = squared_of(part, x, i, j) <= radius[j]
        balls.append(inside.sum(axis=1))
        covered |= inside.any(axis=0)
    density = mean(np.concatenate(balls) / k)
    return DensityCoverage(
        Estimate(density.value, within(density.low, 0, math.inf), density.high), proportion(int(covered.sum()), len(x))
    )
