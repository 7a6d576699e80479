"""Nearest neighbours, to see whether samples are copies of training examples."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.metrics._distances import slack, squared, squared_of

ROWS_PER_BLOCK = 1024  # rows of x per matrix product
MAX_FLOAT32_VALUE = 1e15  # the largest magnitude that is multiplied in float32, where squares overflow at 1.8e19
MAX_VALUE = 1e150  # the largest permitted magnitude: squares and their sums are finite in float64

Numbers = NDArray[Any]


def nearest(
    x: Numbers, examples: Numbers, *, prepare: Callable[[Any], Any] = np.asarray, block: int = 4096
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the index of the example nearest to each x, and the Euclidean distance to it.

    The matrix product in |x|^2 - 2 x.e + |e|^2 selects candidates among `block` examples at a time: all examples that
    may be the nearest within its rounding errors.  They are compared by differences in float64, so that an exact copy
    is always found.

    Parameters
    ----------
    x : array (N, ...)
        The points, N >= 1: real numbers of any dtype; integers are converted to floating-point numbers.
    examples : array (M, ...)
        The examples to search, M >= 1.
    prepare : callable
        A function of a block of examples that returns them in the shape and units of `x`, so that not all bytes need to
        be converted to floating-point numbers at once; by default it returns them unchanged.
    block : int
        The number of examples in a block; with 4096, the default, a block of MNIST images in float32 has 13 MB.

    Returns
    -------
    index : array (N,)
        The index of the nearest example; the lowest one if several are equally near.
    distance : array (N,), float64
        The distance to it, in the units of `x`.

    Raises
    ------
    ValueError
        If the shapes do not agree, or a value is NaN, infinite or above 1e150 in magnitude.
    TypeError
        If a dtype is not one of real numbers.

    Examples
    --------
    >>> bytes_ = np.array([[200, 0], [0, 16], [100, 100]], np.uint8)
    >>> index, distance = nearest(bytes_[:1], bytes_)
    >>> index.tolist(), distance.tolist()
    ([0], [0.0])

    """
    x, examples = np.asarray(x), np.asarray(examples)
    shape = prepare(examples[:1]).shape
    if x.ndim < 2 or x.shape[1:] != shape[1:] or len(x) == 0 or len(examples) == 0:
        given = (len(examples), *shape[1:])
        raise ValueError(f"x has shape {x.shape}, examples {given}; expected (N, ...) and (M, ...), N, M >= 1")
    points = _floating("x", x)
    best = np.full(len(x), np.inf)  # squared
    index = np.zeros(len(x), dtype=np.intp)
    for start in range(0, len(examples), block):
        e = _floating("examples", prepare(examples[start : start + block]))
        dtype = np.result_type(points, e)  # of the matrix product: float32 only if both are exact in it
        e, squares = e.astype(dtype, copy=False), np.square(e, dtype=np.float64).sum(axis=1)
        for first in range(0, len(points), ROWS_PER_BLOCK):
            rows = slice(first, first + ROWS_PER_BLOCK)
            _search(points[rows].astype(dtype, copy=False), e, squares, start, best[rows], index[rows])
    return index, np.sqrt(best)


def _search(
    x: Numbers, e: Numbers, squares: NDArray[np.float64], start: int, best: NDArray[np.float64], index: NDArray[np.intp]
) -> None:
    """Update `best` and `index` of x (n, F) by e (m, F), the examples from `start` on.

    e is a candidate unless (1 - c) (|x|^2 + |e|^2) - 2 x.e > best, that is x.e - (1 - c) |e|^2 / 2 < threshold.
    """
    keep = 1 - slack(x.shape[1], x.dtype)
    product = x @ e.T
    product -= (0.5 * keep * squares).astype(x.dtype)
    guess = product.argmax(axis=1)
    _take(squared(x, e[guess]), start + guess, np.arange(len(x)), best, index)
    threshold = 0.5 * (keep * np.square(x, dtype=np.float64).sum(axis=1) - best)
    near = product >= np.nextafter(threshold.astype(x.dtype), -np.inf, dtype=x.dtype)[:, None]
    near[np.arange(len(x)), guess] = False
    exact = (best == 0)[:, None]  # only a copy with a lower index can replace a copy
    near &= ~exact | (start + np.arange(len(e)) < index[:, None])
    i, j = np.nonzero(near)
    _take(squared_of(x, e, i, j), start + j, i, best, index)


def _take(
    found: NDArray[np.float64], which: Numbers, rows: Numbers, best: NDArray[np.float64], index: NDArray[np.intp]
) -> None:
    """Update each of `rows` by the smallest of its squared distances `found`, on ties by the lowest index."""
    order = np.lexsort((which, found, rows))
    rows, first = np.unique(rows[order], return_index=True)
    found, which = found[order][first], which[order][first]
    better = (found < best[rows]) | ((found == best[rows]) & (which < index[rows]))
    best[rows[better]], index[rows[better]] = found[better], which[better]


def _floating(name: str, a: Any) -> Numbers:
    """Return the array as (N, F): in float32 if that is exact and no square overflows, else in float64."""
    a = np.asarray(a)
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {a.dtype}; expected real numbers")
    a = a.reshape(len(a), -1)
    small = a.dtype == np.float32 or np.can_cast(a.dtype, np.float32)
    a = a.astype(np.float32 if small else np.float64, copy=False)
    largest = max(float(a.max(initial=0)), -float(a.min(initial=0)))  # NaN if a value is NaN
    if not largest <= MAX_VALUE:
        raise ValueError(f"{name} has values that are not finite or above {MAX_VALUE:g}; expected finite values")
    return a if largest <= MAX_FLOAT32_VALUE else a.astype(np.float64, copy=False)
