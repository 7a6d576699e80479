"""Distributions on finitely many points; everything but logarithms is rational."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from verify.arithmetic.balls import Exact, exact, listed
from verify.densities.base import Density, Floats, assign
from verify.densities.mixture import simplex


@dataclass(frozen=True, init=False, repr=False)
class Discrete:
    """The distribution on n points with P(X = atoms[i]) = weights[i].

    Parameters
    ----------
    weights : sequence of int, Fraction or str
        Rational numbers (n,) >= 0 with sum 1.
    atoms : sequence of int, Fraction or str, optional
        Distinct rational numbers (n,); by default 0 ... n-1.

    Raises
    ------
    ValueError
        If the weights do not sum to 1 exactly, or the atoms are not n distinct rational numbers.

    """

    weights: tuple[Fraction, ...]
    atoms: tuple[Fraction, ...]

    def __init__(self, weights: Sequence[Exact], atoms: Sequence[Exact] | None = None) -> None:
        masses = simplex(weights)
        chosen = range(len(masses)) if atoms is None else listed("atoms", atoms, "rational numbers")
        assign(self, weights=masses, atoms=tuple(exact("atoms", a) for a in chosen))
        if len(self.atoms) != len(self.weights) or len(set(self.atoms)) != len(self.atoms):
            raise ValueError(
                f"atoms are {len(self.atoms)} ({len(set(self.atoms))} distinct), weights {len(self.weights)}; "
                "expected one distinct atom for each weight"
            )

    def at(self, atom: Fraction) -> Fraction:
        """Return P(X = atom), exactly."""
        return dict(zip(self.atoms, self.weights, strict=True)).get(atom, Fraction(0))

    def pmf(self, x: ArrayLike) -> Floats:
        """Return P(X = x) in float64, with the shape of x."""
        flat = np.asarray(x, dtype=float)
        hits = (flat[..., None] == np.array([float(a) for a in self.atoms])) * np.array(
            [float(w) for w in self.weights]
        )
        return np.asarray(hits.sum(axis=-1))

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n values (n,)."""
        return rng.choice([float(a) for a in self.atoms], size=n, p=[float(w) for w in self.weights])

    __repr__ = Density.__repr__
