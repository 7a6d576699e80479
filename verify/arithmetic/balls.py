"""Real numbers as balls [m - r, m + r]: exact input, a local precision, exact output.

A ball is a `flint.arb`: an exact binary midpoint m and radius r such that the true value lies in it.  Two traps
are closed here.  The precision of `flint` is one global of the process, so it is only ever set through
`precision`, which restores it.  And a printed ball is rounded, so balls are stored as integers (`Enclosure`).
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

Exact = int | Fraction | str  # what a parameter may be given as

MAX_DIGITS = 10_000
MAX_TEXT = 2 * MAX_DIGITS  # characters of a rational number
MAX_EXPONENT = 100_000  # of a decimal text: 10^-99999999 would be built digit by digit


class TooLarge(ValueError):
    """A number that is too long to be built."""


@contextmanager
def precision(digits: int) -> Iterator[None]:
    """Work with `digits` decimal digits inside the block; whatever happens, the old precision returns.

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
    """Return `digits`, or say what is accepted."""
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= MAX_DIGITS:
        raise ValueError(f"digits is {digits!r}; expected a whole number from 1 to {MAX_DIGITS}")
    return digits


def exact(name: str, value: Any) -> Fraction:
    """Return `value` as the rational number it is.

    Texts are read in decimal or as a quotient ("0.1" and "1/10" are one tenth).  A float is refused: 0.1 stores
    3602879701896397/36028797018963968, and a certificate would be of that.

    >>> exact("sigma", "0.1"), exact("sigma", Fraction(0.5))
    (Fraction(1, 10), Fraction(1, 2))
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        if isinstance(value, Rational):  # whole numbers of NumPy among them, which flint does not read
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
    """Refuse a text whose number would take minutes to build, by its length and its exponent alone."""
    if len(text) > MAX_TEXT:
        raise TooLarge(f"{name} is a text of {len(text)} characters; expected at most {MAX_TEXT}")
    exponent = re.search(r"[eE]([-+]?[0-9_]+)\s*$", text)
    digits = exponent[1].lstrip("+-0_") if exponent else ""
    if len(digits) > len(str(MAX_EXPONENT)) or int(digits or 0) > MAX_EXPONENT:
        raise TooLarge(f"{name} is {text[:40]!r}; expected an exponent between -{MAX_EXPONENT} and {MAX_EXPONENT}")


def listed(name: str, value: Any, of: str) -> list[Any]:
    """Return the items of a sequence, or say what is accepted; a text is none.

    >>> listed("weights", ("1/2", "1/2"), "rational numbers")
    ['1/2', '1/2']
    """
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise ValueError(f"{name} is {value!r}; expected a list of {of}")
    return list(value)


def ball(value: int | Fraction) -> arb:
    """Return the ball of a rational number: exact, or one rounding wide."""
    return arb(fmpq(value.numerator, value.denominator))


def between(low: arb | int, high: arb | int) -> arb:
    """Return a ball that covers [low, high]."""
    return arb(low).union(arb(high))


def power_of_ten(exponent: int) -> arb:
    """Return 10^exponent."""
    return arb(10) ** exponent


@dataclass(frozen=True)
class Enclosure:
    """A ball as exact integers: [m - r, m + r] with m = mid[0] 2^mid[1] and r = rad[0] 2^rad[1].

    >>> x = Enclosure.of(arb(3) / 4)
    >>> x.mid, x.rad
    ((3, -2), (0, 0))
    """

    mid: tuple[int, int]
    rad: tuple[int, int]

    @classmethod
    def of(cls, x: arb) -> "Enclosure":
        """Store a finite ball."""
        if not x.is_finite():
            raise ValueError(f"the ball {x} is not finite; expected a finite ball")
        (m, e), (r, f) = x.mid().man_exp(), x.rad().man_exp()
        return cls((int(m), int(e)), (int(r), int(f)))

    def arb(self) -> arb:
        """Return the ball, bit for bit."""
        return arb(self.mid, self.rad)

    def as_json(self) -> dict[str, list[int]]:
        """Return {"mid": [mantissa, exponent], "rad": [mantissa, exponent]}."""
        return {"mid": list(self.mid), "rad": list(self.rad)}

    @classmethod
    def from_json(cls, data: Any) -> "Enclosure":
        """Read what `as_json` wrote, and nothing else: integers, in lowest terms, a radius >= 0."""
        try:
            if set(data) != {"mid", "rad"}:
                raise ValueError
            mid, rad = tuple(data["mid"]), tuple(data["rad"])
            for mantissa, exponent in (mid, rad):
                whole = type(mantissa) is int and type(exponent) is int
                if not whole or not (mantissa % 2 == 1 or (mantissa, exponent) == (0, 0)):
                    raise ValueError
            if rad[0] < 0:
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(f"{data!r} is no ball; expected exact integers as Enclosure.as_json writes them") from None
        return cls(mid, rad)

    def __str__(self) -> str:
        return str(self.arb().str(20))
