"""Mixtures of Gaussians in the plane, among them the two of the published mode-collapse protocols."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minigan._arguments import size
from minigan.data.toy_base import LOG_2PI, Floats, PdfFromLogpdf, require_distinct, require_positive


@dataclass(frozen=True)
class GaussianMixture2D(PdfFromLogpdf):
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
        require_positive("sigma", self.sigma)
        try:
            centres = tuple((float(a), float(b)) for a, b in self.centres)
        except (TypeError, ValueError):
            raise ValueError(f"centres must be pairs of numbers, got {self.centres}") from None
        require_distinct("centres", "point", centres, np.isfinite(centres).all())
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
    require_positive("radius", radius)
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
    require_distinct("ticks", "number", list(ticks), np.isfinite(ticks).all())
    return GaussianMixture2D(tuple((float(a), float(b)) for a in ticks for b in ticks), sigma)


def ring8() -> GaussianMixture2D:
    """Return eight Gaussians with sigma 0.01 on a circle of radius 1.

    The "2D ring" of VEEGAN (Srivastava et al. 2017, section 5.1) and PacGAN (Lin et al. 2018, section 4.1); with
    `minigan.metrics.mixture_modes` on 2500 samples, the figures are comparable with theirs.

    Returns
    -------
    GaussianMixture2D
        The mixture; ``ring8().sample(n, rng)`` is an array (n, 2).

    Examples
    --------
    >>> ring8().centres[0], ring8().sigma
    ((1.0, 0.0), 0.01)

    """
    return ring(8, radius=1.0, sigma=0.01)


def grid25() -> GaussianMixture2D:
    """Return 25 Gaussians with sigma 0.05, at {-4, -2, 0, 2, 4}^2.

    The "2D grid" of VEEGAN (Srivastava et al. 2017, section 5.1) and PacGAN (Lin et al. 2018, section 4.1).

    Returns
    -------
    GaussianMixture2D
        The mixture; ``grid25().sample(n, rng)`` is an array (n, 2).

    Examples
    --------
    >>> len(grid25().centres), grid25().sigma
    (25, 0.05)

    """
    return grid((-4, -2, 0, 2, 4), sigma=0.05)
