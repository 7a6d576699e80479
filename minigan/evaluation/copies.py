"""Whether samples are copies of training images: how many are nearer to one than real images ever are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.diagnosis import KINDS
from minigan.metrics import Estimate, share_of

Floats = NDArray[np.float64]

COPY_FRACTION = 0.5
"""A sample is a copy if it is nearer to a training image than this fraction of the baseline's 1 % quantile.

At the quantile itself, smooth samples would count, which are nearer to all images than sharp ones are: the mean of two
images is at half of their distance."""

MEMORISED_SHARE = 0.01
"""Memorisation is reported if surely more than 1 % of the samples are copies: of real test images, fewer are."""


@dataclass(frozen=True)
class Memorisation:
    """The share of samples that are copies of training images.

    Parameters
    ----------
    distance : float
        A sample nearer than this to a training image is a copy: half of the 1 % quantile of the baseline's distances.
    baseline : Estimate
        The share of copies among real test images, with Wilson's 95 % interval.
    samples : Estimate
        The share of copies among the samples.

    """

    distance: float
    baseline: Estimate
    samples: Estimate

    @property
    def found(self) -> bool:
        """Whether the low end of the samples' share is above 1 % and above the high end of the baseline's."""
        return self.samples.low > max(MEMORISED_SHARE, self.baseline.high)

    def as_dict(self) -> dict[str, Any]:
        """Return the shares, and the finding with what to try, as JSON-serializable values."""
        kind = KINDS["memorisation"]
        found = {"meaning": kind.meaning, "try": list(kind.advice)} if self.found else {}
        shares = {name: getattr(self, name)._asdict() for name in ("baseline", "samples")}
        return {"distance": self.distance, **shares, "found": self.found, **found}

    def __str__(self) -> str:
        text = (
            f"nearer than {self.distance:.2f} to a training image: {self.samples.value:.2%} of the samples "
            f"[{self.samples.low:.2%}, {self.samples.high:.2%}], {self.baseline.value:.2%} of the real test images"
        )
        if not self.found:
            return text
        kind = KINDS["memorisation"]
        return f"{text}\nmemorisation: {kind.meaning}. Try: {'; '.join(kind.advice)}."


def memorisation(baseline: Floats, samples: Floats) -> Memorisation:
    """Compare the distances of samples to the nearest training image with those of real test images.

    Parameters
    ----------
    baseline, samples : array (N,), (M,)
        The distances (`minigan.metrics.nearest`) of real test images and of samples.

    Returns
    -------
    Memorisation
        The shares of copies.

    Examples
    --------
    >>> real = np.linspace(5, 10, 1000)
    >>> memorisation(real, real + 1).found, memorisation(real, np.where(real < 7, 0.1, real)).found
    (False, True)

    """
    distance = COPY_FRACTION * float(np.quantile(baseline, 0.01))
    return Memorisation(distance, share_of(baseline < distance), share_of(samples < distance))
