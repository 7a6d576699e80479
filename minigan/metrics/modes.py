"""How samples are distributed over the modes of the data: modes that are found, high-quality samples, reverse KL.

Every sample belongs to one mode: to the nearest centre of a mixture (`mixture_modes`), or to the class that a
classifier reads (`minigan.classifier.stacked_modes`).  The functions of counts work for both.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan._arguments import size
from minigan.metrics._intervals import LEVEL, Estimate, proportion
from minigan.metrics._ranges import within

Floats = NDArray[np.float64]
Counts = NDArray[np.intp]

SIGMAS = 3.0  # a sample within so many standard deviations of its centre is of high quality
RESAMPLES = 2000  # of the bootstrap: its 2.5 % quantile has a standard error of 0.35 % in probability
NUMBERS_PER_BLOCK = 1 << 20  # distances to centres that are in memory at once: 8 MiB


class ModeCounts(NamedTuple):
    """The numbers of samples of each mode.

    Attributes
    ----------
    nearest : array of int, shape (K,)
        The number of samples that belong to each mode; the sum is N.
    high_quality : array of int, shape (K,)
        The number of those within the radius of the centre.

    """

    nearest: Counts
    high_quality: Counts


def mode_counts(x: ArrayLike, centres: ArrayLike, *, radius: float) -> ModeCounts:
    """Count the samples whose nearest centre is c_k, and those of them with |x - c_k| <= radius.

    Parameters
    ----------
    x : array (N, F)
        The samples, finite, N >= 1.
    centres : array (K, F)
        The centres c_k, K >= 1.  A sample with the same distance to several belongs to the first.
    radius : float
        The greatest distance of a high-quality sample from its centre, > 0.

    Returns
    -------
    ModeCounts
        Both counts of every mode.

    Raises
    ------
    ValueError
        If the shapes do not agree, a value is not finite, or the radius is not > 0.

    Examples
    --------
    >>> counts = mode_counts([[0.1, 0], [0.4, 0], [2, 0]], [[0, 0], [1, 0]], radius=0.2)
    >>> counts.nearest.tolist(), counts.high_quality.tolist()
    ([2, 1], [1, 0])

    """
    points, c = _finite("x", x), _finite("centres", centres)
    if points.shape[1] != c.shape[1]:
        raise ValueError(f"x has {points.shape[1]} features, centres {c.shape[1]}; expected the same number")
    if not (radius > 0 and math.isfinite(radius)):
        raise ValueError(f"radius must be > 0 and finite, got {radius!r}")
    nearest, high = np.zeros(len(c), dtype=np.intp), np.zeros(len(c), dtype=np.intp)
    rows = max(1, NUMBERS_PER_BLOCK // c.size)
    for start in range(0, len(points), rows):
        distance = np.sqrt(np.square(points[start : start + rows, None] - c).sum(axis=2))  # by differences: (n, K)
        mode = distance.argmin(axis=1)
        good = distance[np.arange(len(mode)), mode] <= radius
        nearest += np.bincount(mode, minlength=len(c))
        high += np.bincount(mode[good], minlength=len(c))
    return ModeCounts(nearest, high)


def reverse_kl(counts: ArrayLike, expected: ArrayLike | None = None) -> float:
    """KL(q || p) = sum_k q_k log(q_k / p_k), q_k = c_k / n: from the samples' modes to those of the data, in nats.

    The "reverse KL" of PacGAN (Lin et al. 2018, section 4.1), whose p is uniform.  0 log 0 = 0: a missing mode costs
    only the weight that the others gain.  If q = p in truth, the estimate is still about (K - 1) / (2 n) > 0, because
    the c_k fluctuate.

    Parameters
    ----------
    counts : array (K,)
        c, the number of samples of each mode: >= 0 and not all 0.
    expected : array (K,), optional
        The weights of the modes in the data, in any unit (counts of real samples, for example), >= 0 and not all 0;
        uniform by default, as in the published mixtures.

    Returns
    -------
    float
        In [0, inf]; at most log K for the uniform distribution; inf if a sample belongs to a mode of weight 0.

    Raises
    ------
    ValueError
        If the counts or the weights are not as described.

    Examples
    --------
    >>> round(reverse_kl([10, 0]), 6)  # log 2
    0.693147

    """
    c = _counts("counts", counts)
    p = _weights(len(c), expected)
    return float(_kl(c[None] / c.sum(), p)[0])


def _kl(q: Floats, p: Floats) -> Floats:
    """Return sum_k q_k log(q_k / p_k) of each row of q (R, K)."""
    from scipy.special import rel_entr

    return np.maximum(rel_entr(q, p).sum(axis=1), 0.0)  # rel_entr is never NaN for numbers >= 0


def _weights(modes: int, expected: ArrayLike | None) -> Floats:
    p = np.ones(modes) if expected is None else _counts("expected", expected)
    if len(p) != modes:
        raise ValueError(f"expected has {len(p)} weights; counts have {modes} modes")
    return p / p.sum()


@dataclass(frozen=True)
class ModeReport:
    """How n samples are distributed over K modes, with 95 % intervals.

    Parameters
    ----------
    modes : Estimate
        The number of modes that are found; the interval has the quantiles of `RESAMPLES` bootstrap samples, widened to
        include the value: it says how the number varies between sets of n samples, not whether a mode has weight 0.
    high_quality : Estimate
        The share of high-quality samples, with Wilson's interval.
    reverse_kl : Estimate
        `reverse_kl` of the modes of all samples, in nats (for mixtures, the code of PacGAN counts only samples of high
        quality); the interval is the "basic" one of the bootstrap (Davison and Hinkley 1997, eq. 5.6), 2 v minus the
        quantiles, because it corrects the upward bias of the estimate; its ends are restricted to [0, inf) and to the
        value.
    counts : tuple of int
        The number of samples of each mode.
    n : int
        The number of samples.

    """

    modes: Estimate
    high_quality: Estimate
    reverse_kl: Estimate
    counts: tuple[int, ...]
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-serializable values: "modes" is an int, each interval a pair."""
        return {
            "modes": int(self.modes.value),
            "modes_of": len(self.counts),
            "high_quality": self.high_quality.value,
            "reverse_kl": self.reverse_kl.value,
            "intervals": {
                name: [getattr(self, name).low, getattr(self, name).high]
                for name in ("modes", "high_quality", "reverse_kl")
            },
            "counts": list(self.counts),
            "samples": self.n,
        }

    def __str__(self) -> str:
        return (
            f"{self.modes.value:.0f} of {len(self.counts)} modes, {self.high_quality.value:.1%} high quality "
            f"[{self.high_quality.low:.1%}, {self.high_quality.high:.1%}], reverse KL {self.reverse_kl} nats "
            f"({self.n:,} samples)"
        )


