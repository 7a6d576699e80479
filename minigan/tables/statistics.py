"""Mean and spread over seeds."""

import math
from collections.abc import Sequence

import numpy as np


def statistics(values: Sequence[float]) -> dict[str, float]:
    """Return the mean over n seeds, the standard deviation s (with n - 1) and the standard error s / sqrt n.

    Parameters
    ----------
    values : sequence of float
        A finite number for each seed, n >= 1.

    Returns
    -------
    dict of float
        "mean", "min", "max" and, for n >= 2, "standard deviation" and "standard error".

    Examples
    --------
    >>> statistics([7.0, 8.0, 9.0])["standard deviation"]
    1.0

    """
    x = np.asarray(values, dtype=float)
    found = {"mean": float(x.mean()), "min": float(x.min()), "max": float(x.max())}
    if len(x) > 1:
        s = float(x.std(ddof=1))
        found |= {"standard deviation": s, "standard error": s / math.sqrt(len(x))}
    return found
