"""Check the values of hyper-parameters."""

import math
from typing import Any

import numpy as np

from minigan._arguments import number
from minigan._names import ConfigError

MAX_INT = 10**9  # the largest integer hyper-parameter: more iterations or larger sizes are mistakes


def setting(key: str, given: Any, kind: type) -> Any:
    """Return the value of the hyper-parameter `key` as `kind`, from such a value or a string; or raise ConfigError."""
    value = _from_text(given, kind) if isinstance(given, str) else _exactly(given, kind)
    if value is None or (kind is int and abs(value) > MAX_INT) or (kind is float and not math.isfinite(value)):
        expected = {
            bool: "true or false",
            int: f"a whole number (of at most {MAX_INT:,})",
            float: "a number (finite)",
            str: "a string",
        }.get(kind, kind.__name__)
        raise ConfigError(f"{key}={given!r}; expected {expected}")
    return value


def _from_text(text: str, kind: type) -> Any:
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower())
    try:
        return kind(text)
    except ValueError:
        return None


def _exactly(given: Any, kind: type) -> Any:
    """Return `given` as a value of type `kind`, or None if it is of another type or the conversion is not exact."""
    if isinstance(given, np.generic):
        given = given.item()
    if kind is float and type(given) is int and abs(given) <= 2**53:
        return float(given)
    return given if type(given) is kind else None


def require_at_least(low: float, **values: float) -> None:
    """Raise ConfigError unless every named value is >= low.

    >>> require_at_least(1, batch_size=0)
    Traceback (most recent call last):
    minigan._names.ConfigError: batch_size must be >= 1, got 0
    """
    for name, value in values.items():
        if not value >= low:
            raise ConfigError(f"{name} must be >= {low:g}, got {value!r}")


def require_within(interval: str, **values: float) -> None:
    """Raise ConfigError unless every named value is in the interval, "(0, inf)" or "[0, 1)".

    >>> require_within("[0, 1)", momentum=1.5)
    Traceback (most recent call last):
    minigan._names.ConfigError: momentum must be in [0, 1), got 1.5
    """
    for name, value in values.items():
        try:
            number(name, value, interval)
        except ValueError as error:
            raise ConfigError(str(error)) from None