def mode_report(
    counts: ModeCounts, *, expected: ArrayLike | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> ModeReport:
    """Return modes, high-quality share and reverse KL of counts, with their intervals.

    A mode is found if at least one high-quality sample belongs to it (VEEGAN, Srivastava et al. 2017, section 5.1;
    where the balls do not overlap, this is PacGAN's definition too: a mode is lost if no sample is within 3 sigma of
    it; its code, github.com/fjxmlzn/PacGAN, takes the nearest centre and a distance < 3 sigma).

    Parameters
    ----------
    counts : ModeCounts
        The counts of n samples.
    expected : array (K,), optional
        The weights of the modes in the data, as for `reverse_kl`.
    seed : int
        The seed of the bootstrap; 0 by default, so that the same counts have the same intervals.
    resamples : int
        The number of bootstrap samples, at least 1.

    Returns
    -------
    ModeReport
        The report.

    Raises
    ------
    ValueError
        If the counts or the weights are not as described.

    Examples
    --------
    >>> report = mode_report(ModeCounts(np.array([50, 50]), np.array([49, 0])))
    >>> report.modes.value, report.high_quality.value, report.reverse_kl.value
    (1.0, 0.49, 0.0)

    """
    nearest, high = _counts("nearest", counts.nearest), np.asarray(counts.high_quality, dtype=float)
    if high.shape != nearest.shape or not ((high >= 0) & (high <= nearest)).all():
        raise ValueError("high_quality must be (K,), between 0 and the counts of `nearest`")
    resamples, n, modes = size("resamples", resamples), int(nearest.sum()), len(nearest)
    p, rng = _weights(modes, expected), np.random.default_rng(seed)
    shares = np.concatenate([high, nearest - high]) / n  # each sample is in one of 2 K cells
    found, kl = np.empty(resamples), np.empty(resamples)
    rows = max(1, NUMBERS_PER_BLOCK // (2 * modes))
    for start in range(0, resamples, rows):
        part = slice(start, min(resamples, start + rows))
        drawn = rng.multinomial(n, shares, size=part.stop - part.start)
        found[part] = (drawn[:, :modes] > 0).sum(axis=1)
        kl[part] = _kl((drawn[:, :modes] + drawn[:, modes:]) / n, p)
    value, ends = float((high > 0).sum()), [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high_end = np.quantile(found, ends)
    v = reverse_kl(nearest, expected)
    low_kl, high_kl = np.quantile(kl, ends) if math.isfinite(v) else (math.inf, math.inf)
    return ModeReport(
        Estimate(value, min(value, float(low)), max(value, float(high_end))),
        proportion(int(high.sum()), n),
        Estimate(v, within(2 * v - high_kl, 0, v), max(v, 2 * v - low_kl)) if math.isfinite(v) else Estimate(v, v, v),
        tuple(int(c) for c in nearest),
        n,
    )


def mixture_modes(x: ArrayLike, centres: ArrayLike, *, sigma: float, seed: int = 0) -> ModeReport:
    """Return `mode_report` of samples of a mixture of equal Gaussians, with the radius 3 sigma.

    In the plane, 1 - exp(-9 / 2) = 98.9 % of the data themselves are of high quality.

    Parameters
    ----------
    x : array (N, F)
        The samples, finite; the published protocols use 2500.
    centres : array (K, F)
        The centres of the mixture, such as ``minigan.data.ring8().centres``.
    sigma : float
        The standard deviation of each Gaussian, > 0.
    seed : int
        The seed of the bootstrap.

    Returns
    -------
    ModeReport
        The report.

    Raises
    ------
    ValueError
        As `mode_counts`.

    Examples
    --------
    >>> from minigan.data import ring8
    >>> data = ring8()
    >>> report = mixture_modes(data.sample(2500, np.random.default_rng(0)), data.centres, sigma=data.sigma)
    >>> report.modes.value, 0.98 < report.high_quality.value < 1
    (8.0, True)

    """
    if not (sigma > 0 and math.isfinite(sigma)):
        raise ValueError(f"sigma must be > 0 and finite, got {sigma!r}")
    return mode_report(mode_counts(x, centres, radius=SIGMAS * sigma), seed=seed)


def _finite(name: str, given: ArrayLike) -> Floats:
    a = np.asarray(given, dtype=float)
    if a.ndim != 2 or 0 in a.shape:
        raise ValueError(f"{name} has shape {a.shape}; expected (N, F) with N, F >= 1")
    if not np.isfinite(a).all():
        raise ValueError(f"{name} has values that are not finite; expected finite values")
    return a


def _counts(name: str, given: ArrayLike) -> Floats:
    c = np.asarray(given, dtype=float)
    if c.ndim != 1 or c.size == 0 or not (c >= 0).all() or not 0 < c.sum() < np.inf:
        raise ValueError(f"{name} are {c.tolist()}; expected (K,), >= 0 and not all 0")
    return c
