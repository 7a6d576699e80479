"""What every density on the line knows of itself: a formula in balls, its tails in closed form, and a float twin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import ArrayLike, NDArray

from verify.arithmetic.balls import Exact, ball, between, exact
from verify.densities.ends import End, Growth, Moments

Floats = NDArray[np.float64]
LogDensity = Callable[..., Any]  # (x, at, analytic=False) -> log p(x)


class Density(ABC):
    """A probability density p on the line, with rational parameters.

    Two densities are equal if their classes and parameters are.  Ball methods work at the current precision.
    """

    # In balls.

    @abstractmethod
    def log_density(self) -> LogDensity:
        """Return (x, at, analytic) -> log p(x), with its constants at the current precision.

        x is a ball, complex ball or Taylor series inside one piece between two neighbouring `edges`; `at` is a
        rational point of that piece, which selects the branch of a formula with kinks.
        """

    @abstractmethod
    def tail(self, x: arb, side: int) -> arb:
        """Return the mass beyond x: P(X > x) for side +1, P(X < x) for side -1."""

    def support(self) -> tuple[Fraction | None, Fraction | None]:
        """Return the ends of the support; None is infinite."""
        return None, None

    def edges(self) -> tuple[Fraction, ...]:
        """Return the points where p is not analytic."""
        return tuple(end for end in self.support() if end is not None)

    def positive_at(self, at: Fraction) -> bool:
        """Whether p > 0 on the piece that holds `at`."""
        low, high = self.support()
        return (low is None or low < at) and (high is None or at < high)

    def singular(self, edge: Fraction) -> bool:
        """Whether log p has no analytic continuation to `edge`, so that integrals must stop short of it."""
        return False

    def mass(self, low: arb | None, high: arb | None) -> arb:
        """Return P(low < X < high); None is infinite."""
        above_low = arb(1) if low is None else self.tail(low, +1)
        return above_low if high is None else above_low - self.tail(high, +1)

    def canonical(self) -> Density:
        """Return the plainest density that is equal to this one as a function."""
        return self

    # Bounds near an end that an integral leaves out (see `ends`).

    def tail_start(self) -> Fraction:
        """Return R >= 1 such that p decreases in |x|, and the bounds at infinity hold, for |x| >= R."""
        return Fraction(1)

    def neg_log_bound(self, end: End) -> Growth:
        """Return a bound on -log p near the end (where p > 0); at infinity each density has its own."""
        self._require_an_edge(end, "neg_log_bound")
        return Growth(const=self._log_density_near(end).abs_upper())

    def log_bound(self, end: End) -> Growth:
        """Return a bound on log p near the end; at infinity p decreases beyond the cut."""
        return Growth(const=self._log_density_near(end).abs_upper())

    def moments(self, end: End) -> Moments:
        """Return bounds on the integrals of p against the terms of a Growth, near the end; at infinity each its own."""
        self._require_an_edge(end, "moments")
        peak, width = self._log_density_near(end).exp().upper(), end.width
        return Moments(peak * width, peak * width * (1 + abs(width.log())))

    def _require_an_edge(self, end: End, name: str) -> None:
        """A value at the cut says nothing of an unbounded region."""
        if end.edge is None:
            raise NotImplementedError(
                f"{type(self).__name__}.{name} was asked for a bound at infinity; expected a class that defines one"
            )

    def _log_density_near(self, end: End) -> arb:
        if end.edge is None:
            x = end.side * end.cut  # p decreases beyond it
            return self.log_density()(x, end.at)
        return self.log_density()(between(ball(end.edge), end.cut), end.at)

    # In floats.

    @abstractmethod
    def _scipy(self) -> Any:
        """Return the frozen scipy.stats distribution."""

    def pdf(self, x: ArrayLike) -> Floats:
        """Return p(x) in float64."""
        return np.asarray(self._scipy().pdf(x), dtype=float)

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x) in float64."""
        return np.asarray(self._scipy().logpdf(x), dtype=float)

    def cdf(self, x: ArrayLike) -> Floats:
        """Return P(X <= x) in float64."""
        return np.asarray(self._scipy().cdf(x), dtype=float)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n values."""
        return np.asarray(self._scipy().rvs(size=n, random_state=rng), dtype=float)

    def __repr__(self) -> str:
        one: Any = self  # of a subclass: those are dataclasses
        values = ", ".join(f"{f.name}={plain(getattr(one, f.name))}" for f in fields(one))
        return f"{type(self).__name__}({values})"


def plain(value: Any) -> str:
    """Return the repr of a parameter, with rationals as 1/2."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(plain, value))}]"
    return str(value) if isinstance(value, Fraction) else repr(value)


def positive(name: str, value: Exact) -> Fraction:
    """Return an exact parameter > 0."""
    number = exact(name, value)
    if number <= 0:
        raise ValueError(f"{name} is {value}; expected a number > 0")
    return number


def assign(density: Any, **parameters: Any) -> None:
    """Set the fields of a frozen density, once."""
    for name, value in parameters.items():
        object.__setattr__(density, name, value)
