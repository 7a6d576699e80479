"""Finite mixtures of densities on the line."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, reduce
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import ArrayLike

from verify.arithmetic.balls import Exact, ball, exact, listed
from verify.densities.base import Density, Floats, LogDensity, assign
from verify.densities.functions import log_sum_exp
from verify.densities.tails import INFINITE, Growth, Moments, Tail


def simplex(weights: Sequence[Exact]) -> tuple[Fraction, ...]:
    """Return weights as exact numbers; ValueError if they are not >= 0 with sum 1 exactly."""
    exactly = tuple(exact("weights", w) for w in listed("weights", weights, "rational numbers"))
    if any(w < 0 for w in exactly) or sum(exactly) != 1:
        shown = ", ".join(map(str, exactly))
        raise ValueError(f"weights are [{shown}] with sum {sum(exactly)}; expected numbers >= 0 with sum 1 exactly")
    return exactly


@dataclass(frozen=True, init=False, repr=False)
class Mixture(Density):
    """The mixture p(x) = sum_i w_i p_i(x).

    Parameters
    ----------
    weights : sequence of int, Fraction or str
        Rational numbers w_i >= 0 with sum 1.
    components : sequence of Density
        The densities p_i, as many as weights.

    Raises
    ------
    ValueError
        If the weights do not sum to 1 exactly, the lengths differ, or a component is no density on the line.

    """

    weights: tuple[Fraction, ...]
    components: tuple[Density, ...]

    def __init__(self, weights: Sequence[Exact], components: Sequence[Density]) -> None:
        assign(self, weights=simplex(weights), components=tuple(listed("components", components, "densities")))
        if len(self.weights) != len(self.components):
            raise ValueError(
                f"weights has length {len(self.weights)}, components {len(self.components)}; expected equal lengths"
            )
        for component in self.components:
            if not isinstance(component, Density):
                raise ValueError(f"components has {component!r}; expected densities on the line")

    def _parts(self, at: Fraction) -> list[tuple[Fraction, Density]]:
        """Return the weights and components that are positive on the piece that contains `at`."""
        return [(w, p) for w, p in zip(self.weights, self.components, strict=True) if w and p.positive_at(at)]

    def support(self) -> tuple[Fraction | None, Fraction | None]:
        """Return the ends of the union of the supports."""
        ends = [p.support() for w, p in zip(self.weights, self.components, strict=True) if w]
        lows, highs = [low for low, _ in ends], [high for _, high in ends]
        return (
            None if None in lows else min(low for low in lows if low is not None),
            None if None in highs else max(high for high in highs if high is not None),
        )

    def edges(self) -> tuple[Fraction, ...]:
        """Return the edges of all components, in ascending order."""
        return tuple(sorted({e for w, p in zip(self.weights, self.components, strict=True) if w for e in p.edges()}))

    def positive_at(self, at: Fraction) -> bool:
        """Return whether any component is positive there."""
        return bool(self._parts(at))

    def singular(self, edge: Fraction) -> bool:
        """Return whether any component is singular there."""
        return any(w and p.singular(edge) for w, p in zip(self.weights, self.components, strict=True))

    def canonical(self) -> Density:
        """Return a mixture without nested mixtures, equal components or zero weights, its components sorted by repr."""
        joined: dict[Density, Fraction] = {}
        for w, p in zip(self.weights, self.components, strict=True):
            plain = p.canonical()
            inner = plain if isinstance(plain, Mixture) else Mixture([1], [plain])
            for v, part in zip(inner.weights, inner.components, strict=True):
                if w * v:
                    joined[part] = joined.get(part, Fraction(0)) + w * v
        parts = sorted(joined, key=repr)
        return parts[0] if len(parts) == 1 else Mixture([joined[p] for p in parts], parts)

    def log_density(self) -> LogDensity:
        """Return the function log sum_i w_i e^(log p_i)."""
        logs = {p: (ball(w).log(), p.log_density()) for w, p in zip(self.weights, self.components, strict=True) if w}
        if len(logs) < sum(w != 0 for w in self.weights):
            return self.canonical().log_density()  # a component occurs twice

        parts = cache(lambda at: [logs[p] for _, p in self._parts(at)])

        def log_p(x: Any, at: Fraction, analytic: bool = False) -> Any:
            return log_sum_exp([log_w + part(x, at, analytic) for log_w, part in parts(at)], analytic)

        return log_p

    def tail(self, x: arb, side: int) -> arb:
        """Return sum_i w_i tail_i."""
        return sum((ball(w) * p.tail(x, side) for w, p in zip(self.weights, self.components, strict=True)), arb(0))

    def tail_start(self) -> Fraction:
        """Return the largest start of the components."""
        return max(p.tail_start() for p in self.components)

    def neg_log_bound(self, tail: Tail) -> Growth:
        """Return the slowest of the bounds -log p <= -log w_i - log p_i, each of which holds."""
        bounds = [(ball(w), p.neg_log_bound(tail)) for w, p in self._parts(tail.at)]
        w, best = min(bounds, key=lambda one: one[1].order())
        return Growth(best.const - w.log(), best.log, best.linear, best.square)

    def log_bound(self, tail: Tail) -> Growth:
        """Return the bound log p <= max_i log p_i."""
        bounds = [p.log_bound(tail) for _, p in self._parts(tail.at)]
        return reduce(
            lambda a, b: Growth(a.const.max(b.const), a.log.max(b.log), a.linear.max(b.linear), a.square.max(b.square)),
            bounds,
        )

    def moments(self, tail: Tail) -> Moments:
        """Return sum_i w_i moments_i, over the components that are positive there."""
        parts = [(ball(w), p.moments(tail)) for w, p in self._parts(tail.at)]

        def total(name: str) -> arb:
            terms = [w * getattr(m, name) for w, m in parts]
            return sum(terms, arb(0)) if all(t.is_finite() for t in terms) else INFINITE

        return Moments(total("mass"), total("log"), total("linear"), total("square"))

    # In floats: scipy has no mixtures.

    def _scipy(self) -> Any:
        raise NotImplementedError

    def pdf(self, x: ArrayLike) -> Floats:
        """Return p(x) in float64, with the shape of x."""
        return np.asarray(np.exp(self.logpdf(x)), dtype=float)

    def logpdf(self, x: ArrayLike) -> Floats:
        """Return log p(x) in float64, with the shape of x, by logaddexp so that it does not underflow."""
        parts = [(w, p) for w, p in zip(self.weights, self.components, strict=True) if w]
        return np.asarray(np.logaddexp.reduce([np.log(float(w)) + p.logpdf(x) for w, p in parts]), dtype=float)

    def cdf(self, x: ArrayLike) -> Floats:
        """Return P(X <= x) in float64, with the shape of x."""
        parts = zip(self.weights, self.components, strict=True)
        return np.asarray(sum(float(w) * p.cdf(x) for w, p in parts), dtype=float)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n values (n,): first how many come from each component, then the values, in random order."""
        counts = rng.multinomial(n, [float(w) for w in self.weights])
        drawn = [p.sample(int(k), rng) for k, p in zip(counts, self.components, strict=True)]
        return rng.permutation(np.concatenate(drawn))
