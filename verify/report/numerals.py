"""Balls as decimal text.  Rounding only widens them, so that the printed ball contains the stored one."""

import math
from fractions import Fraction

from verify.arithmetic.balls import Enclosure

MAX_DIGITS = 110  # of a midpoint
MAX_EXACT_LENGTH = 40  # characters of an exact number; a longer one is rounded to FLOAT_DIGITS
FLOAT_DIGITS = 17  # enough for any float64
MAX_BINARY_EXPONENT = 30_000  # a larger power of 2 is not computed as a fraction
MINUS = "\N{MINUS SIGN}"


def decimal(x: Enclosure, digits: int = MAX_DIGITS) -> str:
    """Return a ball as "midpoint ± radius", or as the number alone if it is exact and short.

    >>> from flint import arb
    >>> decimal(Enclosure.of(arb("1.25", "1e-9"))), decimal(Enclosure.of(arb(-3) / 4)), decimal(Enclosure.of(arb(0, 2)))
    ('1.25000000 ± 1.01e-9', '-0.75', '0 ± 2.01')
    """
    text = str(x.arb().str(digits))
    if not text.startswith("[") and len(_short(text)) > MAX_EXACT_LENGTH:
        text = str(x.arb().str(FLOAT_DIGITS))
    if not text.startswith("["):
        return _short(text)
    midpoint, _, radius = text.strip("[]").partition("+/-")
    return f"{midpoint.strip() or '0'} ± {radius.strip()}"


def _short(text: str) -> str:
    """Return an exact decimal without its trailing zeros."""
    mantissa, mark, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + mark + exponent


def magnitude(x: Enclosure) -> float | None:
    """Return log10 |midpoint|, or None for 0.

    >>> magnitude(Enclosure((5, 1), (0, 0)))
    1.0
    """
    mantissa, exponent = x.mid
    return math.log10(abs(mantissa)) + exponent * math.log10(2) if mantissa else None


def bound(x: Enclosure) -> str:
    """Return a nonnegative exact number, a radius or a bound, rounded up to two digits.

    >>> bound(Enclosure((5, -4), (0, 0))), bound(Enclosure((1, 0), (0, 0))), bound(Enclosure((0, 0), (0, 0)))
    ('3.2e-1', '1.0e0', '0')
    """
    size = magnitude(x)
    if size is None:
        return "0"
    mantissa, exponent = abs(x.mid[0]), x.mid[1]
    if abs(exponent) > MAX_BINARY_EXPONENT:
        return f"1e{math.ceil(size + 1e-6)}"
    value, power = Fraction(mantissa) * Fraction(2) ** exponent, math.floor(size)
    tenths = math.ceil(value / Fraction(10) ** (power - 1))
    if tenths >= 100:
        tenths, power = math.ceil(Fraction(tenths, 10)), power + 1
    return f"{tenths // 10}.{tenths % 10}e{power}"


def exact_digits(text: str) -> float:
    """Return -log10 of a positive decimal text such as a tolerance.

    >>> exact_digits("1e-30"), round(exact_digits("2e-13"), 3)
    (30.0, 12.699)
    """
    value = Fraction(text)
    return math.log10(value.denominator) - math.log10(value.numerator)


def powers(text: str) -> str:
    r"""Return 1.3e-31 as 1.3 × 10⁻³¹ with no-break spaces, 1e-30 as 10⁻³⁰, and other texts unchanged.

    >>> powers("1.3e-31") == "1.3\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁻³¹", powers("1e-30"), powers("1.5e0")
    (True, '10⁻³⁰', '1.5')
    """
    mantissa, mark, exponent = text.partition("e")
    if not mark or not exponent.lstrip("+-").isdigit():
        return text
    if int(exponent) == 0:
        return mantissa
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if mantissa == "1" else f"{mantissa}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10{raised}"


def spelled(x: Enclosure, digits: int = MAX_DIGITS) -> str:
    r"""Return a ball as "midpoint ± radius", with the radius in powers of ten.

    >>> from flint import arb
    >>> spelled(Enclosure.of(arb("1.25", "1e-9"))).replace("\N{NO-BREAK SPACE}", " ")
    '1.25000000 ± 1.01 × 10⁻⁹'
    """
    midpoint, mark, radius = decimal(x, digits).partition(" ± ")
    return f"{midpoint} ±\N{NO-BREAK SPACE}{powers(radius)}" if mark else midpoint


def seconds(x: float) -> str:
    """Return a duration as text.

    >>> seconds(0.0312), seconds(12.34), seconds(754.2)
    ('0.03 s', '12.3 s', '12 min 34 s')
    """
    if x < 1:
        return f"{x:.2f} s"
    if x < 60:
        return f"{x:.1f} s"
    return f"{round(x) // 60} min {round(x) % 60} s"
