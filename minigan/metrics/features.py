"""Distances between two sets of feature vectors: Frechet distance, precision and recall."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.metrics._distances import exponent, slack, squared_of
from minigan.metrics._ranges import within

Floats = NDArray[np.float64]
POINTS_PER_BLOCK = 500  # whose distances are in memory at once, instead of all N x M


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
    a, b = _pair("x", x, "y", y, min_points=2)
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
    x, y = _pair("real", real, "fake", fake, min_points=k + 1)
    e = exponent(x, y)
    x, y = np.ldexp(x, -e), np.ldexp(y, -e)
    return PrecisionRecall(_inside(y, x, k), _inside(x, y, k))


def _inside(points: Floats, centres: Floats, k: int) -> float:
    """Return the fraction of points in the union of the balls around the centres."""
    middle = centres.mean(axis=0)  # centred points lose fewer digits in |x|^2 - 2 x.y + |y|^2
    radius = np.empty(len(centres))  # squared
    for start in range(0, len(centres), POINTS_PER_BLOCK):
        part = centres[start : start + POINTS_PER_BLOCK]
        radius[start : start + POINTS_PER_BLOCK] = _squared_radius(part, centres, middle, start, k)
    hits = 0
    for start in range(0, len(points), POINTS_PER_BLOCK):
        part = points[start : start + POINTS_PER_BLOCK]
        low, high = _bounds(part - middle, centres - middle)
        hit = np.asarray((high < radius).any(axis=1))
        i, j = np.nonzero((low <= radius) & ~hit[:, None])  # not decided by the bounds
        hit[i[squared_of(part, centres, i, j) <= radius[j]]] = True
        hits += int(hit.sum())
    return hits / len(points)


def _squared_radius(part: Floats, centres: Floats, middle: Floats, start: int, k: int) -> Floats:
    """Return the squared distance from each of `part`, which are the centres from `start` on, to its k-th neighbour."""
    low, high = _bounds(part - middle, centres - middle)
    itself = np.arange(len(part))
    low[itself, start + itself] = high[itself, start + itself] = np.inf  # a point is not its own neighbour
    upper = np.partition(high, k - 1, axis=1)[:, k - 1 : k]  # at least k neighbours are no farther than this
    i, j = np.nonzero(low <= upper)
    low[:] = np.inf
    low[i, j] = squared_of(part, centres, i, j)
    return np.asarray(np.partition(low, k - 1, axis=1)[:, k - 1])


def _bounds(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return a lower and an upper bound (N, M) of |x_n - y_m|^2."""
    scale = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)
    squares = scale - 2 * (x @ y.T)
    scale *= slack(x.shape[1], x.dtype)
    scale += np.finfo(x.dtype).tiny * x.shape[1]  # the error of products that underflow
    return squares - scale, squares + scale


def _pair(name_x: str, x: ArrayLike, name_y: str, y: ArrayLike, *, min_points: int) -> tuple[Floats, Floats]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    for name, a in ((name_x, x), (name_y, y)):
        if a.ndim != 2 or len(a) < min_points or a.shape[1] == 0:
            raise ValueError(f"{name} has shape {a.shape}; expected (N, F) with N >= {min_points}, F >= 1")
        if not np.isfinite(a).all():
            raise ValueError(f"{name} has values that are not finite; expected finite features")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"{name_x} has {x.shape[1]} features, {name_y} {y.shape[1]}; expected the same number")
    return x, y
