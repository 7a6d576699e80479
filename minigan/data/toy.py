"""Toy densities on the line and in the plane, with pdf, logpdf, cdf and sample.

Each density is defined by its `logpdf`.  Where both pdfs underflow, the difference of the logpdfs is still accurate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan._arguments import size

Floats = NDArray[np.float64]

LOG_2PI = math.log(2 * math.pi)


class Density1D(Protocol):
    """The methods of a density on the line.

    x is a number or an array of any shape; the results have this shape and are float64.
    """

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x); -inf where p is 0."""

    def pdf(self, x: ArrayLike) -> Floats:
        """Return p(x)."""

    def cdf(self, x: ArrayLike) -> Floats:
        """Return P(X <= x)."""

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n independent draws (n,) from the stream `rng`."""

    def breakpoints(self) -> list[float]:
        """Return the breakpoints for quadrature.

        They are the kinks and centres, and two ends outside which there is less than 1e-17 of the mass.
        """


def _require_positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be > 0 and finite, got {value!r}")


def _require_finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")


def _require_distinct(name: str, what: str, values: Sequence[object], finite: object) -> None:
    if not len(values) or len(set(values)) != len(values) or not finite:
        raise ValueError(f"{name} must contain at least one {what}, all distinct and finite, got {values}")


class _PdfFromLogpdf:
    """The density p = exp(log p) of a class that defines `logpdf`."""

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x)."""
        raise NotImplementedError(f"{type(self).__name__} does not define logpdf")

    def pdf(self, x: ArrayLike) -> Floats:
        """Return p(x) = exp(log p(x))."""
        return np.exp(self.logpdf(x))


@dataclass(frozen=True)
class Gaussian(_PdfFromLogpdf):
    """N(mu, sigma^2): p(x) = exp(-(x - mu)^2 / (2 sigma^2)) / (sigma sqrt(2 pi)).

    Parameters
    ----------
    mu : float
        The mean, finite; 0 by default.
    sigma : float
        The standard deviation, > 0; 1 by default.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> float(Gaussian(4, 2).cdf(4))
    0.5

    """

    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        _require_finite("mu", self.mu)
        _require_positive("sigma", self.sigma)

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x)."""
        u = (np.asarray(x, dtype=float) - self.mu) / self.sigma
        return -0.5 * u * u - math.log(self.sigma) - 0.5 * LOG_2PI

    def cdf(self, x: ArrayLike) -> Floats:
        """Return Phi((x - mu) / sigma)."""
        from scipy.special import ndtr

        return ndtr((np.asarray(x, dtype=float) - self.mu) / self.sigma)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n independent draws (n,)."""
        return self.mu + self.sigma * rng.standard_normal(n)

    def breakpoints(self) -> list[float]:
        """Return mu - 9 sigma, mu and mu + 9 sigma."""
        return [self.mu + k * self.sigma for k in (-9, 0, 9)]


@dataclass(frozen=True)
class Laplace(_PdfFromLogpdf):
    """p(x) = exp(-|x - mu| / b) / (2 b).

    Parameters
    ----------
    mu : float
        The mean, finite; 0 by default.
    b : float
        The scale, > 0; 1 by default.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> float(Laplace(0, 1).pdf(0))
    0.5

    """

    mu: float = 0.0
    b: float = 1.0

    def __post_init__(self) -> None:
        _require_finite("mu", self.mu)
        _require_positive("b", self.b)

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x)."""
        return -np.abs(np.asarray(x, dtype=float) - self.mu) / self.b - math.log(2 * self.b)

    def cdf(self, x: ArrayLike) -> Floats:
        """Return e^u / 2 for u = (x - mu) / b <= 0, else 1 - e^-u / 2."""
        u = (np.asarray(x, dtype=float) - self.mu) / self.b
        tail = 0.5 * np.exp(-np.abs(u))
        return np.where(u <= 0, tail, 1 - tail)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n independent draws (n,)."""
        return rng.laplace(self.mu, self.b, n)

    def breakpoints(self) -> list[float]:
        """Return mu - 40 b, mu and mu + 40 b."""
        return [self.mu + k * self.b for k in (-40, 0, 40)]


