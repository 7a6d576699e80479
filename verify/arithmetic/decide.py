"""Three-valued decisions about balls: proved, refuted, undecided.

A comparison of balls is True only if it holds for all their points, so that `not (x > 0)` proves nothing; here each
outcome has a comparison that proves it.  Since `arb("nan").contains(0)` is True, balls that are not finite are
undecided, which is tested first.
"""

from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from flint import arb

T = TypeVar("T")


class Verdict(StrEnum):
    """What is known about a statement.  Undecided does not count as proved."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


class Undecided(ArithmeticError):
    """A number could not be enclosed as narrowly as required."""


class Unbounded(Undecided):
    """A number is infinite, or no known bound shows that it is finite."""


class Infinite(Unbounded):
    """A number is proved to be infinite."""


def prove_zero(x: arb, radius: arb) -> Verdict:
    """Decide x = 0 to within `radius`.

    Parameters
    ----------
    x : arb
        The ball.
    radius : arb
        The largest radius of x that counts as a proof.

    Returns
    -------
    Verdict
        Proved if x contains 0 and its radius is at most `radius`; refuted if x does not contain 0; else undecided.

    Examples
    --------
    >>> prove_zero(arb(0, 1e-40), arb(1e-30)).value, prove_zero(arb(0, 1), arb(1e-30)).value
    ('proved', 'undecided')
    >>> prove_zero(arb(1e-20, 1e-40), arb(1e-30)).value
    'refuted'

    """
    if not (x.is_finite() and radius.is_finite()):
        return Verdict.UNDECIDED
    if not x.contains(0):
        return Verdict.REFUTED
    return Verdict.PROVED if x.rad() <= radius else Verdict.UNDECIDED


def prove_positive(x: arb) -> Verdict:
    """Decide x > 0.

    Parameters
    ----------
    x : arb
        The ball.

    Returns
    -------
    Verdict
        Proved if all its points are > 0, refuted if none is, else undecided.

    Examples
    --------
    >>> [prove_positive(arb(m, 1)).value for m in (2, 0, -2)]
    ['proved', 'undecided', 'refuted']

    """
    if not x.is_finite():
        return Verdict.UNDECIDED
    if x > 0:
        return Verdict.PROVED
    return Verdict.REFUTED if x <= 0 else Verdict.UNDECIDED


def prove_nonnegative(x: arb) -> Verdict:
    """Decide x >= 0.

    Parameters
    ----------
    x : arb
        The ball.

    Returns
    -------
    Verdict
        Proved if all its points are >= 0, refuted if none is, else undecided.

    """
    if not x.is_finite():
        return Verdict.UNDECIDED
    if x >= 0:
        return Verdict.PROVED
    return Verdict.REFUTED if x < 0 else Verdict.UNDECIDED


def require_exact(x: T) -> T:
    """Return a rational number, or rationals in tuples and lists, unchanged; TypeError if a float is among them.

    A float turns every Fraction it is combined with into a float, silently, and 0.1 == Fraction(1, 10) decides nothing.

    >>> require_exact((Fraction(1, 3), 2)) == (Fraction(2, 6), 2)
    True
    >>> require_exact([0.5])
    Traceback (most recent call last):
        ...
    TypeError: 0.5 is a float; expected int or Fraction in an exact decision
    """
    if isinstance(x, tuple | list):
        for one in x:
            require_exact(one)
    elif type(x) not in (int, Fraction):
        raise TypeError(f"{x!r} is a {type(x).__name__}; expected int or Fraction in an exact decision")
    return x


def conjunction(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on all statements together: refuted if one is, proved if all are and there is at least one.

    >>> conjunction([Verdict.PROVED, Verdict.UNDECIDED]).value, conjunction([]).value
    ('undecided', 'undecided')
    """
    seen = set(verdicts)
    if Verdict.REFUTED in seen:
        return Verdict.REFUTED
    return Verdict.PROVED if seen == {Verdict.PROVED} else Verdict.UNDECIDED
