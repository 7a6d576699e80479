"""What the toy densities share: the interface of a density on the line, p = exp(log p), and checks of parameters."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def require_positive(name: str, value: float) -> None:
    """Raise ValueError unless the value is > 0 and finite."""
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be > 0 and finite, got {value!r}")


def require_finite(name: str, value: float) -> None:
    """Raise ValueError unless the value is finite."""
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")


def require_distinct(name: str, what: str, values: Sequence[object], finite: object) -> None:
    """Raise ValueError unless there is at least one value, all distinct and `finite`; `what` is the kind of a value."""
    if not len(values) or len(set(values)) != len(values) or not finite:
        raise ValueError(f"{name} must contain at least one {what}, all distinct and finite, got {values}")


class PdfFromLogpdf:
    """The density p = exp(log p) of a class that defines `logpdf`."""

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x)."""
        raise NotImplementedError(f"{type(self).__name__} does not define logpdf")

    def pdf(self, x: ArrayLike) -> Floats:
        """Return p(x) = exp(log p(x))."""
        return np.exp(self.logpdf(x))
