"""Distributions on finitely many points, in exact rationals; `pmf` and `sample` return float64."""

import warnings
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
        If a weight is negative or not a rational number, the weights do not sum to 1 exactly, or the atoms are not n
        distinct rational numbers.

    """

    weights: tuple[Fraction, ...]
    atoms: tuple[Fraction, ...]

    def __init__(self, weights: Sequence[Exact], atoms: Sequence[Exact] | None = None) -> None:
        masses = simplex(weights)
        chosen = range(len(masses)) if atoms is None else listed("atoms", atoms, "rational numbers")
        assign(self, weights=masses, atoms=tuple(exact("atoms", a) for a in chosen))
        if len(self.atoms) != len(self.weights) or len(set(self.atoms)) != len(self.atoms):
            raise ValueError(
                f"got {len(self.atoms)} atoms ({len(set(self.atoms))} distinct) for {len(self.weights)} weights; "
                "expected one distinct atom for each weight"
            )

    def probability(self, atom: Fraction) -> Fraction:
        """Return P(X = atom), exactly.

        Parameters
        ----------
        atom : Fraction
            A rational number.

        Returns
        -------
        Fraction
            The weight of the atom; 0 if `atom` is not one of the atoms.

        """
        return dict(zip(self.atoms, self.weights, strict=True)).get(atom, Fraction(0))

    def at(self, atom: Fraction) -> Fraction:
        """Return `probability(atom)` by its old name (deprecated)."""
        warnings.warn("Discrete.at is now called Discrete.probability", DeprecationWarning, stacklevel=2)
        return self.probability(atom)

    def pmf(self, x: ArrayLike) -> Floats:
        """Return P(X = x).

        Parameters
        ----------
        x : array_like of float
            Numbers of any shape, compared with the atoms rounded to float64.

        Returns
        -------
        ndarray of float64
            The probabilities, in the shape of x.

        """
        flat = np.asarray(x, dtype=float)
        hits = (flat[..., None] == np.array([float(a) for a in self.atoms])) * np.array(
            [float(w) for w in self.weights]
        )
        return np.asarray(hits.sum(axis=-1))

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n independent values.

        Parameters
        ----------
        n : int
            The number of values.
        rng : numpy.random.Generator
            The source of randomness.

        Returns
        -------
        ndarray of float64, (n,)
            Atoms, rounded to float64.

        """
        return rng.choice([float(a) for a in self.atoms], size=n, p=[float(w) for w in self.weights])

    __repr__ = Density.__repr__
