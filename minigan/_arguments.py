"""Arguments: one way to check a size, a number or a shape, and to say what is accepted.

Checked numbers are Python's own: NumPy's float64 scalars would make float64 of a float32 array.
"""

import math
import operator
from numbers import Integral, Rational, Real
from typing import Any

import numpy as np


def size(name: str, value: object, *, low: int = 1) -> int:
    """Return `value`, a whole number >= low (Python's or NumPy's), as an int.

    >>> size("n_out", 0)
    Traceback (most recent call last):
    ValueError: n_out must be an int >= 1, got 0
    """
    try:
        n = low - 1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        n = low - 1
    if n < low:
        raise ValueError(f"{name} must be an int >= {low}, got {value!r}")
    return n


def number(name: str, value: object, accepted: str = "(-inf, inf)") -> Any:
    """Return `value`, a finite number in the interval `accepted`: int and Fraction as they are, others as float.

    >>> number("rate", 1, "[0, 1)")
    Traceback (most recent call last):
    ValueError: rate must be in [0, 1), got 1
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")
    exact: Any = value  # a Fraction is compared as it is
    low, high = (float(end) for end in accepted[1:-1].split(","))
    above = low <= exact if accepted[0] == "[" else low < exact
    below = exact <= high if accepted[-1] == "]" else exact < high
    if not (above and below):
        raise ValueError(f"{name} must be {'> 0' if accepted == '(0, inf)' else f'in {accepted}'}, got {value!r}")
    if isinstance(value, Integral):
        return int(value)
    return value if isinstance(value, Rational) else float(value)


def shape(name: str, value: object) -> tuple[int, ...]:
    """Return `value`, a size or a sequence of sizes, as a tuple of ints.

    >>> shape("input_shape", 3), shape("input_shape", [28, 28, 1])
    ((3,), (28, 28, 1))
    """
    try:
        sizes: tuple[object, ...] = tuple(value)  # type: ignore[arg-type]
    except TypeError:
        return (size(name, value),)
    return tuple(size(f"{name}[{i}]", n) for i, n in enumerate(sizes))


def set_sizes(description: object, *names: str) -> None:
    """Check the named fields of a frozen dataclass, and make them plain ints."""
    for name in names:
        object.__setattr__(description, name, size(name, getattr(description, name)))


def set_numbers(description: object, **accepted: str) -> None:
    """Check the named fields of a frozen dataclass, each against its interval, and make them plain numbers."""
    for name, interval in accepted.items():
        object.__setattr__(description, name, number(name, getattr(description, name), interval))


def set_truths(description: object, *names: str) -> None:
    """Check the named fields of a frozen dataclass: True or False, nothing that stands for them."""
    for name in names:
        value = getattr(description, name)
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{name} must be True or False, got {value!r}")
        object.__setattr__(description, name, bool(value))


def scalar(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a number for use with arrays of `dtype`: a float, but as it is (exact, perhaps) among objects."""
    return value if dtype.kind == "O" else float(value)
