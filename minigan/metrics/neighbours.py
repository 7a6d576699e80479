"""Nearest neighbours: is a sample a copy of a training example?"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def nearest(
    x: Floats, examples: NDArray[Any], *, prepare: Callable[[Any], Any] = np.asarray, block: int = 4096
) -> tuple[NDArray[np.intp], Floats]:
    """Return the index of the example nearest to each x, and the Euclidean distance to it.

    |x - e|^2 = |x|^2 - 2 x.e + |e|^2 chooses the example, `block` examples at a time; the distance to the chosen one is
    then the norm of the difference itself, free of that formula's cancellation.  `prepare` is applied to each block, so
    that bytes need not all become floating-point numbers at once.

    x (N, ...)   examples (M, ...)   -> (N,), (N,); of equally near ones the first.
    """
    x, examples = np.asarray(x), np.asarray(examples)
    shape = prepare(examples[:1]).shape
    if x.ndim < 2 or x.shape[1:] != shape[1:] or len(x) == 0 or len(examples) == 0:
        given = (len(examples), *shape[1:])
        raise ValueError(f"x has shape {x.shape}, examples {given}; accepted: (N, ...) and (M, ...), N, M >= 1")
    points = x.reshape(len(x), -1)
    best = np.full(len(x), np.inf)
    index = np.zeros(len(x), dtype=np.intp)
    rows = np.arange(len(x))
    for start in range(0, len(examples), block):
        e = prepare(examples[start : start + block]).reshape(-1, points.shape[1])
        square = np.einsum("mi,mi->m", e, e) - 2 * (points @ e.T)  # |x|^2 is common to all of a row
        found = square.argmin(axis=1)
        nearer = square[rows, found] < best
        best[nearer], index[nearer] = square[rows, found][nearer], start + found[nearer]
    found = prepare(examples[index]).reshape(points.shape)
    return index, np.sqrt(np.square(points - found).sum(axis=1))
