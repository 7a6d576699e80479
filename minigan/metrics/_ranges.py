"""Results in their stated range: rounding is taken off, NaN stays NaN."""

import numpy as np


def within(value: float, low: float, high: float) -> float:
    """Return `value`, or the nearest end of [low, high] where it is outside; NaN stays NaN.

    `max(0.0, value)` must not be used for this: where `value` is NaN it is 0, which reads as a perfect score.

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
