"""`Estimate`: a value with its 95 % confidence interval, and the analytic intervals of a proportion and of a mean."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95  # the confidence of every interval of this package
Z = 1.959963984540054  # the normal distribution has LEVEL of its mass within +-Z standard deviations


class Estimate(NamedTuple):
    """A value that was estimated from samples, with a 95 % confidence interval.

    Attributes
    ----------
    value : float
        The estimate.
    low, high : float
        The ends of the interval; the docstring of each metric states how it is computed and what it covers.

    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def proportion(hits: int, n: int) -> Estimate:
    """p = hits / n, with the interval of Wilson 1927 for n independent trials.

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), z = 1.96.  Unlike p +- z s / sqrt n, it is in
    [0, 1] and does not shrink to a point at p = 0 or 1.

    >>> print(proportion(0, 10))
    0 [0, 0.2775]
    """
    p = hits / n
    middle, half = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + Z * Z / n) for sign in (-1, 1))
    return Estimate(p, 0.0 if hits == 0 else max(0.0, low), 1.0 if hits == n else min(1.0, high))


def share_of(hits: ArrayLike) -> Estimate:
    """Return the fraction of true values, with Wilson's 95 % interval for independent trials.

    Parameters
    ----------
    hits : array of bool (N,)
        Whether each of N >= 1 trials is a hit.

    Returns
    -------
    Estimate
        The fraction, in [0, 1].

    Raises
    ------
    ValueError
        If there is no trial.

    Examples
    --------
    >>> share_of([True, False, False, False]).value
    0.25

    """
    h = np.asarray(hits, dtype=bool)
    if h.ndim != 1 or h.size == 0:
        raise ValueError(f"hits has shape {h.shape}; expected (N,) with N >= 1")
    return proportion(int(h.sum()), len(h))


def mean(values: ArrayLike) -> Estimate:
    """m = mean_i v_i, with the interval m +- t s / sqrt n for n independent values; s divides by n - 1.    v (n,)

    t is the quantile of Student's distribution with n - 1 degrees of freedom.  NaN ends for n = 1.
    """
    from scipy.special import stdtrit

    v = np.asarray(values, dtype=float)
    m = float(v.mean())
    half = math.nan
    if len(v) > 1:
        half = float(stdtrit(len(v) - 1, (1 + LEVEL) / 2)) * float(v.std(ddof=1)) / math.sqrt(len(v))
    return Estimate(m, m - half, m + half)
