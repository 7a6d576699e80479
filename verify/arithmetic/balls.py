"""Real numbers as balls [m - r, m + r]: exact input, a local precision, exact output.

A ball is a `flint.arb`: an exact binary midpoint m and radius r such that the true value lies in [m - r, m + r].
The precision of `flint` is one global variable of the process; it is set by `precision` only, which restores it.
A printed ball is rounded; `Enclosure` stores it as integers instead.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from numbers import Rational
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq

Exact = int | Fraction | str  # the types of an exact parameter

MAX_DIGITS = 10_000
MAX_TEXT = 2 * MAX_DIGITS  # characters of a rational number
MAX_EXPONENT = 100_000  # of a decimal text: 10^-99999999 would be built digit by digit


class TooLarge(ValueError):
    """A number is too long to be computed in reasonable time."""


@contextmanager
def precision(digits: int) -> Iterator[None]:
    """Set the working precision inside a ``with`` block, and restore the previous one on leaving it.

    Parameters
    ----------
    digits : int
        Decimal digits, from 1 to 10000.

    Raises
    ------
    ValueError
        If digits is no whole number from 1 to 10000.

    Examples
    --------
    >>> from flint import ctx
    >>> before = ctx.prec
    >>> with precision(50):
    ...     print(arb(2).sqrt())
    [1.4142135623730950488016887242096980785696718753769 +/- ...]
    >>> ctx.prec == before
    True

    """
    check_digits(digits)
    before = ctx.prec
    ctx.dps = digits
    try:
        yield
    finally:
        ctx.prec = before


def check_digits(digits: object) -> int:
    """Return `digits`; ValueError if it is no whole number from 1 to MAX_DIGITS."""
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= MAX_DIGITS:
        raise ValueError(f"digits is {digits!r}; expected a whole number from 1 to {MAX_DIGITS}")
    return digits


def exact(name: str, value: Any) -> Fraction:
    """Return a parameter as an exact rational number.

    Parameters
    ----------
    name : str
        The name of the parameter, for messages.
    value : int, Fraction or str
        A rational number.  A text is a decimal or a quotient: "0.1" and "1/10" are one tenth.

    Returns
    -------
    Fraction
        The same number.

    Raises
    ------
    ValueError
        If value is anything else.  A float is refused, because 0.1 is 3602879701896397/36028797018963968, and the
        certificate would be about that number.
    TooLarge
        If a text has more than 20000 characters or a decimal exponent beyond 100000; a kind of ValueError.

    Examples
    --------
    >>> exact("sigma", "0.1"), exact("sigma", Fraction(0.5))
    (Fraction(1, 10), Fraction(1, 2))

    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        if isinstance(value, Rational):  # includes the integers of NumPy, which flint cannot read
            return Fraction(int(value.numerator), int(value.denominator))
        if isinstance(value, str):
            _check_size(name, value)
            return Fraction(value)
        raise TypeError
    except TooLarge:
        raise
    except (TypeError, ValueError, ZeroDivisionError):
        meant = f"; Fraction({value!r}) is the float exactly" if isinstance(value, float) and isfinite(value) else ""
        raise ValueError(
            f"{name} is {value!r}; expected a rational number as int, Fraction or text such as '1/2' or '0.1'{meant}"
        ) from None


def _check_size(name: str, text: str) -> None:
    """Refuse a text whose number would take minutes to compute, judging by its length and exponent alone."""
    if len(text) > MAX_TEXT:
        raise TooLarge(f"{name} is a text of {len(text)} characters; expected at most {MAX_TEXT}")
    exponent = re.search(r"[eE]([-+]?[0-9_]+)\s*$", text)
    digits = exponent[1].lstrip("+-0_") if exponent else ""
    if len(digits) > len(str(MAX_EXPONENT)) or int(digits or 0) > MAX_EXPONENT:
        raise TooLarge(f"{name} is {text[:40]!r}; expected an exponent between -{MAX_EXPONENT} and {MAX_EXPONENT}")


def listed(name: str, value: Any, of: str) -> list[Any]:
    """Return a sequence as a list; ValueError, naming the argument, if it is none.  A text counts as none.

    >>> listed("weights", ("1/2", "1/2"), "rational numbers")
    ['1/2', '1/2']
    """
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise ValueError(f"{name} is {value!r}; expected a list of {of}")
    return list(value)


def ball(value: int | Fraction) -> arb:
    """Return the ball of a rational number: exact if its denominator is a power of 2, else rounded once."""
    return arb(fmpq(value.numerator, value.denominator))


def between(low: arb | int, high: arb | int) -> arb:
    """Return a ball that covers [low, high]."""
    return arb(low).union(arb(high))


def power_of_ten(exponent: int) -> arb:
    """Return 10^exponent."""
    return arb(10) ** exponent


@dataclass(frozen=True)
class Enclosure:
    """A ball [m - r, m + r] stored as exact integers: m = mid[0] 2^mid[1] and r = rad[0] 2^rad[1].

    Attributes
    ----------
    mid, rad
        Mantissa and exponent of m and r.  A mantissa is odd, or both numbers are 0.

    Examples
    --------
    >>> x = Enclosure.of(arb(3) / 4)
    >>> x.mid, x.rad
    ((3, -2), (0, 0))

    """

    mid: tuple[int, int]
    rad: tuple[int, int]

    @classmethod
    def of(cls, x: arb) -> "Enclosure":
        """Return the enclosure that stores a ball; ValueError if the ball is not finite."""
        if not x.is_finite():
            raise ValueError(f"the ball {x} is not finite; expected a finite ball")
        (m, e), (r, f) = x.mid().man_exp(), x.rad().man_exp()
        return cls((int(m), int(e)), (int(r), int(f)))

    def arb(self) -> arb:
        """Return the ball, bit for bit as it was stored."""
        return arb(self.mid, self.rad)

    def as_json(self) -> dict[str, list[int]]:
        """Return {"mid": [mantissa, exponent], "rad": [mantissa, exponent]}."""
        return {"mid": list(self.mid), "rad": list(self.rad)}

    @classmethod
    def from_json(cls, data: Any) -> "Enclosure":
        """Read what `as_json` wrote; ValueError for anything but odd integer mantissas (or 0) and a radius >= 0."""
        try:
            if set(data) != {"mid", "rad"}:
                raise ValueError
            mid, rad = tuple(data["mid"]), tuple(data["rad"])
            for mantissa, exponent in (mid, rad):
                integers = type(mantissa) is int and type(exponent) is int
                if not integers or not (mantissa % 2 == 1 or (mantissa, exponent) == (0, 0)):
                    raise ValueError
            if rad[0] < 0:
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(f"{data!r} is no ball; expected exact integers as Enclosure.as_json writes them") from None
        return cls(mid, rad)

    def __str__(self) -> str:
        return str(self.arb().str(20))