@dataclass(frozen=True)
class Mixture(_PdfFromLogpdf):
    """p(x) = sum_k w_k p_k(x), a mixture of densities on the line.

    Parameters
    ----------
    components : sequence of Density1D
        The densities p_k, at least one.
    weights : sequence of float
        w_k, one for each component: >= 0, with sum 1.

    Raises
    ------
    ValueError
        If there are no components, or the weights are not as described.

    Examples
    --------
    >>> p = Mixture([Gaussian(-1, 1), Gaussian(1, 1)], [0.5, 0.5])
    >>> float(p.cdf(0))
    0.5

    """

    components: Sequence[Density1D]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        if not len(self.components):
            raise ValueError("components must contain at least one density, got none")
        if len(self.weights) != len(self.components):
            raise ValueError(
                "weights must have one entry per component, "
                f"got {len(self.weights)} weights for {len(self.components)} components"
            )
        if min(self.weights) < 0 or not math.isclose(sum(self.weights), 1, abs_tol=1e-9):
            raise ValueError(f"weights must be >= 0 and sum to 1, got {list(self.weights)}")

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x), computed by log-sum-exp."""
        from scipy.special import logsumexp

        kept = [(c, w) for c, w in zip(self.components, self.weights, strict=True) if w > 0]
        return logsumexp([c.logpdf(x) + math.log(w) for c, w in kept], axis=0)

    def cdf(self, x: ArrayLike) -> Floats:
        """Return sum_k w_k P_k(x)."""
        return sum((w * c.cdf(x) for c, w in zip(self.components, self.weights, strict=True)), np.zeros(np.shape(x)))

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n independent draws (n,)."""
        which = rng.choice(len(self.weights), n, p=np.asarray(self.weights) / math.fsum(self.weights))
        x = np.empty(n)
        for k, component in enumerate(self.components):
            drawn = which == k
            x[drawn] = component.sample(int(drawn.sum()), rng)
        return x

    def breakpoints(self) -> list[float]:
        """Return the breakpoints of all components."""
        return sorted({point for c in self.components for point in c.breakpoints()})


@dataclass(frozen=True)
class GaussianMixture2D(_PdfFromLogpdf):
    """p(x) = mean_k N(x; c_k, sigma^2 I): a mixture of equal isotropic Gaussians in the plane.    x (N, 2)

    Parameters
    ----------
    centres : sequence of (float, float), or array (K, 2)
        c_k, at least one, all distinct and finite; stored as a tuple of pairs of floats.
    sigma : float
        The standard deviation of each component, > 0.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    """

    centres: tuple[tuple[float, float], ...]
    sigma: float

    def __post_init__(self) -> None:
        _require_positive("sigma", self.sigma)
        try:
            centres = tuple((float(a), float(b)) for a, b in self.centres)
        except (TypeError, ValueError):
            raise ValueError(f"centres must be pairs of numbers, got {self.centres}") from None
        _require_distinct("centres", "point", centres, np.isfinite(centres).all())
        object.__setattr__(self, "centres", centres)  # hashable also if it was given as lists or as an array

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x) (N,)."""
        from scipy.special import logsumexp

        x = np.asarray(x, dtype=float)
        squared = ((x[..., None, :] - np.asarray(self.centres)) ** 2).sum(axis=-1)  # (N, K)
        log_each = -0.5 * squared / self.sigma**2 - 2 * math.log(self.sigma) - LOG_2PI
        return logsumexp(log_each, axis=-1) - math.log(len(self.centres))

    def cdf(self, x: ArrayLike) -> Floats:
        """Return P(X_1 <= x_1, X_2 <= x_2) (N,); each component is a product of two normal distribution functions."""
        from scipy.special import ndtr

        u = (np.asarray(x, dtype=float)[..., None, :] - np.asarray(self.centres)) / self.sigma
        return ndtr(u).prod(axis=-1).mean(axis=-1)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n independent draws (n, 2)."""
        which = rng.integers(len(self.centres), size=n)
        return np.asarray(self.centres)[which] + self.sigma * rng.standard_normal((n, 2))


def ring(modes: int = 8, *, radius: float = 1.0, sigma: float = 0.01) -> GaussianMixture2D:
    """Return a mixture of equal Gaussians on a circle, at the angles 2 pi k / modes, k = 0 ... modes - 1.

    Parameters
    ----------
    modes : int
        The number of Gaussians, at least 1; 8 by default.
    radius : float
        The radius of the circle, > 0; 1 by default.
    sigma : float
        The standard deviation of each Gaussian, > 0; 0.01 by default.

    Returns
    -------
    GaussianMixture2D
        The mixture.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> len(set(ring(8).centres))
    8

    """
    modes = size("modes", modes)
    _require_positive("radius", radius)
    angles = [2 * math.pi * k / modes for k in range(modes)]
    return GaussianMixture2D(tuple((radius * math.cos(a), radius * math.sin(a)) for a in angles), sigma)


def grid(ticks: Sequence[float] = (-4, -2, 0, 2, 4), *, sigma: float = 0.05) -> GaussianMixture2D:
    """Return a mixture of equal Gaussians at all pairs of `ticks`.

    Parameters
    ----------
    ticks : sequence of float
        The coordinates on both axes, at least one, all distinct and finite; -4, -2, 0, 2 and 4 by default, for 25
        Gaussians.
    sigma : float
        The standard deviation of each Gaussian, > 0; 0.05 by default.

    Returns
    -------
    GaussianMixture2D
        The mixture.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    """
    _require_distinct("ticks", "number", list(ticks), np.isfinite(ticks).all())
    return GaussianMixture2D(tuple((float(a), float(b)) for a in ticks for b in ticks), sigma)
