"""Three-valued decisions about balls: proved, refuted, undecided.

A comparison of balls is True only when it holds for all their points, so `not (x > 0)` proves nothing: each
outcome here is a comparison of its own.  `arb("nan").contains(0)` is True, so what is not finite is undecided first.
"""

from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from flint import arb

T = TypeVar("T")


class Verdict(StrEnum):
    """What is known of a statement.  Undecided is not a pass."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


class Undecided(ArithmeticError):
    """A number that could not be enclosed as tightly as was asked."""


class Unbounded(Undecided):
    """A number that is infinite, or that no bound at hand shows to be finite."""


class Infinite(Unbounded):
    """A number that was proved to be infinite."""


def prove_zero(x: arb, radius: arb) -> Verdict:
    """x = 0, to within `radius`: proved if the ball holds 0 and is no wider; refuted if it excludes 0.

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
    """x > 0.

    >>> [prove_positive(arb(m, 1)).value for m in (2, 0, -2)]
    ['proved', 'undecided', 'refuted']
    """
    if not x.is_finite():
        return Verdict.UNDECIDED
    if x > 0:
        return Verdict.PROVED
    return Verdict.REFUTED if x <= 0 else Verdict.UNDECIDED


def prove_nonnegative(x: arb) -> Verdict:
    """x >= 0."""
    if not x.is_finite():
        return Verdict.UNDECIDED
    if x >= 0:
        return Verdict.PROVED
    return Verdict.REFUTED if x < 0 else Verdict.UNDECIDED


def require_exact(x: T) -> T:
    """Return a rational number (or rationals in tuples and lists) as it is, to be compared without rounding.

    A float among Fractions makes floats of all it meets, silently, and 0.1 == Fraction(1, 10) decides nothing.

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
    """The conjunction: refuted if one is, proved if all are and there is one.

    >>> conjunction([Verdict.PROVED, Verdict.UNDECIDED]).value, conjunction([]).value
    ('undecided', 'undecided')
    """
    seen = set(verdicts)
    if Verdict.REFUTED in seen:
        return Verdict.REFUTED
    return Verdict.PROVED if seen == {Verdict.PROVED} else Verdict.UNDECIDED
