"""Restrict results to their mathematical range, from which rounding can move them; NaN stays NaN."""

import numpy as np


def within(value: float, low: float, high: float) -> float:
    """Return `value`, or the nearer end of [low, high] if it is outside; NaN stays NaN.

    Do not use `max(0.0, value)` for this purpose: it is 0 for NaN, which would be a perfect score.

    Parameters
    ----------
    value : float
        A result whose mathematical value is in [low, high].
    low, high : float
        The ends; `high` may be inf.

    Returns
    -------
    float
        A number in [low, high], or NaN.

    Examples
    --------
    >>> within(-1e-17, 0, 1), within(float("nan"), 0, 1)
    (0.0, nan)

    """
    return float(np.clip(value, low, high))
