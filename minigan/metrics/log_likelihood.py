"""The Parzen-window log-likelihood of Goodfellow et al. 2014 (Table 1), introduced by Breuleux et al. 2011.

It is a kernel density estimate on samples of G, a poor estimate in many dimensions (Theis et al. 2016): report it only
beside controls, such as real training images in place of the samples.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.metrics._intervals import Estimate, mean

Floats = NDArray[np.float64]

SIGMAS = tuple(float(s) for s in np.logspace(-1, 0, 10))  # the bandwidths of the published protocol
NUMBERS_PER_BLOCK = 1 << 21  # distances that are in memory at once: two arrays of 16 MiB
LOG_2PI = math.log(2 * math.pi)


def parzen_log_density(x: ArrayLike, samples: ArrayLike, sigmas: Sequence[float]) -> Floats:
    """log p_sigma(x_n) = log mean_m N(x_n; y_m, sigma^2 I), for several bandwidths at once.

    |x - y|^2 = |x|^2 + |y|^2 - 2 x.y: one matrix product for a block of points, which all bandwidths share.  The points
    are shifted by the mean of the samples, so that fewer digits cancel; the error of the exponent is below
    1e-12 (|x|^2 + |y|^2) / sigma^2.

    Parameters
    ----------
    x : array (N, ...)
        The points, finite; more axes than one are flattened to F numbers.
    samples : array (M, ...)
        The samples y of the generator, finite, with the same F.
    sigmas : sequence of float
        S bandwidths, > 0, in the unit of x.

    Returns
    -------
    array of float64, shape (S, N)
        The log densities, in nats.

    Raises
    ------
    ValueError
        If the shapes do not agree, a value is not finite, or a bandwidth is not > 0.

    Examples
    --------
    >>> parzen_log_density([[0.0]], [[0.0]], [1.0]).round(6).tolist()  # -log(2 pi) / 2
    [[-0.918939]]

    """
    points, y = _flat("x", x), _flat("samples", samples)
    if points.shape[1] != y.shape[1]:
        raise ValueError(f"x has {points.shape[1]} numbers per point, samples {y.shape[1]}; expected the same")
    s = np.asarray(sigmas, dtype=float)
    if s.ndim != 1 or s.size == 0 or not ((s > 0) & np.isfinite(s)).all():
        raise ValueError(f"sigmas must be at least one number > 0, got {sigmas!r}")
    middle = y.mean(axis=0)
    y = y - middle
    squares = np.square(y).sum(axis=1)
    log_p = np.empty((len(s), len(points)))
    rows = max(1, NUMBERS_PER_BLOCK // len(y))
    for start in range(0, len(points), rows):
        part = points[start : start + rows] - middle
        distance = part @ y.T
        distance *= -2
        distance += squares
        distance += np.square(part).sum(axis=1)[:, None]
        nearest = distance.min(axis=1)
        distance -= nearest[:, None]
        exponent = np.empty_like(distance)
        for k, sigma in enumerate(s):
            scale = -0.5 / sigma**2
            np.multiply(distance, scale, out=exponent)
            total = np.exp(exponent, out=exponent).sum(axis=1)  # at least 1: the exponent of the nearest sample is 0
            log_p[k, start : start + rows] = np.log(total) + scale * nearest
    return np.asarray(log_p - math.log(len(y)) - points.shape[1] * (np.log(s)[:, None] + LOG_2PI / 2))


class Parzen(NamedTuple):
    """The result of `parzen`.

    Attributes
    ----------
    log_likelihood : Estimate
        mean_n log p(x_n) over the test points, in nats, with the interval of `mean` +- t standard errors: for other
        test points and the same samples.
    standard_error : float
        std_n / sqrt N over the test points, the "+-" of the published tables.
    sigma : float
        The bandwidth that was chosen.

    """

    log_likelihood: Estimate
    standard_error: float
    sigma: float


def parzen(samples: ArrayLike, valid: ArrayLike, test: ArrayLike, *, sigmas: Sequence[float] = SIGMAS) -> Parzen:
    """Choose the bandwidth with the greatest mean log density of `valid`, and return that of `test` with it.

    The published protocol for MNIST (Goodfellow et al. 2014, section 5, and its code): 10,000 samples in [0, 1]; the
    bandwidth from 0.1 to 1 in ten logarithmic steps on the first 1000 of the 10,000 validation images
    (``train[50000:51000]``); all 10,000 test images.

    Parameters
    ----------
    samples : array (M, ...)
        The samples of the generator, in the unit of the data.
    valid : array (V, ...)
        The points for the choice of the bandwidth; different from the test points.
    test : array (N, ...)
        The test points, N >= 2.
    sigmas : sequence of float
        The bandwidths; those of the protocol by default.

    Returns
    -------
    Parzen
        The mean log-likelihood with its standard error, and the bandwidth.

    Raises
    ------
    ValueError
        As `parzen_log_density`, or if there are fewer than two test points.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = parzen(*(rng.standard_normal((n, 1)) for n in (4000, 500, 1000)))
    >>> abs(found.log_likelihood.value + 1.419) < 0.1  # the entropy of N(0, 1) is (1 + log 2 pi) / 2 = 1.419
    True

    """
    chosen = float(sigmas[int(parzen_log_density(valid, samples, sigmas).mean(axis=1).argmax())])
    log_p = parzen_log_density(test, samples, [chosen])[0]
    if len(log_p) < 2:
        raise ValueError(f"test has {len(log_p)} point; expected at least 2, for the standard error")
    return Parzen(mean(log_p), float(log_p.std(ddof=1)) / math.sqrt(len(log_p)), chosen)


def _flat(name: str, given: ArrayLike) -> Floats:
    a = np.asarray(given, dtype=float)
    if a.ndim < 2 or a.size == 0:
        raise ValueError(f"{name} has shape {a.shape}; expected (N, ...) with N >= 1")
    if not np.isfinite(a).all():
        raise ValueError(f"{name} has values that are not finite; expected finite values")
    return a.reshape(len(a), -1)
