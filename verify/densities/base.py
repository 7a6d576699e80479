"""The base class of densities on the line: log p in balls, bounds on its tails, and the same density in float64."""

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
from verify.densities.tails import Growth, Moments, Tail

Floats = NDArray[np.float64]
LogDensity = Callable[..., Any]  # (x, at, analytic=False) -> log p(x)


class Density(ABC):
    """A probability density p on the line, with rational parameters.

    Two densities are equal if their classes and parameters are.  The methods on balls work at the current precision.
    A subclass is a frozen dataclass.  It defines `log_density`, `tail` and `_scipy`, `support` and `edges` where they
    differ from the whole line, and `moments` and `neg_log_bound` if its support is unbounded.
    """

    # In balls.

    @abstractmethod
    def log_density(self) -> LogDensity:
        """Return the function log p, with its constants at the current precision.

        Returns
        -------
        callable
            ``log_p(x, at, analytic=False)``.  x is a ball, complex ball or Taylor series inside one piece between
            neighbouring `edges`; `at` is a rational point of that piece, which selects the branch of a formula with
            kinks; with `analytic`, the result is not finite wherever log p is not analytic on x.

        """

    @abstractmethod
    def tail(self, x: arb, side: int) -> arb:
        """Return the mass beyond x: P(X > x) for side +1, P(X < x) for side -1."""

    def support(self) -> tuple[Fraction | None, Fraction | None]:
        """Return the lower and upper end of the support; None is infinite."""
        return None, None

    def edges(self) -> tuple[Fraction, ...]:
        """Return the points where p is not analytic."""
        return tuple(end for end in self.support() if end is not None)

    def positive_at(self, at: Fraction) -> bool:
        """Return whether p > 0 on the piece that contains `at`."""
        low, high = self.support()
        return (low is None or low < at) and (high is None or at < high)

    def singular(self, edge: Fraction) -> bool:
        """Return whether log p has no analytic continuation to `edge`, so that integrals must stop before it."""
        return False

    def mass(self, low: arb | None, high: arb | None) -> arb:
        """Return P(low < X < high); None is infinite."""
        above_low = arb(1) if low is None else self.tail(low, +1)
        return above_low if high is None else above_low - self.tail(high, +1)

    def canonical(self) -> Density:
        """Return the simplest density that is the same function of x."""
        return self

    # Bounds in a tail that an integral leaves out (see `verify.densities.tails`).

    def tail_start(self) -> Fraction:
        """Return R >= 1 such that for |x| >= R p decreases in |x| and the bounds at infinity hold."""
        return Fraction(1)

    def neg_log_bound(self, tail: Tail) -> Growth:
        """Return a bound on -log p in a tail where p > 0.  At infinity a subclass must define one."""
        self._require_an_edge(tail, "neg_log_bound")
        return Growth(const=self._log_density_near(tail).abs_upper())

    def log_bound(self, tail: Tail) -> Growth:
        """Return a bound on log p in a tail.  At infinity it is log p at the cut, since p decreases beyond it."""
        return Growth(const=self._log_density_near(tail).abs_upper())

    def moments(self, tail: Tail) -> Moments:
        """Return bounds on the integrals of p times the terms of a Growth.  At infinity a subclass must define them."""
        self._require_an_edge(tail, "moments")
        peak, width = self._log_density_near(tail).exp().upper(), tail.width
        return Moments(peak * width, peak * width * (1 + abs(width.log())))

    def _require_an_edge(self, tail: Tail, name: str) -> None:
        """Refuse a tail at infinity, where the values near the cut say nothing about the rest."""
        if tail.edge is None:
            raise NotImplementedError(
                f"{type(self).__name__}.{name} was asked for a bound at infinity; expected a class that defines one"
            )

    def _log_density_near(self, tail: Tail) -> arb:
        if tail.edge is None:
            x = tail.side * tail.cut  # p decreases beyond it
            return self.log_density()(x, tail.at)
        return self.log_density()(between(ball(tail.edge), tail.cut), tail.at)

    # In floats.

    @abstractmethod
    def _scipy(self) -> Any:
        """Return the frozen scipy.stats distribution."""

    def pdf(self, x: ArrayLike) -> Floats:
        """Return p(x) in float64, with the shape of x."""
        return np.asarray(self._scipy().pdf(x), dtype=float)

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x) in float64, with the shape of x."""
        return np.asarray(self._scipy().logpdf(x), dtype=float)

    def cdf(self, x: ArrayLike) -> Floats:
        """Return P(X <= x) in float64, with the shape of x."""
        return np.asarray(self._scipy().cdf(x), dtype=float)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n values (n,)."""
        return np.asarray(self._scipy().rvs(size=n, random_state=rng), dtype=float)

    def __repr__(self) -> str:
        one: Any = self  # subclasses are dataclasses
        values = ", ".join(f"{f.name}={parameter_text(getattr(one, f.name))}" for f in fields(one))
        return f"{type(self).__name__}({values})"


def parameter_text(value: Any) -> str:
    """Return the repr of a parameter, with rationals written as 1/2."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(parameter_text, value))}]"
    return str(value) if isinstance(value, Fraction) else repr(value)


def positive(name: str, value: Exact) -> Fraction:
    """Return a parameter as an exact number; ValueError if it is not > 0."""
    number = exact(name, value)
    if number <= 0:
        raise ValueError(f"{name} is {value}; expected a number > 0")
    return number


def assign(density: Any, **parameters: Any) -> None:
    """Set the fields of a frozen density, from its `__init__`."""
    for name, value in parameters.items():
        object.__setattr__(density, name, value)
