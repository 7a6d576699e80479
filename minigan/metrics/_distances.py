"""Squared distances by differences, and how far those of the Gram formula |x|^2 - 2 x.y + |y|^2 can be from them.

The Gram formula is one matrix product, but its rounding errors are of the size of eps (|x|^2 + |y|^2): it cannot tell
a copy from a near copy.  So it only chooses candidates; which of them is nearer is decided by differences.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
NUMBERS_PER_BLOCK = 1 << 22  # numbers in a block of differences: 32 MiB in float64


def slack(features: int, dtype: Any) -> float:
    """Return c such that the Gram formula is within c (|x|^2 + |y|^2) of |x - y|^2 for vectors of so many features.

    A product or a sum of n rounded terms, in any order, is off by at most n eps / 2 times the sum of their sizes: twice
    that for x.y and once for each square make n eps (|x|^2 + |y|^2).  The 16 eps more are for the sums of the three
    terms and for a common shift of x and y that was itself rounded.
    """
    return (features + 16) * float(np.finfo(dtype).eps)


def squared(x: Floats, y: Floats) -> NDArray[np.float64]:
    """sum_f (x_pf - y_pf)^2 in float64.    x, y (P, F) -> (P,); the same bits for y, x and for any P."""
    found = np.empty(len(x))
    rows = max(1, NUMBERS_PER_BLOCK // max(1, x.shape[1]))
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        found[part] = np.square(x[part].astype(np.float64) - y[part].astype(np.float64)).sum(axis=1)
    return found


def squared_of(x: Floats, y: Floats, i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float64]:
    """|x_i - y_j|^2 for pairs of rows i, j (P,)."""
    found = np.empty(len(i))
    rows = max(1, NUMBERS_PER_BLOCK // max(1, x.shape[1]))
    for start in range(0, len(i), rows):
        part = slice(start, start + rows)
        found[part] = squared(x[i[part]], y[j[part]])
    return found


def exponent(*arrays: Floats) -> int:
    """Return e with all numbers of the arrays below 2^e in size, so that no square of `np.ldexp(a, -e)` overflows.

    A power of two: scaling by it rounds nothing.
    """
    return math.frexp(max(float(np.abs(a).max(initial=0.0)) for a in arrays))[1]
