"""The ball around each point of a set whose radius is the distance to the point's k-th neighbour in the set.

Membership is decided by bounds of the Gram formula, and by differences where these do not decide it.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.metrics._distances import slack, squared_of

Floats = NDArray[np.float64]
POINTS_PER_BLOCK = 500  # whose distances are in memory at once, instead of all N x M


def squared_radii(centres: Floats, k: int) -> Floats:
    """Return the squared distance of each centre to its k-th neighbour among the others.    centres (N, F), N > k"""
    middle = centres.mean(axis=0)
    radius = np.empty(len(centres))
    for start in range(0, len(centres), POINTS_PER_BLOCK):
        part = centres[start : start + POINTS_PER_BLOCK]
        radius[start : start + POINTS_PER_BLOCK] = _squared_radius(part, centres, middle, start, k)
    return radius


def _squared_radius(part: Floats, centres: Floats, middle: Floats, start: int, k: int) -> Floats:
    """Return the squared distance from each of `part`, which are the centres from `start` on, to its k-th neighbour."""
    low, high = bounds(part - middle, centres - middle)
    itself = np.arange(len(part))
    low[itself, start + itself] = high[itself, start + itself] = np.inf  # a point is not its own neighbour
    upper = np.partition(high, k - 1, axis=1)[:, k - 1 : k]  # at least k neighbours are no farther than this
    i, j = np.nonzero(low <= upper)
    low[:] = np.inf
    low[i, j] = squared_of(part, centres, i, j)
    return np.asarray(np.partition(low, k - 1, axis=1)[:, k - 1])


def blocks(points: Floats, centres: Floats) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield a block of points (n, F) with the bounds (n, N) of their squared distances to the centres (N, F)."""
    middle = centres.mean(axis=0)  # centred points lose fewer digits in |x|^2 - 2 x.y + |y|^2
    for start in range(0, len(points), POINTS_PER_BLOCK):
        part = points[start : start + POINTS_PER_BLOCK]
        yield part, *bounds(part - middle, centres - middle)


def bounds(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return a lower and an upper bound (N, M) of |x_n - y_m|^2."""
    scale = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)
    squares = scale - 2 * (x @ y.T)
    scale *= slack(x.shape[1], x.dtype)
    scale += np.finfo(x.dtype).tiny * x.shape[1]  # the error of products that underflow
    return squares - scale, squares + scale


def pair(name_x: str, x: ArrayLike, name_y: str, y: ArrayLike, *, min_points: int) -> tuple[Floats, Floats]:
    """Return two sets of features in float64; raise ValueError unless they are (N, F), (M, F), finite and enough."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    for name, a in ((name_x, x), (name_y, y)):
        if a.ndim != 2 or len(a) < min_points or a.shape[1] == 0:
            raise ValueError(f"{name} has shape {a.shape}; expected (N, F) with N >= {min_points}, F >= 1")
        if not np.isfinite(a).all():
            raise ValueError(f"{name} has values that are not finite; expected finite features")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"{name_x} has {x.shape[1]} features, {name_y} {y.shape[1]}; expected the same number")
    return x, y
