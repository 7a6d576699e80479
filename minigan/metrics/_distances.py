"""Squared distances computed from differences, and the error of the Gram formula |x|^2 - 2 x.y + |y|^2.

The Gram formula is one matrix product, but its rounding errors are of the order of eps (|x|^2 + |y|^2), so that it
cannot distinguish a copy from a near copy.  It is used only to select candidates, which are compared by differences.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
NUMBERS_PER_BLOCK = 1 << 22  # in a block of differences: 32 MiB in float64


def slack(features: int, dtype: Any) -> float:
    """Return c such that the Gram formula is within c (|x|^2 + |y|^2) of |x - y|^2 for vectors with `features` numbers.

    The error of a sum of n products, in any order, is at most n eps / 2 times the sum of their magnitudes: twice this
    for x.y and once for each square give n eps (|x|^2 + |y|^2).  Another 16 eps cover the sum of the three terms and
    the rounding of a common shift of x and y.
    """
    return (features + 16) * float(np.finfo(dtype).eps)


def squared(x: Floats, y: Floats) -> NDArray[np.float64]:
    """Return sum_f (x_pf - y_pf)^2 in float64, with bits that do not depend on P or on the order of x and y.    (P,)"""
    found = np.empty(len(x))
    rows = max(1, NUMBERS_PER_BLOCK // max(1, x.shape[1]))
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        found[part] = np.square(x[part].astype(np.float64) - y[part].astype(np.float64)).sum(axis=1)
    return found


def squared_of(x: Floats, y: Floats, i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return |x_i - y_j|^2 (P,) for pairs of rows i, j (P,)."""
    found = np.empty(len(i))
    rows = max(1, NUMBERS_PER_BLOCK // max(1, x.shape[1]))
    for start in range(0, len(i), rows):
        part = slice(start, start + rows)
        found[part] = squared(x[i[part]], y[j[part]])
    return found


def exponent(*arrays: Floats) -> int:
    """Return e such that all numbers of the arrays are below 2^e in magnitude.

    Then no square of ``np.ldexp(a, -e)`` overflows.  Scaling by a power of two does not round.
    """
    return math.frexp(max(float(np.abs(a).max(initial=0.0)) for a in arrays))[1]
