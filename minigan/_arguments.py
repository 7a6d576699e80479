"""Check sizes, numbers and shapes that a user gives, with errors in one form.

The checked numbers are returned as Python's: a NumPy float64 scalar would convert a float32 array to float64.
"""

import math
import operator
from numbers import Integral, Rational, Real
from typing import Any, cast

import numpy as np


def size(name: str, value: object, *, low: int = 1) -> int:
    """Return `value`, an int >= low of Python or NumPy, as an int; otherwise raise ValueError.

    >>> size("n_out", 0)
    Traceback (most recent call last):
    ValueError: n_out must be an int >= 1, got 0
    """
    try:
        n = low - 1 if isinstance(value, bool) else operator.index(cast(Any, value))
    except TypeError:
        n = low - 1
    if n < low:
        raise ValueError(f"{name} must be an int >= {low}, got {value!r}")
    return n


def number(name: str, value: object, interval: str = "(-inf, inf)") -> Any:
    """Return `value`, a finite number in an interval, as int, Fraction or float; otherwise raise ValueError.

    An int or a Fraction keeps its type, so that exact arithmetic stays exact; any other number is returned as a float.

    >>> number("rate", 1, "[0, 1)")
    Traceback (most recent call last):
    ValueError: rate must be in [0, 1), got 1
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")
    exact: Any = value  # not a float: a Fraction is compared exactly
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = low <= exact if interval[0] == "[" else low < exact
    below = exact <= high if interval[-1] == "]" else exact < high
    if not (above and below):
        raise ValueError(f"{name} must be {'> 0' if interval == '(0, inf)' else f'in {interval}'}, got {value!r}")
    if isinstance(value, Integral):
        return int(value)
    return value if isinstance(value, Rational) else float(value)


def shape(name: str, value: object) -> tuple[int, ...]:
    """Return `value`, a size or a sequence of sizes, as a tuple of ints.

    >>> shape("input_shape", 3), shape("input_shape", [28, 28, 1])
    ((3,), (28, 28, 1))
    """
    try:
        sizes: tuple[object, ...] = tuple(cast(Any, value))
    except TypeError:
        return (size(name, value),)
    return tuple(size(f"{name}[{i}]", n) for i, n in enumerate(sizes))


def set_sizes(description: object, *names: str) -> None:
    """Check that the named fields of a frozen dataclass are ints >= 1, and convert them to Python's int."""
    for name in names:
        object.__setattr__(description, name, size(name, getattr(description, name)))


def set_numbers(description: object, **intervals: str) -> None:
    """Check that each named field of a frozen dataclass is in its interval, and convert it as `number` does."""
    for name, interval in intervals.items():
        object.__setattr__(description, name, number(name, getattr(description, name), interval))


def set_flags(description: object, *names: str) -> None:
    """Check that the named fields of a frozen dataclass are True or False, not merely truthy or falsy."""
    for name in names:
        value = getattr(description, name)
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{name} must be True or False, got {value!r}")
        object.__setattr__(description, name, bool(value))


def scalar(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return `value` for use with arrays of `dtype`: as a float, or unchanged for object arrays, which may be exact."""
    return value if dtype.kind == "O" else float(value)
