"""Toy densities on the line, with pdf, logpdf, cdf and sample; `minigan.data.toy_plane` has those in the plane.

Each density is defined by its `logpdf`.  Where both pdfs underflow, the difference of the logpdfs is still accurate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minigan.data.toy_base import LOG_2PI, Floats, PdfFromLogpdf, require_finite, require_positive
from minigan.data.toy_base import Density1D as Density1D
from minigan.data.toy_plane import GaussianMixture2D as GaussianMixture2D
from minigan.data.toy_plane import grid as grid
from minigan.data.toy_plane import grid25 as grid25
from minigan.data.toy_plane import ring as ring
from minigan.data.toy_plane import ring8 as ring8


@dataclass(frozen=True)
class Gaussian(PdfFromLogpdf):
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
        require_finite("mu", self.mu)
        require_positive("sigma", self.sigma)

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
class Laplace(PdfFromLogpdf):
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
        require_finite("mu", self.mu)
        require_positive("b", self.b)

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
class Mixture(PdfFromLogpdf):
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
