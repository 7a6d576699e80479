"""Zeros for arrays of objects (fractions, balls)."""

from typing import Any

import numpy as np

from minigan.ops.protocol import Array


def zero_like(x: Array) -> Array | int:
    """Return 0; for an object array, an array of zeros, each of the type of the element of x.

    An int 0 among balls would have no exp and no sqrt.

    >>> from fractions import Fraction
    >>> zero_like(np.array([Fraction(1, 3), 2.0], dtype=object))
    array([Fraction(0, 1), 0.0], dtype=object)
    """
    return np.frompyfunc(_zero, 1, 1)(x) if x.dtype.kind == "O" else 0


def _zero(v: Any) -> Any:
    try:
        return type(v)()  # and not 0 * v, which is NaN where v is infinite
    except TypeError:
        return 0 * v
