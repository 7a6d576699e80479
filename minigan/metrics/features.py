"""Distances between two sets of feature vectors: Frechet distance, precision and recall."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
BLOCK = 1000  # points at a time: a block of distances, not all N M of them


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """|mu_x - mu_y|^2 + tr(C_x + C_y - 2 (C_x^1/2 C_y C_x^1/2)^1/2).    x (N, F), y (M, F), N, M >= 2

    The squared 2-Wasserstein distance between the normal distributions that have the means and (unbiased) covariances
    of the two sets (Dowson and Landau 1982).  On Inception's features it is the FID of Heusel et al. 2017; on others
    the numbers are others.  With C_x = R_x^T R_x by QR of the centred points, the trace of the root is the sum of the
    singular values of R_x R_y^T: no root of a rounded zero is taken.

    >>> frechet_distance([[0.0], [2.0]], [[5.0], [5.0]])  # (1 - 5)^2 + (sqrt 2 - 0)^2
    18.0
    """
    a, b = _pair("x", x, "y", y, least=2)
    shift = a.mean(axis=0) - b.mean(axis=0)
    R_x, R_y = _root(a), _root(b)
    between = np.linalg.svd(R_x @ R_y.T, full_matrices=False, compute_uv=False).sum()
    return max(0.0, float(shift @ shift + np.square(R_x).sum() + np.square(R_y).sum() - 2 * between))


def _root(x: Floats) -> Floats:
    """Return R (min(N, F), F) with R^T R the covariance of the rows of x."""
    centred = (x - x.mean(axis=0)) / math.sqrt(len(x) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"))


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]: of fake points inside the real manifold, and of real points inside the fakes' manifold."""

    precision: float
    recall: float


def precision_recall(real: ArrayLike, fake: ArrayLike, *, k: int = 3) -> PrecisionRecall:
    """Return improved precision and recall (Kynkaanniemi et al. 2019, eq. 1-2).    real (N, F), fake (M, F), N, M > k

    The manifold of a set is the union of closed balls around its points, each reaching to the point's k-th neighbour in
    the set.  Both depend on N and M: compare only what has the same.

    >>> precision_recall([[0.0], [1.0], [2.0], [3.0]], [[0.5], [0.7], [0.9], [1.1]], k=1)  # a narrow generator
    PrecisionRecall(precision=1.0, recall=0.25)
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"k must be an int >= 1, got {k!r}")
    x, y = _pair("real", real, "fake", fake, least=k + 1)
    middle = x.mean(axis=0)  # nearer to zero, |x|^2 - 2 x.y + |y|^2 cancels less
    x, y = x - middle, y - middle
    return PrecisionRecall(_inside(y, x, k), _inside(x, y, k))


def _inside(points: Floats, centres: Floats, k: int) -> float:
    """Return the share of points in the union of the balls around the centres."""
    radius = np.empty(len(centres))  # squared
    for start in range(0, len(centres), BLOCK):
        squares = _squares(centres[start : start + BLOCK], centres)
        own = np.arange(len(squares))
        squares[own, start + own] = 0  # a point and itself
        radius[start : start + BLOCK] = np.partition(squares, k, axis=1)[:, k]  # the 0th is the point itself
    hits = 0
    for start in range(0, len(points), BLOCK):
        hits += int((_squares(points[start : start + BLOCK], centres) <= radius).any(axis=1).sum())
    return hits / len(points)


def _squares(x: Floats, y: Floats) -> Floats:
    """|x_n - y_m|^2   (N, M)."""
    squares: Floats = np.square(x).sum(axis=1)[:, None] - 2 * (x @ y.T) + np.square(y).sum(axis=1)
    return np.maximum(squares, 0, out=squares)


def _pair(name_x: str, x: ArrayLike, name_y: str, y: ArrayLike, *, least: int) -> tuple[Floats, Floats]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    for name, a in ((name_x, x), (name_y, y)):
        if a.ndim != 2 or len(a) < least or a.shape[1] == 0:
            raise ValueError(f"{name} has shape {a.shape}; accepted: (N, F) with N >= {least}, F >= 1")
        if not np.isfinite(a).all():
            raise ValueError(f"{name} has values that are not finite; accepted: finite features")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"{name_x} has {x.shape[1]} features, {name_y} {y.shape[1]}; accepted: as many in both")
    return x, y
