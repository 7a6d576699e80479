"""Distributions on finitely many points as vectors of rationals: random ones, channels, discriminators, V(D).

Everything that is rational stays rational; only logarithms become balls.    p, q (n,) with sum 1

The divergences between them are those of `verify.analysis.atoms`.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import reduce

import numpy as np
from flint import arb

from verify.analysis.atoms import Vector
from verify.arithmetic.balls import ball


def random_simplex(rng: np.random.Generator, n: int, resolution: int = 1000) -> Vector:
    """Return n random whole numbers from 1 to `resolution`, divided by their sum."""
    counts = [int(k) for k in rng.integers(1, resolution + 1, n)]
    return tuple(Fraction(k, sum(counts)) for k in counts)


def random_distinct(rng: np.random.Generator, n: int, how_many: int) -> list[Vector]:
    """Return `how_many` distinct points of the simplex, each as in `random_simplex`."""
    found: dict[Vector, None] = {}
    while len(found) < how_many:
        found[random_simplex(rng, n)] = None
    return list(found)


def random_channel(rng: np.random.Generator, n: int, m: int) -> list[Vector]:
    """Return a stochastic matrix (n, m): each row is a distribution."""
    return [random_simplex(rng, m) for _ in range(n)]


def apply(channel: Sequence[Vector], p: Vector) -> Vector:
    """Return p T, the distribution of the output of a channel T (n, m) whose input has the distribution p."""
    return tuple(
        sum((a * row[j] for a, row in zip(p, channel, strict=True)), Fraction(0)) for j in range(len(channel[0]))
    )


def mix(p: Vector, q: Vector, weight: Fraction = Fraction(1, 2)) -> Vector:
    """Return (1 - weight) p + weight q."""
    return tuple((1 - weight) * a + weight * b for a, b in zip(p, q, strict=True))


def discriminator(p: Vector, q: Vector) -> Vector:
    """Return D* = p / (p + q), where p + q > 0 everywhere."""
    return tuple(a / (a + b) for a, b in zip(p, q, strict=True))


def value(p: Vector, q: Vector, d: Vector) -> arb:
    """Enclose V(D) = sum p log D + q log(1 - D), with 0 log 0 = 0."""
    gains = [ball(a) * ball(y).log() for a, y in zip(p, d, strict=True) if a]
    losses = [ball(b) * ball(1 - y).log() for b, y in zip(q, d, strict=True) if b]
    return sum(gains + losses, arb(0))


def minimum(margins: Iterable[arb]) -> arb:
    """Return the minimum of many balls: positive if and only if all are, not finite if one is not."""
    return reduce(lambda x, y: x.min(y), margins)
